"""A large configuration under steady load, and what clients notice of a reload.

pylb has one core; clients, a real nginx and the test have the other. Requests are due at moments drawn beforehand
(bench/http/rate.py), so one that waits for a proxy that stands still is counted with its whole wait.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path

from live import serving
from load import Crowd, Place, nginx
from support import wait_for

CONNECTIONS = 32
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: steady\r\nAccept: */*\r\n\r\n"
PATIENCE = 120.0
"""Seconds that a start of this size may take on a busy machine."""
WARM_UP = 0.5
"""Seconds at the beginning whose requests do not count."""
TAIL = 1.0
"""Seconds after the reload's end that count as part of it: caches and memory pages of the new workers are cold."""

HEAD = """
global
 stats socket {dir}/admin.sock level admin
 maxconn 2000
defaults
 mode http
 timeout client 10s
 timeout server 10s
 timeout connect 3s
 timeout check 2s
"""


def text_of(directory: Path, frontends: int, servers: int, origin: int, first: int, check: str) -> str:
    """`frontends` frontends at ports from `first` on, with a backend of `servers` each."""
    lines = [HEAD.format(dir=directory)]
    for number in range(frontends):
        lines += [f"frontend f{number}", f" bind 127.0.0.1:{first + number}", f" default_backend b{number}"]
        lines += [f"backend b{number}"]
        lines += [f" server s{server} 127.0.0.1:{origin} {check}" for server in range(servers)]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Window:
    """What clients saw in a part of the run."""

    latencies: list[float]
    """Seconds."""

    def percentile(self, share: float) -> float:
        """Seconds that this share of requests took at most; infinite where there was none."""
        ordered = sorted(self.latencies)
        return inf if not ordered else ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def __str__(self) -> str:
        figures = [f"p{100 * share:g} {1000 * self.percentile(share):.2f}" for share in (0.5, 0.9, 0.99, 0.999)]
        longest = max(self.latencies, default=inf)
        return f"{len(self.latencies)} requests, {', '.join(figures)}, max {1000 * longest:.1f} ms"


@dataclass(frozen=True)
class Reloaded:
    """One reload as clients saw it."""

    seconds: float
    """From the signal to the answer that it is over."""
    before: Window
    during: Window
    unanswered: int

    @property
    def ratio(self) -> float:
        """Of the 99th percentiles, during to before; infinite where one is missing."""
        return inf if not self.before.latencies else self.during.percentile(0.99) / self.before.percentile(0.99)

    def __str__(self) -> str:
        return (
            f"reload in {self.seconds:.1f} s, {self.unanswered} unanswered, p99 ratio {self.ratio:.2f}\n"
            f"  before: {self.before}\n  during: {self.during}"
        )


@dataclass(frozen=True)
class LargePlace:
    """It tells by sd_notify when it serves: to ask at the admin socket again and again would be a load of its own."""

    place: Place
    notices: socket.socket

    def wait_until_it_serves(self) -> None:
        """Until READY=1 comes."""
        while b"READY=1" not in self.notices.recv(4096):
            pass

    def capacity(self, seconds: float = 2.0) -> float:
        """Requests per second that the proxy's core can do."""
        return Crowd(self.place.port, seconds).result().requests / seconds

    def reload(self, rate: float, quiet: float, longest: float) -> Reloaded:
        """Reload under `rate` requests per second, after `quiet` seconds of that load without a reload.

        The clients stay for `longest` seconds after its beginning."""
        clients = Clients(self.place.directory, self.place.port, rate, quiet + longest)
        clients.wait_until_connected()
        time.sleep(WARM_UP + quiet)
        begun = time.perf_counter()
        self.place.pylb.signal(signal.SIGUSR2)
        self.wait_until_it_serves()
        ended = time.perf_counter()
        seen, unanswered = clients.result()
        before = Window([took for due, took in seen if due < begun - 0.1])
        during = Window([took for due, took in seen if begun <= due <= ended + TAIL])
        return Reloaded(ended - begun, before, during, unanswered)


class Clients:
    """bench/http/rate.py in a process of its own."""

    def __init__(self, directory: Path, port: int, rate: float, seconds: float) -> None:
        requests = directory / "requests"
        requests.write_bytes(b"%d\n" % len(REQUEST) + REQUEST)
        order = {
            "port": port, "rate": rate, "seconds": seconds, "warm_up": WARM_UP, "connections": CONNECTIONS,
            "requests": str(requests),
        }  # fmt: skip
        self._port = port
        self._process = subprocess.Popen(
            [*on_core(0), sys.executable, "-m", "bench.http.rate"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
        )  # fmt: skip
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order))
        self._process.stdin.close()
        self._process.stdin = None

    def wait_until_connected(self) -> None:
        """Until all of their connections are there."""
        peer, established = f"0100007F:{self._port:04X}", "01"

        def connected() -> bool:
            rows = (row.split() for row in Path("/proc/net/tcp").read_text().splitlines())
            return sum(row[2:4] == [peer, established] for row in rows) >= CONNECTIONS

        wait_for(connected, 20, "the clients")

    def result(self) -> tuple[list[tuple[float, float]], int]:
        """(When it was due, latency) of each request, and how many were not answered."""
        out, _ = self._process.communicate(timeout=180)
        seen = json.loads(out)
        return list(zip(seen["moments"], seen["latencies"], strict=True)), seen["unanswered"]


def on_core(core: int) -> list[str]:
    """The words before a command that keep it on one of the machine's cores."""
    return ["taskset", "-c", str(sorted(os.sched_getaffinity(0))[core])] if len(os.sched_getaffinity(0)) > 1 else []


@contextmanager
def large_place(directory: Path, frontends: int, servers: int, check: str = "") -> Iterator[LargePlace]:
    """A pylb with this many frontends, and so many servers each, on the last core."""
    cores = sorted(os.sched_getaffinity(0))
    with nginx(directory) as origin, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(str(directory / "notify"))
        notices.settimeout(PATIENCE)
        first = free_run(frontends)
        text = text_of(directory, frontends, servers, origin, first, check)
        environment = {**os.environ, "NOTIFY_SOCKET": str(directory / "notify")}
        with serving(directory, text, env=environment, preexec_fn=lambda: os.sched_setaffinity(0, cores[-1:])) as pylb:
            made = LargePlace(Place(pylb, directory, first, origin, 1), notices)
            made.wait_until_it_serves()
            yield made


def free_run(count: int) -> int:
    """The first of so many ports in a row that nobody listens on, below those that the kernel hands out."""
    for first in random.sample(range(12_000, 32_000 - count), 100):
        with suppress(OSError), ExitStack() as stack:
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise AssertionError(f"there are no {count} free ports in a row")


def median_ratio(runs: list[Reloaded]) -> float:
    """The ratio that half of the reloads do not exceed."""
    return statistics.median(run.ratio for run in runs)
