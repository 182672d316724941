"""pylb with two workers, in one of the two ways, under way: its CPU time, its connections by worker, its reload."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.http import cpu
from bench.http.process import StartError, free_ports, started, wait_until_it_serves
from bench.http.world import World

WAYS = {"shared": "pylb", "reuseport": "bench.listeners.reuseport"}
"""By what each is called, the module that is run."""
WORKERS = 2
CONFIG = Path(__file__).with_name("haproxy.cfg")
PATIENCE = 30.0


@dataclass
class Subject:
    """One running pylb."""

    way: str
    port: int
    admin: str
    process: subprocess.Popen[bytes]

    def times(self) -> cpu.Times:
        """CPU time so far, of all its processes."""
        return cpu.cpu_times(self.process.pid)

    def connections(self) -> list[int]:
        """Open ones, by worker, the most first."""
        lines = self.tell("show activity").splitlines()
        return sorted((int(line.split()[1]) for line in lines if line.startswith("conn_cur:")), reverse=True)

    def accepted(self) -> list[int]:
        """In all so far, by worker in the order of the processes."""
        lines = [line.split() for line in self.tell("show activity").splitlines()]
        pids = [int(words[1]) for words in lines if words[:1] == ["process_id:"]]
        totals = [int(words[1]) for words in lines if words[:1] == ["accepted:"]]
        return [total for _, total in sorted(zip(pids, totals, strict=True))]

    def reload(self) -> None:
        """Until new workers serve and the old ones have gone. StartError when they do not."""
        before = self._reloads()
        self.process.send_signal(signal.SIGUSR2)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            time.sleep(0.05)
            with contextlib.suppress(OSError):
                if self._reloads() > before:
                    return
        raise StartError(f"{self.way}: no reload within {PATIENCE:g} s")

    def _reloads(self) -> int:
        lines = self.tell("show info").splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("Reloads:")), 0)

    def tell(self, command: str) -> str:
        """The admin socket's answer. OSError when it is not there within the time that a start may take."""
        deadline = time.monotonic() + PATIENCE
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            while error := sock.connect_ex(self.admin):  # bound after the ports that clients come to
                if time.monotonic() > deadline:
                    raise OSError(error, os.strerror(error), self.admin)
                time.sleep(0.05)
            sock.sendall(command.encode() + b"\n")
            answer = b""
            while piece := sock.recv(1 << 16):
                answer += piece
        return answer.decode()


@contextlib.contextmanager
def running(way: str, world: World) -> Iterator[Subject]:
    """One pylb on all cores, its workers serving; ended on leaving. StartError."""
    (port,) = free_ports(1)
    admin, output = str(world.directory / f"{way}.sock"), world.directory / f"{way}.out"
    environment = os.environ | {"PORT": str(port), "ADMIN": admin, "WORKER1": str(world.servers["WORKER1"])}
    cores = f"{world.cores.others},{world.cores.proxy}"
    words = ["taskset", "-c", cores, sys.executable, "-m", WAYS[way], "-q", "-db", "-f", str(CONFIG)]
    with started(words, output, environment) as process:
        wait_until_it_serves(process, port, output)
        subject = Subject(way, port, admin, process)
        deadline = time.monotonic() + PATIENCE
        while len(subject.accepted()) < WORKERS:
            if time.monotonic() > deadline:
                raise StartError(f"{way}: {WORKERS} workers do not come: {output.read_text()[-1500:]}")
            time.sleep(0.05)
        yield subject
