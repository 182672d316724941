"""Sample fetches and converters by name: one small function each, its name, types and arguments beside it.

    @fetch("path", Kind.STR, needs=REQUEST)              a getter of one exchange
    def _path(x): return x.request.path

    @fetch_with("rand", Kind.INT, "int?")                arguments: a builder that returns the getter
    def _rand(args, scope): ...

    @converter("lower", Kind.STR, Kind.STR)              value in, value out; never called with None
    @converter_with("field", Kind.STR, Kind.STR, "int", "str", "int?")

Argument types end with "?" where they may be left out; builders get the converted values, None for those left out, and
`scope` with the place they are compiled for. A builder raises BadArgument with one sentence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, auto
from typing import Any

from pylb.rules.context import Context
from pylb.rules.kinds import Kind, Value, address
from pylb.rules.scope import Scope

Getter = Callable[[Context], Value]
ManyGetter = Callable[[Context], "list[bytes]"]
Step = Callable[..., Value]
"""A conversion: step(value), or step(value, x) when its converter is contextual."""
FetchBuilder = Callable[[tuple[Any, ...], Scope], Getter]
ConverterBuilder = Callable[[tuple[Any, ...], Scope], Step]


class BadArgument(Exception):
    """An argument that a fetch or converter cannot use."""


class Needs(Flag):
    """What has to exist where a fetch is evaluated."""

    NOTHING = 0
    STREAM = auto()
    REQUEST = auto()
    RESPONSE = auto()
    EITHER = auto()
    """The head that the rule is about: hdr() reads requests in request rules, responses in response rules."""
    STATUS = auto()
    """A status exists: in response rules and logs."""
    PAYLOAD = auto()
    """The bytes that a client began with: TCP mode, before its server is connected."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """A sample fetch method."""

    name: str
    kind: Kind
    args: tuple[str, ...]
    needs: Needs
    build: FetchBuilder
    build_many: Callable[[tuple[Any, ...], Scope], ManyGetter | None] | None = None
    """All occurrences, for tests; None when the arguments choose one."""


@dataclass(frozen=True, slots=True)
class Converter:
    """A converter."""

    name: str
    source: Kind
    result: Kind
    args: tuple[str, ...]
    build: ConverterBuilder
    contextual: bool = False
    """Steps take the exchange as a second argument (variables as operands)."""


FETCHES: dict[str, Fetch] = {}
CONVERTERS: dict[str, Converter] = {}


def fetch(
    names: str, kind: Kind, needs: Needs = Needs.NOTHING
) -> Callable[[Callable[[Any], Value]], Callable[[Any], Value]]:
    """Register a getter without arguments under each of the blank-separated names."""

    def register(getter: Callable[[Any], Value]) -> Callable[[Any], Value]:
        for name in names.split():
            FETCHES[name] = Fetch(name, kind, (), needs, lambda _args, _scope: getter)
        return getter

    return register


def fetch_with(
    names: str, kind: Kind, *args: str, needs: Needs = Needs.NOTHING, many: Any = None
) -> Callable[[FetchBuilder], FetchBuilder]:
    """Register a builder of getters."""

    def register(build: FetchBuilder) -> FetchBuilder:
        for name in names.split():
            FETCHES[name] = Fetch(name, kind, args, needs, build, many)
        return build

    return register


def converter(names: str, source: Kind, result: Kind) -> Callable[[Step], Step]:
    """Register a conversion without arguments."""

    def register(step: Step) -> Step:
        for name in names.split():
            CONVERTERS[name] = Converter(name, source, result, (), lambda _args, _scope: step)
        return step

    return register


def converter_with(
    names: str, source: Kind, result: Kind, *args: str, contextual: bool = False
) -> Callable[[ConverterBuilder], ConverterBuilder]:
    """Register a builder of conversions."""

    def register(build: ConverterBuilder) -> ConverterBuilder:
        for name in names.split():
            CONVERTERS[name] = Converter(name, source, result, args, build, contextual)
        return build

    return register


# --------------------------------------------------------------------------------------------------------- arguments


def read_arguments(entry: Fetch | Converter, args: tuple[str, ...]) -> tuple[Any, ...]:
    """The arguments as the entry's types, None for those left out; raises BadArgument."""
    if len(args) > len(entry.args):
        at_most = f"at most {len(entry.args)}" if entry.args else "none"
        raise BadArgument(f'"{entry.name}" takes {at_most} argument(s), not {len(args)}')
    return tuple(
        _read(entry.name, number, kind, args[number] if number < len(args) else None)
        for number, kind in enumerate(entry.args)
    )


def _read(name: str, number: int, kind: str, text: str | None) -> Any:
    optional = kind.endswith("?")
    if text is None or (text == "" and optional):
        if optional:
            return None
        raise BadArgument(f'"{name}" needs {len_words(number + 1)} ({kind})')
    if kind.startswith("int"):
        return _read_integer(name, text)
    if kind.startswith("ip"):
        found = address(text)
        if found is None:
            raise BadArgument(f'"{name}" wants an address, not "{text}"')
        return found
    return text


def len_words(count: int) -> str:
    """`1 argument`, `2 arguments`."""
    return f"{count} argument" + ("s" if count > 1 else "")


def _read_integer(name: str, text: str) -> int:
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()):
        raise BadArgument(f'"{name}" wants an integer, not "{text}"')
    return int(text)
