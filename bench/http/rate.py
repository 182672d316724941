"""A client that sends at a fixed rate whatever happens (open loop): `python -m bench.http.rate` with JSON on stdin.

wrk waits for an answer before it asks again, so a proxy that stalls is asked less and its worst moments are hardly
counted ("coordinated omission"). Here each request has a moment at which it is due, drawn beforehand; its latency runs
from that moment to the last byte of the answer, also when it had to wait for a free connection or for this client. How
late the client itself was, with a connection free, is reported beside it: below that the figures say nothing.

Gaps between requests are exponential (independent visitors), from a fixed seed, so all programs get the same schedule.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import random
import re
import select
import socket
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter

from bench.http.load import read_requests

SEED = 20
LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)", re.IGNORECASE)
LAST = re.compile(rb"\r\nConnection: *close", re.IGNORECASE)
"""The server wants no more requests on this connection."""
PR_SET_TIMERSLACK = 29


@dataclass(frozen=True)
class Order:
    """What to do."""

    port: int
    rate: float
    """Requests per second."""
    seconds: float
    warm_up: float
    """Seconds at the beginning whose requests are sent and not counted."""
    connections: int
    requests: str
    """The file that load.write_requests made."""
    drain: float = 2.0
    """Seconds that the last answers may take."""


@dataclass(frozen=True)
class Seen:
    """What came of it."""

    latencies: list[float]
    """Seconds, in the order in which the answers came."""
    lateness: list[float]
    """Seconds from the moment due to the send call, of requests that found a connection free."""
    moments: list[float]
    """When the requests of `latencies` were due, in the same order: time.perf_counter, one clock for all processes."""
    unanswered: int
    """Without a whole answer with status 2xx."""


def schedule(rate: float, seconds: float, seed: int = SEED) -> Iterator[float]:
    """Moments, in seconds from the start, at which requests are due."""
    draw = random.Random(seed)
    at = draw.expovariate(rate)
    while at < seconds:
        yield at
        at += draw.expovariate(rate)


def answer_size(data: bytes) -> int | None:
    """Bytes of the answer that begins there; None when its head is not whole. ValueError: it has no length."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = LENGTH.search(data, 0, end + 2)
    if length is None:
        raise ValueError("an answer without Content-Length")
    return end + 4 + int(length[1])


class Client:
    """One loop over all connections."""

    def __init__(self, order: Order, requests: list[bytes]) -> None:
        self.order, self.requests = order, requests
        self.epoll = select.epoll()
        self.sockets: dict[int, socket.socket] = {}
        self.free: list[int] = []
        self.buffer: dict[int, bytes] = {}
        self.due: dict[int, float] = {}
        """By descriptor: when the request under way was due."""
        self.waiting: deque[float] = deque()
        self.sent = 0
        self.seen = Seen([], [], [], 0)
        self.failed = 0
        for _ in range(order.connections):
            self.connect()

    def connect(self) -> None:
        sock = socket.create_connection(("127.0.0.1", self.order.port), timeout=5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setblocking(False)
        self.sockets[sock.fileno()] = sock
        self.epoll.register(sock.fileno(), select.EPOLLIN)
        self.free.append(sock.fileno())

    def run(self) -> Seen:
        """Until all is sent and answered, or the time for that is over."""
        moments = schedule(self.order.rate, self.order.warm_up + self.order.seconds)
        self.start = perf_counter()
        coming: float | None = self.start + next(moments)
        last = self.start + self.order.warm_up + self.order.seconds + self.order.drain
        while (now := perf_counter()) < last and (coming is not None or self.due or self.waiting):
            while coming is not None and coming <= now:
                self.waiting.append(coming)
                coming = next(((self.start + at) for at in moments), None)
            while self.waiting and self.free:
                self.send(self.waiting.popleft())
            until = last if coming is None else coming
            select.select([self.epoll], [], [], max(0.0, until - perf_counter()))  # epoll's own timeout knows ms only
            for descriptor, _ in self.epoll.poll(0):
                self.receive(descriptor)
        unanswered = self.failed + len(self.due) + len(self.waiting)
        return replace(self.seen, unanswered=unanswered)

    def send(self, due: float) -> None:
        descriptor = self.free.pop()
        request = self.requests[self.sent % len(self.requests)]
        self.sent += 1
        self.due[descriptor] = due
        now = perf_counter()
        if len(self.due) < self.order.connections and self.counted(due):
            self.seen.lateness.append(now - due)
        try:
            self.sockets[descriptor].sendall(request)
        except OSError:
            self.lose(descriptor)

    def receive(self, descriptor: int) -> None:
        try:
            data = self.sockets[descriptor].recv(65536)
            data = self.buffer.pop(descriptor, b"") + data if data else b""
            size = answer_size(data) if data else -1
        except (OSError, ValueError):
            size, data = -1, b""
        if size is None or size > len(data):
            self.buffer[descriptor] = data
        elif size < 0 or size < len(data) or descriptor not in self.due:
            self.lose(descriptor)
        else:
            due = self.due.pop(descriptor)
            if LAST.search(data, 0, data.find(b"\r\n\r\n")):
                self.replace(descriptor)
            else:
                self.free.append(descriptor)
            if data[9:10] != b"2":
                self.failed += 1
            elif self.counted(due):
                self.seen.latencies.append(perf_counter() - due)
                self.seen.moments.append(due)

    def counted(self, due: float) -> bool:
        return due - self.start >= self.order.warm_up

    def lose(self, descriptor: int) -> None:
        """A connection that broke: its request failed, another takes its place."""
        self.failed += self.due.pop(descriptor, None) is not None
        self.replace(descriptor)

    def replace(self, descriptor: int) -> None:
        with contextlib.suppress(ValueError):
            self.free.remove(descriptor)
        self.buffer.pop(descriptor, None)
        self.sockets.pop(descriptor).close()
        self.connect()


def main() -> None:
    """One order, one answer."""
    order = Order(**json.load(sys.stdin))
    with contextlib.suppress(OSError, AttributeError):  # the kernel may add 50 µs to each timeout otherwise
        ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)
    client = Client(order, read_requests(Path(order.requests).read_bytes()))
    gc.freeze()
    gc.disable()
    json.dump(asdict(client.run()), sys.stdout)


if __name__ == "__main__":
    main()
