"""Limits, queues and loads of several workers are one load balancer's: real processes beside a real HAProxy."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from live import Pylb, Server, ask, ports, read_head, serving
from support import require_program, wait_for, wait_for_port

CONFIG = """
global
 nbthread {workers}
 {globally}
defaults
 mode http
 timeout client 20s
 timeout server 20s
 timeout connect 3s
 timeout queue 20s
frontend f
 bind 127.0.0.1:{port}
 {frontend}
 default_backend b
backend b
{backend}
"""
MOMENT = 0.25
"""Seconds in which what must not happen could, and workers hear of each other's loads."""


class Farm:
    """Servers that answer after a time of their own, and know how many requests they have had at once and in all."""

    def __init__(self, *seconds: float) -> None:
        self.inside, self.most, self.total = Counter[int](), Counter[int](), Counter[int]()
        self.open = threading.Event()
        """While it is not set, no request is answered."""
        self.open.set()
        self._lock = threading.Lock()
        self.servers = [Server(self._serving(number, delay)) for number, delay in enumerate(seconds)]

    def _serving(self, number: int, delay: float) -> Callable[[socket.socket], None]:
        def serve(connection: socket.socket) -> None:
            with connection.makefile("rb") as stream:
                while read_head(stream):
                    with self._lock:
                        self.inside[number] += 1
                        self.total[number] += 1
                        self.most[number] = max(self.most[number], self.inside[number])
                    time.sleep(delay)
                    self.open.wait(20)
                    with self._lock:
                        self.inside[number] -= 1
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)

        return serve

    def lines(self, options: str = "") -> str:
        """Server lines."""
        return "\n".join(f" server s{n} 127.0.0.1:{one.port} {options}" for n, one in enumerate(self.servers))

    @contextmanager
    def closed(self) -> Iterator[None]:
        """All requests stay."""
        self.open.clear()
        try:
            yield
        finally:
            self.open.set()

    def close(self) -> None:
        for server in self.servers:
            server.close()


@contextmanager
def farm(*seconds: float) -> Iterator[Farm]:
    made = Farm(*seconds)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def pylb(
    directory: Path, backend: str, workers: int = 2, globally: str = "", frontend: str = ""
) -> Iterator[tuple[Pylb, int]]:
    """pylb, all workers there, and its port."""
    (port,) = ports(1)
    text = CONFIG.format(workers=workers, port=port, backend=backend, globally=globally, frontend=frontend)
    with serving(directory, text, ready=port) as it:
        wait_for(lambda: len(it.workers()) == workers, 10, "workers")
        time.sleep(0.2)  # all of them accept
        yield it, port


@contextmanager
def haproxy(directory: Path, backend: str, workers: int = 2) -> Iterator[int]:
    """The real one with the same configuration."""
    (port,) = ports(1)
    file = directory / "real.cfg"
    file.write_text(CONFIG.format(workers=workers, port=port, backend=backend, globally="", frontend=""))
    process = subprocess.Popen([require_program("haproxy"), "-db", "-f", str(file)], stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def clients_of(worker: int, port: int, count: int) -> Iterator[list[socket.socket]]:
    """Connections that one worker has; as many others are open and silent."""
    connections: list[socket.socket] = []
    try:
        while len(found := _had_by(worker, port, connections)) < count:
            assert len(connections) < 20 * count, "none come to this worker"
            connections += [socket.create_connection(("127.0.0.1", port), 20) for _ in range(count)]
            time.sleep(0.05)
        yield found[:count]
    finally:
        for connection in connections:
            connection.close()


def _had_by(worker: int, port: int, clients: list[socket.socket]) -> list[socket.socket]:
    """The clients whose connections' other ends are that process's: as told by its descriptors' inodes."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {row[2]: f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}")}
    held = set()
    for entry in Path(f"/proc/{worker}/fd").iterdir():
        with suppress(OSError):
            held.add(str(entry.readlink()))
    return [each for each in clients if inodes.get(f"0100007F:{each.getsockname()[1]:04X}") in held]


@contextmanager
def stopped(worker: int) -> Iterator[None]:
    """It stands still."""
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def at_once(servers: Farm, connections: list[socket.socket], full: int, over: int = 0) -> list[int]:
    """One request on each connection, all at once; statuses. None is answered before the first server has had `full`
    at once, and `over` clients an answer from elsewhere, and a moment for more."""
    with ThreadPoolExecutor(len(connections)) as pool:
        with servers.closed():
            asked = [pool.submit(ask, connection) for connection in connections]
            wait_for(
                lambda: servers.inside[0] >= full and sum(one.done() for one in asked) >= over, 10, "all to be full"
            )
            time.sleep(MOMENT)
        return [one.result()[0] for one in asked]


def test_one_worker_may_use_all_of_a_limit(tmp_path: Path) -> None:
    with farm(0) as servers, pylb(tmp_path, servers.lines("maxconn 10")) as (it, port):
        first, second = it.workers()
        with clients_of(first, port, 14) as connections:
            assert at_once(servers, connections, 10) == [200] * 14
            assert servers.most[0] == 10, "all of it, and not one more"
            with clients_of(second, port, 14) as others:
                assert at_once(servers, connections + others, 10) == [200] * 28
        assert 10 <= servers.most[0] <= 11, "one more at most can have been on its way"


def test_a_limit_below_the_number_of_workers_holds(tmp_path: Path) -> None:
    with farm(0.01) as servers, pylb(tmp_path, servers.lines("maxconn 1"), workers=4) as (it, port):
        with ThreadPoolExecutor(12) as pool:
            statuses = list(pool.map(lambda _: ask(port)[0], range(60)))
        assert statuses == [200] * 60
        assert servers.most[0] <= 4
        with clients_of(it.workers()[0], port, 1) as (one,), clients_of(it.workers()[1], port, 1) as (other,):
            # Once of three times, since a busy machine holds one of them up.
            assert any(share_well(one, other) for _ in range(3)), "a slot that comes free is handed over at once"


def share_well(one: socket.socket, other: socket.socket) -> bool:
    """Two clients of two workers together take about twice as long as one alone."""
    alone = ask_often(one)
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(ask_often, (one, other)))
    return max(together) < 2.5 * (2 * alone)


def ask_often(client: socket.socket) -> float:
    """25 requests; seconds."""
    began = time.monotonic()
    assert [ask(client)[0] for _ in range(25)] == [200] * 25
    return time.monotonic() - began


@pytest.mark.parametrize("where", ["globally", "frontend"])
def test_one_worker_may_have_all_connections(tmp_path: Path, where: str) -> None:
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with farm(0) as servers, pylb(tmp_path, servers.lines(), **{where: "maxconn 10"}) as (it, port):
        _, second = it.workers()
        with stopped(second), ThreadPoolExecutor(40) as pool:
            clients = []
            with servers.closed():
                for _ in range(40):  # the first few are given to the one that stands still, until that shows
                    clients.append(pool.submit(ask, port, last))
                    time.sleep(0.005)
                wait_for(lambda: servers.inside[0] == 10, 5, "all connections")
                time.sleep(MOMENT)
                assert servers.most[0] == 10
            wait_for(lambda: sum(client.done() for client in clients) >= 20, 5, "answers")
            os.kill(second, signal.SIGCONT)
            assert [client.result()[0] for client in clients] == [200] * 40
        assert servers.most[0] <= 11


def test_a_bounded_queue_is_as_long_as_haproxys(tmp_path: Path) -> None:
    with farm(0) as servers:
        backend = " balance source\n" + servers.lines("maxconn 2 maxqueue 3")
        with pylb(tmp_path, backend) as (it, port):
            first, second = it.workers()
            with clients_of(first, port, 6) as some, clients_of(second, port, 6) as others:
                ours = Counter(at_once(servers, some + others, 2, over=6))
        with haproxy(tmp_path, backend) as port:
            connections = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(12)]
            theirs = Counter(at_once(servers, connections, 2, over=6))
            for connection in connections:
                connection.close()
        assert theirs[503] == 7 or theirs[503] == 6
        assert abs(ours[200] - theirs[200]) <= 2 and ours[200] + ours[503] == 12


def test_leastconn_knows_what_other_workers_have_in_service(tmp_path: Path) -> None:
    """Six long requests, taking turns between two workers, for six servers: each gets one, as from HAProxy."""

    def occupied(connections: list[socket.socket], servers: Farm) -> list[int]:
        with ThreadPoolExecutor(len(connections)) as pool:
            asked = []
            with servers.closed():
                for connection in connections:
                    asked.append(pool.submit(ask, connection))
                    wait_for(lambda: sum(servers.inside.values()) == len(asked), 5, "it to be in service")
                    time.sleep(MOMENT)
            assert [one.result()[0] for one in asked] == [200] * len(connections)
        return [servers.total[number] for number in range(6)]

    with farm(*[0] * 6) as servers:
        backend = " balance leastconn\n" + servers.lines()
        with pylb(tmp_path, backend) as (it, port):
            first, second = it.workers()
            with clients_of(first, port, 3) as some, clients_of(second, port, 3) as others:
                assert occupied([one for pair in zip(some, others, strict=True) for one in pair], servers) == [1] * 6


@pytest.mark.parametrize("retiring", [False, True])
def test_what_a_dead_worker_held_is_free_again(tmp_path: Path, retiring: bool) -> None:
    with farm(0) as servers, pylb(tmp_path, servers.lines("maxconn 4")) as (it, port):
        first, second = it.workers()
        with clients_of(first, port, 4) as lost, clients_of(second, port, 4) as waiting, ThreadPoolExecutor(8) as pool:
            with servers.closed():
                held = [pool.submit(ask, client) for client in lost]
                wait_for(lambda: servers.inside[0] == 4, 5, "all slots to be taken")
                answers = [pool.submit(ask, client) for client in waiting]
                time.sleep(MOMENT)
                assert servers.total[0] == 4
                if retiring:
                    it.signal(signal.SIGUSR1)
                    wait_for(lambda: not _accepts(port), 5, "no new clients")
                os.kill(first, signal.SIGKILL)
                wait_for(lambda: servers.total[0] == 8, 5, "those who wait elsewhere")
            assert [answer.result()[0] for answer in answers] == [200] * 4
            assert all(isinstance(each.exception(), OSError) for each in held)


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
