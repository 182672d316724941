"""What every worker uses and waits for, in one shared memory that is read where a limit is about to be met.

    row       a server, frontend, backend (its number in the shared counters), the process, one of its rates
    used      what each worker holds of it now: slots, connections
    queued    how many wait for it in each worker
    first     the order of the one who has waited longest there, see `order`; 0: nobody waits

Each cell has one writer, so there is no lock: a worker adds the others' cells up, and takes one unit if there is one.
Of W workers each can have one such unit on its way, so N is exceeded by fewer than W, and one worker alone may use all
of it. When a unit comes free while several workers have somebody who waits, the longest waiter goes first, as if there
were one queue: who is not the longest leaves the unit and rings that worker's bell, an eventfd. To keep bells rare, a
worker need not ask while it holds less than its even part. A worker that leaves a unit where it is for GRACE seconds
(it hangs, or has died a moment ago) is not waited for.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct
import time
from collections.abc import Callable

from pylb.backend.queue import Ticket

DESCRIPTORS = 3
"""Of each worker, open in all of them: its bell, and both ends of what it gets connections by."""

GRACE = 0.05
"""Seconds in which a longest waiter of another worker must have taken what was left to him."""

PROCESS, CONNECTIONS, SESSIONS, SSL = range(4)
"""Rows behind those of the counters: connections of all frontends together, and the three rates."""
EXTRA = 4

_FIELDS = 3
_BELOW = 1 << 40
"""More than the microseconds of any offset."""


def order(ticket: Ticket) -> int:
    """One whole number for priority class and moment (microseconds of the monotonic clock, which an offset may have
    brought below 0): the smaller goes first."""
    return (ticket.priority + 2048) << 51 | (ticket.number + _BELOW & (1 << 51) - 1)


class Usage:
    """The memory and the bells; made by the steward before it forks."""

    def __init__(self, workers: int, counted: int) -> None:
        """`counted`: the rows of servers, frontends and backends."""
        self.workers = workers
        self.counted = counted
        rows = counted + EXTRA
        self._ways = _FIELDS * workers * rows
        """Behind the rows: connections that workers have passed to each other (process/spread.py), given, taken; then
        whether each worker takes any."""
        self.memory = mmap.mmap(-1, 8 * (self._ways + 2 * workers * workers + workers))
        self.cells = memoryview(self.memory).cast("q")
        self.bells = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(workers)]
        self.chutes = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(workers)]
        """By worker: where it gets connections from, and where the others put them in."""
        for chute in self.chutes:
            for end in chute:
                end.setblocking(False)

    def leave(self, slot: int, rows: int) -> None:
        """The worker in `slot`, from 1, is dead: it holds nothing and nobody waits there. Of the rows that are counted
        `rows` are in use."""
        size = _FIELDS * self.workers
        for first, end in ((0, size * rows), (size * self.counted, self._ways)):
            for place in range(first + slot - 1, end, self.workers):
                self.cells[place] = 0

    def clear(self, row: int) -> None:
        """Nobody holds anything of what had this row, or waits for it: there is another now."""
        size = _FIELDS * self.workers
        for place in range(size * row, size * (row + 1)):
            self.cells[place] = 0

    def ring(self, place: int) -> None:
        """Have the worker at `place`, from 0, look after those who wait there."""
        os.eventfd_write(self.bells[place], 1)

    def reading(self, row: int) -> tuple[mmap.mmap, int, Callable[..., tuple[int, ...]]]:
        """Memory, offset, and what reads there how much each worker holds of a row (or what is `queued`, `first`, so
        many cells behind): the fastest way, for what each connection asks."""
        return self.memory, 8 * _FIELDS * self.workers * row, struct.Struct(f"{self.workers}q").unpack_from

    # ------------------------------------------------------------------------- connections from one worker to another

    def take(self, place: int, wanted: bool) -> None:
        """Whether the worker at `place`, from 0, takes connections."""
        self.cells[len(self.cells) - self.workers + place] = wanted

    def takes(self, place: int) -> bool:
        """The same."""
        return bool(self.cells[len(self.cells) - self.workers + place])

    def given(self, slot: int, place: int, count: int) -> None:
        """The worker in `slot` has passed so many more to that at `place`, from 0."""
        self.cells[self._ways + (slot - 1) * self.workers + place] += count

    def taken(self, giver: int, slot: int) -> None:
        """The worker in `slot` has taken one of those that `giver` has passed to it."""
        self.cells[self._ways + self.workers**2 + (giver - 1) * self.workers + slot - 1] += 1

    def taken_of(self, slot: int, place: int) -> int:
        """How many the worker at `place` has taken of those of the worker in `slot`."""
        return self.cells[self._ways + self.workers**2 + (slot - 1) * self.workers + place]

    def on_the_way(self, slot: int, place: int) -> int:
        """Passed by the worker in `slot` to that at `place`, and not taken yet."""
        given = self.cells[self._ways + (slot - 1) * self.workers + place]
        return max(0, given - self.taken_of(slot, place))


class Share:
    """One worker's view of one row."""

    __slots__ = (
        "_at", "_cells", "_firsts", "_left_at", "_left_to", "_lines", "_memory", "_offset", "_own", "_place", "_queued",
        "_read", "_usage", "_workers",
    )  # fmt: skip

    def __init__(self, usage: Usage, row: int, slot: int, *lines: Share) -> None:
        """`slot`: the worker's, from 1; `lines`: other rows whose waiters want this row's units, too."""
        self._usage = usage
        self._memory, self._offset, self._read = usage.reading(row)
        self._cells = usage.cells
        self._workers = usage.workers
        self._place = slot - 1
        self._at = self._offset // 8
        self._own = self._at + self._place
        self._queued = self._offset + 8 * usage.workers
        self._firsts = self._queued + 8 * usage.workers
        self._lines = (self, *lines)
        self._left_to, self._left_at = 0, 0.0

    # -------------------------------------------------------------------------------------------------------- writing

    def use(self, count: int) -> bool:
        """This worker holds so many; whether that is less than before."""
        cells, own = self._cells, self._own
        less = count < cells[own]
        cells[own] = count
        return less

    def wait(self, count: int, first: int) -> None:
        """So many wait here; `first` is the `order` of the longest waiter, 0 where there is none."""
        at = self._at + self._workers + self._place
        self._cells[at] = count
        self._cells[at + self._workers] = first

    # -------------------------------------------------------------------------------------------------------- reading

    def used_elsewhere(self) -> int:
        """What the others hold."""
        used = self._read(self._memory, self._offset)
        return sum(used) - used[self._place]

    def queued_elsewhere(self) -> int:
        """How many wait with the others."""
        queued = self._read(self._memory, self._queued)
        return sum(queued) - queued[self._place]

    def room(self, limit: int, mine: int) -> int:
        """How many of `limit` this worker, which holds `mine`, may hold now: what the others do not, or `mine` when
        somebody else's waiter comes first."""
        used = self._read(self._memory, self._offset)
        room = limit - sum(used) + used[self._place]
        if room <= mine:
            self._left_to = 0
        elif mine >= limit // self._workers and self._others_come_first():
            return mine
        return room

    def _others_come_first(self) -> bool:
        place, first = self._eldest_elsewhere()
        if not first:
            return False
        own = self._own_first()
        if own and own <= first:
            return False
        if first != self._left_to:
            self._left_to, self._left_at = first, time.monotonic()
        elif time.monotonic() - self._left_at > GRACE:
            return False
        self._usage.ring(place)
        return True

    def pass_on(self) -> None:
        """A unit has come free for which nobody waits here: ring for the longest waiter."""
        if len(self._lines) > 1 or any(self._read(self._memory, self._firsts)):  # mostly there is nobody
            place, first = self._eldest_elsewhere()
            if first:
                self._usage.ring(place)

    def _eldest_elsewhere(self) -> tuple[int, int]:
        """The worker where the longest waiter is, and his order; (0, 0) where nobody waits."""
        place = eldest = 0
        for line in self._lines:
            firsts = self._read(self._memory, line._firsts)
            if not any(firsts):
                continue
            for other, first in enumerate(firsts):
                if first and other != self._place and (not eldest or first < eldest):
                    place, eldest = other, first
        return place, eldest

    def _own_first(self) -> int:
        firsts = [self._cells[line._at + 2 * self._workers + self._place] for line in self._lines]
        return min((first for first in firsts if first), default=0)


class RateShare:
    """One worker's view of how many events the others have had in a second: `used` holds second and events, `queued`
    the events of the second before."""

    def __init__(self, usage: Usage, row: int, slot: int) -> None:
        self._memory, self._cells = usage.memory, usage.cells
        self._workers, self._place = usage.workers, slot - 1
        self._at = _FIELDS * usage.workers * row
        self._read = struct.Struct(f"{2 * usage.workers}q").unpack_from

    def tell(self, second: int, now: int, before: int) -> None:
        """This worker has had `now` events in this second and `before` in the one before."""
        at = self._at + self._place
        self._cells[at + self._workers] = before
        self._cells[at] = second << 32 | now

    def elsewhere(self, second: int) -> tuple[int, int]:
        """Events of all others in this second, and in the one before."""
        cells = self._read(self._memory, 8 * self._at)
        now = before = 0
        for place in range(self._workers):
            if place == self._place:
                continue
            told, events = cells[place] >> 32, cells[place] & 0xFFFFFFFF
            if told == second:
                now += events
                before += cells[self._workers + place]
            elif told == second - 1:
                before += events
        return now, before
