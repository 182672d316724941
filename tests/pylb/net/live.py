"""pylb as a process of its own on loopback, servers behind it in threads, and its log lines as they come.

Every `Pylb` is stopped by its test, and its stderr must never have held a traceback or a complaint of asyncio's.
"""

from __future__ import annotations

import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from support import PATIENCE, TlsSocket, free_port, wait_for

TIMEOUT = 10.0
COMPLAINTS = re.compile(r"Traceback|Exception|Task was destroyed|never retrieved|socket\.send\(\) raised")


class Collector:
    """A syslog server: the lines that come to it by UDP."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind(("127.0.0.1", 0))
        self.port: int = self._sock.getsockname()[1]
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()

    def _collect(self) -> None:
        while data := self._sock.recv(65536):
            self.lines.append(data.decode())

    def having(self, text: str, count: int = 1) -> list[str]:
        """The lines with `text` in them, once there are `count`."""
        wait_for(lambda: sum(text in line for line in self.lines) >= count, TIMEOUT, f"{count} log lines with {text!r}")
        return [line for line in self.lines if text in line]

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join(TIMEOUT)
        self._sock.close()


class Server:
    """Calls `handle(connection)` in a thread for each connection; closes them all in the end."""

    def __init__(
        self, handle: Callable[[socket.socket], None], address: Any = ("127.0.0.1", 0), tls: Any = None
    ) -> None:
        family = (
            socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        )
        self._handle = handle
        self._tls: ssl.SSLContext | None = tls
        if tls is not None:
            tls.sslsocket_class = TlsSocket
        self._listening = socket.socket(family, socket.SOCK_STREAM)
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.bind(address)
        self._listening.listen(2048)
        self.address = self._listening.getsockname()
        self.port: int = self.address[1] if not isinstance(address, str) else 0
        self.accepted = 0
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.accepted += 1
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        self._open.add(connection)
        try:
            with suppress(OSError):
                if self._tls is not None:
                    raw, connection = connection, self._tls.wrap_socket(connection, server_side=True)
                    self._open.discard(raw)
                    self._open.add(connection)
                self._handle(connection)
        finally:
            self._open.discard(connection)
            connection.close()

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(TIMEOUT)


def read_head(stream: Any) -> bytes:
    """A head with its empty line; b"" at the end of the connection."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b""
        head += line
    return head


def length_of(head: bytes) -> int:
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return int(found[1]) if found else 0


def echo(connection: socket.socket) -> None:
    """HTTP: each request's head and body come back as the response's body."""
    with connection.makefile("rb") as stream:
        while head := read_head(stream):
            body = stream.read(length_of(head))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(head + body) + head + body)


class Pylb:
    """A process serving `text`; `{log}` in it is the collector's port."""

    def __init__(self, directory: Path, text: str, *options: str, ready: int | str | None = None, **popen: Any) -> None:
        self.collector = Collector()
        file = directory / "haproxy.cfg"
        file.write_text(text.replace("{log}", str(self.collector.port)))
        self._admin = [Path(path) for path in re.findall(r"stats socket (/\S+)", text)]
        self._errors = directory / "stderr"
        with self._errors.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pylb", "-q", *options, "-f", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                **popen,
            )
        if ready is not None:
            try:
                self._wait_until_it_serves(ready)
            except BaseException:
                self._kill()
                raise

    def _wait_until_it_serves(self, where: int | str) -> None:
        wait_for(lambda: self.process.poll() is not None or _answers(where), TIMEOUT, f"pylb at {where}")
        assert self.process.poll() is None, self.stderr
        wait_for(lambda: all(path.exists() for path in self._admin), TIMEOUT, "admin sockets")
        wait_for(self._heeds_signals, TIMEOUT, "signal handlers")
        wait_for(self.workers, TIMEOUT, "workers")

    def _kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.collector.close()

    @property
    def stderr(self) -> str:
        return self._errors.read_text()

    def _heeds_signals(self) -> bool:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        caught = int(re.search(r"SigCgt:\s+(\w+)", status)[1], 16)  # type: ignore[index]
        return bool(caught & 1 << signal.SIGUSR1 - 1)

    def workers(self) -> list[int]:
        """Pids of the workers of the generation that serves."""
        stewards = sorted(children(self.process.pid))
        return sorted(children(stewards[-1])) if stewards else []

    def worker(self) -> int:
        """The pid of the only worker."""
        (pid,) = self.workers()
        return pid

    def rss(self) -> int:
        """Resident bytes of the only worker."""
        status = Path(f"/proc/{self.worker()}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024  # type: ignore[index]

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, timeout: float = TIMEOUT) -> int:
        """The exit status; PATIENCE times as long as it may take."""
        return self.process.wait(PATIENCE * timeout)

    def stop(self) -> int:
        """SIGTERM, the exit status; asserts that nothing unseemly was written."""
        try:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGTERM)
            try:
                status = self.process.wait(PATIENCE * TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        finally:
            self.collector.close()
        assert not COMPLAINTS.search(self.stderr), self.stderr
        return status


def children(pid: int) -> list[int]:
    """Pids of a process's children; none of one that has ended."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def descendants(pid: int) -> list[int]:
    """Pids of all processes below one."""
    return [below for child in children(pid) for below in (child, *descendants(child))]


def _answers(where: int | str) -> bool:
    try:
        connect(where, timeout=1).close()
    except OSError:
        return False
    return True


def connect(where: int | str, timeout: float = TIMEOUT) -> socket.socket:
    """A connection to a port of 127.0.0.1 or to a unix socket."""
    if isinstance(where, int):
        return socket.create_connection(("127.0.0.1", where), timeout)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    try:
        sock.connect(where)
    except OSError:
        sock.close()
        raise
    return sock


def ask(
    where: int | str | socket.socket, request: bytes = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
) -> tuple[int, bytes, bytes]:
    """One request and its whole response: (status, head, body); closes the connection that it made itself."""
    sock = where if isinstance(where, socket.socket) else connect(where)
    try:
        sock.sendall(request)
        with sock.makefile("rb") as stream:
            head = read_head(stream)
            if not head:
                raise ConnectionError("no answer")
            return int(head.split()[1]), head, stream.read(length_of(head))
    finally:
        if sock is not where:
            sock.close()


@contextmanager
def serving(directory: Path, text: str, *options: str, **more: Any) -> Iterator[Pylb]:
    """A Pylb that is stopped at the end of the block."""
    pylb = Pylb(directory, text, *options, **more)
    try:
        yield pylb
    finally:
        pylb.stop()


def ports(count: int) -> list[int]:
    """Free ports, all different."""
    return [free_port() for _ in range(count)]


DEFAULTS = """
global
 log 127.0.0.1:{log} local0
defaults
 mode http
 log global
 option httplog
 timeout client 10s
 timeout server 10s
 timeout connect 3s
"""
