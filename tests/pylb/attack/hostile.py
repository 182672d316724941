"""A pylb under attack: the whole program with one configuration, origins that misbehave on order, and a look inside.

`Victim` runs the program with a few lines around its entry, so that SIGRTMIN makes a worker write down which of its
objects are alive and how many garbage cycles there were. After an attack `at_rest` asks what an operator would ask:
nothing open, nothing counted as running, nothing on stderr.
"""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from support import free_port, wait_for, wait_for_port

from pylb.net.listener import EARS

RESET = struct.pack("ii", 1, 0)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

_ENTRY = """
import collections, gc, json, os, signal, sys, weakref
from pylb.cli import main

def census(number, frame):
    gc.set_debug(gc.DEBUG_SAVEALL)
    del gc.garbage[:]
    cycles = gc.collect()
    left = collections.Counter(type(o).__name__ for o in gc.garbage)
    gc.set_debug(0)
    del gc.garbage[:]
    gc.collect()
    alive = collections.Counter(type(o).__name__ for o in gc.get_objects())
    with open(sys.argv[1] + ".part", "w") as out:
        json.dump({"cycles": cycles, "garbage": dict(left), "alive": dict(alive), "objects": sum(alive.values())}, out)
    gc.collect()  # writing leaves some, too
    os.rename(sys.argv[1] + ".part", sys.argv[1])

signal.signal(signal.SIGRTMIN, census)
sys.exit(main(sys.argv[2:]))
"""

_STATS = """
frontend watch
  mode http
  timeout client 60s
  timeout http-request 60s
  bind 127.0.0.1:{port}
  stats enable
  stats uri /
"""


class Origin:
    """A listening socket whose connections are given to `behave(sock, origin)`, each in a thread of its own."""

    def __init__(self, behave: Callable[[socket.socket, Origin], None]) -> None:
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self._listener.getsockname()[1]
        self.received: list[bytes] = []
        """What arrived, one item per connection."""
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        self._open.add(sock)
        sock.settimeout(20)
        with suppress(OSError), sock:
            self._behave(sock, self)
        self._open.discard(sock)

    def close(self) -> None:
        with suppress(OSError):  # ends the accept that is under way, which would keep the port open
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with suppress(OSError):
                sock.close()


def read_head(sock: socket.socket) -> bytes:
    """Up to the empty line; b"" at the end of the stream."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return b""
        data += piece
    return data


def says(*answers: bytes) -> Callable[[socket.socket, Origin], None]:
    """Answers each read with the next of `answers` (the last one again and again), recording what came."""

    def behave(sock: socket.socket, origin: Origin) -> None:
        index = len(origin.received)
        origin.received.append(b"")
        turn = 0
        while data := sock.recv(1 << 18):
            origin.received[index] += data
            sock.sendall(answers[min(turn, len(answers) - 1)])
            turn += 1

    return behave


class Victim:
    """pylb with `config`; `{port}`, `{port2}` … are free ports for binds, other names are given by keyword."""

    def __init__(self, config: str, directory: Path, **values: Any) -> None:
        names = set(re.findall(r"\{(port\d*)\}", config))
        self.ports = {name: free_port() for name in names}
        self.port = self.ports.get("port", 0)
        self.watch = free_port()
        text = config.format(**self.ports, **values) + _STATS.format(port=self.watch)
        (directory / "victim.cfg").write_text(text)
        self._census = directory / "census.json"
        self._out, self._err = directory / "out", directory / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _ENTRY, str(self._census), "-db", "-f", str(directory / "victim.cfg")],
                stdout=out, stderr=err,
            )  # fmt: skip
        try:
            wait_for_port(self.watch, timeout=20)
        except AssertionError as error:
            raise AssertionError(self.errors()) from error

    def __enter__(self) -> Victim:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("did not stop") from None

    # ------------------------------------------------------------------------------------------------------- attacking

    def connect(self, timeout: float = 5.0, port: int | None = None) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port or self.port), timeout=timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def tell(self, *pieces: bytes, pause: float = 0.02, timeout: float = 2.0, half_close: bool = False) -> bytes:
        """Send `pieces` and return everything that comes back until the end or `timeout` seconds of silence."""
        with self.connect(timeout) as sock:
            for index, piece in enumerate(pieces):
                if index:
                    time.sleep(pause)
                try:
                    sock.sendall(piece)
                except OSError:
                    break
            if half_close:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_WR)
            return everything(sock)

    # --------------------------------------------------------------------------------------------------------- looking

    def errors(self) -> str:
        """What is on stderr, the warnings about the configuration left out."""
        lines = self._err.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if ": warning: " not in line)

    def log(self) -> list[str]:
        """Log lines (`log stdout`) about exchanges and connections, those of the watching frontend left out."""
        lines = self._out.read_bytes().decode("latin-1").split("\n")
        return [line for line in lines if "[" in line and " watch " not in line]

    def logs(self, count: int) -> list[str]:
        """The log once it has `count` lines, and a moment later, when there should still be no more."""
        wait_for(lambda: len(self.log()) >= count, what=f"{count} log lines")
        time.sleep(0.1)
        lines = self.log()
        assert len(lines) == count, lines
        return lines

    def stats(self) -> dict[tuple[str, str], dict[str, str]]:
        """The statistics, by proxy and server."""
        with self.connect(30, self.watch) as sock:
            sock.sendall(b"GET /;csv HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n")
            text = everything(sock).split(b"\r\n\r\n", 1)[1].decode()
        rows = csv.DictReader(text.removeprefix("# ").splitlines())
        return {(row["pxname"], row["svname"]): row for row in rows}

    def running(self) -> dict[str, int]:
        """Every count of something that runs and is not zero."""
        counts = {}
        for (proxy, server), row in self.stats().items():
            for column in ("scur", "qcur"):
                if row[column] not in ("", "0") and proxy != "watch":
                    counts[f"{proxy}/{server} {column}"] = int(row[column])
        return counts

    @property
    def worker(self) -> int:
        """The pid of the only worker; the port may be open before there is one."""
        pid = self.process.pid
        for what in ("steward", "worker"):
            children = Path(f"/proc/{pid}/task/{pid}/children")
            wait_for(children.read_text, what=f"the {what}")
            pid = int(children.read_text().split()[-1])
        return pid

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.worker}/fd").iterdir()))

    def visited(self) -> int:
        """Descriptors once a first client has come, for whom the listener is opened wide, and has gone."""
        before = self.descriptors()
        with self.connect():
            wait_for(lambda: self.descriptors() >= before + EARS, what="a client to be heard")
        wait_for(lambda: self.descriptors() <= before + EARS - 1, what="it to leave")
        return self.descriptors()

    def memory(self) -> int:
        """Resident bytes."""
        pages = Path(f"/proc/{self.worker}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        fields = Path(f"/proc/{self.worker}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def census(self) -> dict[str, Any]:
        """Living objects by type, and the garbage that only the collector could find."""
        self._census.unlink(missing_ok=True)
        os.kill(self.worker, signal.SIGRTMIN)
        wait_for(self._census.exists, what="the census")
        found: dict[str, Any] = json.loads(self._census.read_text())
        return found

    def at_rest(self, timeout: float = 8.0) -> None:
        """Nothing of an attack is left: asserts it within `timeout` seconds."""
        assert self.process.poll() is None, self.errors()
        wait_for(lambda: not self.running(), timeout, "everything to end")
        assert self.errors() == ""

    def leaves_nothing(self, *kinds: str) -> None:
        """No session, exchange or connection object is alive but those that are asking."""
        self.at_rest()
        alive = self.census()["alive"]
        for kind in kinds or ("HttpSession", "HttpExchange", "TcpSession", "TcpExchange", "Upstream"):
            assert alive.get(kind, 0) <= 1, {name: alive.get(name, 0) for name in (kind,)}


def everything(sock: socket.socket) -> bytes:
    """All that comes until the end, a reset, or the socket's timeout."""
    data = b""
    with suppress(OSError):
        while piece := sock.recv(1 << 18):
            data += piece
    return data


def statuses(data: bytes) -> list[int]:
    """The status codes of the answers in `data`."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3})", data)]
