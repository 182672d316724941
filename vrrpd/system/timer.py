"""One timer of the kernel for the daemon's next deadline, exact to some 50 µs.

asyncio waits in whole milliseconds, which would be a tenth of the shortest advert interval. A timerfd is
armed with the deadline itself, on the clock that the event loop uses (CLOCK_MONOTONIC).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import struct
import time
from collections.abc import Callable

TFD_NONBLOCK, TFD_CLOEXEC, TFD_TIMER_ABSTIME = os.O_NONBLOCK, os.O_CLOEXEC, 1
_libc = ctypes.CDLL(None, use_errno=True)


class Timer:
    """Calls `fired` from the event loop when the armed time has come."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fired: Callable[[], None]) -> None:
        self._loop, self._fired = loop, fired
        self._armed = float("inf")
        self._spec = ctypes.create_string_buffer(32)
        self._fd: int = _libc.timerfd_create(time.CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        loop.add_reader(self._fd, self._readable)

    def arm(self, deadline: float) -> None:
        """Fire at this time of `loop.time()`; `inf` for never. A time that has passed fires at once. Closed it stays
        silent: its descriptor may be another's."""
        if deadline == self._armed or self._fd < 0:
            return
        self._armed = deadline
        if deadline == float("inf"):
            seconds, nanoseconds = 0.0, 0
        else:
            seconds, fraction = divmod(max(deadline, 1e-9), 1)
            nanoseconds = max(1, int(fraction * 1e9))
        struct.pack_into("@4q", self._spec, 0, 0, 0, int(seconds), nanoseconds)
        if _libc.timerfd_settime(self._fd, TFD_TIMER_ABSTIME, self._spec, None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 8)
            self._armed = float("inf")
            self._fired()

    def close(self) -> None:
        """Never fire again."""
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        self._fd = -1
