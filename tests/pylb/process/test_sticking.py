"""Stick rules with three workers: whichever worker a client meets, it comes to its server."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from live import Server, read_head, serving
from load import HEAD, tell
from support import free_port, wait_for

CONFIG = (
    HEAD
    + """frontend f
 bind 127.0.0.1:{port}
 http-request set-header Worker %pid
 default_backend b
frontend t
 mode tcp
 bind 127.0.0.1:{tcp}
 default_backend c
backend b
 balance random
 stick-table type string size {size} expire {expire}
 stick on url_param(id)
{servers}
backend c
 mode tcp
 balance random
 stick-table type ip size 1k expire 5m
 stick on src
{servers}
"""
)
NAMES = ("a", "b", "c", "d")


class Sticky:
    """A pylb before four servers that tell their name and which worker the request came through."""

    def __init__(self, directory: Path, workers: int, size: str, expire: str, servers: dict[str, int]) -> None:
        self.directory, self.port, self.tcp = directory, free_port(), free_port()
        self.text = CONFIG.format(
            dir=directory, port=self.port, tcp=self.tcp, workers=workers, extra="", size=size, expire=expire,
            servers="\n".join(f" server {name} 127.0.0.1:{port}" for name, port in servers.items()),
        )  # fmt: skip

    def tell(self, command: str) -> str:
        return tell(str(self.directory / "admin.sock"), command)

    def get(self, key: str, port: int | None = None, source: str = "127.0.0.1") -> tuple[str, str]:
        """(server, worker) of a request over a connection of its own."""
        with socket.create_connection(("127.0.0.1", port or self.port), 5, (source, 0)) as sock:
            sock.sendall(f"GET /?id={key} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while block := sock.recv(4096):
                answer += block
        body = answer.partition(b"\r\n\r\n")[2].decode().split()
        return body[0], body[1]

    def spread(self, keys: list[str], times: int) -> tuple[dict[str, set[str]], set[str]]:
        """The servers of each key, and all the workers, over many connections at a time."""
        with ThreadPoolExecutor(8) as threads:
            seen = list(threads.map(self.get, keys * times))
        servers = {
            key: {server for at, (server, _) in enumerate(seen) if at % len(keys) == n} for n, key in enumerate(keys)
        }
        return servers, {worker for _, worker in seen}

    def all_have_heard(self) -> None:
        """Of what any worker knows: with the first answer the steward has heard it, with the second everybody has."""
        for _ in range(2):
            self.tell("show table")

    def told(self, command: str) -> str:
        """The same as `tell`; nothing where nobody listens, as between two generations."""
        try:
            return self.tell(command)
        except OSError:
            return ""

    def table(self, name: str = "b") -> dict[str, str]:
        """The server of each key, as `show table` tells; each key is shown once."""
        text = self.tell(f"show table {name}")
        found = re.findall(r"key=(\S+) .*server_key=(\S+)", text)
        assert len(found) == len(dict(found)) == int(re.search(r"used:(\d+)", text)[1])  # type: ignore[index]
        return dict(found)


def _named(name: str) -> Server:
    def handle(connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            if head := read_head(stream):
                worker = re.search(rb"(?i)\r\nworker: (\d+)", head)
                body = b"%s %s" % (name.encode(), worker[1] if worker else b"0")
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
                )

    return Server(handle)


@contextmanager
def sticky(directory: Path, workers: int = 3, size: str = "1k", expire: str = "5m") -> Iterator[Sticky]:
    origins = {name: _named(name) for name in NAMES}
    try:
        made = Sticky(directory, workers, size, expire, {name: origin.port for name, origin in origins.items()})
        with serving(directory, made.text, ready=made.port) as pylb:
            made.pylb = pylb
            made.tell("show info")  # answered once all workers serve
            yield made
    finally:
        for origin in origins.values():
            origin.close()


KEYS = [f"k{number}" for number in range(20)]


def one_each(servers: dict[str, set[str]]) -> dict[str, str]:
    """The only server of each key."""
    assert all(len(each) == 1 for each in servers.values()), servers
    return {key: next(iter(each)) for key, each in servers.items()}


def test_a_client_keeps_its_server_over_workers_deaths_and_reloads(tmp_path: Path) -> None:
    with sticky(tmp_path) as it:
        first = {key: it.get(key)[0] for key in KEYS}
        assert len(set(first.values())) > 1
        it.all_have_heard()
        servers, workers = it.spread(KEYS, 12)
        assert one_each(servers) == first and len(workers) == 3
        assert it.table() == first

        victim = it.pylb.workers()[0]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: victim not in it.pylb.workers() and len(it.pylb.workers()) == 3, 5, "the successor")
        wait_for(lambda: len(it.spread(["k0"], 12)[1]) == 3, 10, "the successor's first connections")
        servers, workers = it.spread(KEYS, 12)
        assert one_each(servers) == first and len(workers) == 3

        before = set(it.pylb.workers())
        it.pylb.signal(signal.SIGUSR2)
        wait_for(lambda: len(it.pylb.workers()) == 3 and not before & set(it.pylb.workers()), 10, "new workers")
        wait_for(lambda: "Reloads: 1" in it.told("show info"), 10, "the reload's end")
        assert it.table() == first
        servers, workers = it.spread(KEYS, 12)
        assert one_each(servers) == first and len(workers) >= 3


def test_workers_that_meet_a_new_client_at_once_agree(tmp_path: Path) -> None:
    with sticky(tmp_path) as it:
        it.spread(KEYS, 6)
        it.all_have_heard()
        servers, workers = it.spread(KEYS, 12)
        assert one_each(servers) == it.table() and len(workers) == 3


def test_orders_hold_in_every_worker(tmp_path: Path) -> None:
    with sticky(tmp_path) as it:
        it.spread(KEYS, 1)
        assert it.table().keys() == set(KEYS)
        for key in KEYS:
            it.tell(f"clear table b key {key}")
        assert it.table() == {}
        time.sleep(0.6)
        assert it.table() == {}, "no worker has brought an entry back"
        it.tell("; ".join(f"set table b key {key} data.server_id 3" for key in KEYS))
        servers, workers = it.spread(KEYS, 12)
        assert one_each(servers) == dict.fromkeys(KEYS, "c") and len(workers) == 3


def test_tcp_sticks_to_the_address_of_the_client(tmp_path: Path) -> None:
    with sticky(tmp_path) as it:
        sources = [f"127.0.0.{number}" for number in range(1, 9)]
        first = {source: it.get("x", it.tcp, source)[0] for source in sources}
        it.all_have_heard()
        for _ in range(8):
            assert {source: it.get("x", it.tcp, source)[0] for source in sources} == first
        assert it.table("c") == first


def test_a_table_is_bounded_and_expires(tmp_path: Path) -> None:
    with sticky(tmp_path, size="10", expire="2s") as it:
        it.spread(KEYS, 1)
        assert len(it.table()) == 10
        deadline = time.monotonic() + 3.0
        while time.monotonic() < deadline:  # touched by whichever worker, it lives; nothing else does
            it.get("k0")
            time.sleep(0.1)
        assert set(it.table()) == {"k0"}
        wait_for(lambda: it.table() == {}, 5, "its expiry")
