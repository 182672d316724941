"""A client connection's life, whatever it carries (manual: session).

Holds what rules may ask about a client (rules/context.Session), joins the transport's callbacks to the exchange that
is running, and looks after the tunnel that an upgraded or plain TCP connection becomes. client.py makes HTTP of it,
tcp.py plain bytes.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, cast

from pylb.http1.head import Limits
from pylb.net.clock import Clock
from pylb.net.flow import CLIENT_FULL, HIGH_WATER, LOW_WATER, PARKED, Flow

if TYPE_CHECKING:
    from pylb.backend.tracking import Tracked
    from pylb.net.exchange import Exchange
    from pylb.net.listener import Listener
    from pylb.net.plan import ForwardFor
    from pylb.net.tls import TlsDetails
    from pylb.net.tunnel import Tunnel

IDLE, HEAD, BODY, BUSY, TUNNEL, DRAIN, CLOSED, WAITING = range(8)

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER that makes close() send RST: the one way to tell the client of a close-delimited body that it is cut."""

TCP_REPAIR = 19
"""Linux's socket option (tcp(7)); Python has no name for it."""

MAPPED = "::ffff:"
"""How an IPv4 client looks on a socket that takes both families."""


class Session(Flow, asyncio.Protocol):
    """See the module; attributes without underscore are those of rules/context.Session."""

    __slots__ = (
        "_forwarded",
        "accepted",
        "accepted_wall",
        "dst",
        "dst_port",
        "early",
        "exchange",
        "handshake",
        "keep_alive",
        "limits",
        "listener",
        "loop",
        "original",
        "phase",
        "requests",
        "src",
        "src_port",
        "tls",
        "tracked",
        "variables",
    )

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.loop = listener.loop
        self.clock: Clock = listener.clock
        self.limits: Limits = listener.limits
        self.deadline = inf
        self.bucket = inf
        self.held = self.backlog = 0
        self.queued = False
        self.phase = IDLE
        self.requests = 0
        self.keep_alive = True
        self.tls: TlsDetails | None = None
        self.exchange: Tunnel | None = None
        self.src, self.src_port, self.dst, self.dst_port = "", 0, "", 0
        self.handshake = 0.0
        self.accepted = self.accepted_wall = 0.0
        self.early = b""
        """What came although the connection is parked."""
        self.variables: dict[str, Any] | None = None
        self.tracked: Tracked | None = None
        self._forwarded: tuple[Any, bytes] | None = None
        self.original: tuple[str, int, str, int] | None = None
        """src, src_port, dst and dst_port as they were before rules have changed them for an exchange."""

    # ------------------------------------------------------------------------------------------------- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        if self.accepted:  # by hand
            self.listener.greeted(self)
        else:
            self.arrived(self.transport, transport.get_extra_info("peername"), transport.get_extra_info("sockname"))

    def arrived(self, transport: Any, peer: Any, local: Any) -> None:
        """Accepted: the session begins."""
        self.transport = transport
        self.accepted = self.loop.time()
        self.accepted_wall = time.time()
        self.set_addresses(peer, local)
        self.listener.accepted(self)

    def hand_over(self, worker: int) -> None:
        """The connection is another worker's; here it ends, unread and uncounted."""
        self.phase = CLOSED
        self.transport.abort()

    def take_over(self, worker: int) -> None:
        """The connection comes from another worker, which has accepted it."""

    def park(self) -> None:
        """A connection limit is reached."""
        self.phase = WAITING
        self.hold(PARKED)

    def park_data(self, data: bytes) -> None:
        """The loop reads once before a pause that was ordered in connection_made has an effect."""
        self.early += data
        self.transport.pause_reading()

    def unpark(self) -> None:
        """Go on, or begin."""
        if self.phase == CLOSED:
            return
        self.phase = IDLE
        self.release(PARKED)
        self.started()
        if self.early:
            data, self.early = self.early, b""
            self.data_received(data)

    def set_addresses(self, peer: Any, local: Any) -> None:
        """Where the client comes from and which address it reached, socket addresses or a PROXY header's."""
        if isinstance(peer, tuple):
            self.src, self.src_port = peer[0].removeprefix(MAPPED), peer[1]
        else:
            self.src = "unix"
        if isinstance(local, tuple):
            self.dst, self.dst_port = local[0].removeprefix(MAPPED), local[1]
        else:
            self.dst = "unix"

    def started(self) -> None:
        """The listener lets it in, handshakes are over."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        """asyncio's."""
        raise NotImplementedError

    def pause_writing(self) -> None:
        self.backlog = self.transport.get_write_buffer_size()
        exchange = self.exchange
        if exchange is not None:
            if self.phase != TUNNEL:
                self.arm(self.loop.time() + self.listener.client_timeout)
            exchange.client_full()
        elif self.phase <= HEAD:
            self.wait_for_client()

    def resume_writing(self) -> None:
        self.backlog = 0
        exchange = self.exchange
        if exchange is not None:
            if self.phase != TUNNEL:
                self.deadline = inf if self.phase == BUSY else self.loop.time() + self.listener.client_timeout
            exchange.client_drained()
        elif self.held & CLIENT_FULL:
            self.release(CLIENT_FULL)
            self.client_ready()

    def wait_for_client(self) -> None:
        """Between exchanges: a client that does not take what it has been sent asks for nothing more."""
        self.hold(CLIENT_FULL)
        self.arm(self.loop.time() + self.listener.client_timeout)

    def client_ready(self) -> None:
        """It has taken enough."""

    def flush(self) -> None:
        """Write what waits in the outbox, before anything that must not overtake it."""
        if self.queued:
            self.listener.outbox.flush()

    def close(self) -> None:
        """The end; what has been written still goes out, to a client that takes it."""
        self.phase = CLOSED
        self.flush()
        if self.transport.get_write_buffer_size():
            self.backlog = self.transport.get_write_buffer_size()
            self.arm(self.loop.time() + self.listener.client_timeout)
        else:
            self.disarm()
        self.transport.close()

    def expired(self, now: float) -> None:
        if self.backlog and self.moves():
            self.arm(now + self.listener.client_timeout)
        elif self.phase == CLOSED:
            self.transport.abort()
        else:
            self.timed_out(now)

    def timed_out(self, now: float) -> None:
        """The deadline of the phase has passed."""
        raise NotImplementedError

    def wind_down(self) -> None:
        """The process stops softly: what runs is finished, nothing new begins."""
        self.keep_alive = False

    def reset(self) -> None:
        """The end, and the client must notice that something is missing."""
        self.phase = CLOSED
        self.keep_alive = False
        self.flush()
        self.disarm()
        sock = self.transport.get_extra_info("socket")
        if self.tls is None and sock is not None:
            with suppress(OSError):  # a unix socket
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.transport.abort()

    def vanish(self) -> None:
        """The end, and the client is not told of it (`silent-drop`): it waits for as long as it likes, we do not.

        A socket in repair mode is closed without a packet. That takes CAP_NET_ADMIN; without it the reset that tells
        the client is sent with a time to live of one hop, so that the first router on its way drops it. Both as HAProxy
        does (manual: silent-drop).
        """
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            try:
                sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
            except OSError:
                with suppress(OSError):
                    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
                with suppress(OSError):
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1)
        self.reset()

    def exchange_over(self, exchange: Exchange) -> None:
        """Called once by each exchange when it has been settled."""
        raise NotImplementedError

    # --------------------------------------------------------------------------------------------------------- tunnels

    def tunnel(self) -> None:
        """Bytes have no meaning here any more; they pass until both sides have ended."""
        self.phase = TUNNEL
        self.keep_alive = False
        self.refresh_tunnel()

    def refresh_tunnel(self) -> None:
        """Bytes went through, or one direction ended: the tunnel's deadline starts again."""
        exchange = self.exchange
        if exchange is not None:
            plan = exchange.plan
            if exchange.client_ended:
                limit = plan.server_fin
            elif exchange.server_ended:
                limit = plan.client_fin
            else:
                limit = plan.tunnel_limit
            self.arm(self.loop.time() + limit)

    # ------------------------------------------------------------------------------------------------------- for rules

    def readdress(self, name: str, value: str | int, lasts: bool) -> None:
        """Rules give src, src_port, dst or dst_port another value; without `lasts` for the exchange that runs."""
        if not lasts and self.original is None:
            self.original = (self.src, self.src_port, self.dst, self.dst_port)
        setattr(self, name, value)
        self._forwarded = None

    def restore_addresses(self) -> None:
        """The next exchange begins with the connection's own."""
        if self.original is not None:
            self.src, self.src_port, self.dst, self.dst_port = self.original
            self.original = self._forwarded = None

    def forwarded_for(self, setting: ForwardFor) -> bytes:
        """The X-Forwarded-For line for this client, built once per connection."""
        made = self._forwarded
        if made is None or made[0] is not setting:
            made = self._forwarded = (setting, setting.line(self.src))
        return made[1]
