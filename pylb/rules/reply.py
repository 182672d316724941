"""Answers of our own: what deny, redirect, return and errors send in a server's place.

A `Reply` is made at load. Where nothing in it depends on the exchange, its bytes are ready too, one form that keeps the
connection and one that closes it. Header values and the body may be functions of the exchange; then bytes are made when
it is sent. Steps return the reply itself, so that a denied request costs no object.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from http import HTTPStatus
from typing import Any, Final

from pylb.http1.grammar import NEUTRAL
from pylb.rules.context import Context

Text = bytes | Callable[[Context], bytes]

_UNOFFICIAL = {425: "Too Early", 418: "I'm a teapot"}
_NO_BODY = frozenset((204, 304))


def reason_phrase(status: int) -> bytes:
    """The usual reason phrase of a status; b"" for an unknown one."""
    try:
        return (_UNOFFICIAL.get(status) or HTTPStatus(status).phrase).encode()
    except ValueError:
        return b""


class Reply:
    """See the module."""

    __slots__ = (
        "_closing",
        "_keeping",
        "asks_login",
        "body",
        "close",
        "delay",
        "denied",
        "drops",
        "headers",
        "reason",
        "silent",
        "status",
        "termination",
    )

    def __init__(
        self,
        status: int,
        headers: tuple[tuple[bytes, Text], ...] = (),
        body: Text = b"",
        *,
        reason: bytes | None = None,
        termination: bytes = b"LR",
        denied: bool = False,
        close: bool = False,
        delay: float = 0.0,
        silent: bool = False,
        drops: bool = False,
    ) -> None:
        self.status = status
        """0 with `silent`: nothing is sent."""
        self.reason = reason_phrase(status) if reason is None else reason
        self.headers = headers
        """Beside Content-Length and Connection, which are ours."""
        self.body = body
        self.termination = termination
        """First two letters of the log's termination state."""
        self.denied = denied
        """Counted as refused by a rule."""
        self.close = close
        """The connection ends with it."""
        self.delay = delay
        """Seconds before it is sent (tarpit)."""
        self.silent = silent
        """The connection ends without an answer."""
        self.drops = drops
        """Not even the end of the connection is told (`silent-drop`)."""
        self.asks_login = False
        """It tells the client to say who it is (`http-request auth`)."""
        self._keeping = self._closing = b""
        if self.constant:
            self._keeping = self._render(headers, body, b"", with_body=True)
            self._closing = self._render(headers, body, b"connection: close\r\n", with_body=True)

    @property
    def constant(self) -> bool:
        """Nothing in it depends on the exchange."""
        return isinstance(self.body, bytes) and all(isinstance(value, bytes) for _, value in self.headers)

    def now(self) -> Reply:
        """The same reply, not delayed."""
        reply = copy(self)
        reply.delay = 0.0
        return reply

    def ended(self, termination: bytes, denied: bool, delay: float = 0.0) -> Reply:
        """The same answer given for another reason."""
        reply = copy(self)
        reply.termination, reply.denied, reply.delay = termination, denied, delay
        return reply

    def serialise(self, x: Context | None, keep_alive: bool) -> bytes:
        """The bytes for this exchange (None: there was no request). b"" when silent."""
        if self.silent:
            return b""
        request = None if x is None else getattr(x, "request", None)
        with_body = request is None or request.method != b"HEAD"
        edits = () if x is None else after_response_steps(x)
        if with_body and self._keeping and not edits:
            return self._keeping if keep_alive and not self.close else self._closing
        if x is None and not self.constant:
            return _PLAIN % (self.status, self.reason)
        body = self.body if isinstance(self.body, bytes) else self.body(x)  # type: ignore[arg-type]
        headers = tuple((n, v if isinstance(v, bytes) else v(x)) for n, v in self.headers)  # type: ignore[arg-type]
        connection = b"" if keep_alive and not self.close else b"connection: close\r\n"
        if edits and x is not None:
            return self._edited(x, edits, headers, body, connection, with_body)
        return self._render(headers, body, connection, with_body)

    def _render(self, headers: Any, body: Any, connection: bytes, with_body: bool) -> bytes:
        lines = [b"HTTP/1.1 %d %b\r\n" % (self.status, self.reason)]
        if self.status not in _NO_BODY:
            lines.append(b"content-length: %d\r\n" % len(body))
        lines += [b"%b: %b\r\n" % (name, value.translate(NEUTRAL)) for name, value in headers]
        lines += [connection, b"\r\n", body if with_body and self.status not in _NO_BODY else b""]
        return b"".join(lines)

    def _edited(self, x: Context, edits: Any, headers: Any, body: bytes, connection: bytes, with_body: bool) -> bytes:
        """As http-after-response rules leave it: they see every response, ours too."""
        from pylb.http1.head import Limits, parse_response

        raw = self._render(headers, body, b"", with_body=False)
        head = parse_response(raw, 0, len(raw) - 4, Limits())
        previous, x.response = x.response, head
        try:
            for step in edits:
                if step(x) is not None:
                    break
        finally:
            x.response = previous
        start = b"HTTP/1.1 %d %b%b\r\n" % (head.status, head.reason, head.block)
        return start + connection + b"\r\n" + (body if with_body and self.status not in _NO_BODY else b"")


def after_response_steps(x: Context) -> tuple[Any, ...]:
    """The http-after-response rules that apply to an answer, the backend's before the frontend's."""
    frontend: tuple[Any, ...] = x.frontend.http_after_response
    if x.backend is None:
        return frontend
    backend: tuple[Any, ...] = x.backend.http_after_response
    return backend + frontend if backend else frontend


_PLAIN: Final = b"HTTP/1.1 %d %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

ALLOW: Final = Reply(200)
"""What a step returns that ends its rule set: go on with what comes behind the rules. Compared by identity."""


def silent(termination: bytes = b"PR", drops: bool = False) -> Reply:
    """The connection just ends (`reject`), or vanishes (`silent-drop`)."""
    return Reply(0, reason=b"", termination=termination, denied=True, close=True, silent=True, drops=drops)


class Pause(Reply):
    """What a step returns that waits for the request's body (actions/waiting.py)."""

    def __init__(self, seconds: float, at_least: int) -> None:
        super().__init__(0, silent=True)
        self.seconds = seconds
        """How long the body may take, inf: as long as the client goes on sending."""
        self.at_least = at_least
        """Bytes that are enough; 0: the whole body."""
        self.rest: tuple[Callable[[Any], Reply | None], ...] = ()
        """The steps behind it."""
