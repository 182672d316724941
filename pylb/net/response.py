"""The response on its way back, and what happens when there is none.

Read it top to bottom, the methods stand in the order in which they happen:

    interim → respond → body … → body_complete → over

A server's failure ends here too: the request goes out again where that is safe and asked for, else `fail` (answers.py)
tells the client.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from pylb.backend.health import Event, response_event
from pylb.backend.state import observe
from pylb.http1 import framing
from pylb.http1.chunked import ChunkedReader
from pylb.http1.connection import interim_may_pass, logs_connections_in, switches
from pylb.http1.errors import ProtocolError
from pylb.net import upstream as upstreams
from pylb.net.accesslog import log_early
from pylb.net.exchange import Exchange
from pylb.net.failure import Failure
from pylb.net.flow import PEER_FULL
from pylb.net.request import RequestSide
from pylb.rules.reply import ALLOW

if TYPE_CHECKING:
    from pylb.http1.head import ResponseHead
    from pylb.net.client import HttpSession
    from pylb.rules.frontend import Frontend

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""RFC 9110 9.2.2: what a proxy may send again by itself."""

WITH_OTHERS = 16384
"""Bytes of a complete response that may wait for the end of the turn; bigger ones would only pile up."""

LAST_CHUNK = b"0\r\n\r\n"


class HttpExchange(RequestSide):
    """An HTTP exchange, whole: a request with its response."""

    __slots__ = ("_chunk_out", "_decoder")

    _chunk_out: bool
    """The response's body gets chunked framing from us: its server ends it by closing."""
    _decoder: ChunkedReader | None
    """Takes the chunked framing off for an HTTP/1.0 client."""

    def __init__(self, session: HttpSession, frontend: Frontend) -> None:
        Exchange.__init__(self, session, frontend)  # the classes between have no constructor: each would be a call
        self.upload_done = True
        self.close_client = self._sent = self._upgrade = self._unframed = self._chunk_out = False
        self.head_size = self.kept_size = 0
        self.kept = self._decoder = None
        self._waiting = []

    def interim(self, head: ResponseHead) -> None:
        """A 1xx: passed on, except to HTTP/1.0 clients (RFC 9110 15.2). The server has shown that it is at work, so its
        time starts again."""
        if self.upload_done and self.upstream is not None:
            self.upstream.deadline = self.session.loop.time() + self.plan.server_timeout
        if interim_may_pass(self.request, head):
            head.remove_hop_by_hop()
            self.write(head.serialise())

    def respond(self, head: ResponseHead, kind: int, body: bytes, complete: bool, reusable: bool) -> None:
        """The response's head, with its body when it came along."""
        plan, session = self.plan, self.session
        upstream = self.upstream
        assert upstream is not None
        now = self.responded = session.loop.time()
        if plan.retry_status and head.status in plan.retry_status and self._replay(now):
            return
        if upstream.server.observes is not None:
            observe(upstream.server, response_event(head.status), now)
        self.response = head
        self.stage = "D"
        if not complete:
            upstream.arm(now + plan.server_timeout)
        head.remove_hop_by_hop()
        if self.frontend.captures is not None:
            self.frontend.captures.response(self)
        if plan.response_rules and not self._run_response_rules():
            return
        if plan.persist is not None:
            plan.persist.response(self)
        self.status = head.status
        if 200 <= head.status < 300:  # written out for the usual case: three calls are 0.3 µs
            self.frontend.counters.hrsp_2xx += 1
            plan.backend.counters.hrsp_2xx += 1
            upstream.server.counters.hrsp_2xx += 1
        else:
            self._count_status(head.status)
            upstream.server.counters.status(head.status)
            if head.status in (401, 407) and logs_connections_in(head):
                upstream.owner, session.owns = session, True
        if kind == framing.UNTIL_CLOSE or (self.request.version == 0 and head.coding_field is not None):
            body = self._reframe(head, kind, body, complete)
        for step in plan.after_response_rules:
            step(self)
        stays = session.keep_alive and self.upload_done and not (plan.close_client or self.close_client)
        data = head.serialise(b"" if stays and self.request.version else self._connection_field())
        if plan.logs_early:
            log_early(self, len(data))
        if body:
            data += body
        if complete and session.keep_alive and len(data) <= WITH_OTHERS and not session.backlog:
            self.bytes_read += len(data)
            session.listener.outbox.put(session, data)
        else:
            self.write(data)
        if complete:
            self._over(reusable)

    def _run_response_rules(self) -> bool:
        for step in self.plan.response_rules:
            reply = step(self)
            if reply is not None:
                if reply is ALLOW:
                    continue
                assert self.upstream is not None and self.response is not None
                self.upstream.server.counters.status(self.response.status)
                self.detach()
                self.responded = None  # the log shows -1: the client gets nothing of the server's response
                self.answer(reply)
                return False
        return True

    def _connection_field(self) -> bytes:
        """What the client must be told about its connection."""
        session = self.session
        if self.plan.close_client or self.close_client or not self.upload_done:
            session.keep_alive = False
        if not session.keep_alive:
            return b"\r\nConnection: close"
        if self.request.version == 0:
            return b"\r\nConnection: keep-alive"
        return b""

    def _reframe(self, head: ResponseHead, kind: int, body: bytes, complete: bool) -> bytes:
        """A body that the client could not delimit as the server sent it. HTTP/1.1 clients get chunks in place of a
        body that ends with the connection; HTTP/1.0 clients get neither and their connection ends."""
        if self.request.version >= 1:
            head.set_chunked()
            self._chunk_out = True
            return b""
        if head.coding_field is not None:  # it knows none (RFC 9112 6.1)
            head.drop_framing()
            head.remove(b"trailer")
        if kind == framing.NONE:  # HEAD, 304
            return body
        self.close_client = self._unframed = True
        if kind == framing.CHUNKED:
            self._decoder = ChunkedReader(502)
            return self._decoder.decode(body, 0)[0] if body else b""
        return body

    def body(self, data: bytes) -> None:
        """A piece of the response's body."""
        upstream = self.upstream
        if upstream is not None:
            upstream.deadline = self.session.loop.time() + self.plan.server_timeout
        self.write(self._framed(data))

    def body_complete(self, data: bytes, reusable: bool) -> None:
        """The last piece."""
        if self._chunk_out:
            self.write((self._framed(data) if data else b"") + LAST_CHUNK)
        elif data:
            self.write(self._framed(data))
        self._over(reusable)

    def _framed(self, data: bytes) -> bytes:
        if self._chunk_out:
            return b"%x\r\n%b\r\n" % (len(data), data)
        if self._decoder is not None:
            return self._decoder.decode(data, 0)[0]
        return data

    def client_full(self) -> None:
        """The client takes no more for now."""
        upstream = self.upstream
        if upstream is not None:
            upstream.deadline = inf
            upstream.hold(PEER_FULL)

    def client_drained(self) -> None:
        """It does again."""
        upstream = self.upstream
        if upstream is not None:
            if upstream.phase != upstreams.TUNNEL:
                upstream.arm(self.session.loop.time() + self.plan.server_timeout)
            upstream.release(PEER_FULL)

    def _over(self, reusable: bool) -> None:
        """The response is complete. A request that still arrives ends the connection: nobody will read the rest."""
        if not self.upload_done:
            reusable = False
            self.session.keep_alive = False
        if reusable and self.plan.reuse == "never" and self.upstream is not None:
            self.upstream.owner, self.session.owns = self.session, True
        self.detach(reusable)
        self.end()

    # ------------------------------------------------------------------------------------------- the server's failures

    def bad_response(self, error: ProtocolError) -> None:
        """The server's bytes are not HTTP."""
        now = self.session.loop.time()
        upstream = self.upstream
        if upstream is not None and upstream.server.observes is not None:
            observe(upstream.server, Event.RESPONSE_HEADERS, now)
        if self.response is None and "junk-response" in self.plan.retry_on and self._replay(now):
            return
        if self.response is None:
            self.fail(Failure("P", "H", error.reason, garbled=True))
        else:
            self.fail(Failure("S", "D", error.reason, garbled=True))

    def server_gone(self, phase: int, error: Exception | None) -> None:
        """The server closed in the middle."""
        upstream, self.upstream = self.upstream, None
        if upstream is None:
            return
        self.worn = upstream
        now = self.session.loop.time()
        if phase == upstreams.HEAD and self.response is None:
            if upstream.uses > 1 and not upstream.has_input and self._replay_on_fresh():
                return
            if upstream.server.observes is not None:
                observe(upstream.server, Event.CLOSED if error is None else Event.READ_ERROR, now)
            if "empty-response" in self.plan.retry_on and not upstream.has_input and self._replay(now):
                return
            self.fail(Failure("S", "H", "closed before the response"))
        else:
            self.fail(Failure("S", "D", "closed in the middle of the response"))

    def server_timeout(self, now: float) -> None:
        upstream = self.upstream
        if upstream is not None and self.stage == "H" and upstream.server.observes is not None:
            observe(upstream.server, Event.READ_TIMEOUT, now)
        if self.stage == "H" and "response-timeout" in self.plan.retry_on and self._replay(now):
            return
        super().server_timeout(now)

    def _replay_on_fresh(self) -> bool:
        """A kept-alive connection that dies under a request was most likely closing already; that costs no retry.
        Only for methods that may be repeated, with nothing of the body gone for good (RFC 9112 9.3.1)."""
        whole = self.bytes_uploaded == self.head_size or self.kept is not None
        if self.method not in IDEMPOTENT or not whole or not self.upload_done or self.server is None:
            return False
        self._sent = False
        self.stage = "C"
        session = self.session
        upstream = self.upstream = upstreams.Upstream(session.loop, session.clock, self.server, session.limits)
        self.server.counters.connect += 1
        self.plan.backend.counters.connect += 1
        upstreams.connect(upstream, self, session.loop.time() + self.plan.connect_timeout)
        return True

    def _replay(self, now: float) -> bool:
        """`retry-on`: the whole request again, if it has been kept."""
        if not self.upload_done or (self.kept is None and self.bytes_uploaded > self.head_size):
            return False
        if self.retries >= self.plan.retries or self.server is None:
            return False
        upstream, self.upstream = self.upstream, None
        if upstream is not None:
            upstream.abort()
        self._sent = False
        self.stage = "C"
        self.responded = None
        return self.retry(now, at_once=True)

    # -------------------------------------------------------------------------------------------------------- upgrades

    def switch_protocols(self, head: ResponseHead, rest: bytes) -> None:
        """101, or 2xx to CONNECT: both connections are one pipe from here on (RFC 9110 7.8)."""
        upstream = self.upstream
        assert upstream is not None
        if head.status == 101 and not (self._upgrade and switches(self.request, head)):
            self.bad_response(ProtocolError(502, "101 without an upgrade"))
            return
        now = self.responded = self.session.loop.time()
        if upstream.server.observes is not None:
            observe(upstream.server, response_event(head.status), now)
        self.response = head
        self.stage = "D"
        head.remove_hop_by_hop()
        if self.frontend.captures is not None:
            self.frontend.captures.response(self)
        if self.plan.response_rules and not self._run_response_rules():
            return
        if self.plan.persist is not None:
            self.plan.persist.response(self)
        self.status = head.status
        self._count_status(head.status)
        upstream.server.counters.status(head.status)
        for step in self.plan.after_response_rules:
            step(self)
        data = head.serialise()
        if self.plan.logs_early:
            log_early(self, len(data))
        self.write(data + rest)
        upstream.tunnel()
        upstream.disarm()
        self.session.tunnel()
