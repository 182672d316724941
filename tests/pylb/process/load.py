"""A pylb before a real nginx, its admin socket, and wrk as the crowd that must not notice what is done to it."""

from __future__ import annotations

import csv
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from live import Pylb, ports, serving
from support import require_program, wait_for, wait_for_port

NGINX = """
daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/nginx.err;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "ok\\n"; }} }}
}}
"""

HEAD = """
global
 stats socket {dir}/admin.sock level admin
 nbthread {workers}
 {extra}
defaults
 mode http
 timeout client 10s
 timeout server 10s
 timeout connect 3s
"""
"""What configurations here begin with; `extra` goes into the global section."""
CONFIG = (
    HEAD
    + """frontend f
 bind 127.0.0.1:{port}
 default_backend b
backend b
 server s 127.0.0.1:{origin}
"""
)


@contextmanager
def nginx(directory: Path) -> Iterator[int]:
    """A real nginx that says ok; its port."""
    (port,) = ports(1)
    file = directory / "nginx.conf"
    file.write_text(NGINX.format(dir=directory, port=port))
    process = subprocess.Popen([require_program("nginx"), "-c", str(file), "-p", str(directory)])
    try:
        wait_for_port(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@dataclass(slots=True)
class Place:
    """A running pylb and where it is reached."""

    pylb: Pylb
    directory: Path
    port: int
    origin: int
    workers: int
    reloads: int = 0
    """How many have succeeded, as far as seen."""

    def tell(self, command: str) -> str:
        """The answer of the admin socket."""
        return tell(str(self.directory / "admin.sock"), command)

    def info(self) -> dict[str, str]:
        """`show info` by name."""
        return dict(line.split(": ", 1) for line in self.tell("show info").splitlines() if ": " in line)

    def stat(self, proxy: str, server: str) -> dict[str, str]:
        """One row of `show stat`."""
        rows = csv.DictReader(self.tell("show stat").removeprefix("# ").splitlines())
        return next(row for row in rows if (row["pxname"], row["svname"]) == (proxy, server))

    def configure(self, text: str) -> None:
        """Write another configuration, for the next reload."""
        (self.directory / "haproxy.cfg").write_text(text)

    def text(self, extra: str = "") -> str:
        """The configuration."""
        return CONFIG.format(
            dir=self.directory, workers=self.workers, port=self.port, origin=self.origin, extra=extra
        )  # fmt: skip

    @contextmanager
    def half_a_request(self) -> Iterator[socket.socket]:
        """A client that is inside, and has two bytes of its body left to send."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as slow:
            slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
            wait_for(lambda: self.stat("f", "FRONTEND")["scur"] == "1", 5, "the client")
            yield slow

    def reload(self, number: int = signal.SIGUSR2) -> dict[str, str]:
        """Reload and wait until it is over, one way or the other; `show info` afterwards."""
        before = self.info()
        self.reloads = max(self.reloads, int(before["Reloads"]))  # a generation that retires knows less
        self.pylb.signal(number)
        found: dict[str, str] = {}

        def over() -> bool:
            nonlocal found
            try:
                found = self.info()
            except OSError:  # between the two generations' sockets
                return False
            if int(found.get("Reloads", "0")) > self.reloads:
                return True
            failed = found.get("Last_reload_ok") == "0"
            return failed and found["Last_reload_time_sec"] != before["Last_reload_time_sec"]

        wait_for(over, 20, "the end of the reload")
        self.reloads = max(self.reloads, int(found["Reloads"]))
        return found


def tell(path: str, command: str) -> str:
    """One command to an admin socket, and all of its answer."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(path)
        sock.sendall(command.encode() + b"\n")
        answer = b""
        while piece := sock.recv(1 << 16):
            answer += piece
    return answer.decode()


@contextmanager
def place(directory: Path, workers: int = 2, extra: str = "", config: str = CONFIG, **more: Any) -> Iterator[Place]:
    """Everything, until the end of the block; `more` is how pylb is started."""
    with nginx(directory) as origin:
        (port,) = ports(1)
        text = config.format(dir=directory, workers=workers, port=port, origin=origin, extra=extra)
        with serving(directory, text, ready=port, **more) as pylb:
            made = Place(pylb, directory, port, origin, workers)
            made.info()  # answered once all workers serve
            yield made


@dataclass(frozen=True, slots=True)
class Ran:
    """What wrk says."""

    requests: int
    failed: int
    text: str


class Crowd:
    """wrk in the background."""

    def __init__(self, port: int, seconds: float, connections: int = 16, keep_alive: bool = True) -> None:
        header = [] if keep_alive else ["-H", "Connection: close"]
        words = [
            "-t",
            "1",
            "-c",
            str(connections),
            "-d",
            f"{seconds:.0f}s",
            "--timeout",
            "30s",
            *header,
            f"http://127.0.0.1:{port}/",
        ]
        self._process = subprocess.Popen([require_program("wrk"), *words], stdout=subprocess.PIPE, text=True)

    def stop(self) -> Ran:
        """End it now; what it has seen."""
        self._process.send_signal(signal.SIGINT)
        return self.result()

    def result(self) -> Ran:
        """Wait for its end."""
        text = self._process.communicate(timeout=120)[0]
        requests = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        failed = sum(map(int, errors.groups())) if errors else 0
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        return Ran(requests, failed + (int(refused[1]) if refused else 0), text)


def descriptors(pid: int) -> int:
    """How many a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
