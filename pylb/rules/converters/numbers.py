"""Arithmetic on signed 64-bit integers; results are bounded, not wrapped (manual 7.3.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylb.rules.context import Context
from pylb.rules.kinds import Kind, Value, clamp, leading_integer, to_int
from pylb.rules.registry import Getter, Step, converter, converter_with
from pylb.rules.scope import Scope
from pylb.rules.variables import variable_getter

_MAX = (1 << 63) - 1


def _divide(a: int, b: int) -> int:
    if not b:
        return _MAX
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _modulo(a: int, b: int) -> int:
    return a - b * _divide(a, b) if b else 0


_OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: clamp(a + b),
    "sub": lambda a, b: clamp(a - b),
    "mul": lambda a, b: clamp(a * b),
    "div": _divide,
    "mod": _modulo,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
}


def _register(name: str, operation: Callable[[int, int], int]) -> None:
    @converter_with(name, Kind.INT, Kind.INT, "str", contextual=True)
    def _build(args: tuple[Any, ...], scope: Scope) -> Step:
        text = args[0]
        digits = text[1:] if text[:1] in ("-", "+") else text
        if digits.isascii() and digits.isdigit():
            operand = leading_integer(text.encode())
            return lambda value, _x: operation(value, operand)
        return _with_variable(variable_getter(text, scope), operation)


def _with_variable(variable: Getter, operation: Callable[[int, int], int]) -> Step:
    def step(value: int, x: Context) -> Value:
        operand = to_int(variable(x))
        return None if operand is None else operation(value, operand)

    return step


for _name, _operation in _OPERATIONS.items():
    _register(_name, _operation)


@converter("neg", Kind.INT, Kind.INT)
def _neg(value: int) -> Value:
    return clamp(-value)


@converter("cpl", Kind.INT, Kind.INT)
def _cpl(value: int) -> Value:
    return ~value


@converter("not", Kind.INT, Kind.BOOL)
def _not(value: int) -> Value:
    return not value


@converter("bool", Kind.INT, Kind.BOOL)
def _bool(value: int) -> Value:
    return bool(value)


@converter("odd", Kind.INT, Kind.BOOL)
def _odd(value: int) -> Value:
    return bool(value & 1)


@converter("even", Kind.INT, Kind.BOOL)
def _even(value: int) -> Value:
    return not value & 1
