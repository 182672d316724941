"""Where log lines go: a receiver that counts them, for the check that each request is logged, and so that logging costs
what it costs beside a real syslog server."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.http.process import PATIENCE, StartError, free_ports, started

RECEIVER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
sock.bind(("127.0.0.1", int(sys.argv[1])))
room, lines = bytearray(65536), 0
while True:
    size, sender = sock.recvfrom_into(room)
    if size:
        lines += 1
    else:
        sock.sendto(b"%d" % lines, sender)
"""


class Log(Protocol):
    """Somewhere that a program logs to."""

    def lines(self) -> int:
        """How many have arrived."""


@dataclass
class SyslogReceiver:
    """A process that takes log lines and counts them, as a syslog server would be there to take them."""

    port: int
    process: subprocess.Popen[bytes]

    def lines(self) -> int:
        """How many have arrived: asked for by an empty datagram, which no program logs."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.sendto(b"", ("127.0.0.1", self.port))
            return int(sock.recv(64))


@dataclass
class LogFile:
    """The output of a program that knows no syslog; a line of its own kind has `mark` in it."""

    path: Path
    mark: bytes

    def lines(self) -> int:
        """How many are there."""
        return sum(self.mark in line for line in self.path.read_bytes().splitlines())


class NoLog:
    """For a program that does not log requests."""

    def lines(self) -> int:
        """None."""
        return 0


@contextlib.contextmanager
def syslog_receiver(core: int) -> Iterator[SyslogReceiver]:
    """A receiver on `core`."""
    (port,) = free_ports(1, socket.SOCK_DGRAM)
    command = ["taskset", "-c", str(core), sys.executable, "-S", "-c", RECEIVER, str(port)]
    with started(command, Path(os.devnull), dict(os.environ)) as process:
        deadline = time.monotonic() + PATIENCE
        while not is_bound(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise StartError("the syslog receiver does not start")
            time.sleep(0.02)
        yield SyslogReceiver(port, process)


def is_bound(port: int) -> bool:
    """Whether somebody has that UDP port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False
