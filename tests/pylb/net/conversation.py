"""Conversations without sockets: a whole Balancer of a haproxy.cfg, with loop, clock and transports in the test's hand.

    world = World(CONFIG)
    client = world.client()
    client.sends(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    server = world.server()             # accepts the connection attempt that waits
    server.sends(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi")
    assert client.gets().endswith(b"hi")
    world.passes(1.0)
    world.end()                         # everybody leaves; what must hold then is asserted

Transports are as strict as asyncio's contract: nothing may be written after close or end, pauses and resumes pair with
what the other side takes. `World.end` asserts the invariants of every conversation: each slot, session and place in a
queue was given back, one log line per exchange, no deadline left in the clock, no callback raised.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pylb.backend.operate import set_health
from pylb.config.load import read_haproxy
from pylb.config.words import Report
from pylb.net import upstream as upstreams
from pylb.net.clock import Clock
from pylb.net.door import Door
from pylb.net.listener import Listener
from pylb.process.balancer import Balancer

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

TIMES = "timeout client 30s\n timeout server 20s\n timeout connect 5s\n"

CONFIG = f"""
defaults
 mode http
 log 127.0.0.1:9 local0
 option httplog
 {TIMES}
frontend f
 bind 127.0.0.1:1
 default_backend b
backend b
 server s1 127.0.0.1:2
"""


def config(frontend: str = "", backend: str = "", servers: str = "server s1 127.0.0.1:2", defaults: str = "") -> str:
    """CONFIG with more lines in it."""
    text = CONFIG.replace("frontend f\n", f"{defaults}\nfrontend f\n")
    text = text.replace(" default_backend", f"{frontend}\n default_backend")
    return text.replace("backend b\n server s1 127.0.0.1:2", f"backend b\n {backend}\n {servers}")


class Loop:
    """The parts of an event loop that the data plane uses; time passes when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._order = itertools.count()
        self._calls: list[tuple[float, int, Any]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any) -> Any:
        handle = SimpleNamespace(cancelled=False, run=lambda: callback(*args))
        handle.cancel = lambda: setattr(handle, "cancelled", True)
        heapq.heappush(self._calls, (when, next(self._order), handle))
        return handle

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any) -> Any:
        return self.call_at(self.now + delay, callback, *args)

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> Any:
        return self.call_at(self.now, callback, *args)

    def remove_writer(self, fd: int) -> None:
        """Connection attempts are made by the test."""

    def run(self, until: float | None = None) -> None:
        """Everything due up to `until` (None: now), in order."""
        until = self.now if until is None else until
        while self._calls and self._calls[0][0] <= until:
            when, _, handle = heapq.heappop(self._calls)
            self.now = max(self.now, when)
            if not handle.cancelled:
                handle.run()
        self.now = until


class Transport:
    """Ours towards a peer of the test, with asyncio's rules enforced."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.reading = True
        self.closing = self.ended = self.lost = False
        self.buffer = bytearray()
        self.high, self.low, self.paused = 65536, 16384, False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 5555), "sockname": ("127.0.0.1", 80)}.get(name, default)

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        self.high, self.low = high, low

    def get_write_buffer_size(self) -> int:
        return len(self.buffer)

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        assert not self.ended, f"written after the end: {data[:80]!r}"
        assert not self.closing, f"written after close: {data[:80]!r}"
        self.buffer += data
        self.flush()
        if len(self.buffer) > self.high and not self.paused:
            self.paused = True
            self.peer.protocol.pause_writing()

    def flush(self) -> None:
        """The peer takes what it wants."""
        taken = len(self.buffer) if self.peer.appetite is None else min(len(self.buffer), self.peer.appetite)
        self.peer.received += self.buffer[:taken]
        del self.buffer[:taken]
        if self.peer.appetite is not None:
            self.peer.appetite -= taken
        if self.paused and len(self.buffer) <= self.low and not self.lost:
            self.paused = False
            self.peer.protocol.resume_writing()
        if not self.buffer:
            if self.closing:
                self.lose(None)
            elif self.ended:
                self.peer.saw_end = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        assert not self.closing
        self.ended = True
        if not self.buffer:
            self.peer.saw_end = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.closing
        if not self.reading:
            self.reading = True
            self.peer.world.loop.call_soon(self.peer.deliver)

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            self.reading = False
            if not self.buffer:
                self.lose(None)

    def abort(self) -> None:
        if not self.lost:
            self.peer.was_cut = self.peer.was_cut or bool(self.buffer) or not self.closing
        self.closing = True
        self.reading = False
        self.buffer.clear()
        self.lose(None)

    def lose(self, error: Exception | None) -> None:
        if not self.lost:
            self.lost = self.closing = True
            self.peer.closed = True
            self.peer.world.loop.call_soon(self.peer.protocol.connection_lost, error)


class Peer:
    """The far end of one connection, as the test plays it."""

    def __init__(self, world: World, protocol: Any) -> None:
        self.world = world
        self.protocol = protocol
        self.received = bytearray()
        self.appetite: int | None = None
        """Bytes that it still takes; None: all."""
        self.closed = self.saw_end = self.was_cut = False
        self._out: list[bytes | None] = []
        self._ended = False
        self.transport = Transport(self)

    def sends(self, data: bytes, piece: int | None = None) -> None:
        """`data` arrives, in reads of at most `piece` bytes."""
        if self._ended:
            return
        piece = piece or 65536
        self._out += [data[i : i + piece] for i in range(0, len(data), piece)]
        self.deliver()
        self.world.loop.run()

    def ends(self) -> None:
        """It has no more to send (FIN)."""
        if not self._ended:
            self._ended = True
            self._out.append(None)
        self.deliver()
        self.world.loop.run()

    def resets(self) -> None:
        """RST."""
        if not self.transport.lost:
            self.transport.buffer.clear()
            self.transport.lose(ConnectionResetError(104, "Connection reset by peer"))
        self.world.loop.run()

    def leaves(self) -> None:
        """FIN, and it reads whatever still comes."""
        self.appetite = None
        self.transport.flush()
        if not self.transport.closing:
            self.ends()

    def deliver(self) -> None:
        transport = self.transport
        while self._out and transport.reading and not transport.closing:
            item = self._out.pop(0)
            if item is not None:
                self.protocol.data_received(item)
            elif not self.protocol.eof_received():
                transport.close()

    def takes(self, size: int | None) -> None:
        """Read `size` more bytes and then stop (None: no limit)."""
        self.appetite = size
        self.transport.flush()
        self.world.loop.run()

    @property
    def knows_it_is_cut(self) -> bool:
        """The connection is gone, and the response is recognisably not whole: by its framing, or else by a reset."""
        head, _, body = bytes(self.received).lower().partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        if b"\r\ntransfer-encoding: chunked" in head:
            return self.closed and not body.endswith(b"0\r\n\r\n")
        if length is not None:
            return self.closed and len(body) < int(length[1])
        return self.closed and self.was_cut

    def gets(self) -> bytes:
        """What has arrived since the last call."""
        data = bytes(self.received)
        self.received.clear()
        return data


class World:
    """See the module."""

    def __init__(self, text: str = CONFIG, tracer: Any = None) -> None:
        self.loop = Loop()
        loop: Any = self.loop
        self.clock = Clock(loop)
        self.lines: list[str] = []
        self.attempts: list[Any] = []
        self.peers: list[Peer] = []
        self.text = text
        parsed, _ = read_haproxy([("t.cfg", text)], {})
        self.balancer = Balancer(parsed, Report(), tracer)
        self.balancer.loop = loop
        self.listeners = {}
        for frontend in self.balancer.frontends:
            if frontend.logger is not None:
                frontend.logger = lambda level, line: self.lines.append(line.decode())
            limit = frontend.model.maxconn or self.balancer.maxconn
            door = Door(self.balancer.house, limit)
            bind = frontend.model.binds[0]
            listener = Listener(bind, frontend, door, loop, self.clock, self.balancer.listeners.limits, None, [])
            if tracer is not None:
                tracer.listen(listener)
            door.listeners.append(listener)
            self.listeners[frontend.name] = listener
        self._connect, upstreams.connect = upstreams.connect, self._attempt

    # ------------------------------------------------------------------------------------------------------- the parts

    def frontend(self, name: str = "f") -> Any:
        return self.listeners[name].frontend

    def backend(self, name: str = "b") -> Any:
        return self.balancer.world.backends[name]

    def mark(self, server: str, up: bool, backend: str = "b") -> None:
        """A check's verdict."""
        set_health(self.backend(backend).by_name[server], "up" if up else "down", self.loop.now)
        self.loop.run()

    # ---------------------------------------------------------------------------------------------------------- events

    def client(self, frontend: str = "f") -> Peer:
        """A client connects."""
        listener = self.listeners[frontend]
        peer = Peer(self, listener.make(listener))
        self.peers.append(peer)
        peer.protocol.connection_made(peer.transport)
        self.loop.run()
        return peer

    def _attempt(self, upstream: Any, exchange: Any, deadline: float) -> None:
        upstream.exchange = exchange
        upstream.sock = SimpleNamespace(fileno=lambda: -1, close=lambda: None, detach=lambda: None)
        upstream.arm(deadline)
        self.attempts.append(upstream)

    @property
    def attempt(self) -> Any:
        """The oldest connection attempt that still matters."""
        while self.attempts and self.attempts[0].phase != upstreams.CONNECTING:
            self.attempts.pop(0)
        assert self.attempts, "nobody connects to a server"
        return self.attempts.pop(0)

    @property
    def connecting(self) -> bool:
        return any(upstream.phase == upstreams.CONNECTING for upstream in self.attempts)

    def server(self) -> Peer:
        """A server accepts the connection attempt that waits."""
        upstream = self.attempt
        peer = Peer(self, upstream)
        self.peers.append(peer)
        upstream.connection_made(peer.transport)
        self.loop.run()
        return peer

    def refuses(self, error: int = 111) -> None:
        """A server refuses it."""
        upstreams._failed(self.attempt, "S", OSError(error, "Connection refused"))
        self.loop.run()

    def passes(self, seconds: float) -> None:
        """Time passes."""
        self.loop.run(self.loop.now + seconds)

    # ------------------------------------------------------------------------------------------------------ invariants

    def end(self) -> None:
        """Everybody leaves, and nothing may be left behind."""
        try:
            for peer in self.peers:
                peer.leaves()
            while self.connecting:
                self.refuses()
            self.passes(0.1)
            for peer in self.peers:
                peer.resets()
            self.check()
        finally:
            self.close()

    def close(self) -> None:
        upstreams.connect = self._connect
        self.balancer.close()

    def check(self) -> None:
        """What holds whenever nobody is connected."""
        assert self.balancer.house.connections == 0
        requests = 0
        for listener in self.listeners.values():
            counters = listener.frontend.counters
            requests += counters.req_tot
            assert counters.scur == 0, "a client's session was not given back"
            assert listener.door.inside == 0 and not listener.door.sessions
        for backend in self.balancer.backends:
            assert backend.counters.scur == 0, "a backend's session was not given back"
            assert backend.queue.length == 0 and not backend._waiting, "somebody still waits"
            for server in backend.servers:
                assert server.counters.scur == 0, "a server's slot was not given back"
                assert not server.queue.length and not server.idle
                assert not server.sessions
        if all(f.logger is not None and f.model.mode == "http" for f in self.balancer.frontends):
            assert len(self.lines) == requests, (requests, self.lines)
        assert not any(self.clock._buckets.values()), "a deadline was left behind"

    @property
    def line(self) -> str:
        """The last log line."""
        return self.lines[-1]

    @property
    def termination(self) -> str:
        """The four letters of the last line (httplog)."""
        return next(word for word in self.line.split() if len(word) == 4 and word[2:] in {"--", "NI", "VN", "DN"})


def status_of(data: bytes) -> int:
    return int(data.split(b" ", 2)[1])
