"""Logs over TCP: lines arrive whole and in order, wait for a server that is away, and are dropped beyond the buffer."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from live import serving
from real_haproxy import haproxy
from support import end_servers, free_port

from pylb.admin import logstream
from pylb.admin.logsinks import open_sink
from pylb.admin.logstream import TcpSink


class Collector:
    """A syslog server on TCP, in the test's own loop."""

    def __init__(self) -> None:
        self.data = b""
        self.connections = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def listen(self, port: int = 0) -> Collector:
        self.server = await asyncio.start_server(self._read, "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        while block := await reader.read(65536):
            self.data += block

    async def stop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        await end_servers(self.server)


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(logstream, "REOPEN_EVERY", 0.05)


@pytest.mark.parametrize("counts", [False, True])
async def test_lines_arrive_whole_and_in_order(counts):
    collector = await Collector().listen()
    sink = TcpSink(socket.AF_INET, ("127.0.0.1", collector.port), counts)
    lines = [b"<134>line %d\n" % number for number in range(2000)]
    for number, line in enumerate(lines):
        assert sink.send(line)
        if number % 500 == 0:
            await asyncio.sleep(0.01)
    expected = b"".join(b"%d %b" % (len(line) - 1, line[:-1]) if counts else line for line in lines)
    await until(lambda: len(collector.data) >= len(expected))
    assert collector.data == expected and collector.connections == 1
    sink.close()
    assert not sink.send(b"late\n")
    await collector.stop()


async def test_lines_wait_for_a_server_that_is_away_and_comes_back():
    port = free_port()
    sink = TcpSink(socket.AF_INET, ("127.0.0.1", port))
    assert sink.send(b"one\n") and sink.send(b"two\n")
    await asyncio.sleep(0.02)
    collector = await Collector().listen(port)
    await until(lambda: collector.data == b"one\ntwo\n")
    await collector.stop()
    await asyncio.sleep(0.02)
    assert sink.send(b"three\n")
    again = await Collector().listen(port)
    await until(lambda: again.data == b"three\n")
    sink.send(b"four\n")
    await until(lambda: again.data == b"three\nfour\n")
    sink.close()
    await again.stop()


async def test_a_server_that_reads_nothing_costs_lines_beyond_the_buffer_and_no_time():
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sink = TcpSink(socket.AF_INET, listener.getsockname())
    line = b"x" * 999 + b"\n"
    taken, began = 0, time.monotonic()
    while sink.send(line):
        taken += 1
        if taken % 100 == 0:
            await asyncio.sleep(0)
        assert taken < 20_000
    assert taken * 1000 >= logstream.BUFFER - 1000
    peer, _ = listener.accept()
    peer.setblocking(False)
    got = bytearray()

    def drain() -> bool:
        try:
            while block := peer.recv(1 << 20):
                got.extend(block)
        except BlockingIOError:
            pass
        return len(got) >= taken * 1000

    await until(drain)
    assert bytes(got) == line * taken and sink.send(line)
    assert time.monotonic() - began < 15
    sink.close()
    peer.close()
    listener.close()


async def test_a_child_does_not_speak_on_its_parent_s_connection(monkeypatch):
    collector = await Collector().listen()
    sink = TcpSink(socket.AF_INET, ("127.0.0.1", collector.port))
    sink.send(b"parent\n")
    await until(lambda: collector.data == b"parent\n")
    own = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: own + 1)
    sink.send(b"child\n")
    await until(lambda: collector.data == b"parent\nchild\n" and collector.connections == 2)
    sink.close()
    await collector.stop()


def test_what_is_said_at_the_end_still_goes_out():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sink = open_sink(f"tcp@127.0.0.1:{listener.getsockname()[1]}")
        assert sink.send(b"last words\n")
        sink.close()
        peer, _ = listener.accept()
        assert peer.recv(100) == b"last words\n"
        peer.close()


RING = """
ring far
    description "a syslog server"
    format rfc5424
    maxlen 1200
    size 32764
    timeout connect 5s
    timeout server 10s
    server one 127.0.0.1:{log} log-proto octet-count
"""
CONFIG = """
global
    log {target} local0
    log udp@127.0.0.1:9 local1
defaults
    mode http
    log global
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend f
    bind 127.0.0.1:{port}
    log-format "asked for %HU"
    http-request return status 200
"""


def read_lines(listener: socket.socket, wanted: bytes) -> list[bytes]:
    """The lines of requests, without time and pid, however they are framed, when the last has come."""
    listener.settimeout(10)
    peer, _ = listener.accept()
    peer.settimeout(10)
    data = b""
    while wanted not in data:
        data += peer.recv(65536)
    peer.close()
    found = re.findall(
        rb"(<\d+>1) \S+ (\S+ \S+) \S+ (\S+ \S+) (asked for /[a-z]+)", data
    )  # where a length follows, it has the pid's digits, too
    return [b" ".join(each) for each in found]


@pytest.mark.interop
@pytest.mark.parametrize(
    ("target", "more"), [("tcp@127.0.0.1:{log} format rfc5424", ""), ("ring@far", RING)], ids=["tcp", "ring"]
)
def test_haproxy_s_lines_and_ours_look_alike(tmp_path: Path, target: str, more: str):
    seen = []
    for ours in (False, True):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = free_port()
            log = listener.getsockname()[1]
            text = CONFIG.format(target=target.format(log=log), port=port) + more.format(log=log)
            directory = tmp_path / str(ours)
            directory.mkdir()
            with serving(directory, text, ready=port) if ours else haproxy(directory, text, port):
                for path in ("/a", "/b", "/ccc"):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5).close()
                seen.append(read_lines(listener, b"asked for /ccc"))
    assert seen[0] == seen[1] and len(seen[0]) == 3
