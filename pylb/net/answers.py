"""What a client gets that no server sent: answers of our own, and errors.

While nothing of a response has been sent, the client gets a failure's status; afterwards only a broken connection can
tell it that the response is not whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pylb.backend import tracking
from pylb.net.failure import Failure
from pylb.net.session import CLOSED, TUNNEL
from pylb.net.tunnel import Tunnel
from pylb.rules.captures import forget_cookie

if TYPE_CHECKING:
    from pylb.net.client import HttpSession
    from pylb.rules.reply import Reply


class Answering(Tunnel):
    """An exchange that can answer for itself."""

    __slots__ = ("_unframed", "close_client", "upload_done")
    outlives_server = False

    session: HttpSession
    upload_done: bool
    """The request has been received to its end."""
    close_client: bool
    """The client's connection ends with this exchange."""
    _unframed: bool
    """The response's body ends with the client's connection."""

    def write(self, data: bytes) -> None:
        """Bytes to the client."""
        self.bytes_read += len(data)
        session = self.session
        if session.queued:
            session.flush()
        if session.tls is None or not session.transport.is_closing():  # uvloop complains of writes to closed TLS
            session.transport.write(data)

    def answer(self, reply: Reply) -> None:
        """Answer in the server's place: deny, redirect, return, a statistics page, an error."""
        session = self.session
        if self.termination == b"--":
            self.termination = reply.termination
            forget_cookie(self, reply)
        if reply.close or not self.upload_done or self.close_client:
            session.keep_alive = False
        if self.tracked is not None and self.stage != "T":  # a tarpit's end is not another one
            tracking.answered(self, reply)
        if reply.delay:
            session.tarpit(self, reply, reply.delay)
            return
        self._count_reply(reply)
        self.status = reply.status
        data = reply.serialise(self, keep_alive=session.keep_alive)
        if session.keep_alive and not self.request.version:  # an HTTP/1.0 client has to be told
            data = data.replace(b"\r\n", b"\r\nconnection: keep-alive\r\n", 1)
        if data:
            self.write(data)
        else:
            session.keep_alive = False
            if reply.drops:
                session.vanish()
        self.end()

    def _count_reply(self, reply: Reply) -> None:
        counters = self.frontend.counters
        if reply.denied:
            self._count_denied()
        elif self.termination == b"LR" and self.backend is None:
            counters.intercepted += 1
        self._count_status(reply.status)

    def _count_denied(self) -> None:
        self.frontend.counters.dreq += 1
        if self.backend is not None:
            self.backend.counters.dreq += 1

    def _count_status(self, status: int) -> None:
        self.frontend.counters.status(status)
        backend = self.backend
        if backend is not None:
            backend.counters.status(status)

    def fail(self, failure: Failure) -> None:
        """Give up: an error response if none has started, a broken connection otherwise."""
        if self.termination == b"--":
            self.termination = failure.termination
        self._count_failure(failure)
        self.detach()
        session = self.session
        if self.status or (self.bytes_read and self.response is not None):
            if self._unframed or (failure.side in "Cc" and session.phase != TUNNEL):
                session.reset()
            else:  # the framing tells that something is missing, and what has been sent still arrives
                session.close()
            self.end()
        elif failure.silent or session.phase == CLOSED:
            self.status = failure.status if failure.stage == "R" else 0
            self._count_status(self.status)
            if self.stage == "T":  # gone before its tarpit was over
                self._count_denied()
            session.keep_alive = False
            self.end(failure)
        else:
            backend = self.backend
            page = backend.error_reply(failure.status) if backend is not None else None
            self.answer(page or self.frontend.error_reply(failure.status))

    def _count_failure(self, failure: Failure) -> None:
        if self.tracked is not None and failure.stage == "H" and failure.side not in "Cc":
            tracking.count(self.tracked, "failure", self.session.loop.time())
        self.count_failure(failure)
