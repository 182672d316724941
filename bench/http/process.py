"""Programs of this machine: found, started, waited for, ended."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""Where `python -m pylb` finds this checkout."""
PATIENCE = 30.0
"""Seconds that a program may take to start or to end."""
PORTS = range(12_000, 32_000)
"""To choose from: below those that Linux gives to connections unless it is told otherwise."""


class StartError(Exception):
    """A program is missing, ended at once, or does not listen."""


def find(name: str) -> str | None:
    """The path of a program, also of one that only root has in its PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


@contextlib.contextmanager
def started(command: list[str], output: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended with SIGTERM and, when that does not help, killed."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=ROOT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_it_serves(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    """Until something accepts connections there. StartError with the program's last words when it ends instead."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"{process.args!r} does not serve: {output.read_text()[-1500:]}") from None
            time.sleep(0.05)
        else:
            return


def free_ports(count: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> list[int]:
    """Ports of 127.0.0.1 that were free a moment ago; all different, because all were held at once, and none of those
    that the kernel gives to connections, one of which could take it before the program binds it."""
    ports: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(ports) < count:
            sock = stack.enter_context(socket.socket(socket.AF_INET, kind))
            port = secrets.choice(PORTS)
            with contextlib.suppress(OSError):
                sock.bind(("127.0.0.1", port))
                ports.append(port)
    return ports


def first_line(command: list[str]) -> str:
    """What a program answers when asked for its version, without the rest."""
    words = [find(command[0]) or command[0], *command[1:]]
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=ROOT)
    lines = (done.stdout or done.stderr).splitlines() or ["unknown"]
    return lines[0].partition(" - ")[0].split("Copyright")[0].strip()
