"""Workers whose steward has died. They serve on, as the master's children, until another generation does."""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Iterable
from contextlib import suppress


class Orphans:
    """Their pids; the master must be a subreaper."""

    def __init__(self) -> None:
        self._pids: list[int] = []

    def __bool__(self) -> bool:
        return bool(self._pids)

    def adopt(self, workers: Iterable[int]) -> None:
        """Their steward has died."""
        self._pids.extend(workers)

    def dismiss(self) -> None:
        """They may finish what runs and end: another generation serves, or nobody is to."""
        self._signal(signal.SIGUSR1)
        self._pids = []

    def stop(self) -> None:
        """End at once."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        for pid in self._pids:
            with suppress(OSError):
                os.kill(pid, number)


def reap(stewards: Collection[int]) -> None:
    """Wait for children that have ended and are no stewards: workers whose steward died before them."""
    with suppress(ChildProcessError):
        while True:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None or found.si_pid in stewards:
                return
            os.waitpid(found.si_pid, 0)
