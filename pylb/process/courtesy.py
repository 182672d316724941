"""Who comes first where processes share a core: workers that serve, because somebody waits for them.

Whatever else a generation does (reading its configuration, compiling, taking over, opening, checks, admin sockets) it
does as SCHED_BATCH (sched(7)): it has its share of the core, but never takes it from a worker when it wakes. That
needs no rights, nor does coming back from it.

What a reload prepares runs long without a pause. A worker that wakes waits up to 4 ms for a process of its own weight
to be interrupted, less for one with a nice value, not at all for one that is SCHED_IDLE (measured under Linux 6.18).
But who is idle gets nothing where others take all there is, and only CAP_SYS_NICE (or RLIMIT_NICE) leads back from
there. So it is done in a thread, which on Linux has a policy of its own, and the process watches over it.
"""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

LESS = 5
"""What is added to the nice value where SCHED_IDLE would be for good: a third of the weight."""

LOOK_AFTER = 0.1
"""Seconds between two looks at a thread that is SCHED_IDLE."""

STARVES = 0.1
"""A thread that got less than this share of the time that it could have used takes its part from then on."""


def stand_back() -> None:
    """Let workers come first."""
    _become(os.SCHED_BATCH)


def come_first() -> None:
    """Be one of those that somebody waits for."""
    _become(os.SCHED_OTHER)


def behind(work: Callable[[], T]) -> T:
    """What `work` returns or raises; it is done in a thread that takes what nobody else wants, for which the caller
    waits. Where that is next to nothing it gets a quarter of a core, so that a reload comes to its end."""
    thread = _Background(returns=_may_return())
    with ThreadPoolExecutor(1, initializer=thread.begin) as threads:
        working = threads.submit(work)
        while not thread.insists and not wait((working,), LOOK_AFTER).done:
            if thread.starves():
                thread.insist()
        return working.result()


class _Background:
    """The thread of `behind`."""

    def __init__(self, returns: bool) -> None:
        """`returns`: it may come back from SCHED_IDLE."""
        self.insists = not returns
        """It has a weight, if a small one."""
        self._nice = min(19, os.getpriority(os.PRIO_PROCESS, 0) + LESS)
        self._native = 0
        self._ran = self._waited = 0

    def begin(self) -> None:
        """In the thread itself."""
        self._native = threading.get_native_id()
        if not self.insists:
            _become(os.SCHED_IDLE)
        if self.insists:  # perhaps since a moment ago, when it was not idle yet: nobody looks after it any more
            self.insist()

    def starves(self) -> bool:
        """Since the last look others have left it too little."""
        if not self._native:  # it has not begun
            return False
        try:
            ran, waited = _times(self._native)
        except (OSError, ValueError):  # it has just ended, or nobody knows
            return True
        more, lost = ran - self._ran, waited - self._waited
        self._ran, self._waited = ran, waited
        return more < STARVES * (more + lost)

    def insist(self) -> None:
        """Take a share, and be looked after no more."""
        self.insists = True
        _become(os.SCHED_BATCH, self._native)
        with suppress(OSError):  # it has just ended
            os.setpriority(os.PRIO_PROCESS, self._native, self._nice)


def _may_return() -> bool:
    """Whether SCHED_IDLE can be left again. A thread tries it: capabilities do not tell, as those of a user namespace
    do not count here."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(_there_and_back).result()


def _times(thread: int) -> tuple[int, int]:
    """Nanoseconds that a thread has run, and that it has waited for a core (proc_pid_schedstat(5))."""
    ran, waited, _ = map(int, Path(f"/proc/self/task/{thread}/schedstat").read_text().split())
    return ran, waited


def _there_and_back() -> bool:
    _become(os.SCHED_IDLE)
    _become(os.SCHED_BATCH)
    return os.sched_getscheduler(0) == os.SCHED_BATCH


def _become(policy: int, thread: int = 0) -> None:
    with suppress(OSError):
        os.sched_setscheduler(thread, policy, os.sched_param(0))


@contextmanager
def without_collections() -> Iterator[None]:
    """For building what stays: while many objects are made and none goes, the collector would look at all of them again
    and again, and that was half of a large configuration's time."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()
