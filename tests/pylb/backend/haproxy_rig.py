"""The real HAProxy on loopback, small servers behind it, its log lines and its admin socket, for comparing choices."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from support import require_program, wait_for

Answer = Callable[[bytes], bytes]
"""Request bytes (head and what came with it) to response bytes."""


class Origin:
    """A server that answers each connection's first request and closes; `requests` keeps what it got."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[bytes] = []
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                request = b""
                while b"\r\n\r\n" not in request:
                    block = connection.recv(65536)
                    if not block:
                        break
                    request += block
                if request:
                    self.requests.append(request)
                    connection.sendall(self._answer(request))

    def close(self) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


def named(name: str, *fields: str, status: str = "200 OK") -> Answer:
    """An answer whose body is the server's name."""
    head = "".join(f"{field}\r\n" for field in fields)
    body = f"HTTP/1.1 {status}\r\n{head}Content-Length: {len(name)}\r\nConnection: close\r\n\r\n{name}"
    return lambda request: body.encode()


class Haproxy:
    """A running HAProxy: `port` of its frontend, `log` lines, `command` on its admin socket."""

    def __init__(self, directory: Path, sections: str, port: int) -> None:
        self.port = port
        self.log: list[tuple[int, str]] = []
        self._control = directory / "admin.sock"
        self._log_socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._log_socket.bind(str(directory / "log.sock"))
        self._all_read = threading.Event()
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        configuration = directory / "haproxy.cfg"
        configuration.write_text(
            f"global\n log {directory}/log.sock len 8192 local0\n stats socket {self._control} level admin\n"
            f"{sections}\n"
        )
        with (directory / "stderr").open("wb") as errors:
            self._process = subprocess.Popen(
                [require_program("haproxy"), "-db", "-f", str(configuration)], stdout=subprocess.DEVNULL, stderr=errors
            )
        try:
            wait_for(self._listens, what="HAProxy's admin socket")
        except AssertionError as error:
            self.stop()
            raise AssertionError((directory / "stderr").read_text()) from error

    def _listens(self) -> bool:
        with contextlib.suppress(OSError):
            return self.command("show version") != ""
        return False

    def _read_log(self) -> None:
        while True:
            line = self._log_socket.recv(65536)
            if line == b"stop":
                return
            if line == b"all":
                self._all_read.set()
                continue
            level, _, rest = line.decode("latin-1").partition(">")
            self.log.append((int(level[1:]) & 7, rest.partition("]: ")[2].rstrip("\n")))

    def lines_since(self, seen: int) -> list[tuple[int, str]]:
        """The log behind its first `seen` lines, with everything that has been sent until now."""
        self._all_read.clear()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as marker:
            marker.sendto(b"all", self._log_socket.getsockname())
        assert self._all_read.wait(10)
        return self.log[seen:]

    def command(self, text: str) -> str:
        """One command on the admin socket."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self._control))
            control.sendall(text.encode() + b"\n")
            return b"".join(iter(lambda: control.recv(65536), b"")).decode("latin-1").strip()

    def request(self, head: str, source: str = "127.0.0.1") -> bytes:
        """Send a request, return everything that comes back until the connection closes."""
        with socket.create_connection(("127.0.0.1", self.port), 10, (source, 0)) as connection:
            connection.sendall(head.encode("latin-1"))
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def stop(self) -> None:
        """End it and its log reader."""
        self._process.kill()
        self._process.wait()
        self._log_socket.setblocking(False)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"stop", self._log_socket.getsockname())
        self._log_socket.setblocking(True)
        self._reader.join(5)
        self._log_socket.close()


@contextlib.contextmanager
def running_haproxy(directory: Path, sections: str, port: int = 0) -> Iterator[Haproxy]:
    """HAProxy with `sections` behind a global section of the rig's."""
    haproxy = Haproxy(directory, sections, port)
    try:
        yield haproxy
    finally:
        haproxy.stop()
