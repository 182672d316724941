"""An HTTP exchange: a request on its way to a server, and the response on its way back.

Read it top to bottom, the methods stand in the order in which they happen:

    receive → route → (answer) | prepare → choose/connect (exchange.py) → send → upload…
    → interim → respond → body → body_complete → over

Anything that fails calls `fail` with a Failure. While nothing of a response has been sent, the client then gets the
failure's status; afterwards only a broken connection can tell it that the response is not whole.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, cast

from pylb.backend.health import Event, response_event
from pylb.backend.state import observe
from pylb.http1 import framing
from pylb.http1.chunked import ChunkedReader
from pylb.http1.connection import interim_may_pass, logs_connections_in, spend_forward, switches, trace_body
from pylb.http1.errors import ProtocolError
from pylb.net import upstream as upstreams
from pylb.net.failure import Failure
from pylb.net.flow import NO_PEER, PEER_FULL
from pylb.net.session import CLOSED, TUNNEL
from pylb.net.tunnel import Tunnel
from pylb.rules.captures import forget_cookie
from pylb.rules.reply import ALLOW

if TYPE_CHECKING:
    from pylb.backend.backend import Backend
    from pylb.backend.server import Server
    from pylb.http1.head import RequestHead, ResponseHead
    from pylb.net.client import HttpSession
    from pylb.net.upstream import Upstream
    from pylb.rules.frontend import Frontend

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
"""RFC 9110 9.2.2: what a proxy may send again by itself."""

HOP_COUNTED = frozenset({b"TRACE", b"OPTIONS"})
"""RFC 9110 7.6.2: Max-Forwards counts for these only."""

OWN_DEADLINE = ("Q", "T")
"""Stages in which the client's deadline is that of the queue or of the tarpit."""

LAST_CHUNK = b"0\r\n\r\n"


class HttpExchange(Tunnel):
    """See the module. `upload_done`: the request has been received to its end."""

    __slots__ = (
        "_chunk_out",
        "_decoder",
        "_sent",
        "_unframed",
        "_upgrade",
        "_waiting",
        "close_client",
        "head_size",
        "kept",
        "kept_size",
        "upload_done",
    )

    session: HttpSession

    def __init__(self, session: HttpSession, frontend: Frontend) -> None:
        super().__init__(session, frontend)
        self.upload_done = True
        self.close_client = False
        self.head_size = 0
        """Bytes of the request's head as received."""
        self.kept: list[bytes] | None = None
        """The body so far, while it may have to be sent again; None: not kept."""
        self.kept_size = 0
        self._waiting: list[bytes] = []
        """Body received before there was a connection to send it on."""
        self._sent = False
        """The request's head has gone out on the current connection."""
        self._upgrade = False
        self._unframed = False
        """The response's body ends with the client's connection."""
        self._chunk_out = False
        """The response's body gets chunked framing from us: its server ends it by closing."""
        self._decoder: ChunkedReader | None = None
        """Takes the chunked framing off for an HTTP/1.0 client."""

    # -------------------------------------------------------------------------------------------------------- routing

    def receive(self, head: RequestHead) -> None:
        """The head is complete: run the rules and find the backend, or answer."""
        self.request = head
        self.method = head.method
        frontend = self.frontend
        self._upgrade = head.upgrade is not None
        head.remove_hop_by_hop(keep_upgrade=True)
        if head.method in HOP_COUNTED and not self._forwards(head):
            return
        if frontend.captures is not None:
            frontend.captures.request(self)
        backend = frontend.only_backend
        if backend is None or frontend.stats is not None:
            reply = frontend.judge(self)
            if reply is not None:
                self.answer(reply)
                return
            if frontend.stats is not None and frontend.stats.matches(head.target):
                if frontend.twin is not None:
                    self.enter_backend(frontend.twin)
                self.session.serve_stats(self, frontend.stats)
                return
            backend = frontend.choose(self)
            if backend is None:
                self.fail(Failure("S", "C", "no backend"))
                return
        self.enter(backend)

    def enter(self, backend: Backend) -> None:
        """The backend's own part: its statistics page, its rules, its cookie."""
        self.enter_backend(backend)
        plan = self.plan
        for step in plan.backend_rules:
            reply = step(self)
            if reply is not None:
                if reply is ALLOW:
                    break
                self.answer(reply)
                return
        if plan.stats is not None and plan.stats.matches(self.request.target):
            self.session.serve_stats(self, plan.stats)
            return
        if plan.persist is not None:
            plan.persist.request(self)
        if plan.replays:
            self.kept = []
        self.stage = "C"
        self.choose()

    def _forwards(self, head: RequestHead) -> bool:
        """Max-Forwards: False when this proxy is the last stop and has answered."""
        try:
            if spend_forward(head):
                return True
        except ProtocolError as error:
            self.fail(Failure("P", "R", error.reason, error.status))
            return False
        body = trace_body(head) if head.method == b"TRACE" else b""
        kind = b"Content-Type: message/http\r\n" if body else b"Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE\r\n"
        self.termination = b"LR"
        self.status = 200
        self.write(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (kind, len(body), body))
        self._count_status(200)
        self.end()
        return False

    # -------------------------------------------------------------------------------------------------- to the server

    def reusable(self, server: Server) -> Upstream | None:
        """Manual, `http-reuse`: safe keeps a connection's first request off connections that others opened, since
        it could not be repeated if the server was just closing."""
        idle = server.idle
        if not idle:
            return None
        policy = self.plan.reuse
        if policy == "none" or self._upgrade:
            return None
        if policy == "never":
            return self._private(server)
        if self.session.requests == 1 and policy != "always":
            if policy == "safe" or idle[-1].uses < 2:
                return None
        if server.net.preface is not None:
            return self._own(server)
        if self.session.owns or idle[-1].owner is not None:
            return self._private(server)
        if server.net.tls is not None and idle[-1].sni != server.net.name(self):
            return None
        connection: Upstream = idle.pop()
        return connection

    def _own(self, server: Server) -> Upstream | None:
        """`send-proxy`: a connection that was introduced as this client's."""
        client = self.session
        preface = server.net.preface(client.src, client.src_port, client.dst, client.dst_port)
        for connection in server.idle:
            if connection.preface == preface:
                server.idle.remove(connection)
                return cast("Upstream", connection)
        return None

    def _private(self, server: Server) -> Upstream | None:
        """The connection on which this client has logged in, else one that is nobody's."""
        name = server.net.name(self) if server.net.tls is not None else None
        fitting = [c for c in server.idle if c.owner in (None, self.session) and c.sni == name]
        if not fitting:
            return None
        connection: Upstream = max(fitting, key=lambda c: c.owner is not None)
        server.idle.remove(connection)
        return connection

    def send(self) -> None:
        """Head and whatever of the body is here, in one write."""
        head, plan, upstream = self.request, self.plan, self.upstream
        assert upstream is not None
        extra = plan.extra_head if not self._upgrade else b""
        forward = plan.forward_for
        if forward is not None and not (forward.if_none and head.has(forward.name)):
            extra += self.session.forwarded_for(forward)
        if plan.via is not None:
            extra += b"\r\nVia: 1.%d %b" % (head.version, plan.via)
        data = head.serialise(extra)
        self._sent = True
        self.stage = "H"
        body = self.kept if self.kept is not None else self._waiting
        if body:
            data += b"".join(body)
        upstream.transport.write(data)
        if self._waiting:
            self._waiting = []
            self._read_on(NO_PEER)
        if self.upload_done:
            upstream.arm(self.session.loop.time() + plan.server_timeout)
        else:  # a queue may have used the client's deadline
            self.session.arm(self.session.loop.time() + self.session.listener.client_timeout)

    def upload(self, data: bytes) -> None:
        """A piece of the request's body, framing included, as it came."""
        self.bytes_uploaded += len(data)
        kept = self.kept
        if kept is not None:
            self.kept_size += len(data)
            if self.kept_size > self.session.limits.bufsize:
                if not self._sent:
                    self._waiting = kept
                    kept.append(data)
                self.kept = None
            else:
                kept.append(data)
        if self._sent and self.upstream is not None:
            if self.upstream.phase != upstreams.CLOSED:
                self.upstream.transport.write(data)
        elif kept is None:
            self._waiting.append(data)
            self._pause(NO_PEER)

    def upload_complete(self) -> None:
        """The request has been received whole: from here on the server is being waited for."""
        self.upload_done = True
        if self._sent and self.upstream is not None and self.stage == "H":
            self.upstream.arm(self.session.loop.time() + self.plan.server_timeout)

    def _pause(self, reason: int) -> None:
        """Read no more of the request; the client is not to blame for the time that passes."""
        session = self.session
        session.hold(reason)
        if not self.upload_done and self.stage not in OWN_DEADLINE:
            session.deadline = inf

    def _read_on(self, reason: int) -> None:
        """Its time starts again."""
        session = self.session
        session.release(reason)
        if not self.upload_done and not session.backlog:
            session.arm(session.loop.time() + session.listener.client_timeout)

    def server_full(self) -> None:
        """The server takes no more for now."""
        self._pause(PEER_FULL)
        if self.upstream is not None and self.upstream.phase != upstreams.TUNNEL:
            self.upstream.arm(self.session.loop.time() + self.plan.server_timeout)

    def server_drained(self) -> None:
        """It does again."""
        if self.upstream is not None and not self.upload_done:
            self.upstream.deadline = inf
        self._read_on(PEER_FULL)

    # -------------------------------------------------------------------------------------------------- to the client

    def interim(self, head: ResponseHead) -> None:
        """A 1xx: passed on, except to HTTP/1.0 clients (RFC 9110 15.2)."""
        if interim_may_pass(self.request, head):
            head.remove_hop_by_hop()
            self.write(head.serialise())

    def respond(self, head: ResponseHead, kind: int, body: bytes, complete: bool, reusable: bool) -> None:
        """The response's head, with its body when it came along."""
        plan, session = self.plan, self.session
        upstream = self.upstream
        assert upstream is not None
        now = self.responded = session.loop.time()
        if plan.retry_status and head.status in plan.retry_status and self._replay("retry-on status", now):
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
            if head.status in (401, 407) and logs_connections_in(head):
                upstream.owner, session.owns = session, True
        if kind == framing.UNTIL_CLOSE or (kind == framing.CHUNKED and self.request.version == 0):
            body = self._reframe(head, kind, body, complete)
        for step in plan.after_response_rules:
            step(self)
        data = head.serialise(self._connection_field())
        self.write(data + body if body else data)
        if complete:
            self._over(reusable)

    def _run_response_rules(self) -> bool:
        for step in self.plan.response_rules:
            reply = step(self)
            if reply is not None:
                if reply is ALLOW:
                    continue
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
        self.close_client = self._unframed = True
        if kind == framing.CHUNKED:
            head.drop_framing()
            head.remove(b"trailer")
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

    def write(self, data: bytes) -> None:
        """Bytes to the client."""
        self.bytes_read += len(data)
        self.session.transport.write(data)

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

    # ------------------------------------------------------------------------------------------------- our own answers

    def answer(self, reply: Any) -> None:
        """Answer in the server's place: deny, redirect, return, a statistics page, an error."""
        session = self.session
        if self.termination == b"--":
            self.termination = reply.termination
            forget_cookie(self, reply)
        if reply.close or not self.upload_done or self.close_client:
            session.keep_alive = False
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
        self.end()

    def _count_reply(self, reply: Any) -> None:
        counters = self.frontend.counters
        if reply.denied:
            counters.dreq += 1
            if self.backend is not None:
                self.backend.counters.dreq += 1
        elif self.termination[:1] == b"L":
            counters.intercepted += 1
        self._count_status(reply.status)

    def _count_status(self, status: int) -> None:
        self.frontend.counters.status(status)
        backend = self.backend
        if backend is not None:
            backend.counters.status(status)
            if self.server is not None:
                self.server.counters.status(status)

    # -------------------------------------------------------------------------------------------------------- failures

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
            session.keep_alive = False
            self.end(failure)
        else:
            backend = self.backend
            page = backend.error_reply(failure.status) if backend is not None else None
            self.answer(page or self.frontend.error_reply(failure.status))

    def _count_failure(self, failure: Failure) -> None:
        side, stage = failure.side, failure.stage
        backend = self.backend
        if side in "Cc" and backend is not None:
            backend.counters.cli_abrt += 1
            if self.server is not None:
                self.server.counters.cli_abrt += 1
        elif side in "Ss" and stage == "H" and backend is not None:
            backend.counters.eresp += 1
            if self.server is not None:
                self.server.counters.eresp += 1
        elif side in "Ss" and stage == "D" and backend is not None:
            backend.counters.srv_abrt += 1
            if self.server is not None:
                self.server.counters.srv_abrt += 1

    def bad_response(self, error: ProtocolError) -> None:
        """The server's bytes are not HTTP."""
        now = self.session.loop.time()
        upstream = self.upstream
        if upstream is not None and upstream.server.observes is not None:
            observe(upstream.server, Event.RESPONSE_HEADERS, now)
        if self.response is None and "junk-response" in self.plan.retry_on and self._replay("junk", now):
            return
        if self.response is None:
            self.fail(Failure("P", "H", error.reason))
        else:
            self.fail(Failure("S", "D", error.reason))

    def server_gone(self, phase: int, error: Exception | None) -> None:
        """The server closed in the middle."""
        upstream, self.upstream = self.upstream, None
        if upstream is None:
            return
        now = self.session.loop.time()
        if phase == upstreams.HEAD and self.response is None:
            if upstream.uses > 1 and not upstream.has_input and self._replay_on_fresh():
                return
            if upstream.server.observes is not None:
                observe(upstream.server, Event.CLOSED if error is None else Event.READ_ERROR, now)
            if "empty-response" in self.plan.retry_on and not upstream.has_input and self._replay("empty", now):
                return
            self.fail(Failure("S", "H", "closed before the response"))
        else:
            self.fail(Failure("S", "D", "closed in the middle of the response"))

    def server_timeout(self, now: float) -> None:
        upstream = self.upstream
        if upstream is not None and self.stage == "H" and upstream.server.observes is not None:
            observe(upstream.server, Event.READ_TIMEOUT, now)
        if self.stage == "H" and "response-timeout" in self.plan.retry_on and self._replay("timeout", now):
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

    def _replay(self, why: str, now: float) -> bool:
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
        self.responded = self.session.loop.time()
        self.response = head
        self.stage = "D"
        self.status = head.status
        self._count_status(head.status)
        head.remove_hop_by_hop()
        if self.plan.response_rules and not self._run_response_rules():
            return
        self.write(head.serialise() + rest)
        upstream.tunnel()
        upstream.disarm()
        self.session.tunnel()
