"""`capture request header`, `capture response header`, `capture cookie`: what the log remembers (manual 8.7, 8.8).

The slots that `declare capture` makes are empty until a rule fills them (actions/capture.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from pylb.config.model import Capture
from pylb.rules.context import Context
from pylb.rules.reply import Reply
from pylb.rules.samples.headers import cookies


class Captures:
    """What one frontend captures. `of` gives None where there is nothing to do."""

    def __init__(self, captures: Iterable[Capture]) -> None:
        captures = tuple(captures)
        self._request = _fields(captures, "request")
        self._response = _fields(captures, "response")
        self._lengths = {kind: tuple(c.length for c in captures if c.kind == kind) for kind in ("request", "response")}
        self._cookie = next(((c.name.encode(), c.length) for c in captures if c.kind == "cookie"), None)

    @classmethod
    def of(cls, captures: Iterable[Capture]) -> Captures | None:
        """None without captures."""
        captures = tuple(captures)
        return cls(captures) if captures else None

    def request(self, x: Context) -> None:
        """The head is complete; the last field of each name counts."""
        if self._request:
            last = x.request.last
            x.captured_request = [_cut(last(name), length) if name else None for name, length in self._request]
        if self._cookie is not None:
            x.captured_request_cookie = _cookie(x.request.get_all(b"cookie"), *self._cookie)

    def response(self, x: Context) -> None:
        """The server's head is complete."""
        assert x.response is not None
        if self._response:
            last = x.response.last
            x.captured_response = [_cut(last(name), length) if name else None for name, length in self._response]
        if self._cookie is not None:
            first_pairs = x.response.get_all(b"set-cookie")
            x.captured_response_cookie = _cookie(first_pairs, *self._cookie, first_only=True)

    def blank(self) -> list[bytes | None]:
        """The request's slots of an exchange in TCP mode, where rules alone fill them."""
        return [None] * len(self._request)

    def store(self, captured: list[bytes | None] | None, kind: str, number: int, value: bytes) -> None:
        """Put a value into a slot, cut to its length; without that slot nothing happens (manual: `http-request
        capture`, "ignored at run time")."""
        if captured is not None and number < len(captured):
            captured[number] = value[: self._lengths[kind][number]]


def forget_cookie(x: Context, reply: Reply) -> None:
    """HAProxy looks at cookies after the rules: those of an exchange that a rule answered are not logged, except that
    the request's is when a rule denied it."""
    if reply.termination[1:] == b"H":
        x.captured_response_cookie = None
    elif reply.silent or reply.termination == b"LR":
        x.captured_request_cookie = None


def _fields(captures: tuple[Capture, ...], kind: str) -> tuple[tuple[bytes, int], ...]:
    return tuple((c.name.lower().encode("latin-1", "replace"), c.length) for c in captures if c.kind == kind)


def _cut(value: bytes | None, length: int) -> bytes | None:
    return None if value is None else value[:length]


def _cookie(fields: list[bytes], prefix: bytes, length: int, first_only: bool = False) -> bytes | None:
    """`NAME=value` of the first cookie whose name begins so, cut to `length` with its name."""
    for text in fields:
        pairs = cookies(text)
        for name, value in pairs[:1] if first_only else pairs:
            if name.startswith(prefix):
                return (name + b"=" + value)[:length]
    return None
