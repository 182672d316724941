"""`use_backend` rules compiled: tried in order, except that runs of alike rules become one look-up.

A site with many host names has many rules that compare one sample with different strings. Consecutive rules of that
form (`if { hdr(host) -i a b }`, named or anonymous, one test, not negated, exact match) are joined into a switch: a
dictionary from value to the first rule that names it. Ten rules by Host cost what one costs instead of ten times that
(bench/micro/rules.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylb.config.model import Condition, Test, UseBackend
from pylb.rules.acl import CRITERIA, Check, compile_condition, never
from pylb.rules.compile import Compiled, compile_typed
from pylb.rules.context import Context
from pylb.rules.kinds import Kind
from pylb.rules.logformat import compile_text
from pylb.rules.matches import encode
from pylb.rules.pattern_edits import Use
from pylb.rules.reply import Text
from pylb.rules.scope import Scope

Name = str | Callable[[Context], bytes]
Route = Callable[[Context], "Name | None"]
"""The backend's name when the rule applies."""


def compile_routes(rules: tuple[UseBackend, ...], scope: Scope) -> tuple[Route, ...]:
    """The rules in order; wrong ones are reported and left out."""
    routes: list[Route] = []
    run: list[tuple[Test, str]] = []
    for rule in rules:
        check, name = compile_condition(rule.condition, scope), _name(rule, scope)
        if check is None or name is None or check is never:
            continue
        if scope.world.watch is not None:  # one by one, where they would be a single look-up otherwise
            routes.append(scope.world.watch.route(rule, check, name))
            continue
        test = _exact_test(rule.condition, scope) if isinstance(name, str) else None
        if run and (test is None or _key(test) != _key(run[0][0])):
            routes += _joined(run, scope)
            run = []
        if test is not None and isinstance(name, str):
            run.append((test, name))
        else:
            routes.append(_single(check, name))
    return (*routes, *_joined(run, scope))


def _name(rule: UseBackend, scope: Scope) -> Name | None:
    text: Text | None = compile_text(rule.backend, scope, rule.at)
    if not isinstance(text, bytes):
        return text
    name, config = text.decode(), scope.world.config
    if config.backends and config.backend(name) is None:
        scope.report.unknown(rule.at, "backend", name, [backend.name for backend in config.backends])
    return name


def _single(check: Check, name: Name) -> Route:
    return lambda x: name if check(x) else None


# ---------------------------------------------------------------------------------------------------------- switches


def _exact_test(condition: Condition | None, scope: Scope) -> Test | None:
    """The only test of a condition, if it compares one sample with strings exactly."""
    if condition is None or condition.unless or len(condition.any_of) != 1 or len(condition.any_of[0]) != 1:
        return None
    term = condition.any_of[0][0]
    if isinstance(term.acl, str):
        declared = scope.acls.get(term.acl, ())
        test = declared[0].test if len(declared) == 1 else None
    else:
        test = term.acl
    if term.negated or test is None or test.files or not test.values or not _is_exact(test):
        return None
    return test


def _is_exact(test: Test) -> bool:
    fetch = test.sample.fetch.name
    implied = "str" if test.sample.converters else CRITERIA.get(fetch, (fetch, "str"))[1]
    return (test.match or implied) == "str" and fetch != "method"


def _key(test: Test) -> Any:
    return test.sample, test.ignore_case


def _joined(run: list[tuple[Test, str]], scope: Scope) -> list[Route]:
    if not run:
        return []
    first = run[0][0]
    fetch = first.sample.fetch.name
    sample = compile_typed(first.sample, scope, CRITERIA.get(fetch, (fetch, ""))[0])
    assert sample is not None  # its condition was compiled already
    if sample.kind is not Kind.STR:
        return [_alone(test, name, scope) for test, name in run]
    table: dict[bytes, tuple[int, str]] = {}
    lists = [scope.world.patterns.words(test) for test, _ in run]

    def build() -> dict[bytes, tuple[int, str]]:
        made: dict[bytes, tuple[int, str]] = {}
        for number, (patterns, (_, name)) in enumerate(zip(lists, run, strict=True)):
            for entry in patterns.live():
                value = encode(entry.pattern)
                made.setdefault(value.lower() if first.ignore_case else value, (number, name))
        return made

    def change(to: dict[bytes, tuple[int, str]]) -> None:
        table.clear()
        table.update(to)

    change(build())
    for patterns in lists:
        patterns.uses.append(Use(build, change))
    return [_switch(sample, table, first.ignore_case)]


def _alone(test: Test, name: str, scope: Scope) -> Route:
    from pylb.rules.acl import compile_test

    check = compile_test(test, scope)
    assert check is not None
    return _single(check, name)


def _switch(sample: Compiled, table: dict[bytes, tuple[int, str]], ignore_case: bool) -> Route:
    get, many = sample.get, sample.many

    def route(x: Context) -> Name | None:
        value = get(x)
        if not isinstance(value, bytes):
            return None
        found = table.get(value.lower() if ignore_case else value)
        return None if found is None else found[1]

    def route_any(x: Context) -> Name | None:
        assert many is not None
        values = [value.lower() if ignore_case else value for value in many(x)]
        found = [table[value] for value in values if value in table]
        return min(found)[1] if found else None

    def route_host(x: Context) -> Name | None:  # a request has one Host
        value = x.request.get(b"host")
        if value is None or b"," in value:
            return route_any(x)
        found = table.get(value.lower() if ignore_case else value)
        return None if found is None else found[1]

    if many is None:
        return route
    return route_host if sample.plain == ("req.hdr", ("host", None)) else route_any
