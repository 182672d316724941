"""`mode tcp`: a connection is one exchange and its bytes pass unread.

The same frontends, backends, queues and checks serve it. What differs is that nobody can be told of a failure: the
connection is closed.

`tcp-request content` rules look at what the client has begun with, for example at the name in a TLS hello. Where they
cannot decide yet, they are asked again when more has come, until `tcp-request inspect-delay` is over, the buffer is
full or the client has no more to send; then they have to decide with what there is:

    started → route: frontend's rules → its choice of a backend → backend's rules → choose … (exchange.py)
                  ▲       │ undecided                                   │
                  └───────┴── more bytes, their end, or the delay ──────┘
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, cast

from pylb.net.accesslog import log_early
from pylb.net.exchange import Exchange
from pylb.net.failure import Failure, Side
from pylb.net.flow import NO_PEER
from pylb.net.session import BUSY, CLOSED, TUNNEL, WAITING, Session
from pylb.net.tunnel import Tunnel
from pylb.rules.acl import Undecided
from pylb.rules.reply import ALLOW, Reply

if TYPE_CHECKING:
    from pylb.rules.frontend import Frontend


class TcpExchange(Tunnel):
    """The whole connection, from accept to close."""

    __slots__ = ("_late", "_looking_since", "changing", "more_may_come", "payload")

    def __init__(self, session: TcpSession, frontend: Frontend) -> None:
        super().__init__(session, frontend)
        self.payload = b""
        """What the client has sent before there is a server."""
        self.more_may_come = True
        """Rules may wait for more of it (rules/context.Inspected)."""
        self.changing = False
        self._looking_since: float | None = None
        """Since when the present rules have been waiting."""
        self._late = False
        """The delay is over."""
        self.started = session.accepted
        self.started_wall = session.accepted_wall
        self.handshake = session.handshake
        self.head_received = session.loop.time()

    def route(self) -> None:
        """Find the backend and a server, as far as what the client has sent allows."""
        try:
            if self.backend is None and not self._find_backend():
                return
            reply = self._judge()
        except Undecided:
            return
        if reply is not None:
            self._reject(reply)
            return
        self.more_may_come = False
        self.stage = "C"
        if self.payload:
            self.session.hold(NO_PEER)
        self.session.deadline = inf
        if self.plan.persist is not None:
            self.plan.persist.request(self)
        self.choose()

    def _find_backend(self) -> bool:
        """The frontend's part; False when that was the end. Raises Undecided."""
        frontend = self.frontend
        backend = frontend.only_backend
        if frontend.captures is not None and self.captured_request is None:
            self.captured_request = frontend.captures.blank()
        if backend is None:
            self._may_wait(frontend.inspect_delay)
            reply = frontend.judge(self)
            if reply is not None:
                self._reject(reply)
                return False
            self.more_may_come, self._looking_since, self._late = True, None, False
            backend = frontend.choose(self)
        if backend is None:
            self.fail(Failure("S", "C", "no backend"))
            return False
        self.enter_backend(backend)
        return True

    def _judge(self) -> Reply | None:
        """The backend's rules. Raises Undecided."""
        backend = cast(Any, self.backend)
        if backend.http_request:
            self._may_wait(backend.inspect_delay)
            for step in backend.http_request:
                reply: Reply | None = step(self)
                if reply is not None:
                    return None if reply is ALLOW else reply
        return None

    def _may_wait(self, delay: float) -> None:
        """Settle whether rules may be undecided, and when they are asked again at the latest."""
        session = self.session
        now = session.loop.time()
        if self._looking_since is None:
            self._looking_since = now
            session.arm(min(now + delay, session.accepted + session.listener.client_timeout))
        full = len(self.payload) >= session.limits.max_head
        self.more_may_come = bool(delay) and not (self._late or full or self.client_ended)
        if full:
            session.hold(NO_PEER)

    def delay_over(self) -> None:
        """The rules have to decide now."""
        self._late = True
        self.route()

    def _reject(self, reply: Reply) -> None:
        self.frontend.counters.dreq += 1
        if reply.drops:
            self.session.vanish()
        self.fail(Failure("P", "R", "rejected"))

    def wait(self, data: bytes) -> None:
        """The client speaks before there is a server."""
        self.payload += data
        if self.more_may_come:
            self.route()
        else:
            self.session.hold(NO_PEER)

    def send(self) -> None:
        upstream = self.upstream
        assert upstream is not None
        self.stage = "D"
        self.responded = self.connected
        if self.plan.persist is not None:
            self.plan.persist.response(self)
        if self.plan.logs_early:
            log_early(self, 0)
        upstream.tunnel()
        self.session.tunnel()
        if self.payload:
            self.tunnel_upload(self.payload)
        self.session.release(NO_PEER)
        if self.client_ended:
            self.client_half_closed(self.session.tls is None)

    def server_gone(self, phase: int, error: Exception | None) -> None:
        self.worn, self.upstream = self.upstream, None
        if error is not None:
            self.fail(Failure("S", "D", "server closed"))
        else:
            self.end()

    def fail(self, failure: Failure) -> None:
        self.count_failure(failure)
        self.detach()
        self.end(failure)


class TcpSession(Session):
    """A client's connection in `mode tcp`."""

    __slots__ = ()

    carrier = TcpExchange

    def started(self) -> None:
        exchange = self.carrier(self, self.listener.frontend)
        self.exchange = exchange
        self.requests = 1
        self.phase = BUSY
        exchange.route()

    def data_received(self, data: bytes) -> None:
        exchange = cast(TcpExchange | None, self.exchange)
        if exchange is None:
            if self.phase == WAITING:
                self.park_data(data)
            return
        if self.phase == TUNNEL:
            exchange.tunnel_upload(data)
        else:
            exchange.wait(data)

    def eof_received(self) -> bool:
        exchange = cast(TcpExchange | None, self.exchange)
        if exchange is None:
            return False
        if self.phase == TUNNEL:
            return exchange.client_half_closed(self.tls is None)
        exchange.client_ended = True
        if exchange.more_may_come:
            exchange.route()
        return self.tls is None

    def connection_lost(self, exc: Exception | None) -> None:
        self.phase = CLOSED
        self.disarm()
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            if exc is None and exchange.stage == "D":
                exchange.detach()
                exchange.end()
            else:
                exchange.fail(Failure("C", exchange.stage, "client closed"))
        self.listener.closed(self)

    def timed_out(self, now: float) -> None:
        exchange = self.exchange
        if exchange is None:
            self.close()
        elif cast(TcpExchange, exchange).more_may_come and now < self.accepted + self.listener.client_timeout:
            cast(TcpExchange, exchange).delay_over()
        elif exchange.stage == "Q":
            exchange.queue_timeout()
        else:
            side: Side = exchange.awaited if self.phase == TUNNEL else "c"
            exchange.fail(Failure(side, exchange.stage, "timeout"))

    def exchange_over(self, exchange: Exchange) -> None:
        self.exchange = None
        if self.phase != CLOSED:
            self.close()
