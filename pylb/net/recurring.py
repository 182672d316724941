"""Work that is done again and again. Between two times it is a timer and nothing else: there may be thousands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress


class Recurring:
    """`work` is done where `wanted` says so, `interval()` seconds after it was done, or would have been, before."""

    __slots__ = ("_due", "_ended", "_interval", "_loop", "_task", "_timer", "_wanted", "_work")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Callable[[], Awaitable[None]],
        wanted: Callable[[], bool],
        interval: Callable[[], float],
    ) -> None:
        self._loop = loop
        self._work = work
        self._wanted = wanted
        self._interval = interval
        self._due = 0.0
        self._ended = False
        self._timer: asyncio.TimerHandle | None = None
        """While it waits."""
        self._task: asyncio.Task[None] | None = None
        """While it is done."""

    def begin(self, delay: float) -> None:
        """The first time is in `delay` seconds, unless it has been ended before."""
        if self._ended:
            return
        self._due = self._loop.time() + delay
        self._timer = self._loop.call_later(delay, self._turn)

    def hasten(self, within: float) -> None:
        """If it waits, the next time is in `within` seconds at the latest."""
        if self._timer is not None and self._loop.time() + within < self._due:
            self._timer.cancel()
            self.begin(within)

    def _turn(self) -> None:
        self._timer = None
        if self._wanted():
            self._task = self._loop.create_task(self._do())
        else:
            self.begin(self._interval())

    async def _do(self) -> None:
        try:
            await self._work()
        finally:  # what fails once has to be done again all the same
            self._task = None
            self.begin(self._interval())

    def end(self) -> None:
        """Never again; what is being done is broken off."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()

    async def ended(self) -> None:
        """After `end`: wait until nothing is being done."""
        if self._task is not None:
            with suppress(asyncio.CancelledError):
                await self._task
