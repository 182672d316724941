"""Long work on an event loop that has traffic: piece by piece, so that no request waits for the whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
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
