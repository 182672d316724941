"""Who comes first where processes share a core: workers that serve, because somebody waits for them.

Whatever else a generation does (reading its configuration, compiling, taking over, opening, checks, admin sockets) it
does as SCHED_BATCH (sched(7)): it has its share of the core, but never takes it from a worker when it wakes. That
needs no rights, nor does coming back from it.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def stand_back() -> None:
    """Let workers come first."""
    _become(os.SCHED_BATCH)


def come_first() -> None:
    """Be one of those that somebody waits for."""
    _become(os.SCHED_OTHER)


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
