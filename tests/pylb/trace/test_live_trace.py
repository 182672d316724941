"""`pylb --trace` as a process: the same bytes as without, and a trace that a person can read."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from live import Pylb, Server, connect, echo, ports
from support import wait_for

CONFIG = """
defaults
 mode http
 option forwardfor
 timeout client 5s
 timeout server 5s
 timeout connect 5s
frontend f
 bind 127.0.0.1:{port}
 http-request deny if {{ path /no }}
 http-response set-header X-Seen yes
 default_backend b
backend b
 cookie S insert indirect
 server s1 127.0.0.1:{server} cookie a
"""
REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: x\r\nCookie: S=a; t=1\r\n\r\n",
    b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"b" * 100_000,
    b"GET /no HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
]


def exchange(port: int) -> bytes:
    """The requests one after the other on one connection; all that comes back."""
    answers = b""
    with connect(port) as client:
        for request in REQUESTS:
            client.sendall(request)
            answer = client.recv(65536)
            length = int(re.search(rb"(?i)content-length: *(\d+)", answer)[1])  # type: ignore[index]
            while len(answer.partition(b"\r\n\r\n")[2]) < length:
                answer += client.recv(65536)
            answers += answer
        while more := client.recv(65536):
            answers += more
    return answers


@pytest.mark.parametrize("terminal", [False, True])
def test_the_exchange_is_the_same_and_the_trace_is_readable(tmp_path: Path, terminal: bool) -> None:
    server = Server(echo)
    (port,) = ports(1)
    text = CONFIG.format(port=port, server=server.port)
    try:
        plain = Pylb(tmp_path, text, ready=port)
        expected = exchange(port)
        plain.stop()
        ours, theirs = pty.openpty() if terminal else os.pipe()
        file = tmp_path / "haproxy.cfg"
        command = [sys.executable, "-m", "pylb", "-q", "--trace", "-f", str(file)]
        process = subprocess.Popen(command, stdout=theirs, env={**os.environ, "TERM": "xterm-256color"})
        os.close(theirs)
        try:
            wait_for(lambda: process.poll() is not None or _answers(port), what="the port")
            assert exchange(port) == expected
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
    finally:
        server.close()
    told = _all(ours)
    coloured = "\x1b[" in told
    assert coloured is terminal
    told = re.sub(r"\x1b\[[0-9;]*m", "", told)
    assert re.search(rf"http-request deny if {{ path /no }} +{re.escape(str(file))}:10", told)
    assert re.search(r"\d+\.4 +[\d.]+  done: 200, 48 bytes in, \d+ out, termination ----|--NI", told)


def _answers(port: int) -> bool:
    try:
        connect(port, timeout=1).close()
    except OSError:
        return False
    return True


def _all(descriptor: int) -> str:
    pieces = []
    with suppress(OSError):  # a terminal whose other end has been closed
        while data := os.read(descriptor, 65536):
            pieces.append(data)
    os.close(descriptor)
    return b"".join(pieces).decode()


def test_a_reader_that_goes_away_ends_the_trace_only(tmp_path: Path) -> None:
    server = Server(echo)
    (port,) = ports(1)
    file = tmp_path / "haproxy.cfg"
    file.write_text(CONFIG.format(port=port, server=server.port))
    command = [sys.executable, "-m", "pylb", "-q", "--trace", "-f", str(file)]
    errors = tmp_path / "errors"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr)
    try:
        assert process.stdout is not None and b"frontend f listens on" in process.stdout.readline()
        process.stdout.close()
        for _ in range(3):
            assert exchange(port).startswith(b"HTTP/1.1 200")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        server.close()
    assert errors.read_bytes() == b""


def test_a_connection_that_goes_to_another_worker_is_told_by_both(tmp_path: Path) -> None:
    (port,) = ports(1)
    file = tmp_path / "haproxy.cfg"
    file.write_text("global\n nbthread 2\n" + CONFIG.format(port=port, server=1))
    command = [sys.executable, "-m", "pylb", "-q", "--trace", "-f", str(file)]
    ours, theirs = os.pipe()
    process = subprocess.Popen(command, stdout=theirs)
    os.close(theirs)
    try:
        wait_for(lambda: process.poll() is not None or _answers(port), what="the port")
        given, clients = b"", []
        while b"taken over" not in given and len(clients) < 400:
            clients += [connect(port) for _ in range(40)]
            given += os.read(ours, 65536)
        for client in clients:
            client.close()
        while select.select([ours], [], [], 1.0)[0]:  # until nothing more is told
            given += os.read(ours, 65536)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    told = given.decode() + _all(ours)
    handed = sorted(re.findall(r"handed to worker (\d)", told))
    assert handed
    other = {"1": "2", "2": "1"}
    assert sorted(other[giver] for giver in re.findall(r"taken over from worker (\d)", told)) == handed
    assert told.count("connected to") == told.count("client connection closed") + len(handed)
