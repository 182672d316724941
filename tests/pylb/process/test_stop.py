"""Stopping: softly, at once, and at the latest."""

from __future__ import annotations

import select
import signal
import socket
import time
from pathlib import Path

import pytest
from live import DEFAULTS, Server, ask, connect, echo, ports, read_head, serving
from support import wait_for

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def slow(connection: socket.socket) -> None:
    """Answers each request in two parts, two seconds apart, but for those to /quick; until the other side ends it."""
    with connection.makefile("rb") as stream:
        while head := read_head(stream):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
            if b"/quick" not in head and select.select([connection], [], [], 2.0)[0]:
                return
            connection.sendall(b"cd")


def half(connection: socket.socket) -> None:
    """Answers a request in part, and with the rest never."""
    with connection.makefile("rb") as stream:
        read_head(stream)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        stream.read()


AT_ONCE = 6.0
"""Seconds, on a machine that does other things: less than the 10 of the timeouts, which would end `half`, too."""


def config(port: int, server: Server, extra: str = "") -> str:
    return f"global\n{extra}\n{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{server.port}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once(tmp_path: Path, number: int) -> None:
    port, server = ports(1)[0], Server(half)
    with serving(tmp_path, config(port, server), ready=port) as pylb:
        idle, busy = connect(port), connect(port)
        busy.sendall(GET)
        assert busy.recv(1000)
        began = time.monotonic()
        pylb.signal(number)
        assert pylb.wait() == 0 and time.monotonic() - began < AT_ONCE
        pylb.collector.having("Proxy l stopped")
    for sock in (idle, busy):
        sock.close()
    server.close()


def test_softly_running_requests_are_finished_and_idle_clients_let_go(tmp_path: Path) -> None:
    port, server = ports(1)[0], Server(slow)
    with serving(tmp_path, config(port, server), ready=port) as pylb:
        idle, busy, fresh = connect(port), connect(port), connect(port)
        idle.sendall(GET.replace(b"/", b"/quick", 1))
        with idle.makefile("rb") as stream:
            assert read_head(stream) and stream.read(4) == b"abcd"
        busy.sendall(GET)
        answer = b""
        while not answer.endswith(b"ab"):
            answer += busy.recv(1000)
        began = time.monotonic()
        fresh.close()
        pylb.signal(signal.SIGUSR1)
        idle.settimeout(AT_ONCE)
        assert idle.recv(100) == b""  # an idle connection has nothing to wait for
        wait_for(lambda: _refused(port), 5, "the end of listening")
        assert busy.recv(100) == b"cd"
        assert pylb.wait(8) == 0 and time.monotonic() - began < 8
        pylb.collector.having("Proxy l stopped")
    for sock in (idle, busy, fresh):
        sock.close()
    server.close()


def test_softly_the_next_answer_says_that_it_is_the_last(tmp_path: Path) -> None:
    port, server = ports(1)[0], Server(echo)
    with serving(tmp_path, config(port, server), ready=port) as pylb:
        with connect(port) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n")  # half a request: the client is at it
            time.sleep(0.1)
            pylb.signal(signal.SIGUSR1)
            wait_for(lambda: _refused(port), 5, "the end of listening")
            status, head, _ = ask(sock, b"Host: x\r\n\r\n")
            assert status == 200 and b"connection: close" in head.lower()
            assert sock.recv(100) == b""
        assert pylb.wait(8) == 0
    server.close()


def test_softly_but_not_for_ever(tmp_path: Path) -> None:
    port, server = ports(1)[0], Server(lambda connection: connection.recv(1000) and connection.recv(1) and None)
    with serving(tmp_path, config(port, server, " hard-stop-after 1s"), ready=port) as pylb, connect(port) as sock:
        sock.sendall(GET)
        time.sleep(0.2)
        began = time.monotonic()
        pylb.signal(signal.SIGUSR1)
        assert pylb.wait(8) == 0 and 0.8 < time.monotonic() - began < AT_ONCE
    server.close()


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    port, server = ports(1)[0], Server(half)
    with serving(tmp_path, config(port, server), ready=port) as pylb, connect(port) as sock:
        sock.sendall(GET)
        assert sock.recv(1000)
        pylb.signal(signal.SIGUSR1)
        time.sleep(0.1)
        began = time.monotonic()
        pylb.signal(signal.SIGTERM)
        assert pylb.wait() == 0 and time.monotonic() - began < AT_ONCE
    server.close()


def test_a_stop_under_load_leaves_no_complaint(tmp_path: Path) -> None:
    port, server = ports(1)[0], Server(echo)
    with serving(tmp_path, config(port, server), ready=port) as pylb:
        socks = [connect(port) for _ in range(100)]
        for sock in socks:
            sock.sendall(GET * 20)
        time.sleep(0.02)
        pylb.signal(signal.SIGTERM)
        assert pylb.wait() == 0
        for sock in socks:
            sock.close()
    server.close()


def _refused(port: int) -> bool:
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    except OSError:  # accepted by nobody any more
        return False
    return False
