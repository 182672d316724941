"""Exchanges that wait for a server's slot: a server's queue or its backend's (manual: `maxconn`, `timeout queue`).

A queue only keeps order. Who gives slots away is backend.py: whenever a slot comes free it takes the next waiter of the
server's queue or the backend's, whichever `before` the other: lower priority class first (`http-request
set-priority-class`), then who came first, to which `set-priority-offset` adds milliseconds. Invariant: a waiter is in
at most one queue, and `waiting` on it names it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

_SPARE = 64
"""Places of a heap that may belong to nobody any more, besides as many as there are waiters."""


class Ticket(NamedTuple):
    """A place in the order of all waiters of a backend; the smaller goes first."""

    priority: int
    """Priority class, -2047 … 2047, 0 by default; lower is served earlier."""
    number: int
    """The moment, in microseconds, that the waiter came or is to be taken to have come."""


def microseconds() -> int:
    """The monotonic clock: waiters draw it as their number, so that they compare between queues and processes."""
    return time.monotonic_ns() // 1000


def moments() -> Iterator[int]:
    """Microseconds that no two waiters share."""
    last = 0
    while True:
        last = max(microseconds(), last + 1)
        yield last


class Queue:
    """First in, first out within a priority class, but for offsets. Joining and taking the first are O(log n), leaving
    anywhere is O(1): the heap's place stays behind until it is the first, or until too many of them are nobody's."""

    __slots__ = ("_heap", "_joined", "_members", "_places", "granted", "length")

    def __init__(self) -> None:
        self._heap: list[tuple[Ticket, int]] = []  # ticket, how many had joined
        self._members: dict[int, Any] = {}  # by the second of these
        self._places: dict[Any, tuple[int, int]] = {}  # that again, granted when it came
        self._joined = 0
        self.length = 0
        self.granted = 0
        """Waiters that got a server so far; whoever grants counts it here."""

    def __len__(self) -> int:
        return self.length

    def join(self, x: Any, ticket: Ticket) -> None:
        """Put `x` where its ticket belongs, behind those with the same."""
        self._joined = joined = self._joined + 1
        heappush(self._heap, (ticket, joined))
        self._members[joined] = x
        self._places[x] = (joined, self.granted)
        self.length += 1

    def leave(self, x: Any) -> int:
        """Take `x` out; its position (%sq, %bq): one more than were granted from here since it came.

        Raises KeyError if `x` does not wait here.
        """
        joined, granted_before = self._places.pop(x)
        del self._members[joined]
        self.length -= 1
        self._tidy()
        return self.granted - granted_before + 1

    def _tidy(self) -> None:
        """The heap's first is a waiter's place, and not too many others are nobody's."""
        heap, members = self._heap, self._members
        while heap and heap[0][1] not in members:
            heappop(heap)
        if len(heap) > 2 * self.length + _SPARE:
            heap[:] = [place for place in heap if place[1] in members]
            heapify(heap)

    def first(self) -> tuple[Ticket, Any] | None:
        """The next to be served, left in its place; None when nobody waits."""
        if not self._heap:
            return None
        ticket, joined = self._heap[0]
        return ticket, self._members[joined]

    def all(self) -> list[Any]:
        """Everyone who waits, in order."""
        return [self._members[joined] for _, joined in sorted(self._heap) if joined in self._members]
