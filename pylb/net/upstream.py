"""A connection to a server: opening it, one exchange at a time over it, and its rest in the server's idle pool.

The protocol reads what the server sends and tells its exchange: an interim head, the head, pieces of the body, the
end, or that it broke. Whether to retry, what to tell the client and what to log is the exchange's business.

A connection is in the pool exactly while its phase is IDLE. There it must stay silent: a byte or an end of stream
takes it out, since either means that the server has ended it.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, cast

from pylb.http1 import framing
from pylb.http1.chunked import ChunkedReader
from pylb.http1.errors import ProtocolError
from pylb.http1.head import Limits, parse_response, whole_response
from pylb.net.clock import Clock
from pylb.net.flow import HIGH_WATER, LOW_WATER, Flow

if TYPE_CHECKING:
    from pylb.backend.server import Server
    from pylb.http1.response import ResponseHead
    from pylb.net.client import HttpSession
    from pylb.net.response import HttpExchange
    from pylb.net.tunnel import Tunnel

CONNECTING, HEAD, BODY, TUNNEL, IDLE, CLOSED = range(6)
END = b"\r\n\r\n"


class Upstream(Flow, asyncio.Protocol):
    """One connection to `server`, working for `exchange` or idle (None)."""

    __slots__ = (
        "_chunks",
        "_given",
        "_handing_over",
        "_keeps",
        "_patience",
        "_pending",
        "_remaining",
        "_searched",
        "exchange",
        "limits",
        "loop",
        "owner",
        "phase",
        "preface",
        "server",
        "sni",
        "sock",
        "tls",
        "uses",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, server: Server, limits: Limits) -> None:
        self.loop = loop
        self.clock = clock
        self.limits = limits
        self.deadline = inf
        self.bucket = inf
        self.held = self.backlog = 0
        self.queued = False
        self.transport = cast(asyncio.Transport, None)  # until connection_made
        self.server = server
        self.exchange: Tunnel | None = None
        self.phase = CONNECTING
        self.uses = 0
        """Exchanges begun on it."""
        self.sni: str | None = None
        self.tls: object = None
        self.sock: socket.socket | None = None
        self.preface = b""
        """The PROXY header that it began with: it speaks for one client only."""
        self._handing_over: asyncio.Task[None] | None = None
        self.owner: HttpSession | None = None
        """The only client that it may serve: its server takes the connection for the user who has logged in."""
        self._patience = inf
        """Seconds that a server may take nothing of what is left for it at the end."""
        self._given = False
        """The loop owns the descriptor, also while it may still fail to make a transport of it: a descriptor that two
        close is somebody else's the second time."""
        self._pending = b""
        self._searched = 0
        self._remaining = 0
        self._keeps = False
        """The server lets the connection carry another exchange once this response is over."""
        self._chunks: ChunkedReader | None = None

    # ------------------------------------------------------------------------------------------- work for an exchange

    def begin(self, exchange: Tunnel) -> None:
        """Work for `exchange` from now on (out of the pool, or just connected); a response head is expected next."""
        self.exchange = exchange
        self.phase = HEAD
        self.deadline = inf
        self.uses += 1

    def tunnel(self) -> None:
        """From now on bytes have no meaning here."""
        self.phase = TUNNEL

    def rest(self) -> None:
        """The exchange is over and the connection is clean: into the server's pool, for `pool-purge-delay` seconds
        unless somebody takes it."""
        self.exchange = None
        self.phase = IDLE
        if self.held:
            self.held = 0
            self.transport.resume_reading()
        self.arm(self.loop.time() + self.server.model.pool_purge_delay)
        self.server.idle.append(self)

    def close(self) -> None:
        """Done with it; what has been written still goes out, to a server that takes it."""
        exchange, connecting = self.exchange, self.phase == CONNECTING
        self._leave()
        if connecting:
            self._drop_socket()
            return
        self.backlog = self.transport.get_write_buffer_size()
        if self.backlog and exchange is not None:
            self._patience = exchange.plan.server_timeout
            self.arm(self.loop.time() + self._patience)
        self.transport.close()

    def abort(self) -> None:
        """Gone at once, unsent bytes too."""
        connecting = self.phase == CONNECTING
        self._leave()
        if connecting:
            self._drop_socket()
        else:
            self.transport.abort()

    @property
    def has_input(self) -> bool:
        """A part of a response head has arrived."""
        return bool(self._pending)

    def _leave(self) -> None:
        if self.phase == IDLE:
            self._unpool()
        self.phase = CLOSED
        self.exchange = None
        self.disarm()

    def _unpool(self) -> None:
        if self in self.server.idle:
            self.server.idle.remove(self)

    def _drop_socket(self) -> None:
        sock, self.sock = self.sock, None
        if sock is None:  # there was none to be had, which the exchange has not been told yet
            return
        if self._given:  # the loop's attempt ends by itself; cancelled, its error might be nobody's
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            return
        if self._handing_over is None:
            self.loop.remove_writer(sock.fileno())
        sock.close()

    def hand_over(self) -> None:
        """The socket is connected: the loop takes it, after TLS if there is any."""
        self._handing_over = self.loop.create_task(_make_transport(self))

    # -------------------------------------------------------------------------------------------------- event loop's

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.sock = self._handing_over = None
        self.transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        exchange = self.exchange
        if self.phase == CLOSED or exchange is None:
            self.transport.abort()
            return
        self.deadline = inf
        exchange.connection_ready(self)

    def data_received(self, data: bytes) -> None:
        phase = self.phase
        if phase == HEAD:
            if self._pending:
                data = self._pending + data
                self._pending = b""
            self._read_head(data)
        elif phase == BODY:
            self._read_body(data)
        elif phase == TUNNEL:
            if self.exchange is not None:
                self.exchange.download(data)
        elif phase == IDLE:
            self.abort()

    def eof_received(self) -> bool:
        exchange = self.exchange
        if self.phase == IDLE:
            self.close()
        elif exchange is not None:
            if self.phase == TUNNEL:
                return exchange.server_half_closed()
            if self.phase == BODY and self._chunks is None and self._remaining < 0:
                cast("HttpExchange", exchange).body_complete(b"", reusable=False)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        phase, exchange = self.phase, self.exchange
        self._leave()
        if exchange is not None and phase != IDLE:
            exchange.server_gone(phase, exc)

    def pause_writing(self) -> None:
        self.backlog = self.transport.get_write_buffer_size()
        if self.exchange is not None:
            self.exchange.server_full()

    def resume_writing(self) -> None:
        self.backlog = 0
        if self.exchange is not None:
            self.exchange.server_drained()

    def expired(self, now: float) -> None:
        if self.phase == IDLE:
            self.close()
        elif self.phase == CLOSED:
            if self.moves():
                self.arm(now + self._patience)
            else:
                self.transport.abort()
        elif self.exchange is not None:
            if self.backlog and self.moves():
                self.arm(now + self.exchange.plan.server_timeout)
            else:
                self.exchange.server_timeout(now)

    # ------------------------------------------------------------------------------------------------------ response

    def _read_head(self, data: bytes) -> None:
        """Every complete head in `data`: interim ones are passed on, the final one decides the body's framing."""
        exchange = cast("HttpExchange | None", self.exchange)
        start = 0
        while exchange is not None:
            try:
                head = None if self._searched else whole_response(data, start, self.limits)
                if head is None:
                    end = data.find(END, max(start, self._searched))
                    if end < 0:
                        self._wait_for_head(data[start:] if start else data)
                        return
                    self._searched = 0
                    head = parse_response(data, start, end, self.limits)
                start += head.size
                if head.status >= 200 or head.status == 101:
                    self._final_head(exchange, head, data, start)
                    return
            except ProtocolError as error:
                exchange.bad_response(error)
                return
            exchange.interim(head)
            exchange = cast("HttpExchange | None", self.exchange)

    def _wait_for_head(self, data: bytes) -> None:
        if len(data) > self.limits.bufsize:
            cast("HttpExchange", self.exchange).bad_response(
                ProtocolError(502, "response head larger than tune.bufsize")
            )
            return
        self._pending = data
        self._searched = max(0, len(data) - 3)

    def _final_head(self, exchange: HttpExchange, head: ResponseHead, data: bytes, start: int) -> None:
        body = framing.response_framing(head, exchange.method, head.status)
        kind = body.kind
        keeps = self._keeps = body.reusable and not head.wants_close()
        rest = data[start:] if start < len(data) else b""
        if kind == framing.LENGTH and body.length:
            self._remaining = body.length
            self._chunks = None
        elif kind == framing.CHUNKED:
            self._chunks = ChunkedReader(502)
        elif kind == framing.UNTIL_CLOSE:
            self._remaining = -1
            self._chunks = None
        elif kind == framing.TUNNEL:
            exchange.switch_protocols(head, rest)
            return
        else:  # no body: complete with its head; bytes behind it nobody asked for
            exchange.respond(head, kind, b"", complete=True, reusable=keeps and not rest)
            return
        self.phase = BODY
        length = len(rest)
        if kind == framing.LENGTH and length >= body.length:
            clean = length == body.length
            exchange.respond(head, kind, rest if clean else rest[: body.length], True, keeps and clean)
            return
        exchange.respond(head, kind, b"", complete=False, reusable=False)
        if rest and self.exchange is exchange:
            self._read_body(rest)

    def _read_body(self, data: bytes) -> None:
        exchange = cast("HttpExchange", self.exchange)
        if self._chunks is not None:
            try:
                end = self._chunks.feed(data, 0)
            except ProtocolError as error:
                exchange.bad_response(error)
                return
            if self._chunks.done:
                clean = end == len(data)
                exchange.body_complete(data if clean else data[:end], self._keeps and clean)
            else:
                exchange.body(data)
        elif self._remaining < 0:
            exchange.body(data)
        elif len(data) < self._remaining:
            self._remaining -= len(data)
            exchange.body(data)
        else:
            clean = len(data) == self._remaining
            exchange.body_complete(data if clean else data[: self._remaining], self._keeps and clean)


# ------------------------------------------------------------------------------------------------------------ connect


def connect(upstream: Upstream, exchange: Tunnel, deadline: float) -> None:
    """Open `upstream` for `exchange`: it hears `connection_ready` or `connection_failed` exactly once.

    The socket is connected by hand and then given to the loop: on loopback and local networks connect(2) is often
    done at once, and create_connection's own resolving and waiting costs three times as much.
    """
    upstream.exchange = exchange
    family, address = upstream.server.net.sockaddr(exchange.session.dst_port)
    try:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as error:
        upstream.loop.call_soon(_failed, upstream, "R", error)
        return
    upstream.sock = sock
    try:
        upstream.server.net.bind_source(sock)
        code = sock.connect_ex(address)
        if code == errno.EINPROGRESS:
            # On this machine the answer is there before the call returns, and one more call learns of it. To wait for
            # the loop to say so takes nine and two turns of it, 20 µs.
            code = sock.connect_ex(address)
    except OSError as error:
        upstream.loop.call_soon(_failed, upstream, "S", error)
        return
    if code == 0:
        if upstream.server.net.tls is not None:
            upstream.arm(deadline)
        _hand_over(upstream)
    elif code in (errno.EALREADY, errno.EINPROGRESS, errno.EAGAIN):
        upstream.arm(deadline)
        upstream.loop.add_writer(sock.fileno(), _connected, upstream)
    else:
        upstream.loop.call_soon(_failed, upstream, "S", OSError(code, "connect"))


def _connected(upstream: Upstream) -> None:
    sock = upstream.sock
    if sock is None:
        return
    upstream.loop.remove_writer(sock.fileno())
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        _failed(upstream, "S", OSError(code, "connect"))
    else:
        _hand_over(upstream)


def _hand_over(upstream: Upstream) -> None:
    sock, exchange = upstream.sock, upstream.exchange
    preface = upstream.server.net.preface
    if preface is not None and sock is not None and exchange is not None:
        client = exchange.session
        upstream.preface = preface(client.src, client.src_port, client.dst, client.dst_port)
        try:
            sock.send(upstream.preface)
        except OSError as error:
            upstream.loop.call_soon(_failed, upstream, "S", error)
            return
    upstream.hand_over()


async def _make_transport(upstream: Upstream) -> None:
    sock = upstream.sock
    if sock is None or upstream.exchange is None:
        return
    tls = upstream.server.net.tls
    try:
        if tls is None:
            upstream._given = True
            await upstream.loop.create_connection(lambda: upstream, sock=sock)
        else:
            name = upstream.exchange.server_name(upstream.server)
            upstream.sni = name
            if tls.check_hostname and not name:
                raise ValueError("no name to check the certificate against")
            upstream._given = True
            await upstream.loop.create_connection(
                lambda: upstream, sock=sock, ssl=tls, server_hostname=name or "", ssl_handshake_timeout=None
            )
    except (OSError, ValueError, asyncio.CancelledError) as error:  # ValueError: a name that SNI cannot carry
        if not upstream._given:
            sock.close()
        upstream.sock = None
        _failed(upstream, "S", error if isinstance(error, OSError) else OSError(errno.ECONNABORTED, "handshake"))
    finally:
        if upstream._given:  # the loop closes the descriptor, or has: a second time it would be somebody else's
            sock.detach()


def _failed(upstream: Upstream, side: str, error: OSError) -> None:
    exchange = upstream.exchange
    if upstream.sock is not None:
        upstream.sock.close()
        upstream.sock = None
    upstream.phase = CLOSED
    upstream.exchange = None
    upstream.disarm()
    if exchange is not None:
        exchange.connection_failed(side, error)
