"""Who writes which counters into the shared memory, and who reads them back.

A worker's Book writes rows that have changed, the steward's reads them into the counters of its own Balancer, so that
there, and only there, plain attributes are the sums; whoever reads statistics in the steward need not know of workers.
A worker that has to show statistics (the page, metrics, rules that ask for rates) adds the memory up itself.

Large configurations are gone through in slices, so that no request waits for the whole: every row is looked at once a
second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pylb.admin.world import own_totals
from pylb.counters import LARGEST, OF_STEWARD, RATES, ProxyCounters
from pylb.process.counters import FIELDS, RATES_OF_PROCESS, UNMARKED, KnownRate, SharedCounters, mark, put
from pylb.rules.scope import read_counter

if TYPE_CHECKING:
    from pylb.backend.backend import Backend
    from pylb.backend.server import Server
    from pylb.process.balancer import Balancer
    from pylb.rules.frontend import Frontend

    Live = Frontend | Backend | Server

TICK = 0.5
"""Seconds between two looks at the counters, which is also the interval of heartbeats."""

SMALL = 250
"""Rows that are gone through at once; more are divided over a second. That is half a millisecond."""

SETTLED, WOKEN = 6, -1
"""A row that was looked at so often, for three seconds at least, without a change has rates of 0 and is left alone
until it changes: of 11,000 rows most are idle, and sampling them all took a tenth of a core."""

SPARE = 4096
"""Rows for servers that are added while the generation runs. Memory that nobody has touched takes no room, and only
rows that are or were in use are gone through."""

_BASE = len(FIELDS) - len(OF_STEWARD)


class Book:
    """The rows of one process: `entries[i]` is the live object of row i, None where one has become free. Those behind
    have never been in use."""

    def __init__(self, shared: SharedCounters, entries: list[Live | None]) -> None:
        self.shared = shared
        self.entries = entries
        self._next = 0

    def tick(self, now: float) -> None:
        """Look at rows for the next TICK seconds: all, or as many slices as make it all of them in a second."""
        size = len(self.entries)
        self._look_at(now, 1 if size <= SMALL else -(-int(size * TICK) // SMALL))

    def _look_at(self, now: float, slices: int, pause: float = 0.0) -> None:
        for row, live in self._slice():
            self._look(row, live, now)
        if slices > 1:
            loop, pause = asyncio.get_running_loop(), pause or TICK / slices
            loop.call_later(pause, lambda: self._look_at(loop.time(), slices - 1, pause))

    def _look(self, row: int, live: Live, now: float) -> None:
        """One row whose turn it is."""
        raise NotImplementedError

    def settle(self) -> None:
        """Have all rows say what is true now."""
        for _ in self.settling():
            pass

    def settling(self) -> Iterator[None]:
        """The same row by row, for who has something else to attend to."""
        raise NotImplementedError

    def add(self, live: Live) -> None:
        """A server has been added: the same row in every process, as all add the same servers in the same order. The
        lowest that is free; not called where `full`."""
        try:
            row = self.entries.index(None)
            self.entries[row] = live
        except ValueError:
            row = len(self.entries)
            self.entries.append(live)
        self._forget(row)
        live.counters.row = row

    @property
    def full(self) -> bool:
        """There is no row for another server."""
        return len(self.entries) >= self.shared.rows and None not in self.entries

    def _forget(self, row: int) -> None:
        """Nothing of the server that had this row is left here; there may have been none."""
        raise NotImplementedError

    def remove(self, live: Live) -> None:
        """A server has been deleted."""
        row = live.counters.row
        if row >= 0:
            self.entries[row] = None
            live.counters.row = -1
            self._forget(row)

    def _slice(self) -> Iterator[tuple[int, Live]]:
        """The rows whose turn it is."""
        size = len(self.entries)
        first, self._next = self._next, (self._next + SMALL if self._next + SMALL < size else 0)
        for row in range(first, min(first + SMALL, size)):
            live = self.entries[row]
            if live is not None:
                yield row, live

    def write_process(self, balancer: Balancer, now: float) -> None:
        """Write the figures of this process."""
        raise NotImplementedError

    def clear(self, everything: bool) -> None:
        """`clear counters` has been carried out in this process; `everything`: its totals are gone too."""
        raise NotImplementedError

    def figure(self, name: str) -> int:
        """A figure over all processes."""
        return int(self.shared.figure(0, name)) if name == "most" else self.shared.sum_figure(name)

    def rate(self, name: str) -> KnownRate:
        """A rate of the whole generation as the steward has measured it."""
        return KnownRate(self.shared.figure(0, name), self.shared.figure(0, f"{name}_max"))


class WorkersBook(Book):
    """Writes what this worker counts into its slot."""

    def __init__(self, shared: SharedCounters, entries: list[Live | None], slot: int) -> None:
        """`entries`: those of the StewardsBook. They are touched as little as possible, here and in `beginning`: memory
        that a forked process touches is copied."""
        super().__init__(shared, entries)
        self.slot = slot
        self._marks: list[tuple[float, ...] | None] = [UNMARKED] * len(entries)

    def beginning(self) -> Iterator[None]:
        """Step by step: go on counting where the slot is. The counters are those of the steward that this worker was
        forked from, which are sums."""
        for row, live in enumerate(self.entries):
            if not self.shared.untouched(row) and live is not None:
                live.counters.reset()
                put(live.counters, self.shared.values(self.slot, row))
                self._marks[row] = mark(own_totals(live))
            yield

    def _forget(self, row: int) -> None:
        self._marks += [UNMARKED] * (len(self.entries) - len(self._marks))
        self._marks[row] = UNMARKED
        self.shared.clear(self.slot, row)

    def _look(self, row: int, live: Live, now: float) -> None:
        """Write the row if it has changed."""
        live.counters.fold()
        live.counters.responses.turn(now)
        self._write(row, live)

    def settling(self) -> Iterator[None]:
        """Write everything that has changed; first the times of servers are averaged into their backends' rows, which
        stand before theirs."""
        for live in self.entries:
            if live is not None:
                live.counters.fold()
            yield
        for row, live in enumerate(self.entries):
            if live is not None:
                self._write(row, live)
            yield

    def clear(self, everything: bool) -> None:
        self._marks = [None] * len(self.entries)
        self.settle()

    def write_process(self, balancer: Balancer, now: float) -> None:
        house, figures, write = balancer.house, balancer.figures, self.shared.write_figure
        for name, value in (
            ("connections", house.connections),
            ("most", house.most),
            ("total", house.total),
            ("ssl", figures.own_ssl_conns),
            ("dropped", figures.own_dropped_logs),
            ("tasks", figures.own_tasks),
            ("idle", figures.own_idle_percent),
        ):
            write(self.slot, name, value)
        for name in RATES_OF_PROCESS:
            setattr(figures, name, self.rate(name))

    def _write(self, row: int, live: Live) -> None:
        counters = own_totals(live)
        now = mark(counters)
        if now != self._marks[row]:
            self._marks[row] = now
            self.shared.write(self.slot, row, counters)

    def count(self, counters: ProxyCounters, name: str) -> int:
        """One counter or rate of all workers together, for rules (World.count)."""
        row = counters.row
        if row < 0:
            return read_counter(counters, name)
        if name in RATES:
            return round(self.shared.value(name, row))
        others = self.shared.value(name, row) - self.shared.cell(self.slot, name, row)
        return int(getattr(counters, name) + others)

    def totals(self, live: Live) -> ProxyCounters:
        """The counters of all workers together."""
        row = live.counters.row
        if row < 0:
            return own_totals(live)
        live.counters.fold()
        self._write(row, live)
        return self.shared.counters(row)


class StewardsBook(Book):
    """Keeps the steward's own counters at the sums, and publishes rates."""

    def __init__(self, shared: SharedCounters, entries: Sequence[Live]) -> None:
        """`entries`: all that counts; there may be fewer of them than rows."""
        super().__init__(shared, list(entries))
        for row, live in enumerate(entries):
            live.counters.row = row
        self._next_second = 0.0
        """When rates are to be sampled again."""
        self._seen: list[Any] = [self._signs(row, live) for row, live in enumerate(entries)]
        """What a row looked like when it was read; nothing has been counted yet, so there is nothing to read."""
        self._still = [SETTLED + 1] * len(self.entries)
        """How often a row was looked at in vain; WOKEN: it has changed after it had been left alone."""
        self._base: list[list[float]] = [[0.0] * _BASE for _ in self.entries]
        """What was counted before these workers were: by the generations before."""

    def _forget(self, row: int) -> None:
        """In all slots: a worker clears its own when it hears of it, but one that dies before does not."""
        for _ in range(len(self._base), len(self.entries)):
            self._seen.append(None)
            self._still.append(0)
            self._base.append([])
        self._seen[row], self._still[row], self._base[row] = None, 0, [0.0] * _BASE
        for slot in range(self.shared.slots):
            self.shared.clear(slot, row)
        if self.shared.usage is not None:
            self.shared.usage.clear(row)

    def start_from(self, live: Live, now: float) -> None:
        """The live object's counters are what it begins with: those of the generations before."""
        row = live.counters.row
        if row >= 0:
            self._base[row] = [float(getattr(live.counters, name)) for name in FIELDS[:_BASE]]
            self._publish(row, live.counters)
            self.shared.write_rates(row, live.counters, now)

    def add_counts(self, live: Live, counts: Sequence[float]) -> None:
        """The generation before has counted more meanwhile (SUMMED)."""
        base = self._base[live.counters.row]
        for place, value in enumerate(counts):
            base[place] += value
        self._publish(live.counters.row, live.counters)
        self._seen[live.counters.row] = None

    def begin_process(self, total: int, most: int = 0) -> None:
        """Connections of generations before, so many more."""
        self.shared.write_figure(0, "total", self.shared.figure(0, "total") + total)
        if most:
            self.shared.write_figure(0, "most", most)

    def write_process(self, balancer: Balancer, now: float) -> None:
        figures = balancer.figures
        self.shared.write_figure(0, "dropped", figures.own_dropped_logs)
        alone = max(self.shared.figure(slot, "most") for slot in range(self.shared.slots))
        self.shared.write_figure(0, "most", max(alone, self.shared.sum_figure("connections")))
        second = now >= self._next_second
        if second:
            self._next_second = now + 1.0
        self.shared.write_figure(0, "tasks", figures.own_tasks)
        for name in RATES_OF_PROCESS:
            rate = getattr(figures, name)
            if second:
                rate.sample(now)
            self.shared.write_figure(0, name, rate.value(now))
            self.shared.write_figure(0, f"{name}_max", rate.max)

    def clear(self, everything: bool) -> None:
        for row, live in enumerate(self.entries):
            if live is None:
                continue
            base = self._base[row]
            for place in range(_BASE) if everything else _HIGHEST:
                if place != _LASTSESS:
                    base[place] = 0.0
            self._publish(row, live.counters)
            self._seen[row] = None

    def _look(self, row: int, live: Live, now: float) -> None:
        self._read(row, live)
        still = self._still[row]
        if still > SETTLED:
            return
        self._still[row] = max(still, 0) + 1
        if still == WOKEN:
            live.counters.resume_rates(now)
        if now >= self._next_second or len(self.entries) > SMALL:
            live.counters.sample_rates(now)
        self.shared.write_rates(row, live.counters, now)

    def settling(self) -> Iterator[None]:
        """Bring all sums up to date, row by row."""
        for row, live in enumerate(self.entries):
            if live is not None:
                self._read(row, live)
            yield

    def totals(self, live: Live) -> ProxyCounters:
        """The counters of all workers together."""
        row = live.counters.row
        if row >= 0:
            self._read(row, live)
        return live.counters

    def _read(self, row: int, live: Live) -> None:
        counters = live.counters
        seen = self._signs(row, live)
        if seen == self._seen[row]:
            return
        self._seen[row] = seen
        self._still[row] = WOKEN if self._still[row] > SETTLED else min(self._still[row], 0)
        self._publish(row, counters)
        put(counters, self.shared.total(row)[:_BASE])
        counters.responses = self.shared.latencies(row)
        if counters.scur > counters.smax:
            counters.smax = counters.scur
            self._base[row][_SMAX] = float(counters.scur)

    def _signs(self, row: int, live: Live) -> tuple[float, ...]:
        counters = live.counters
        return self.shared.writes(row), counters.chkdown, counters.chkfail, counters.downtime

    def _publish(self, row: int, counters: ProxyCounters) -> None:
        own = [float(getattr(counters, name)) for name in OF_STEWARD]
        self.shared.write_values(0, row, [*self._base[row], *own])


_SMAX, _LASTSESS = FIELDS.index("smax"), FIELDS.index("lastsess")
_HIGHEST = tuple(FIELDS.index(name) for name in LARGEST)


def entries_of(frontends: Sequence[Frontend], backends: Sequence[Backend]) -> list[Live]:
    """Everything that counts, in the order of its rows."""
    made: list[Live] = [*frontends, *backends]
    for backend in backends:
        made += backend.servers
    return made
