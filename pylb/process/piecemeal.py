"""Long work on an event loop that has traffic: piece by piece, so that no request waits for the whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from math import inf
from time import perf_counter

PIECE = 0.00025
"""Seconds after which the loop has its turn: about a request's work or two."""

PAUSE = 0.001
"""Seconds until the next piece: a request takes several turns of the loop, and should not wait in each."""


def piecemeal(loop: asyncio.AbstractEventLoop, work: Iterator[object], done: Callable[[], object]) -> None:
    """Carry `work` out step by step, as many steps at a time as fit into PIECE, then call `done`.

    The first piece is done at once: what is little is finished when this returns.
    """
    until = perf_counter() + PIECE
    for _ in work:
        if perf_counter() > until:
            loop.call_later(PAUSE, piecemeal, loop, work, done)
            return
    done()


class Pace:
    """For work of a process beside those that serve: they get the core for `pause` seconds after each PIECE of it."""

    def __init__(self, pause: float = PAUSE) -> None:
        self._pause = pause
        self._until = perf_counter() + PIECE

    def hurry(self) -> None:
        """From now on nobody else has to be considered."""
        self._until = inf

    async def step(self) -> None:
        """One step is done, of many."""
        if perf_counter() > self._until:
            await asyncio.sleep(self._pause)
            self._until = max(self._until, perf_counter() + PIECE)

    async def all(self, work: Iterator[object]) -> None:
        """Carry `work` out."""
        for _ in work:
            await self.step()


class Leisure(Pace):
    """For what nobody waits for, at the moment when one generation follows another and the core is full of both."""

    def __init__(self) -> None:
        super().__init__(4 * PAUSE)


class Hurry(Pace):
    """Without a rest."""

    def __init__(self) -> None:
        super().__init__()
        self.hurry()
