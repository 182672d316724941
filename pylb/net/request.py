"""A request on its way to a server.

Read it top to bottom, the methods stand in the order in which they happen:

    receive → (answer) → enter → choose/connect (exchange.py) → send → upload … → upload_complete

The way back is response.py. Anything that fails calls `fail` with a Failure (answers.py).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, cast

from pylb.backend.server import Server
from pylb.http1.chunked import ChunkedReader
from pylb.http1.connection import spend_forward, trace_body
from pylb.http1.errors import ProtocolError
from pylb.net import upstream as upstreams
from pylb.net.answers import Answering
from pylb.net.failure import Failure
from pylb.net.flow import NO_PEER, PEER_FULL
from pylb.rules.reply import ALLOW, Pause, Reply

if TYPE_CHECKING:
    from pylb.backend.backend import Backend
    from pylb.http1.head import RequestHead
    from pylb.net.upstream import Upstream
    from pylb.rules.action import Step

HOP_COUNTED = frozenset({b"TRACE", b"OPTIONS"})
"""RFC 9110 7.6.2: Max-Forwards counts for these only."""

OWN_DEADLINE = ("Q", "T")
"""Stages in which the client's deadline is that of the queue or of the tarpit."""


class RequestSide(Answering):
    """The first half of an HTTP exchange."""

    __slots__ = ("_sent", "_upgrade", "_waiting", "head_size", "kept", "kept_size")

    head_size: int
    """Bytes of the request's head as received."""
    kept: list[bytes] | None
    """The body so far, while it may have to be sent again; None: not kept."""
    kept_size: int
    _waiting: list[bytes]
    """Body received before there was a connection to send it on."""
    _sent: bool
    """The request's head has gone out on the current connection."""
    _upgrade: bool
    """The client offers another protocol."""

    # -------------------------------------------------------------------------------------------------------- routing

    def receive(self, head: RequestHead) -> None:
        """The head is complete: run the rules and find the backend, or answer."""
        self.request = head
        self.method = head.method
        frontend = self.frontend
        if not head.end_to_end:
            self._upgrade = head.upgrade is not None
            head.remove_hop_by_hop(keep_upgrade=True)
        if head.method in HOP_COUNTED and not self._forwards(head):
            return
        if frontend.captures is not None:
            frontend.captures.request(self)
        backend = frontend.only_backend
        if backend is None or frontend.stats is not None:
            if frontend.judges:
                reply = frontend.judge(self)
                if reply is not None:
                    self.obey(reply)
                    return
            self._find_backend()
        else:
            self.enter(backend)

    def _find_backend(self) -> None:
        """The rules let it pass."""
        frontend = self.frontend
        if frontend.stats is not None and frontend.stats.matches(self.request.target):
            self.session.serve_stats(self, frontend.stats, b"".join(self._waiting))
            return
        backend = frontend.choose(self)
        if backend is None:
            self.fail(Failure("S", "C", "no backend"))
        else:
            self.enter(backend)

    def enter(self, backend: Backend, rest: tuple[Step, ...] | None = None) -> None:
        """The backend's own part: its statistics page, its rules (after a pause, the `rest` of them), its cookie."""
        if rest is None:
            self.enter_backend(backend)
            rest = self.plan.backend_rules
        for step in rest:
            reply = step(self)
            if reply is not None:
                if reply is ALLOW:
                    break
                self.obey(reply)
                return
        plan = self.plan
        if plan.stats is not None and plan.stats.matches(self.request.target):
            self.session.serve_stats(self, plan.stats, b"".join(self._waiting))
            return
        if plan.persist is not None:
            plan.persist.request(self)
        if plan.replays:
            self.kept_size = sum(map(len, self._waiting))
            self.kept = self._waiting.copy() if self.kept_size <= self.session.limits.bufsize else None
        self.stage = "C"
        now = cast(float, self.head_received)
        server = backend.assign(self, now)
        session = self.session
        shares = session.requests >= plan.sharing_from and not self._upgrade and not session.owns
        if not (shares and isinstance(server, Server) and server.idle and server.idle[-1].owner is None):
            self.settle(server, now)
            return
        # Nothing to wait for and a connection that anybody may use: the usual case of `settle`, `connect` and
        # `reusable`, written out. 0.8 of 27 µs per keep-alive request (bench/http, bare).
        self.dequeued = self.connected = now
        upstream = self.upstream = server.idle.pop()
        server.counters.reuse += 1
        backend.counters.reuse += 1
        upstream.begin(self)
        self.send()

    # ------------------------------------------------------------------------------------- rules that wait for the body

    def obey(self, reply: Reply) -> None:
        """What rules have come to: an answer, or a pause."""
        if isinstance(reply, Pause):
            self.session.wait_for_body(self, reply)
        else:
            self.answer(reply)

    def go_on(self, pause: Pause) -> None:
        """The body has been waited for: the steps behind the pause. As in HAProxy the time until here is the request's,
        and none of the queue's or the server's."""
        self.head_received = self.session.loop.time()
        if not self.upload_done:
            self._pause(NO_PEER)  # the rest waits for a server
        if self.backend is not None:
            self.enter(self.backend, pause.rest)
            return
        for step in pause.rest:
            reply = step(self)
            if reply is not None:
                if reply is ALLOW:
                    break
                self.obey(reply)
                return
        self.frontend.identify(self)
        self._find_backend()

    def keep_body(self, data: bytes) -> int:
        """A piece of the body, for rules that wait for it; how much there is now."""
        self.bytes_uploaded += len(data)
        self._waiting.append(data)
        self.kept_size += len(data)
        return self.kept_size

    @property
    def body_fills_buffer(self) -> bool:
        """More of the body is not kept before there is a server."""
        return self.kept_size >= self.session.limits.max_head - self.head_size

    @property
    def body_so_far(self) -> bytes:
        """What of the body has come before there was a server, up to one buffer, without chunks' framing."""
        data = b"".join(self._waiting)[: self.session.limits.max_head - self.head_size]
        return data if self.request.coding_field is None else ChunkedReader().decode(data, 0)[0]

    def _forwards(self, head: RequestHead) -> bool:
        """Max-Forwards: False when this proxy is the last stop and has answered."""
        try:
            if spend_forward(head):
                return True
        except ProtocolError as error:
            self.fail(Failure("P", "R", error.reason, error.status))
            return False
        if head.method == b"TRACE":
            self.answer(Reply(200, ((b"content-type", b"message/http"),), trace_body(head)))
        else:
            self.answer(Reply(200, ((b"allow", b"GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE"),)))
        return False

    # -------------------------------------------------------------------------------------------------- to the server

    def redirected(self, server: Server) -> bool:
        """Manual, server `redir`: GET and HEAD are answered with the place to ask instead; other methods are served."""
        prefix = server.model.redirect_prefix
        if prefix is None or self.method not in (b"GET", b"HEAD"):
            return False
        location = prefix.encode() + self.request.uri
        self.answer(Reply(302, ((b"cache-control", b"no-cache"), (b"location", location)), termination=b"LC"))
        return True

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
        head, plan, upstream, now = self.request, self.plan, self.upstream, self.connected
        assert upstream is not None and now is not None
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
        if self.upload_done:
            self.session.listener.outbox.put(upstream, data)
        else:
            upstream.transport.write(data)
        if self._waiting:
            self._waiting = []
            self._read_on(NO_PEER)
        if self.upload_done:
            upstream.arm(now + plan.server_timeout)
        else:  # a queue may have used the client's deadline
            self.session.arm(now + self.session.listener.client_timeout)

    def answer(self, reply: Reply) -> None:
        # As HAProxy: who is sent elsewhere by a rule, having sent a body, begins anew. The statistics' form goes on.
        if self._waiting and 300 <= reply.status < 400 and not self.applet:
            self.close_client = True
        super().answer(reply)

    def take_body(self, data: bytes) -> None:
        """The whole body came with the head: it goes out with it, in one write."""
        self.bytes_uploaded += len(data)
        self._waiting = [data]

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
