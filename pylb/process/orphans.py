"""Workers whose steward has died. They serve on, as the master's children, until another generation does. Those of a
steward that died before it served are nobody's: they end at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path


class Orphans:
    """Their pids; the master must be a subreaper."""

    def __init__(self) -> None:
        self._pids: list[int] = []
        self._known: set[int] = set()
        """All that were ever adopted: they may be finishing what runs."""

    def __bool__(self) -> bool:
        return bool(self._pids)

    def adopt(self, workers: Iterable[int]) -> None:
        """Their steward has died."""
        self._pids.extend(workers)
        self._known.update(self._pids)

    def dismiss(self) -> None:
        """They may finish what runs and end: another generation serves, or nobody is to."""
        self._signal(signal.SIGUSR1)
        self._pids = []

    def stop(self) -> None:
        """End at once."""
        self._signal(signal.SIGTERM)

    def stop_strays(self, stewards: Collection[int]) -> None:
        """A steward has died without having served: its workers, of which it may not have told, have become children
        of this process."""
        for pid in _children() - {*stewards, *self._known}:
            with suppress(OSError):
                os.kill(pid, signal.SIGTERM)

    def _signal(self, number: int) -> None:
        for pid in self._pids:
            with suppress(OSError):
                os.kill(pid, number)


def _children() -> set[int]:
    """Pids, where the kernel tells them (CONFIG_PROC_CHILDREN)."""
    found: set[int] = set()
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found.update(map(int, file.read_text().split()))
    return found


def reap(stewards: Collection[int]) -> None:
    """Wait for children that have ended and are no stewards: workers whose steward died before them."""
    with suppress(ChildProcessError):
        while True:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None or found.si_pid in stewards:
                return
            os.waitpid(found.si_pid, 0)
