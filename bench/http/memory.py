"""What 10,000 idle clients cost: memory of the program before they come and while they are there, each program fresh.

A client makes one request and stays. `python -m bench.http.memory PORT COUNT` is the process that holds them: it says
"open N" when all have had their answer, and, when its standard input ends, how many of them are still open and answered
one more request.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.http import load, measure
from bench.http.cpu import Memory
from bench.http.process import ROOT, StartError
from bench.http.programs import Contender, running
from bench.http.rate import answer_size
from bench.http.scenarios import Scenario
from bench.http.world import World

CONNECTIONS = 10_000
SPARE = 500
"""Files that a program needs besides its clients' connections."""
SCENARIO = Scenario("idle", "clients that made one request and stay", frontend="idle", connections=64)
REQUEST = b"GET /item/1 HTTP/1.1\r\nHost: apple.prod.viettq.com\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n"
PATIENCE = 60.0
SAMPLE = 100


@dataclass(frozen=True)
class Held:
    """One program with its idle clients."""

    connections: int
    before: Memory
    after: Memory

    @property
    def growth(self) -> float:
        """Bytes of PSS per connection; what kernel and sockets need is not in it and equal for all."""
        return (self.after.proportional - self.before.proportional) / self.connections


@dataclass(frozen=True)
class Idle:
    """All programs, and why others have no figure."""

    held: Mapping[str, Held]
    reasons: Mapping[str, str]


def measure_idle(
    world: World, contenders: Sequence[Contender], connections: int, limit: int, tell: Callable[[int], None]
) -> Idle:
    """With at most as many connections as `limit` open files allow: a proxy has two for each client in readiness."""
    connections = min(connections, (limit - SPARE) // 2)
    held, reasons = {}, {}
    for contender in contenders:
        try:
            if reason := contender.cannot.get(SCENARIO.name):
                raise measure.BadRound(reason)
            held[contender.name] = hold(contender, world, connections)
        except (measure.BadRound, load.LoadError, StartError) as error:
            reasons[contender.name] = str(error)
        tell(1)
    return Idle(held, reasons)


def hold(contender: Contender, world: World, connections: int) -> Held:
    """One fresh program. BadRound when it does not keep all of them."""
    with running(contender, world) as program:
        measure.prepare(SCENARIO, program, world)
        before = program.memory()
        words = [sys.executable, "-m", "bench.http.memory", str(program.ports["idle"]), str(connections)]
        with subprocess.Popen(
            ["taskset", "-c", str(world.cores.others), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        ) as holder:
            assert holder.stdout is not None
            opened = holder.stdout.readline().decode().split()
            time.sleep(0.5)
            after = program.memory()
            try:
                kept, errors = holder.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                holder.kill()
                raise measure.BadRound("its idle clients did not end") from None
        if opened != ["open", str(connections)] or kept.split() != [b"kept", b"%d" % connections]:
            said = (errors.decode().strip().splitlines() or [kept.decode().strip()])[-1]
            raise measure.BadRound(f"does not keep {connections:,} idle clients: {said}")
        return Held(connections, before, after)


def main() -> None:
    """The holder."""
    port, count = int(sys.argv[1]), int(sys.argv[2])
    deadline = time.monotonic() + PATIENCE
    clients = []
    while len(clients) < count and time.monotonic() < deadline:
        batch = [
            socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(min(100, count - len(clients)))
        ]
        for client in batch:
            client.sendall(REQUEST)
        for client in batch:
            read_answer(client)
        clients += batch
    print("open", len(clients), flush=True)
    sys.stdin.read()
    kept = [client for client in clients if is_open(client)]
    for client in kept[:: max(1, len(kept) // SAMPLE)]:
        client.sendall(REQUEST)
        read_answer(client)
    print("kept", len(kept))


def read_answer(client: socket.socket) -> None:
    """One whole answer; ConnectionError otherwise."""
    data = b""
    while (size := answer_size(data)) is None or len(data) < size:
        more = client.recv(65536)
        if not more:
            raise ConnectionError("closed before its answer")
        data += more
    if data[9:12] != b"200":
        raise ConnectionError(f"answered {data[:40]!r}")


def is_open(client: socket.socket) -> bool:
    """Nothing to read: neither an end nor an answer that nobody asked for."""
    client.setblocking(False)
    try:
        client.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        client.settimeout(10)
        return True
    except OSError:
        pass
    return False


if __name__ == "__main__":
    main()
