"""50,000 clients at once (or what descriptors permit): all are served, none is forgotten, memory comes back to use."""

from __future__ import annotations

import multiprocessing
import random
import re
import resource
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest
from support import free_port, require_program, wait_for, wait_for_port

pytestmark = pytest.mark.soak

CLIENTS = 50_000
PROCESSES = 4
"""Of clients; each has descriptors and a source address of its own."""
BATCH = 250
IDLE_TO_SERVER = 1_000
"""Connections to the server that may stay open for later."""
IP_BIND_ADDRESS_NO_PORT = 24
"""ip(7): the port is found when connecting, so that each destination has all of them."""

CONFIG = """
global
    maxconn {maxconn}
defaults
    mode http
    timeout connect 5s
    timeout client 10m
    timeout server 1m
    timeout http-keep-alive 10m
listen web
    bind 127.0.0.1:{port} backlog 4096
    maxconn {maxconn}
    http-reuse always
    server s 127.0.0.1:{origin} maxconn 200
"""
NGINX = """
daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.err; worker_processes 1;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000; server {{
    listen 127.0.0.1:{origin} backlog=4096; location / {{ return 200 $request_uri; }} }} }}
"""


class Crowd:
    """Clients that stay; each makes a request when told to, and must get its own answer."""

    def __init__(self, port: int, source: str) -> None:
        self._to = ("127.0.0.1", port)
        self._source = (source, 0)
        self._sockets: list[socket.socket] = []
        self._chance = random.Random(source)

    def grow(self, count: int) -> None:
        for _ in range(count):
            sock = socket.socket()
            sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind(self._source)
            sock.settimeout(30)
            sock.connect(self._to)
            self._sockets.append(sock)
        self._ask(self._sockets[-count:])

    def ask_some(self, count: int) -> None:
        self._ask(self._chance.sample(self._sockets, count))

    def leave(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._sockets.clear()

    def _ask(self, sockets: list[socket.socket]) -> None:
        """One request of each, all under way together."""
        for sock in sockets:
            sock.sendall(b"GET /%d HTTP/1.1\r\nHost: many\r\n\r\n" % sock.fileno())
        for sock in sockets:
            wanted, answer = b"\r\n\r\n/%d" % sock.fileno(), b""
            while not answer.endswith(wanted):
                piece = sock.recv(4096)
                assert piece, f"closed behind {answer!r}"
                answer += piece
            assert answer.startswith(b"HTTP/1.1 200 "), answer


def run_crowd(port: int, source: str, orders: Connection) -> None:
    """A crowd in a process of its own, with its own descriptors. Answers each order with what went wrong, or ""."""
    crowd = Crowd(port, source)
    while (order := orders.recv()) is not None:
        name, *words = order
        try:
            getattr(crowd, name)(*words)
            orders.send("")
        except (OSError, AssertionError) as error:
            orders.send(f"{source}: {error!r}")


class Crowds:
    """Several crowds, doing the same at the same time."""

    def __init__(self, port: int, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._ends: list[Connection] = []
        self._processes: list[SpawnProcess] = []
        for number in range(count):
            mine, theirs = context.Pipe()
            process = context.Process(target=run_crowd, args=(port, f"127.0.1.{number + 1}", theirs), daemon=True)
            process.start()
            self._ends.append(mine)
            self._processes.append(process)

    def all(self, *order: object) -> None:
        for end in self._ends:
            end.send(order)
        answers = [end.recv() if end.poll(120) else "no answer" for end in self._ends]
        assert not any(answers), answers

    def close(self) -> None:
        for end in self._ends:
            end.send(None)
        for process in self._processes:
            process.join(30)


def permitted_clients() -> int:
    """CLIENTS, or as many as the descriptors that a process may have at most allow; two are needed for each."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, PermissionError):
        most = 2 * CLIENTS + 1000
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    clients = min(CLIENTS, (most - 1000) // 2)
    return clients - clients % (PROCESSES * BATCH)


@contextmanager
def started(command: list[str], directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (directory / "err").open("ab") as err:
        process = subprocess.Popen(command, stdout=err, stderr=err)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(descendant for child in children for descendant in family(int(child)))]


def kilobytes(pid: int) -> int:
    """Memory of a process and its children; what they share is counted once."""
    rollups = (Path(f"/proc/{one}/smaps_rollup").read_text() for one in family(pid))
    return sum(int(re.search(r"^Pss:\s*(\d+)", rollup, re.MULTILINE)[1]) for rollup in rollups)


def descriptors(pid: int) -> int:
    return sum(1 for one in family(pid) for _ in Path(f"/proc/{one}/fd").iterdir())


def test_fifty_thousand_clients_come_stay_and_leave_twice(tmp_path, capsys):
    clients = permitted_clients()
    nginx, port, origin = require_program("nginx"), free_port(), free_port()
    ports = {"dir": tmp_path, "maxconn": clients, "port": port, "origin": origin}
    (tmp_path / "nginx.conf").write_text(NGINX.format(**ports))
    (tmp_path / "haproxy.cfg").write_text(CONFIG.format(**ports))
    ours = [sys.executable, "-m", "pylb", "-c", str(tmp_path / "haproxy.cfg")]

    def say(text: str) -> None:
        with capsys.disabled():
            print(text, flush=True)

    with (
        started([nginx, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")], tmp_path),
        started(ours, tmp_path) as pylb,
        closing(Crowds(port, PROCESSES)) as crowds,
    ):
        wait_for_port(origin)
        wait_for_port(port, timeout=30)
        crowds.all("grow", 1)
        crowds.all("leave")
        empty, before = kilobytes(pylb.pid), descriptors(pylb.pid)
        full = []
        for wave in (1, 2):
            for reached in range(BATCH, clients // PROCESSES + 1, BATCH):
                crowds.all("grow", BATCH)
                if reached % (8 * BATCH) == 0:
                    say(f"wave {wave}: {reached * PROCESSES} clients, {kilobytes(pylb.pid)} kB")
            assert descriptors(pylb.pid) >= before + clients
            for _ in range(20):
                crowds.all("ask_some", BATCH)
            full.append(kilobytes(pylb.pid))
            with socket.create_connection(("127.0.0.1", port)) as one_more:  # is not refused
                one_more.sendall(b"GET /more HTTP/1.1\r\nHost: many\r\n\r\n")
                assert not select.select([one_more], [], [], 0.5)[0]
                crowds.all("leave")
                one_more.settimeout(60)
                assert one_more.recv(4096).startswith(b"HTTP/1.1 200 ")
            wait_for(lambda: descriptors(pylb.pid) <= before + IDLE_TO_SERVER, 60, "descriptors to come back")
        crowds.all("grow", BATCH)  # and it serves
        each = (full[0] - empty) / clients
        say(f"{each:.1f} kB a client; {full[0]} kB in the first wave, {full[1]} kB in the second")
        assert each < 16
        assert full[1] < full[0] * 1.15
    assert "Traceback" not in (tmp_path / "err").read_text()
