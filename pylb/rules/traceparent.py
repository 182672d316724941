"""W3C Trace Context, level 1: `traceparent` passed on or started (https://www.w3.org/TR/trace-context-1/).

    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
                 version trace-id                    parent-id        flags (01: sampled)

What does not parse, stands there twice or is all zeros is no trace: a new one is started in its place, and the
tracestate that came with it is dropped (section 4.3). The ids are left in variables, for log formats and rules:
txn.trace_id; txn.span_id, if the span is ours; txn.parent_id, whose span ours or the server's is a child of.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import getrandbits
from typing import Literal

from pylb.rules.context import Context
from pylb.rules.reply import Reply

Mode = Literal["start", "span"]

HEADER = b"traceparent"
STATE = b"tracestate"

_VALID = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
).fullmatch


def parse(fields: list[bytes]) -> tuple[bytes, bytes, int] | None:
    """Trace id, parent id and flags of the field's values; None for what is no valid trace (3.2.2). A later version
    may have more behind the flags, the known one may not."""
    match = _VALID(fields[0]) if len(fields) == 1 else None
    if match is None or (match[1] == b"00" and match[5] is not None):
        return None
    return match[2], match[3], int(match[4], 16)


def trace_id() -> bytes:
    """16 bytes in hexadecimal, not all of them zero."""
    return b"%032x" % (getrandbits(128) or 1)


def span_id() -> bytes:
    """8 bytes in hexadecimal, not all of them zero."""
    return b"%016x" % (getrandbits(64) or 1)


def trace_context(mode: Mode) -> Callable[[Context], Reply | None]:
    """The first of a frontend's request rules. `start` leaves a valid trace alone; `span` puts a span of ours into it,
    the parent of the server's."""

    def step(x: Context) -> Reply | None:
        request = x.request
        known = parse(request.get_all(HEADER))
        if known is None:
            trace, parent, flags, span = trace_id(), None, 1, span_id()
            request.remove(STATE)
        elif mode == "start":
            trace, parent, flags = known
            _remember(x, trace, None, parent)
            return None
        else:
            trace, parent, flags = known
            span = span_id()
        request.set(HEADER, b"00-%b-%b-%02x" % (trace, span, flags & 1))  # level 1 knows one flag, others are 0
        _remember(x, trace, span, parent)
        return None

    return step


def _remember(x: Context, trace: bytes, span: bytes | None, parent: bytes | None) -> None:
    variables = x.variables
    if variables is None:
        variables = x.variables = {}
    variables["txn.trace_id"] = trace
    if span is not None:
        variables["txn.span_id"] = span
    if parent is not None:
        variables["txn.parent_id"] = parent
