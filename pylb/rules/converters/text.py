"""Converters of strings: case, pieces, substitution, comparison (manual 7.3.1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pylb.rules.context import Context
from pylb.rules.kinds import Kind, Value, to_str
from pylb.rules.patterns import compile_regex, expand_substitution
from pylb.rules.registry import BadArgument, Getter, Step, converter, converter_with
from pylb.rules.scope import Scope
from pylb.rules.variables import variable_getter, variable_setter

converter("lower", Kind.STR, Kind.STR)(bytes.lower)
converter("upper", Kind.STR, Kind.STR)(bytes.upper)
converter("length", Kind.STR, Kind.INT)(len)


# ----------------------------------------------------------------------------------------------------------- pieces


def _pieces(text: bytes, delimiters: bytes) -> list[tuple[int, int]]:
    """(start, end) of the pieces between single delimiters."""
    found = []
    start = 0
    for position, byte in enumerate(text):
        if byte in delimiters:
            found.append((start, position))
            start = position + 1
    found.append((start, len(text)))
    return found


def _select(text: bytes, pieces: list[tuple[int, int]], index: int, count: int) -> bytes | None:
    """From the piece at `index` on, `count` pieces (0: all), delimiters between them kept; negative: from the end."""
    position = index - 1 if index > 0 else len(pieces) + index
    if not 0 <= position < len(pieces):
        return None
    if index > 0:
        first, last = position, (position + count if count else len(pieces)) - 1
    else:
        first, last = (position - count + 1 if count else 0), position
    return text[pieces[max(0, first)][0] : pieces[min(last, len(pieces) - 1)][1]]


def _piece_arguments(name: str, args: tuple[Any, ...]) -> tuple[int, bytes, int]:
    index, delimiters, count = args[0], args[1].encode("latin-1"), 1 if args[2] is None else args[2]
    if index == 0:
        raise BadArgument(f'"{name}" counts from 1, or from the end with -1; there is no 0')
    if not delimiters:
        raise BadArgument(f'"{name}" needs delimiters')
    if count < 0:
        raise BadArgument(f'"{name}" wants a count of 0 or more')
    return index, delimiters, count


@converter_with("field", Kind.STR, Kind.STR, "int", "str", "int?")
def _field(args: tuple[Any, ...], _scope: Scope) -> Step:
    index, delimiters, count = _piece_arguments("field", args)
    if len(delimiters) == 1 and index == 1 and count == 1:
        return lambda text: text.split(delimiters, 1)[0]
    # A field beyond the last is empty, not missing.
    return lambda text: _select(text, _pieces(text, delimiters), index, count) or b""


@converter_with("word", Kind.STR, Kind.STR, "int", "str", "int?")
def _word(args: tuple[Any, ...], _scope: Scope) -> Step:
    index, delimiters, count = _piece_arguments("word", args)

    def step(text: bytes) -> Value:
        words = [(start, end) for start, end in _pieces(text, delimiters) if end > start]
        return _select(text, words, index, count) or b""

    return step


@converter_with("bytes", Kind.BIN, Kind.BIN, "int", "int?")
def _bytes(args: tuple[Any, ...], _scope: Scope) -> Step:
    start, length = args
    if start < 0 or (length is not None and length < 0):
        raise BadArgument('"bytes" wants an offset and a length of 0 or more')
    end = None if length is None else start + length
    return lambda data: data[start:end]


@converter_with("ltrim", Kind.STR, Kind.STR, "str")
def _ltrim(args: tuple[Any, ...], _scope: Scope) -> Step:
    characters = args[0].encode("latin-1")
    return lambda text: text.lstrip(characters)


@converter_with("rtrim", Kind.STR, Kind.STR, "str")
def _rtrim(args: tuple[Any, ...], _scope: Scope) -> Step:
    characters = args[0].encode("latin-1")
    return lambda text: text.rstrip(characters)


@converter("cut_crlf", Kind.STR, Kind.STR)
def _cut_crlf(text: bytes) -> Value:
    return re.split(rb"[\r\n]", text, maxsplit=1)[0]


@converter("host_only", Kind.STR, Kind.STR)
def _host_only(text: bytes) -> Value:
    return text[: _port_at(text)].lower()


@converter("port_only", Kind.STR, Kind.INT)
def _port_only(text: bytes) -> Value:
    port = text[_port_at(text) + 1 :]
    return int(port) if port.isdigit() and len(port) < 10 else 0


def _port_at(text: bytes) -> int:
    """Where the colon of `host:port` stands, else the end; colons inside brackets are part of an IPv6 address."""
    position = text.rfind(b":")
    return position if position > text.rfind(b"]") and position >= 0 else len(text)


# ----------------------------------------------------------------------------------------------------- substitution


@converter_with("regsub", Kind.STR, Kind.STR, "str", "str", "str?")
def _regsub(args: tuple[Any, ...], _scope: Scope) -> Step:
    flags = args[2] or ""
    if set(flags) - set("gi"):
        raise BadArgument(f'"regsub" knows the flags g and i, not "{flags}"')
    pattern = compile_regex(args[0], ignore_case="i" in flags)
    replace = expand_substitution(args[1], pattern)
    count = 0 if "g" in flags else 1
    return lambda text: pattern.sub(replace, text, count)


@converter_with("iif", Kind.BOOL, Kind.STR, "str?", "str?")
def _iif(args: tuple[Any, ...], _scope: Scope) -> Step:
    yes, no = (args[0] or "").encode(), (args[1] or "").encode()
    return lambda value: yes if value else no


# ------------------------------------------------------------------------------------------------------- variables


@converter_with("concat", Kind.STR, Kind.STR, "str?", "str?", "str?", contextual=True)
def _concat(args: tuple[Any, ...], scope: Scope) -> Step:
    start, end = (args[0] or "").encode(), (args[2] or "").encode()
    variable = _optional_variable(args[1], scope)
    return lambda text, x: text + start + (to_str(variable(x)) or b"") + end


@converter_with("add_item", Kind.STR, Kind.STR, "str", "str?", "str?", contextual=True)
def _add_item(args: tuple[Any, ...], scope: Scope) -> Step:
    delimiter, suffix = args[0].encode(), (args[2] or "").encode()
    variable = _optional_variable(args[1], scope)
    if not args[1] and not args[2]:
        raise BadArgument('"add_item" needs a variable or a suffix behind the delimiter')

    def step(text: bytes, x: Context) -> Value:
        item = to_str(variable(x)) or b""
        return text + (delimiter if text and (item or suffix) else b"") + item + suffix

    return step


def _optional_variable(name: str | None, scope: Scope) -> Getter:
    return variable_getter(name, scope) if name else lambda _x: None


@converter_with("strcmp", Kind.STR, Kind.INT, "str", contextual=True)
def _strcmp(args: tuple[Any, ...], scope: Scope) -> Step:
    return _compared(variable_getter(args[0], scope), _difference)


@converter_with("secure_memcmp", Kind.STR, Kind.BOOL, "str", contextual=True)
def _secure_memcmp(args: tuple[Any, ...], scope: Scope) -> Step:
    from hmac import compare_digest

    return _compared(variable_getter(args[0], scope), compare_digest)


def _compared(variable: Getter, compare: Callable[[bytes, bytes], Value]) -> Step:
    def step(text: bytes, x: Context) -> Value:
        other = to_str(variable(x))
        return None if other is None else compare(text, other)

    return step


def _difference(a: bytes, b: bytes) -> int:
    """Of the first bytes that differ, else of the lengths."""
    for left, right in zip(a, b, strict=False):
        if left != right:
            return left - right
    return len(a) - len(b)


@converter_with("set-var", Kind.ANY, Kind.ANY, "str", contextual=True)
def _set_var(args: tuple[Any, ...], scope: Scope) -> Step:
    store = variable_setter(args[0], scope)

    def step(value: Value, x: Context) -> Value:
        store(x, value)
        return value

    return step


@converter_with("unset-var", Kind.ANY, Kind.ANY, "str", contextual=True)
def _unset_var(args: tuple[Any, ...], scope: Scope) -> Step:
    store = variable_setter(args[0], scope)

    def step(value: Value, x: Context) -> Value:
        store(x, None)
        return value

    return step
