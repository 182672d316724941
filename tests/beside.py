"""Two processes run tests side by side (`-n 2`), because tests wait as much as they compute: which go together, and
which need the machine for themselves.

A test takes the machine together with others, or alone. Both stand at a gate first, so that one who wants it alone
waits for those who have it and not for all who come after them.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

TOGETHER = ("tests/lab/", "tests/vrrpd/interop/")
"""Directories whose tests share what is dear to make, and which begin: they take longest. Elsewhere each file is on its
own."""

ALONE = "tests/lab/"
"""Whose networks of twenty programs each take all there is. So does a test that asks for `alone`."""


def place(nodeid: str) -> str:
    """What runs in one process, one test after the other."""
    return next((directory for directory in TOGETHER if nodeid.startswith(directory)), nodeid.partition("::")[0])


def scheduler(config: pytest.Config, log: Any) -> Any:
    """pytest-xdist's, by places."""
    from xdist.scheduler import LoadScopeScheduling

    class ByPlace(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return place(nodeid)

    return ByPlace(config, log)


def wants_it_alone(item: pytest.Item | None) -> bool:
    """A test that others would disturb."""
    return item is not None and (item.nodeid.startswith(ALONE) or "alone" in getattr(item, "fixturenames", ()))


class Machine:
    """The right to use it, of this process; without others beside it there is nothing to ask for."""

    def __init__(self, directory: Path | None) -> None:
        """`directory` is common to all processes; None: there is only one."""
        self._gate = self._lock = -1
        self._alone = False
        if directory is not None:
            self._gate, self._lock = (
                os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC) for name in ("gate", "machine")
            )

    def take(self, alone: bool) -> None:
        """Before a test."""
        if self._lock < 0 or (alone and self._alone):
            return
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        fcntl.flock(self._lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(self._gate, fcntl.LOCK_UN)
        self._alone = alone

    def leave(self, keep: bool) -> None:
        """After it; `keep`: the next one needs it alone, too, and what has been started goes on meanwhile."""
        if self._lock >= 0 and not (keep and self._alone):
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            self._alone = False
