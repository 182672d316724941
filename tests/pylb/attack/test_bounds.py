"""Peers that never read, never end or send the least that is something: time and memory stay bounded, and all of it
comes back."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hostile import OK, Origin, Victim, everything, read_head, statuses
from support import wait_for

from pylb.http1.errors import ProtocolError
from pylb.http1.framing import request_framing
from pylb.http1.head import Limits, parse_request

CONFIG = """
defaults
  mode {mode}
  timeout client 1s
  timeout server 1s
  timeout connect 1s
frontend f
  bind 127.0.0.1:{port}
  maxconn 40
  default_backend b
backend b
  server s 127.0.0.1:{origin}
"""
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
MEGABYTE = 1 << 20


def stuff(sock: socket.socket, data: bytes, patience: float = 0.3) -> None:
    """Send `data` again and again until the other side takes no more."""
    sock.settimeout(patience)
    with suppress(OSError):
        while True:
            sock.sendall(data)


def never_reads(sock: socket.socket, origin: Origin) -> None:
    origin.received.append(b"")
    time.sleep(15)


@pytest.mark.parametrize("mode", ["tcp", "http"])
def test_a_server_that_never_reads_holds_nothing_for_long(mode: str, tmp_path: Path) -> None:
    origin = Origin(never_reads)
    with Victim(CONFIG, tmp_path, origin=origin.port, mode=mode) as victim:
        victim.stats()
        before, descriptors = victim.memory(), victim.visited()
        for _ in range(5):
            with victim.connect() as sock:
                sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
                stuff(sock, b"x" * 65536)
        assert victim.memory() < before + 12 * MEGABYTE
        wait_for(lambda: victim.descriptors() <= descriptors, 6, "the connections to end")
        victim.leaves_nothing("HttpSession", "TcpSession", "Upstream")
    origin.close()


def flood(piece: bytes, start: bytes = b"") -> object:
    def behave(sock: socket.socket, origin: Origin) -> None:
        read_head(sock)
        sock.sendall(start)
        while True:
            sock.sendall(piece)

    return behave


FLOODS = {
    "interim responses": flood(b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" * 50),
    "a head without end": flood(b"A: b\r\n" * 20, b"HTTP/1.1 200 OK\r\n"),
    "tiny chunks": flood(b"1\r\nx\r\n" * 500, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "chunk extensions": flood(b"1;a=b\r\nx\r\n" * 50, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "a trailer without end": flood(b"A: b\r\n" * 20, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
    "a body that nobody reads": flood(b"x" * 65536, b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"),
}


@pytest.mark.parametrize("what", FLOODS)
def test_a_server_without_end_fills_no_memory(what: str, tmp_path: Path) -> None:
    origin = Origin(FLOODS[what])  # type: ignore[arg-type]
    with Victim(CONFIG, tmp_path, origin=origin.port, mode="http") as victim:
        victim.stats()
        before = victim.memory()
        clients = [victim.connect() for _ in range(8)]
        for client in clients:
            client.sendall(GET)
        time.sleep(0.5)
        assert victim.memory() < before + 8 * 2 * MEGABYTE
        for client in clients:
            client.close()
        victim.leaves_nothing()
    origin.close()


def test_a_client_that_posts_without_end_to_a_page_of_ours_is_cut(tmp_path: Path) -> None:
    config = "defaults\n  mode http\n  timeout client 1s\nfrontend f\n  bind 127.0.0.1:{port}\n  stats enable\n"
    with Victim(config + "  stats uri /stats\n  stats admin if TRUE\n", tmp_path) as victim:
        head = b"POST /stats HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        with victim.connect() as sock:
            sock.sendall(head)
            for _ in range(3000):
                try:
                    sock.sendall(b"8\r\ns=abcde&\r\n")
                except OSError:
                    break
            assert statuses(everything(sock)) in ([303], [])
        victim.leaves_nothing("HttpSession", "HttpExchange")


def test_a_crowd_beyond_maxconn_waits_and_leaves_without_a_trace(tmp_path: Path) -> None:
    origin = Origin(lambda sock, origin: [sock.sendall(OK) for _ in iter(lambda: read_head(sock), b"")] and None)
    with Victim(CONFIG, tmp_path, origin=origin.port, mode="http") as victim:
        victim.stats()
        descriptors = victim.visited()
        crowd = []
        with suppress(OSError):
            for _ in range(160):
                crowd.append(victim.connect(timeout=0.3))
        wait_for(lambda: victim.running() == {"f/FRONTEND scur": 40}, 2, "the limit")
        for index, client in enumerate(crowd):
            if index % 2:
                client.close()
        assert victim.tell(GET, timeout=6).endswith(b"ok")
        for client in crowd:
            client.close()
        victim.leaves_nothing()
        wait_for(lambda: victim.descriptors() <= descriptors + 1, what="descriptors to come back")
    origin.close()


HEADS = {
    "Connection lists thousands": b"Connection: " + b",".join(b"%x" % n for n in range(3500)),
    "Connection lists nothing": b"Connection: " + b"," * 15_000,
    "TE of whitespace": b"Connection: te\r\nTE: a," + b"\t" * 14_500 + b",b",
    "TE of quotes": b"Connection: te\r\nTE: " + b'"\\' * 7000,
    "Upgrade lists thousands": b"Connection: upgrade\r\nUpgrade: " + b",".join(b"%x" % n for n in range(2800)),
    "lengths by the thousand": b"Content-Length: " + b",".join([b"1"] * 7000),
}


@pytest.mark.parametrize("what", HEADS)
def test_no_head_takes_more_time_than_its_length_justifies(what: str) -> None:
    """Ten milliseconds for 15 KB are generous; what grows with the square took hundreds."""
    limits = Limits()
    data = b"GET / HTTP/1.1\r\nHost: a\r\n" + HEADS[what] + b"\r\n\r\n"
    best = 1.0
    for _ in range(5):
        began = time.perf_counter()
        with suppress(ProtocolError):
            head = parse_request(data, 0, data.find(b"\r\n\r\n"), limits)
            request_framing(head)
            head.remove_hop_by_hop(True)
        best = min(best, time.perf_counter() - began)
    assert best < 0.01
