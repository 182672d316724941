"""Tests and conditions compiled to functions of one exchange.

The criterion of a test names a fetch, or a fetch with its match (`hdr_dom`); without `-m` the type decides. A fetch
with several values (header fields, cookies) matches when one of them does. A condition is an or of ands; what is
constant about it is folded at load, and each shape gets the plainest closure that does it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

from pylb.config.expression import parse_acl_text, str_sample
from pylb.config.model import NOWHERE, Condition, Origin, Term, Test
from pylb.rules.compile import Compiled, compile_typed
from pylb.rules.context import Context
from pylb.rules.kinds import Kind, address, convertible
from pylb.rules.matches import METHODS, Match, adjust
from pylb.rules.pattern_edits import Entry, PatternUse
from pylb.rules.pattern_lists import How, PatternList
from pylb.rules.predefined import PREDEFINED
from pylb.rules.registry import FETCHES, BadArgument
from pylb.rules.samples.headers import header_values
from pylb.rules.scope import Scope

Check = Callable[[Context], bool]

_DEFAULT_METHOD = {
    Kind.BOOL: "bool", Kind.INT: "int", Kind.ADDR: "ip", Kind.STR: "str", Kind.METH: "str",
}  # fmt: skip

_MATCH_SUFFIXES = ("beg", "dir", "dom", "end", "len", "reg", "sub")
_WITH_SUFFIX = {
    "base": "base", "cook": "req.cook", "hdr": "req.hdr", "path": "path", "scook": "res.cook", "shdr": "res.hdr",
    "url": "url", "urlp": "urlp",
}  # fmt: skip
CRITERIA: dict[str, tuple[str, str]] = {
    f"{name}_{suffix}": (fetch, suffix) for name, fetch in _WITH_SUFFIX.items() for suffix in _MATCH_SUFFIXES
} | {
    "cook": ("req.cook", "str"), "hdr": ("req.hdr", "str"), "ssl_fc_sni_end": ("ssl_fc_sni", "end"),
    "ssl_fc_sni_reg": ("ssl_fc_sni", "reg"), "hdr_val": ("req.hdr_val", "int"), "hdr_ip": ("req.hdr_ip", "ip"),
    "hdr_cnt": ("req.hdr_cnt", "int"),
}  # fmt: skip
"""Criteria that are no fetches, or another one in tests: (fetch, match)."""


class Undecided(Exception):
    """A test in a `tcp-request content` rule depends on bytes that have not come yet."""


def always(_x: Context) -> bool:
    """A condition that holds."""
    return True


def never(_x: Context) -> bool:
    """A condition that does not."""
    return False


# ------------------------------------------------------------------------------------------------------------- tests


def compile_test(test: Test, scope: Scope, acl: str = "") -> Check | None:
    """The test of the ACL of that name as a function; None after reporting what is wrong."""
    name = test.sample.fetch.name
    fetch, implied = CRITERIA.get(name, (name, None))
    if fetch not in FETCHES and name not in FETCHES and _near_criterion(test, scope):
        return None
    sample = compile_typed(test.sample, scope, fetch)
    if sample is None:
        return None
    if test.sample.converters:
        implied = None  # a match in the name counts only when the name stands alone (manual 7.1)
    method = test.match or implied or _DEFAULT_METHOD.get(sample.kind)
    lists = _lists(test, scope)
    if method is None or lists is None or not _usable(test, method, sample, scope):
        return None
    if not sample.available:
        scope.report.warning(test.at, f'"{name}" has no value in {scope.place.named}: this test never matches')
        return never
    if not test.files and not test.values and METHODS[method].patterns:
        scope.report.warning(test.at, f'"{str_sample(test.sample)}" has nothing to compare with: it never matches',
                             "-m found asks whether it exists")  # fmt: skip
        return never
    current = _current(lists, fetch)
    if scope.world.watch is not None:
        check = scope.world.watch.test(test, acl, sample, lambda s: _assemble(test, s, method, lists, current, scope))
    else:
        check = _assemble(test, sample, method, lists, current, scope)
    return _patient(check) if check is not None and scope.waits else check


def _patient(check: Check) -> Check:
    """A test that fails on what may still become something else has not failed yet."""

    def patient(x: Any) -> bool:
        x.changing = False
        if check(x):
            return True
        if x.changing:
            raise Undecided
        return False

    return patient


def _as_numbers(fetch: str, patterns: list[str]) -> list[str]:
    """Versions of TLS are written with a dot: 3.3 is TLS 1.2 (manual: req.ssl_ver)."""
    if fetch not in ("req.ssl_ver", "req_ssl_ver"):
        return patterns
    return [re.sub(r"(\d+)(?:\.(\d+))?", lambda m: str(int(m[1]) << 16 | int(m[2] or 0)), p) for p in patterns]


def _near_criterion(test: Test, scope: Scope) -> bool:
    """Report a criterion that is a near miss of those with a match in their name."""
    from pylb.rules.known import is_known_fetch

    call = test.sample.fetch
    if is_known_fetch(call.name):
        return False
    base, _, suffix = call.name.rpartition("_")
    if suffix in _MATCH_SUFFIXES and base in FETCHES:
        scope.report(call.at, f'"{call.name}" is no criterion', f'write "{base} -m {suffix}"')
    else:
        scope.report.unknown(call.at, "criterion", call.name, [*FETCHES, *CRITERIA])
    return True


def _usable(test: Test, method: str, sample: Compiled, scope: Scope) -> bool:
    if method not in METHODS:
        scope.report.unknown(test.at, "match method", method, METHODS)
        return False
    wanted = METHODS[method].kind
    if not convertible(sample.kind, wanted) and sample.available:
        scope.report(
            test.at, f'"-m {method}" cannot match {sample.kind.value}, which "{str_sample(test.sample)}" gives'
        )
        return False
    return True


def _lists(test: Test, scope: Scope) -> list[PatternList] | None:
    """Those of the files, then that of the line; None after reporting a file that cannot be read."""
    lists = []
    for path in test.files:
        try:
            lists.append(scope.world.patterns.file(path, test.at, partial(_lines, scope, path)))
        except OSError as error:
            scope.report(test.at, f'pattern file "{path}" cannot be read: {error.strerror or error}')
            return None
    return [*lists, scope.world.patterns.words(test)]


def _lines(scope: Scope, path: str) -> list[tuple[str, str | None]]:
    """A pattern a line; blanks before it do not count, nor do empty lines and comments."""
    text = scope.world.read_file(path).decode("utf-8", "surrogateescape")
    lines = [line.lstrip(" \t").rstrip("\r") for line in text.split("\n") if not line.startswith("#")]
    return [(line, None) for line in lines if line]


def _current(lists: list[PatternList], fetch: str) -> Callable[[], list[str]]:
    """The patterns that a test compares with now."""
    return lambda: _as_numbers(fetch, [entry.pattern for each in lists for entry in each.live()])


def _assemble(
    test: Test, sample: Compiled, method: str, lists: list[PatternList], current: Callable[[], list[str]], scope: Scope
) -> Check | None:
    # Methods are case-sensitive (RFC 9110 9.1), and HAProxy's -i does not change it.
    ignore_case = test.ignore_case and sample.kind is not Kind.METH

    def build() -> tuple[Match, bool]:
        patterns = current()
        # What has no comma is found in a field exactly if it is found in one of the field's elements.
        whole = method == "sub" and not any("," in pattern or pattern != pattern.strip() for pattern in patterns)
        return METHODS[method].build(patterns, ignore_case), whole

    try:
        matches, whole = build()
    except BadArgument as error:
        scope.report(test.at, str(error))
        return None
    check, change = _shape(sample, method, matches, whole)
    use = _use(method, ignore_case, lists, build, change, (matches, whole))
    for each in lists:
        each.uses.append(use)
        if (how := How(method, ignore_case)) not in each.hows:
            each.hows.append(how)
    return check


Change = Callable[[tuple[Match, bool]], None]
"""Puts another match into a test's closure."""


def _use(
    method: str,
    ignore_case: bool,
    lists: list[PatternList],
    build: Callable[[], tuple[Match, bool]],
    change: Change,
    built: tuple[Match, bool],
) -> PatternUse:
    """How a test follows the changes of its lists."""

    def accept(pattern: str, _value: str | None) -> None:
        METHODS[method].build([pattern], ignore_case)

    def adjusted(matches: Match, edited: PatternList, pattern: str, live: list[Entry], _is_new: bool) -> bool:
        if not live and any(each.by_number for each in lists if each is not edited):
            return False  # another list may have the pattern, too
        return adjust(matches, pattern, bool(live))

    return PatternUse(build, change, built, lambda made: made[0], lambda matches: (matches, False), accept, adjusted)


def _shape(sample: Compiled, method: str, matches: Match, whole: bool) -> tuple[Check, Change]:
    special = _special(sample, method, matches, whole)
    if special is not None:
        return special
    typed = sample.as_kind(METHODS[method].kind)
    if typed.many is not None:
        return _any_matches(typed.many, matches)
    return _matches(typed.get, matches, method)


def _matches(get: Callable[[Context], Any], matches: Match, method: str) -> tuple[Check, Change]:
    if method == "found":
        return lambda x: get(x) is not None, _unchanged

    def check(x: Context) -> bool:
        value = get(x)
        return value is not None and matches(value)

    def change(to: tuple[Match, bool]) -> None:
        nonlocal matches
        matches, _ = to

    return check, change


def _unchanged(_to: tuple[Match, bool]) -> None:
    """There are no patterns."""


def _any_matches(many: Callable[[Context], list[Any]], matches: Match) -> tuple[Check, Change]:
    def check(x: Context) -> bool:
        for value in many(x):  # noqa: SIM110 - a generator costs twice the loop
            if value is not None and matches(value):
                return True
        return False

    def change(to: tuple[Match, bool]) -> None:
        nonlocal matches
        matches, _ = to

    return check, change


# ----------------------------------------------------------------------------------- the commonest tests, made short


def _special(sample: Compiled, method: str, matches: Match, whole: bool) -> tuple[Check, Change] | None:
    """Closures for what most configurations ask on every request; bench/micro/rules.py has the gain of each."""
    if sample.plain is None:
        return None
    name, args = sample.plain
    if name == "src" and method == "ip":
        return _source_check(matches)
    if name == "req.hdr" and args[0] and args[1] is None and METHODS[method].kind is Kind.STR:
        return _header_check(args[0].lower().encode("latin-1"), matches, whole)
    if name == "method" and method == "str":
        return _method_check(matches)
    return None


def _method_check(matches: Match) -> tuple[Check, Change]:
    def change(to: tuple[Match, bool]) -> None:
        nonlocal matches
        matches, _ = to

    return lambda x: matches(x.request.method), change


def _source_check(matches: Match) -> tuple[Check, Change]:
    """Clients come back: their verdict is remembered by the address's text."""

    @lru_cache(maxsize=8192)
    def verdict(text: str) -> bool:
        parsed = address(text)
        return parsed is not None and matches(parsed)

    def change(to: tuple[Match, bool]) -> None:
        nonlocal matches
        matches, _ = to
        verdict.cache_clear()

    return lambda x: verdict(x.session.src), change


def _header_check(name: bytes, matches: Match, whole: bool) -> tuple[Check, Change]:
    """A field that stands once and has no comma, as nearly all do, is matched without making a list."""
    single = name == b"host"  # a request has one
    needle = b"\r\n%b:" % name

    def check(x: Context) -> bool:
        head = x.request
        place = head.place(needle)
        if place is None:
            return False
        start, end = place
        value = head.block[start + len(needle) : end].strip(b" \t")
        if (whole or 44 not in value) and (single or not head.repeats(needle, end)):  # 44 ","
            return matches(value)
        return any(map(matches, header_values(head, name)))

    def change(to: tuple[Match, bool]) -> None:
        nonlocal matches, whole
        matches, whole = to

    return check, change


# -------------------------------------------------------------------------------------------------------- conditions


def compile_condition(condition: Condition | None, scope: Scope) -> Check | None:
    """The condition as a function, `always` for none; None after reporting what is wrong."""
    if condition is None:
        return always
    groups = [[_compile_term(term, scope) for term in terms] for terms in condition.any_of]
    if any(check is None for checks in groups for check in checks):
        return None
    combined = _one_of([_all([check for check in checks if check is not None]) for checks in groups], scope)
    return _not(combined) if condition.unless else combined


def _compile_term(term: Term, scope: Scope) -> Check | None:
    check = _named(term.acl, term.at, scope) if isinstance(term.acl, str) else compile_test(term.acl, scope)
    if check is None:
        return None
    return _not(check) if term.negated else check


def _named(name: str, at: Origin, scope: Scope) -> Check | None:
    """All tests of that name: one is enough."""
    declared = scope.acls.get(name)
    if declared is None:
        return _predefined(name, at, scope)
    key = (name, scope.place)
    if key not in scope.compiled:
        checks = [compile_test(acl.test, scope, name) for acl in declared]
        scope.compiled[key] = (
            None if None in checks else _one_of([check for check in checks if check is not None], scope)
        )
    check: Check | None = scope.compiled[key]
    return check


def _predefined(name: str, at: Origin, scope: Scope) -> Check | None:
    if name in PREDEFINED:
        test = parse_acl_text(PREDEFINED[name], NOWHERE, scope.report)
        return None if test is None else compile_test(test, scope, name)
    scope.report.unknown(at, "ACL", name, [*scope.acls, *PREDEFINED])
    return None


def _not(check: Check) -> Check:
    if check is always:
        return never
    return always if check is never else lambda x: not check(x)


def _all(checks: Sequence[Check]) -> Check:
    if never in checks:
        return never
    checks = [check for check in checks if check is not always]
    if not checks:
        return always
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:
        first, second = checks
        return lambda x: first(x) and second(x)

    def every(x: Context) -> bool:
        for check in checks:  # noqa: SIM110
            if not check(x):
                return False
        return True

    return every


def _any(checks: Sequence[Check]) -> Check:
    if always in checks:
        return always
    checks = [check for check in checks if check is not never]
    if not checks:
        return never
    if len(checks) == 1:
        return checks[0]
    if len(checks) == 2:
        first, second = checks
        return lambda x: first(x) or second(x)

    def either(x: Context) -> bool:
        for check in checks:  # noqa: SIM110
            if check(x):
                return True
        return False

    return either


def _one_of(checks: Sequence[Check], scope: Scope) -> Check:
    """Alternatives; where tests may be undecided, one that holds decides for the others."""
    if not scope.waits or len(checks) < 2:
        return _any(checks)

    def either(x: Context) -> bool:
        undecided = False
        for check in checks:
            try:
                if check(x):
                    return True
            except Undecided:
                undecided = True
        if undecided:
            raise Undecided
        return False

    return either
