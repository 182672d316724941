"""Who comes first where processes share a core: workers that serve, because somebody waits for them.

Whatever else a generation does (reading its configuration, compiling, taking over, opening, checks, admin sockets) it
does as SCHED_BATCH (sched(7)): it has its share of the core, but never takes it from a worker when it wakes. That
needs no rights, nor does coming back from it.

What a reload prepares runs long without a pause. A process that wakes waits up to 4 ms for one of its own weight to be
interrupted, and hardly ever for one with a nice value of 5 (measured under Linux 6.18). Nobody may come back from a
nice value without a right, but on Linux it is a thread's: a thread that ends leaves the process as it was.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TypeVar

T = TypeVar("T")

LESS = 5
"""What is added to the nice value: a third of the weight."""


def stand_back() -> None:
    """Let workers come first."""
    _become(os.SCHED_BATCH)


def come_first() -> None:
    """Be one of those that somebody waits for."""
    _become(os.SCHED_OTHER)


def behind(work: Callable[[], T]) -> T:
    """What `work` returns or raises; it is done in a thread of less weight, for which the caller waits.

    It still gets a quarter of a core that is otherwise all taken, so that a reload comes to its end."""
    with ThreadPoolExecutor(1, initializer=os.nice, initargs=(LESS,)) as threads:
        return threads.submit(work).result()


def _become(policy: int) -> None:
    with suppress(OSError):
        os.sched_setscheduler(0, policy, os.sched_param(0))


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
