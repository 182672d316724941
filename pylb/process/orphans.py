"""Workers whose steward has died. They are the master's children then (it is a subreaper) and known to nobody else:
those of the generation that serves serve on until another one does, those of a generation that retires finish what they
have, and those of one that never served are ended.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path


class Orphans:
    """Their pids."""

    def __init__(self) -> None:
        self._pids: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._pids)

    def new(self, stewards: Collection[int], told: Iterable[int]) -> set[int]:
        """Those that a steward has left at its death a moment ago: children that are no stewards and not known yet.
        Without /proc, those that it had `told` of. The first process of a container has other children, too."""
        try:
            text = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        except OSError:
            return set(told) - self._pids
        found = set(map(int, text.split())) - set(stewards) - self._pids
        return {pid for pid in found if _may_be_ours(pid)}

    def adopt(self, workers: Iterable[int]) -> None:
        """These serve on."""
        self._pids.update(workers)

    def dismiss(self) -> None:
        """They may finish what runs and end: another generation serves, or nobody is to."""
        self.signal(signal.SIGUSR1)

    def signal(self, number: int) -> None:
        """To all of them."""
        tell(self._pids, number)

    def reap(self, stewards: Collection[int]) -> None:
        """Wait for children that have ended and are no stewards."""
        with suppress(ChildProcessError):
            while True:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is None or found.si_pid in stewards:
                    return
                os.waitpid(found.si_pid, 0)
                self._pids.discard(found.si_pid)


def tell(pids: Iterable[int], number: int) -> None:
    """Send them a signal."""
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, number)


def _may_be_ours(pid: int) -> bool:
    """Whoever is forked and not executed has the command line of its parent (another user's may be hidden: proc(5))."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() == Path("/proc/self/cmdline").read_bytes()
    except OSError:
        return True
