"""Samples compiled to functions: the fetch, then one step per converter, every type settled at load.

A `Compiled` sample knows its type, so that whoever uses it can ask for a conversion once instead of looking at values
while requests run. None anywhere in the chain is "not found" and ends it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pylb.config.model import Call, Sample
from pylb.rules import converters, samples
from pylb.rules.context import Context
from pylb.rules.kinds import Kind, Value, conversion, convertible
from pylb.rules.known import is_known_converter, is_known_fetch
from pylb.rules.registry import (
    CONVERTERS,
    FETCHES,
    BadArgument,
    Converter,
    Fetch,
    Getter,
    ManyGetter,
    Needs,
    Step,
    read_arguments,
)  # fmt: skip
from pylb.rules.scope import Place, Scope

_registered = (samples, converters)  # importing them fills the registries


@dataclass(frozen=True, slots=True)
class Compiled:
    """A sample ready to run."""

    kind: Kind
    get: Getter
    many: Callable[[Context], list[Any]] | None = None
    """All values, for tests, where the fetch has several (header fields, cookies)."""
    available: bool = True
    """False where what it looks at does not exist: it gives None always."""
    plain: tuple[str, tuple[Any, ...]] | None = None
    """Fetch name and arguments, when no converter follows: what special cases recognise."""

    def as_kind(self, wanted: Kind) -> Compiled:
        """The same sample as another type; the pair must be convertible."""
        convert = conversion(self.kind, wanted)
        if convert is None:
            return self
        return Compiled(wanted, _then(self.get, convert), _many_then(self.many, convert), self.available)


def compile_sample(sample: Sample, scope: Scope, wanted: Kind | None = None) -> Getter | None:
    """The sample as a function, of type `wanted` if given. None after reporting what is wrong; a sample that can never
    have a value at this place is wrong here."""
    compiled = compile_typed(sample, scope)
    if compiled is None:
        return None
    name = sample.fetch.name
    if not compiled.available:
        scope.report(sample.at, f'"{name}" has no value in {scope.place.named}', _advice(name, scope))
        return None
    if wanted is None:
        return compiled.get
    if not convertible(compiled.kind, wanted):
        scope.report(sample.at, f'"{name}" gives {compiled.kind.value}, {wanted.value} is needed here')
        return None
    return compiled.as_kind(wanted).get


def compile_typed(sample: Sample, scope: Scope, fetch_name: str | None = None) -> Compiled | None:
    """The sample with its type; `fetch_name` stands in for the name as written (`hdr` of `hdr_beg`)."""
    current = _compile_fetch(sample.fetch, fetch_name or sample.fetch.name, scope)
    for call in sample.converters:
        step = _compile_converter(call, scope)
        if step is None or current is None:
            current = None  # the others are still looked at, for their own mistakes
        else:
            current = _chain(current, call, *step, scope)
    return current


def _advice(name: str, scope: Scope) -> str:
    if scope.place.has_request or FETCHES[name].needs != Needs.REQUEST or not scope.http:
        return ""
    return f"keep it while the request is there: http-request set-var(txn.x) {name}, then var(txn.x)"


# ------------------------------------------------------------------------------------------------------------ fetches


def _compile_fetch(call: Call, name: str, scope: Scope) -> Compiled | None:
    entry = FETCHES.get(name)
    if entry is None:
        _report_unknown(call, name, "sample fetch", is_known_fetch(name), FETCHES, scope)
        return None
    try:
        args = read_arguments(entry, call.args)
        if not is_available(entry, scope):
            return Compiled(entry.kind, _nothing, None, available=False)
        many: ManyGetter | None = entry.build_many(args, scope) if entry.build_many else None
        return Compiled(entry.kind, entry.build(args, scope), many, plain=(name, args))
    except BadArgument as error:
        scope.report(call.at, f'in "{call.name}": {error}')
        return None


def is_available(entry: Fetch, scope: Scope) -> bool:
    """Whether what the fetch looks at exists at the scope's place."""
    place, needs = scope.place, entry.needs
    if needs == Needs.NOTHING:
        return True
    if needs == Needs.STREAM:
        return place.has_stream
    if needs == Needs.PAYLOAD:
        return place.has_request and not scope.http
    if not scope.http:
        return False
    request, response = place.has_request, place.has_response
    return {
        Needs.REQUEST: request,
        Needs.RESPONSE: response,
        Needs.EITHER: request or response,
        Needs.STATUS: response or place is Place.LOG,
    }[needs]


def _nothing(_x: Context) -> Value:
    return None


def _report_unknown(call: Call, name: str, kind: str, known: bool, names: Any, scope: Scope) -> None:
    if known:
        scope.report(call.at, f'the {kind} "{name}" is not supported by pylb yet')
    else:
        scope.report.unknown(call.at, kind, call.name, names)


# --------------------------------------------------------------------------------------------------------- converters


def _compile_converter(call: Call, scope: Scope) -> tuple[Converter, Step] | None:
    entry = CONVERTERS.get(call.name)
    if entry is None:
        _report_unknown(call, call.name, "converter", is_known_converter(call.name), CONVERTERS, scope)
        return None
    try:
        return entry, entry.build(read_arguments(entry, call.args), scope)
    except BadArgument as error:
        scope.report(call.at, f'in "{call.name}": {error}')
        return None


def _chain(current: Compiled, call: Call, entry: Converter, step: Step, scope: Scope) -> Compiled | None:
    if not convertible(current.kind, entry.source):
        scope.report(call.at, f'"{call.name}" takes {entry.source.value}, but gets {current.kind.value} here')
        return None
    typed = current.as_kind(entry.source)
    result = current.kind if entry.result is Kind.ANY else entry.result
    if entry.contextual:
        return Compiled(result, _then_with(typed.get, step), _many_then_with(typed.many, step), current.available)
    return Compiled(result, _then(typed.get, step), _many_then(typed.many, step), current.available)


def _then(get: Getter, step: Step) -> Getter:
    def run(x: Context) -> Value:
        value = get(x)
        return None if value is None else step(value)

    return run


def _then_with(get: Getter, step: Step) -> Getter:
    def run(x: Context) -> Value:
        value = get(x)
        return None if value is None else step(value, x)

    return run


def _many_then(many: Any, step: Step) -> Any:
    return None if many is None else lambda x: [step(value) for value in many(x) if value is not None]


def _many_then_with(many: Any, step: Step) -> Any:
    return None if many is None else lambda x: [step(value, x) for value in many(x) if value is not None]
