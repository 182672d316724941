"""Servers that answer too much, too early or for somebody else: a client gets the answer to its own request or none."""

from __future__ import annotations

import re
import socket
import threading
import time
from pathlib import Path

import pytest
from hostile import OK, Origin, Victim, everything, read_head, statuses

CONFIG = """
defaults
  mode http
  timeout client 2s
  timeout server 1s
  timeout connect 1s
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  http-reuse {reuse}
  server s 127.0.0.1:{origin}
"""
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

AFTERWARDS = {
    "a second response in the same packet": OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
    "bytes behind the length": OK + b"poison",
    "bytes behind the last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\npoison",
    "content of a 204": b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\npoison",
    "content of a 304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison",
    "both lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("what", AFTERWARDS)
def test_a_connection_with_something_left_on_it_serves_nobody_else(what: str, tmp_path: Path) -> None:
    def behave(sock: socket.socket, origin: Origin) -> None:
        origin.received.append(b"connection")
        first = len(origin.received) == 1
        while read_head(sock):
            sock.sendall(AFTERWARDS[what] if first else OK)

    origin = Origin(behave)
    with Victim(CONFIG, tmp_path, origin=origin.port, reuse="always") as victim, victim.connect() as one:
        one.settimeout(0.3)
        one.sendall(GET)
        assert b"poison" not in everything(one)
        assert everything_of(victim) == b"ok"
        assert len(origin.received) == 2


def everything_of(victim: Victim) -> bytes:
    return victim.tell(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).split(b"\r\n\r\n", 1)[1]


def test_bytes_on_an_idle_connection_end_it(tmp_path: Path) -> None:
    ended = threading.Event()

    def behave(sock: socket.socket, origin: Origin) -> None:
        while read_head(sock):
            sock.sendall(OK)
            time.sleep(0.1)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        ended.set()

    origin = Origin(behave)
    with Victim(CONFIG, tmp_path, origin=origin.port, reuse="always") as victim:
        for _ in range(4):
            ended.clear()
            assert everything_of(victim) == b"ok"
            assert ended.wait(10), "a connection that nobody may use is still there"
        victim.leaves_nothing()


def test_an_answer_before_the_request_has_ended_takes_the_connection_with_it(tmp_path: Path) -> None:
    def behave(sock: socket.socket, origin: Origin) -> None:
        origin.received.append(read_head(sock))
        sock.sendall(OK)
        while sock.recv(65536):
            pass

    origin = Origin(behave)
    with Victim(CONFIG, tmp_path, origin=origin.port, reuse="always") as victim:
        post = b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345"
        for number in range(3):
            assert statuses(victim.tell(post % number)) == [200]
        assert [re.findall(rb" (/\d)", head) for head in origin.received] == [[b"/0"], [b"/1"], [b"/2"]]
        victim.leaves_nothing()


def first(victim: Victim, request: bytes, until: bytes = b"\r\n\r\n") -> bytes:
    """What is said to a request up to these words, and what comes with them."""
    with victim.connect() as sock:
        sock.sendall(request)
        data = b""
        while until not in data and (piece := sock.recv(65536)):
            data += piece
        return data


def test_101_is_only_for_who_asked(tmp_path: Path) -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: %b\r\nConnection: upgrade\r\n\r\nsecret"

    def behave(sock: socket.socket, origin: Origin) -> None:
        head = read_head(sock)
        sock.sendall(switch % (b"h2c" if b"/h2c" in head else b"websocket"))
        sock.recv(10)

    origin = Origin(behave)
    asks = b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: %b\r\n\r\n"
    with Victim(CONFIG, tmp_path, origin=origin.port, reuse="always") as victim:
        assert statuses(first(victim, GET)) == [502]
        assert statuses(first(victim, asks % (b"/", b"h2c"))) == [502]
        assert statuses(first(victim, asks % (b"/h2c", b"websocket"))) == [502]
        assert statuses(first(victim, GET.replace(b"1.1", b"1.0"))) == [502]
        assert first(victim, asks % (b"/", b"websocket"), b"secret").endswith(b"secret")
        victim.leaves_nothing()


def test_a_connection_that_a_server_has_authenticated_serves_its_client_only(tmp_path: Path) -> None:
    def behave(sock: socket.socket, origin: Origin) -> None:
        """NTLM in short: the connection is somebody's once the challenge has been answered on it."""
        user, challenged = b"nobody", False
        while head := read_head(sock):
            if b"Authorization: NTLM" in head and challenged:
                user = b"alice!"
            challenged = True
            if user == b"nobody" and b"/private" in head:
                sock.sendall(b"HTTP/1.1 401 Who\r\nWWW-Authenticate: NTLM abc\r\nContent-Length: 0\r\n\r\n")
            else:
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n" + user)

    origin = Origin(behave)
    with Victim(CONFIG, tmp_path, origin=origin.port, reuse="always") as victim, victim.connect() as alice:
        alice.sendall(b"GET /private HTTP/1.1\r\nHost: a\r\n\r\n")
        assert statuses(alice.recv(4096)) == [401]
        assert everything_of(victim) == b"nobody"
        alice.sendall(b"GET /private HTTP/1.1\r\nHost: a\r\nAuthorization: NTLM xyz\r\n\r\n")
        assert alice.recv(4096).endswith(b"alice!")
        assert everything_of(victim) == b"nobody"
        alice.sendall(b"GET /private HTTP/1.1\r\nHost: a\r\n\r\n")
        assert alice.recv(4096).endswith(b"alice!")
