"""What every test may use: finding real programs, free ports, waiting for a condition.

A missing real program skips a test on a developer's machine and fails it in CI, so that CI can never be green
because nothing ran.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
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


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 for a program that binds it a moment later: none of those that the kernel gives to
    connections, one of which could take it meanwhile, and never the same twice, because two programs with SO_REUSEPORT
    would share it unnoticed."""
    while True:
        port = secrets.choice(range(12_000, 32_000))
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, kind) as sock:
            sock.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


def wait_for(condition: Callable[[], object], timeout: float = 10.0, what: str = "the condition") -> None:
    """Poll until `condition()` is true, often in the beginning; AssertionError after `timeout` seconds."""
    deadline, pause = time.monotonic() + timeout, 0.001
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s for {what}")
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
