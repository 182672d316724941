"""`mode tcp`: a connection is one exchange and its bytes pass unread.

The same frontends, rules that look at addresses and TLS, backends, queues and checks serve it. What differs is that
nobody can be told of a failure: the connection is closed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pylb.net.exchange import Exchange
from pylb.net.failure import Failure
from pylb.net.flow import NO_PEER
from pylb.net.session import BUSY, CLOSED, TUNNEL, WAITING, Session
from pylb.net.tunnel import Tunnel

if TYPE_CHECKING:
    from pylb.rules.frontend import Frontend


class TcpExchange(Tunnel):
    """The whole connection, from accept to close."""

    __slots__ = ("_waiting",)

    def __init__(self, session: TcpSession, frontend: Frontend) -> None:
        super().__init__(session, frontend)
        self._waiting: list[bytes] = []
        self.started = session.accepted
        self.started_wall = session.accepted_wall
        self.handshake = session.handshake
        self.head_received = session.loop.time()

    def route(self) -> None:
        """Find the backend and a server."""
        backend = self.frontend.only_backend or self.frontend.route(self)
        if backend is None:
            self.fail(Failure("S", "C", "no backend"))
        elif hasattr(backend, "status"):
            self.frontend.counters.dreq += 1
            self.fail(Failure("P", "R", "rejected"))
        else:
            self.enter_backend(backend)
            self.stage = "C"
            self.choose()

    def wait(self, data: bytes) -> None:
        """The client speaks before there is a server."""
        self._waiting.append(data)
        self.session.hold(NO_PEER)

    def send(self) -> None:
        upstream = self.upstream
        assert upstream is not None
        self.stage = "D"
        self.responded = self.connected
        upstream.tunnel()
        self.session.tunnel()
        for data in self._waiting:
            self.tunnel_upload(data)
        self._waiting.clear()
        self.session.release(NO_PEER)
        if self.client_ended:
            self.client_half_closed(self.session.tls is None)

    def server_gone(self, phase: int, error: Exception | None) -> None:
        self.worn, self.upstream = self.upstream, None
        self.end(Failure("S", "D", "server closed") if error is not None else None)

    def fail(self, failure: Failure) -> None:
        backend = self.backend
        if failure.side in "Cc" and backend is not None:
            backend.counters.cli_abrt += 1
        elif failure.side in "Ss" and failure.stage == "D" and backend is not None:
            backend.counters.srv_abrt += 1
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
        elif exchange.stage == "Q":
            exchange.fail(Failure("s", "Q", "timeout queue"))
        else:
            exchange.fail(Failure("c", exchange.stage, "timeout"))

    def exchange_over(self, exchange: Exchange) -> None:
        self.exchange = None
        if self.phase != CLOSED:
            self.close()
