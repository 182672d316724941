"""Binds: listening sockets, the limits at the door, and what happens before the first byte of a session counts.

accept → parked while a maxconn is reached → PROXY header → TLS handshake → session.started()

A limit does not refuse anybody. The listening socket is simply not accepted from, so the kernel's backlog holds the
next clients, as HAProxy does; those few that the loop had accepted already are parked unread.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, cast

from pylb.backend import tracking
from pylb.config import model
from pylb.http1.errors import ProtocolError
from pylb.http1.head import Limits
from pylb.net import proxy_protocol
from pylb.net.accesslog import LEVEL_ERR, LEVEL_INFO, access_log
from pylb.net.client import HttpSession
from pylb.net.clock import Clock
from pylb.net.outbox import Outbox
from pylb.net.refused import Refused, without_header, without_tls
from pylb.net.session import CLOSED, Session
from pylb.net.stillborn import Stillborn
from pylb.net.tcp import TcpSession
from pylb.net.tls import TlsDetails
from pylb.net.tls_alerts import Handshake, connection

if TYPE_CHECKING:
    from pylb.net.door import Door
    from pylb.net.exchange import Exchange
    from pylb.rules.frontend import Frontend
    from pylb.rules.reply import Reply

PARTING = 1.0
"""Seconds that a kept-alive connection must have been idle before a process that stops softly closes it. A client in
full swing asks within that time, and is told with the answer that it was the last: closing at once would cross with
requests on their way, which would be lost."""

BACKLOG = 4096
"""Connections that wait for being accepted, without `backlog` on the bind or the frontend; the kernel lowers it to
net.core.somaxconn."""

ACCEPTS = 64
"""Connections taken at a time where they are accepted by hand."""


EARS = 8
"""Descriptors by which the loop hears of new connections to one listening socket. libuv takes one connection per turn
and descriptor: with a single one, clients that connect for each request are served in turns of one, and every message
wakes its peer anew. 106 µs per request became 89 (bench/http, client-close); more than 8 gain nothing. A listener has
one until the first client comes: of a thousand most are idle, and opening and closing them all is felt."""

KEPT = 1024
"""Bytes of a bad request that are kept."""


@dataclass(frozen=True, slots=True)
class BadMessage:
    """What `show errors` tells about a request that was no HTTP."""

    wall: float
    """Time of day, seconds."""
    source: str
    reason: str
    size: int
    """Bytes that had arrived."""
    data: bytes
    """The first KEPT of them."""
    number: int
    """How many there were before in this frontend."""


class Greeting:
    """A connection that the loop does not read yet, in the place of its session's transport."""

    def __init__(self, sock: socket.socket, session: Session) -> None:
        self.sock = sock
        self._session: Session | None = session
        self._open = True

    def get_extra_info(self, name: str) -> Any:
        """Only the socket, for `reset`."""
        return self.sock if name == "socket" else None

    def is_closing(self) -> bool:
        """As a transport's."""
        return not self._open

    def get_write_buffer_size(self) -> int:
        """Nothing can have been written."""
        return 0

    def pause_reading(self) -> None:
        """Nobody reads."""

    resume_reading = pause_reading

    def abandon(self) -> None:
        """Close unless the loop has taken over."""
        if self._session is not None and self._session.transport is cast(Any, self):
            self.close()

    def close(self) -> None:
        """The session hears of it as from a transport."""
        session, self._session = self._session, None  # they refer to each other: not a cycle for the collector
        if session is not None and self._open:
            self._open = False
            self.sock.close()
            session.phase = CLOSED  # nothing was asked, so there is no request to log
            session.loop.call_soon(session.connection_lost, None)

    abort = close


class Listener:
    """One bind of one frontend."""

    def __init__(
        self,
        bind: model.Bind,
        frontend: Frontend,
        door: Door,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        limits: Limits,
        context: ssl.SSLContext | None,
        sockets: list[socket.socket],
    ) -> None:
        self.bind = bind
        self.frontend = frontend
        self.door = door
        self.loop = loop
        self.clock = clock
        self.outbox = Outbox(loop)
        self.limits = limits
        self.context = context
        self.sockets = sockets
        self.sessions = 0
        self._servers: list[asyncio.Server] = []
        self._accepting = self._closed = self._busy = False
        self._handshakes: set[asyncio.Task[None]] = set()
        times = frontend.model.timeouts
        request = times.http_request if times.http_request is not None else times.client
        self.client_timeout = inf if times.client is None else times.client
        self.request_timeout = inf if request is None else request
        self.first_timeout = self.request_timeout
        keep = times.http_keep_alive if times.http_keep_alive is not None else request
        self.keep_alive_timeout = inf if keep is None else keep
        self.keeps_alive = frontend.model.connection_mode != "close"
        self.log = access_log(frontend, door)
        """One line for a finished exchange, as the frontend's options want it."""
        self._greets = bind.accept_proxy or context is not None
        """Something comes before the session's own bytes. asyncio begins to read as soon as it knows a connection, so
        these are accepted by hand and reach the loop when they can."""
        self.make: Callable[[Listener], Session] = HttpSession if frontend.model.mode == "http" else TcpSession

    # ------------------------------------------------------------------------------------------------------ listening

    async def open(self) -> None:
        """Accept from now on."""
        self._accepting = True
        if self._greets:
            for sock in self.sockets:
                self.loop.add_reader(sock.fileno(), self._accept, sock)
            return
        await self._hear(EARS if self._busy else 1)
        if not self._accepting:
            self.pause()

    async def _hear(self, ears: int) -> None:
        """Have so many more for each socket."""
        backlog = self.bind.backlog or self.frontend.model.backlog or BACKLOG
        for sock in [sock for sock in self.sockets for _ in range(ears)]:
            if self._closed or not self._accepting:  # while the one before was being opened
                break
            # The loop owns (and closes) the duplicate; ours stays open: pausing loses no client in the backlog.
            server = await self.loop.create_server(self._come_in, sock=sock.dup(), backlog=backlog)
            self._servers.append(server)

    def _come_in(self) -> Session:
        """A client; behind the first there may be more."""
        if not self._busy:
            self._busy = True
            self._spawn(self._hear(EARS - 1))
        return self.make(self)

    def pause(self) -> None:
        """Leave new clients in the backlog."""
        self._accepting = False
        if self._greets:
            for sock in self.sockets:
                self.loop.remove_reader(sock.fileno())
        for server in self._servers:
            server.close()
        self._servers.clear()

    def resume(self) -> None:
        """Accept again."""
        if not self._accepting and not self._closed:
            self._spawn(self.open())

    def _try_again(self) -> None:
        """There may be descriptors again."""
        if self.door.open:
            self.resume()

    def close(self) -> None:
        """Stop for good; running sessions go on, each until it has been idle for a moment."""
        self._closed = True
        self.keeps_alive = False
        self.keep_alive_timeout = min(self.keep_alive_timeout, PARTING)
        self.pause()
        for sock in self.sockets:
            sock.close()

    @property
    def greeting(self) -> bool:
        """Somebody is shaking hands."""
        return bool(self._handshakes)

    # ----------------------------------------------------------------------------------------- a session comes and goes

    def accepted(self, session: Session) -> None:
        """A new connection: counted, let in or parked; or another process's."""
        spread = self.door.house.spread
        if spread is not None:
            other = spread.passes(self, session.transport)
            if other:
                session.hand_over(other)
                return
        self.frontend.counters.conn_tot += 1
        if self.door.enter(session):
            self.admit(session)
        else:
            session.park()

    def admit(self, session: Session) -> None:
        """There is room: handshakes, then requests."""
        self.frontend.counters.opened()
        reply = self.frontend.connection_rules(session) if self.frontend.connection_rules is not None else None
        if reply is not None:
            self.frontend.counters.dcon += 1
            _turn_away(session, reply)
        elif self._greets:
            self._spawn(self._greet(session))
        else:
            self.start(session)

    def start(self, session: Session) -> None:
        """Handshakes are over; the last rules before the first request."""
        reply = self.frontend.session_rules(session) if self.frontend.session_rules is not None else None
        if reply is not None:
            self.frontend.counters.dses += 1
            _turn_away(session, reply)
        else:
            self.frontend.counters.stot += 1
            session.unpark()

    def closed(self, session: Session) -> None:
        """The connection is gone."""
        if session.tracked is not None:
            tracking.leave(session.tracked, None, self.loop.time())
        if self.door.leave(session):
            self.frontend.counters.scur -= 1

    def _spawn(self, coroutine: Any) -> None:
        task = self.loop.create_task(coroutine)
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    # ------------------------------------------------------------------------------------------------------ handshakes

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTS):
            try:
                sock, peer = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:  # no descriptors left; or the client has gone already
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM) and self._accepting:
                    self.pause()
                    self.loop.call_later(1.0, self._try_again)
                return
            sock.setblocking(False)
            session = self.make(self)
            session.arrived(Greeting(sock, session), peer, sock.getsockname())
            if not self._accepting:  # that was the last one for now
                return

    def take(self, sock: socket.socket, giver: int) -> None:
        """A connection that process number `giver` has accepted."""

        def taken() -> Session:
            made = self.make(self)
            made.take_over(giver)
            return made

        if self._greets:
            session = taken()
            try:
                session.arrived(Greeting(sock, session), sock.getpeername(), sock.getsockname())
            except OSError:  # gone meanwhile
                sock.close()
        else:
            self._spawn(self.loop.connect_accepted_socket(taken, sock))

    async def _greet(self, session: Session) -> None:
        """What comes before the session's own bytes; then the loop gets the connection."""
        greeting = cast(Greeting, session.transport)
        try:
            if self.bind.accept_proxy:
                await self._take_proxy_header(session, greeting)
            if self.context is not None:
                await self._shake_hands(session, greeting)
            else:
                session.handshake = self.loop.time() - session.accepted
                await self.loop.connect_accepted_socket(lambda: session, greeting.sock)
        except Refused as error:
            self.event(session, error)
        finally:
            greeting.abandon()

    async def _take_proxy_header(self, session: Session, greeting: Greeting) -> None:
        """`accept-proxy`: the true addresses come first on the connection, before TLS and HTTP."""
        try:
            async with asyncio.timeout(min(self.client_timeout, 10.0)):
                peer, local = await proxy_protocol.receive(self.loop, greeting.sock)
        except (ProtocolError, EOFError, OSError) as error:
            raise without_header(error, greeting.sock) from error
        if peer is not None:
            session.set_addresses(peer, local)

    async def _shake_hands(self, session: Session, greeting: Greeting) -> None:
        counters = self.frontend.counters
        limit = min(self.client_timeout, 60.0)
        handshake = Handshake(greeting.sock)
        connection.set(handshake)
        try:
            await self.loop.connect_accepted_socket(
                lambda: session, greeting.sock, ssl=self.context, ssl_handshake_timeout=limit
            )
        except OSError as error:  # ssl.SSLError is one
            counters.ssl_failed_handshake += 1
            raise without_tls(error, handshake.answered) from error

    def greeted(self, session: Session) -> None:
        """The loop has the connection now."""
        if self.context is not None:
            self.frontend.counters.ssl_handshakes += 1
            session.tls = TlsDetails(session.transport.get_extra_info("ssl_object"))
            session.handshake = self.loop.time() - session.accepted
        self.start(session)

    # ------------------------------------------------------------------------------------------------------------ logs

    def event(self, session: Session, error: Refused) -> None:
        """A one-line event of a connection that came to nothing, in HAProxy's form for such or in error-log-format."""
        frontend, error_line = self.frontend, self.frontend.error_line
        if frontend.logger is None or (error.null and frontend.model.dontlognull):
            return
        level = LEVEL_ERR if frontend.model.log_separate_errors else LEVEL_INFO
        if error_line is not None:
            stillborn = Stillborn(frontend, session, error, self.loop.time())
            stillborn.actconn = self.door.house.connections
            frontend.logger(level, error_line(cast(Any, stillborn)))
            return
        stamp = frontend.timestamp(session.accepted_wall)
        name = f"{frontend.name}/{self.bind.name or '1'}"
        frontend.logger(level, f"{session.src}:{session.src_port} [{stamp}] {name}: {error}".encode())

    def remember_error(self, session: Session, error: ProtocolError, data: bytes) -> None:
        """Kept for `show errors`: the last bad request of the frontend."""
        number = self.frontend.last_error.number + 1 if self.frontend.last_error is not None else 0
        source = f"{session.src}:{session.src_port}"
        kept = bytes(data[:KEPT])
        self.frontend.last_error = BadMessage(time.time(), source, error.reason, len(data), kept, number)

    def abort_on_close(self, exchange: Exchange | None) -> bool:
        """option abortonclose: a client that ends its side before the answer has begun is not served."""
        if exchange is None or exchange.backend is None:
            return False
        return exchange.backend.model.abortonclose and exchange.stage in ("Q", "C", "H")


def _turn_away(session: Session, reply: Reply) -> None:
    if reply.drops:
        session.vanish()
    else:
        session.reset()
