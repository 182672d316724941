"""`http-request wait-for-body` and `option http-buffer-request`: the request's rules wait for its body.

A Pause is what such a step returns in place of a reply: net/ collects the body, up to one buffer, and then runs `rest`,
the steps behind it. Whoever has no such rule has no such step.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from pylb.config.values import parse_size, parse_time
from pylb.rules.action import REQUEST_ONLY, Step, Words, action
from pylb.rules.registry import BadArgument
from pylb.rules.reply import Pause, Reply


@action("wait-for-body", REQUEST_ONLY)
def _wait_for_body(words: Words) -> Step | None:
    form = '"wait-for-body" is written wait-for-body time TIME [at-least BYTES]'
    args = words.args
    if len(args) not in (2, 4) or args[0] != "time" or (len(args) == 4 and args[2] != "at-least"):
        raise BadArgument(form)
    try:
        pause = Pause(parse_time(args[1], "ms"), parse_size(args[3]) if len(args) == 4 else 0)
    except ValueError as error:
        raise BadArgument(str(error)) from None
    words.scope.pauses.append(pause)
    return waiting(pause)


def waiting(pause: Pause) -> Step:
    """The step that waits, unless the body is here."""

    def step(x: Any) -> Reply | None:
        enough = x.upload_done or x.body_fills_buffer or 0 < pause.at_least <= x.kept_size
        return None if enough else pause

    return step


def buffering(time: float | None, steps: Sequence[Step]) -> tuple[Step, ...]:
    """`option http-buffer-request` before the rules of a section; `time`: its timeout http-request."""
    pause = Pause(inf if time is None else time, 0)
    pause.rest = tuple(steps)
    return (waiting(pause), *steps)
