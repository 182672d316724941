"""Deadlines that cost a number.

A busy connection changes its deadline several times per request: waiting for a head, for a connection, for the
response, for the next request. `loop.call_later` with `cancel` costs 1.3 µs each time, storing a float next to
nothing. So a connection only stores when it must be woken, and the clock looks after it lazily:

* every watched object sits in one bucket, at or before its deadline;
* a deadline that moves later is not told to the clock: when the bucket comes due, the object moves on to a later one;
* only a deadline that moves before the bucket costs a move.

Invariant: an object with a finite deadline is in a bucket that comes due no later than GRAIN after the deadline.
Deadlines fire late by at most GRAIN plus the loop's own delay, never early.
"""

from __future__ import annotations

import asyncio
import heapq
from math import inf

GRAIN = 0.01
"""Seconds per bucket: HAProxy's timeouts are milliseconds, and the shortest in real use are tens of them."""


class Timed:
    """Something with a deadline. Subclasses implement `expired` and call `arm` and, in the end, `disarm`."""

    __slots__ = ("bucket", "clock", "deadline")

    clock: Clock
    deadline: float
    """Seconds of the loop's clock; inf: none. May be moved later by plain assignment, earlier only by `arm`."""
    bucket: float
    """The bucket it sits in; inf: none."""

    def arm(self, deadline: float) -> None:
        """Call `expired` once `deadline` has passed, in place of any earlier order."""
        self.deadline = deadline
        if deadline < self.bucket:
            self.clock.watch(self)

    def disarm(self) -> None:
        """Forget the deadline and leave the clock."""
        self.deadline = inf
        if self.bucket != inf:
            self.clock.forget(self)

    def expired(self, now: float) -> None:
        """The deadline has passed; it is cleared before the call."""
        raise NotImplementedError


class Clock:
    """Fires the deadlines of any number of `Timed`, with one loop timer at the first bucket that is due."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buckets: dict[float, dict[Timed, None]] = {}
        """In the order in which they came, so that the same input always does the same."""
        self._order: list[float] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf

    def watch(self, timed: Timed) -> None:
        """Put `timed` into the bucket of its (finite) deadline."""
        if timed.bucket != inf:
            self.forget(timed)
        bucket = int(timed.deadline / GRAIN) * GRAIN + GRAIN
        members = self._buckets.get(bucket)
        if members is None:
            members = self._buckets[bucket] = {}
            heapq.heappush(self._order, bucket)
            if bucket < self._due:
                self._schedule(bucket)
        members[timed] = None
        timed.bucket = bucket

    def forget(self, timed: Timed) -> None:
        """Take `timed` out of its bucket."""
        members = self._buckets.get(timed.bucket)
        if members is not None:
            members.pop(timed, None)
        timed.bucket = inf

    def fire(self, now: float) -> None:
        """Expire whatever is due at `now` and move on whatever has a later deadline by now."""
        while self._order and self._order[0] <= now:
            for timed in self._buckets.pop(heapq.heappop(self._order)):
                timed.bucket = inf
                if timed.deadline <= now:
                    timed.deadline = inf
                    self._expire(timed, now)
                elif timed.deadline != inf:
                    self.watch(timed)

    def _expire(self, timed: Timed, now: float) -> None:
        """A mistake of ours with one must not leave others of its bucket without a deadline."""
        try:
            timed.expired(now)
        except Exception as error:
            self._loop.call_exception_handler({"message": f"a deadline of {timed} failed", "exception": error})

    def close(self) -> None:
        """Stop: nothing fires any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._buckets.clear()
        self._order.clear()

    def _tick(self) -> None:
        self._due = inf
        self.fire(self._loop.time())
        if self._order:
            self._schedule(self._order[0])

    def _schedule(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = when
        self._timer = self._loop.call_at(when, self._tick)
