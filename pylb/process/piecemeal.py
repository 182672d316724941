"""Long work on an event loop that has traffic: a piece each turn, so that no request waits for the whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from time import perf_counter

PIECE = 0.001
"""Seconds after which the loop has its turn: about three requests' work."""


def piecemeal(
    loop: asyncio.AbstractEventLoop, work: Iterator[object], done: Callable[[], object], piece: float = PIECE
) -> None:
    """Carry `work` out step by step, as many steps a turn as fit into `piece` seconds, then call `done`.

    The first piece is done at once: what is little is finished when this returns.
    """
    until = perf_counter() + piece
    for _ in work:
        if perf_counter() > until:
            loop.call_soon(piecemeal, loop, work, done, piece)
            return
    done()
