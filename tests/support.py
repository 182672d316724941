"""What every test may use: finding real programs, free ports, waiting for a condition.

A missing real program skips a test on a developer's machine and fails it in CI, so that CI can never be green
because nothing ran.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import ssl
import time
from collections.abc import Callable

import pytest

IN_CI = os.environ.get("CI") == "true"
SHARE = float(os.environ.get("EXAMPLES", "0.3"))
"""Of the examples that a random test names: less than all in `make test`, many times as many in `make fuzz`."""


def examples(number: int) -> int:
    """So many examples of a random test, or rather the share of them that is wanted in this run."""
    return max(10, round(SHARE * number))


def skip_or_fail(reason: str) -> None:
    """Skip the running test with `reason`; in CI fail it instead."""
    if IN_CI:
        pytest.fail(f"needed in CI: {reason}", pytrace=False)
    pytest.skip(reason)


def require_program(name: str) -> str:
    """The path of a real program such as "haproxy"; skips (in CI: fails) where it is not installed."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/lib/frr")
    if path is None:
        skip_or_fail(f"{name} is not installed")
        raise AssertionError("unreachable")
    return path


_given: set[int] = set()
_PART = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PARTS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 for a program that binds it a moment later: none of those that the kernel gives to
    connections, one of which could take it meanwhile. And never the same twice, nor one of those that tests in another
    process may choose: two programs with SO_REUSEPORT would share it unnoticed."""
    while True:
        port = secrets.choice(range(12_000 + _PART, 32_000, _PARTS))
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, kind) as sock:
            sock.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


PATIENCE = 3
"""How many times as long things may take on a machine that does others meanwhile."""


def wait_for(condition: Callable[[], object], timeout: float = 10.0, what: str = "the condition") -> None:
    """Poll until `condition()` is true, often in the beginning; AssertionError when it is not after PATIENCE times the
    `timeout` seconds that it may take on a quiet machine. So this is no test of how quick something is."""
    deadline, pause = time.monotonic() + PATIENCE * timeout, 0.001
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {PATIENCE} times {timeout} s for {what}")
        time.sleep(pause)
        pause = min(2 * pause, 0.02)


def wait_for_port(port: int, host: str = "127.0.0.1", timeout: float = 10.0) -> None:
    """Wait until something accepts TCP connections there."""

    def accepts() -> bool:
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            return False
        return True

    wait_for(accepts, timeout, f"a listener on {host}:{port}")


class TlsSocket(ssl.SSLSocket):
    """What `wrap_socket` makes of contexts whose `sslsocket_class` this is: closed when that fails, also where the peer
    has reset the connection before. There ssl reads once, lets the error through and forgets the socket."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:
            return super().recv(buflen, flags)
        except ConnectionError:
            if self._sslobj is None:  # type: ignore[attr-defined]
                self.close()
            raise


async def end_servers(*servers: asyncio.Server) -> None:
    """Close servers of this loop and end what they have accepted: of a connection whose task has not begun when the
    loop ends, or when it is cancelled, nobody would close the socket."""
    loop = asyncio.get_running_loop()
    for server in servers:
        for listening in server.sockets:
            loop.remove_reader(listening.fileno())  # no more are accepted
    for _ in range(5):  # in which the last ones' tasks and their handlers begin; a closed server has no room for them
        await asyncio.sleep(0)
    for server in servers:
        server.close()
    mine = asyncio.current_task()
    while others := [task for task in asyncio.all_tasks() if task is not mine]:
        for task in others:
            task.cancel()
        await asyncio.wait(others)
    await asyncio.sleep(0.01)  # in which transports close
