"""`http-request capture`, `http-response capture`, `tcp-request content capture`, and the converters capture-req and
capture-res: values of rules in the slots that the log shows between braces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylb.config.expression import parse_sample
from pylb.config.model import Frontend
from pylb.rules.action import Step, Words, action
from pylb.rules.compile import compile_sample
from pylb.rules.context import Context
from pylb.rules.kinds import Kind
from pylb.rules.registry import BadArgument, converter_with
from pylb.rules.registry import Step as Conversion
from pylb.rules.reply import Reply
from pylb.rules.scope import Place, Scope


@action("capture", frozenset({Place.REQUEST, Place.RESPONSE, Place.CONTENT}))
def _capture(words: Words) -> Step | None:
    kind = "response" if words.scope.place is Place.RESPONSE else "request"
    if len(words.args) != 3 or words.args[1] != "id" or not words.args[2].isdecimal():
        raise BadArgument(
            f'"capture" is written capture SAMPLE id NUMBER; a slot is made by "declare capture {kind} len N" in the '
            'frontend, in TOML by capture = [{ kind = "' + kind + '", len = N }]'
        )
    number = int(words.args[2])
    _check_slot(words.scope, kind, number)
    sample = parse_sample(words.args[0], words.at, words.scope.report)
    get = None if sample is None else compile_sample(sample, words.scope, Kind.STR)
    if get is None:
        return None
    store = _storing(kind, number)

    def step(x: Context) -> Reply | None:
        value = get(x)
        if isinstance(value, bytes):  # a sample without value leaves the slot as it is
            store(x, value)
        return None

    return step


def _check_slot(scope: Scope, kind: str, number: int) -> None:
    """Raises BadArgument. A backend's slots are those of whichever frontend leads to it."""
    if isinstance(scope.proxy, Frontend):
        slots = sum(capture.kind == kind for capture in scope.proxy.captures)
        if number >= slots:
            raise BadArgument(f'"{scope.proxy.name}" has no {kind} capture slot {number}: it has {slots}, from 0')


def _storing(kind: str, number: int) -> Callable[[Context, bytes], None]:
    attribute = f"captured_{kind}"

    def store(x: Context, value: bytes) -> None:
        captures = x.frontend.captures
        if captures is not None:
            captures.store(getattr(x, attribute), kind, number, value)

    return store


def _converter(kind: str) -> Callable[[tuple[Any, ...], Scope], Conversion]:
    def build(args: tuple[Any, ...], _scope: Scope) -> Conversion:
        if args[0] < 0:
            raise BadArgument("slots are numbered from 0")
        store = _storing(kind, args[0])

        def step(value: bytes, x: Context) -> bytes:
            store(x, value)
            return value

        return step

    return build


converter_with("capture-req", Kind.STR, Kind.STR, "int", contextual=True)(_converter("request"))
converter_with("capture-res", Kind.STR, Kind.STR, "int", contextual=True)(_converter("response"))
