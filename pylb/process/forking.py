"""Children that share memory with their parent and nothing else: no event loop, no handlers, no descriptors but those
they are given.

A fork is cheap and keeps all modules and the compiled configuration (copied on write), which is why a dead worker is
replaced within milliseconds and after chroot. What must not be shared is reset in the child before it does anything:
signals are blocked over the fork, so that none reaches the child while the parent's handlers are still installed in it.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

_DEFAULTS = (
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCHLD, signal.SIGABRT,
    signal.SIGTTOU, signal.SIGTTIN,
)  # fmt: skip


def fork(child: Callable[[], int], keep: Iterable[int]) -> int:
    """Run `child` in a new process, which ends with the status it returns; the process id.

    Of the descriptors, standard streams and `keep` stay open in it. To be called while no event loop runs.
    Raises OSError where there is no room for another process.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid:
            return pid
        _run(child, keep, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    raise AssertionError("the child has ended")


def _run(child: Callable[[], int], keep: Iterable[int], mask: set[signal.Signals | int]) -> None:
    """In the child: never returns."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in _DEFAULTS:
            signal.signal(number, signal.SIG_DFL)
        asyncio.set_event_loop(None)
        close_all_but(keep)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = child()
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)  # no destructor of the parent's objects may run here


def close_all_but(keep: Iterable[int]) -> None:
    """Close all descriptors but the standard streams and `keep`."""
    first = 3
    for fd in sorted({fd for fd in keep if fd >= first}):
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def open_descriptors() -> set[int]:
    """All descriptors of this process; needs /proc."""
    return {number for number in (int(entry.name) for entry in Path("/proc/self/fd").iterdir()) if _is_open(number)}


def _is_open(fd: int) -> bool:
    """Not so the one by which the directory was read."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
