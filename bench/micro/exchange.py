"""What an exchange costs pylb itself: `python bench/micro/exchange.py [-v] [--calls] [SCENARIO …]`.

The balancer of bench/http/haproxy.cfg runs whole, but its loop and transports only take what they are given, so that
neither the kernel nor the event loop is in the figures. µs are the least of several rounds; calls are those of Python
functions per exchange, which do not depend on the machine. `-v` names the functions, `--calls` leaves the µs out.
"""

from __future__ import annotations

import gc
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pylb.config.load import read_haproxy
from pylb.config.words import Report
from pylb.net import upstream as upstreams
from pylb.net.clock import Clock
from pylb.net.door import Door
from pylb.net.listener import Listener
from pylb.process.balancer import Balancer
from pylb.process.preparation import GC_THRESHOLDS

CONFIG = Path(__file__).parents[1] / "http" / "haproxy.cfg"
ROUNDS, EXCHANGES, CLIENTS = 25, 2048, 64

AGENTS = (
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n"
    b"Accept-Language: vi,en-US;q=0.7\r\nReferer: https://apple.prod.viettq.com/shop/%d\r\n",
    b"User-Agent: okhttp/4.%d\r\nAccept: application/json\r\nAuthorization: Bearer " + b"x7" * 60 + b"\r\n",
    b"User-Agent: curl/7.88.%d\r\nAccept: */*\r\n",
)
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 06 Jan 2025 16:06:58 GMT\r\nContent-Type: text/html\r\n"
    b"Content-Length: %d\r\nLast-Modified: Mon, 06 Jan 2025 15:06:58 GMT\r\nConnection: keep-alive\r\n"
    b'ETag: "6563-40"\r\nAccept-Ranges: bytes\r\n\r\n'
)


def requests(method: bytes, size: int, site: bool, close: bool) -> list[bytes]:
    """As varied as those of bench/http/requests.lua."""
    made = []
    for n in range(997):
        host = b"rancher.monitor.viettq.com" if n % 10 == 7 else b"app%d.prod.viettq.com" % (n % 31)
        lines = b"%b /item/%d?page=%d HTTP/1.1\r\nHost: %b\r\n" % (method, n, n % 17, host)
        lines += AGENTS[0 if n % 10 < 6 else 1 if n % 10 < 9 else 2] % n
        if site and n % 4:
            lines += b"Cookie: SRVNAME=p%d%b\r\n" % (n % 3 + 1, b"; lang=en-US; seen=a1a1" if n % 5 == 2 else b"")
        if close:
            lines += b"Connection: close\r\n"
        if size:
            lines += b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n" % size
        made.append(lines + b"\r\n" + b"x" * size)
    return made


SCENARIOS: dict[str, tuple[str, list[bytes], bytes, bool]] = {
    "keepalive": ("keepalive", requests(b"GET", 0, True, False), RESPONSE % 64 + b"x" * 64, False),
    "bare": ("bare", requests(b"GET", 0, False, False), RESPONSE % 64 + b"x" * 64, False),
    "post-2k": ("keepalive", requests(b"POST", 2048, True, False), RESPONSE % 64 + b"x" * 64, False),
    "body-10k": ("keepalive", requests(b"GET", 0, True, False), RESPONSE % 10240 + b"x" * 10240, False),
    "client-close": ("client_close", requests(b"GET", 0, True, True), RESPONSE % 64 + b"x" * 64, True),
    "both-close": ("both_close", requests(b"GET", 0, True, True), RESPONSE % 64 + b"x" * 64, True),
}


class Loop:
    """Runs what is due at once when asked."""

    def __init__(self) -> None:
        self.time = time.monotonic
        self.soon: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []

    def call_soon(self, callback: Callable[..., Any], *args: Any) -> None:
        self.soon.append((callback, args))

    def call_at(self, _when: float, _callback: Callable[..., Any], *_args: Any) -> Any:
        return self

    call_later = call_at

    def cancel(self) -> None:
        pass

    def turn(self) -> None:
        soon, self.soon = self.soon, []
        for callback, args in soon:
            callback(*args)


class Transport:
    """Takes everything."""

    def __init__(self, loop: Loop, protocol: Any) -> None:
        self._loop, self._protocol, self._closing = loop, protocol, False

    def get_extra_info(self, name: str, _default: Any = None) -> Any:
        return ("127.0.0.1", 5555) if name in ("peername", "sockname") else None

    def write(self, _data: bytes) -> None:
        pass

    def is_closing(self) -> bool:
        return self._closing

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, _high: int, _low: int) -> None:
        pass

    def can_write_eof(self) -> bool:
        return True

    write_eof = pause_reading = resume_reading = lambda self: None

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.soon.append((self._protocol.connection_lost, (None,)))

    abort = close


class Bench:
    """A balancer, its clients, and servers that answer at once."""

    def __init__(self) -> None:
        text = CONFIG.read_text().replace(' ssl crt "${CERTIFICATE}"', "")
        ports = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text))
        values = {name: str(9000 + number) for number, name in enumerate(ports)} | {"WORKERS": "1"}
        parsed, _ = read_haproxy([(str(CONFIG), text)], values)
        self.loop = Loop()
        self.balancer = Balancer(parsed, Report())
        self.balancer.loop = self.loop  # type: ignore[assignment]
        for logger in self.balancer.loggers:
            logger.gather(self.loop.call_later)
        for sink in self.balancer.sinks.values():
            sink._send = len  # type: ignore[attr-defined]
        self.clock = Clock(self.loop)  # type: ignore[arg-type]
        self.working: list[Any] = []
        upstreams.connect = self._connect  # type: ignore[assignment]
        upstreams.Upstream.begin = self._noting(upstreams.Upstream.begin)  # type: ignore[method-assign]

    def _noting(self, begin: Any) -> Any:
        working = self.working

        def note(upstream: Any, exchange: Any) -> None:
            working.append(upstream)
            begin(upstream, exchange)

        return note

    def _connect(self, upstream: Any, exchange: Any, _deadline: float) -> None:
        upstream.exchange = exchange
        self.loop.call_soon(upstream.connection_made, Transport(self.loop, upstream))

    def listener(self, name: str) -> Listener:
        frontend = self.balancer.world.frontends[name]
        door = Door(self.balancer.house, 3000)
        loop: Any = self.loop
        limits = self.balancer.listeners.limits
        return Listener(frontend.model.binds[0], frontend, door, loop, self.clock, limits, None, [])

    def client(self, listener: Listener) -> Any:
        session = listener.make(listener)
        session.connection_made(Transport(self.loop, session))  # type: ignore[arg-type]
        return session

    def run(self, scenario: str, exchanges: int) -> None:
        frontend, asked, answer, close = SCENARIOS[scenario]
        listener, loop, working = self.listener(frontend), self.loop, self.working
        clients = [self.client(listener) for _ in range(0 if close else CLIENTS)]
        for first in range(0, exchanges, CLIENTS):
            if close:
                clients = [self.client(listener) for _ in range(CLIENTS)]
            for number, session in enumerate(clients, first):
                session.data_received(asked[number % len(asked)])
            loop.turn()
            loop.turn()
            upstreams_, working[:] = list(working), []
            assert len(upstreams_) == CLIENTS
            for upstream in upstreams_:
                upstream.data_received(answer)
            loop.turn()
            loop.turn()
        for session in clients:
            session.transport.close()
        loop.turn()


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Calls of pylb's functions, by event."""
    counts = {"call": 0, "c_call": 0}
    names: dict[Any, int] = {}

    def count(frame: Any, event: str, _arg: Any) -> None:
        name = frame.f_code.co_filename
        if event in counts and ("/pylb/" in name or name.startswith("<log")):
            counts[event] += 1
            if event == "call":
                names[frame.f_code] = names.get(frame.f_code, 0) + 1

    sys.setprofile(count)
    try:
        yield counts
    finally:
        sys.setprofile(None)
    if "-v" in sys.argv:
        for code, times in sorted(names.items(), key=lambda item: -item[1]):
            if times >= EXCHANGES // 10:
                print(f"    {times / EXCHANGES:6.2f}  {code.co_qualname}")


def least_time(bench: Bench, scenario: str) -> float:
    """µs per exchange."""
    took = []
    for _ in range(ROUNDS):
        before = time.process_time()
        bench.run(scenario, EXCHANGES)
        took.append((time.process_time() - before) / EXCHANGES * 1e6)
    return min(took)


def main() -> None:
    """A row per scenario."""
    bench = Bench()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    for scenario in [word for word in sys.argv[1:] if word in SCENARIOS] or SCENARIOS:
        bench.run(scenario, EXCHANGES)
        took = "" if "--calls" in sys.argv else f"{least_time(bench, scenario):6.2f} µs"
        with counted() as counts:
            bench.run(scenario, EXCHANGES)
        python, native = (counts[event] / EXCHANGES for event in ("call", "c_call"))
        print(f"{scenario:13}{took}{python:7.1f} calls{native:7.1f} calls of C functions")


if __name__ == "__main__":
    main()
