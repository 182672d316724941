"""Counters of all processes of a generation in one shared memory, without a lock: one writer per slot, readers add up.

    header    slots, rows, width
    slot 0    the steward's: what was there before its workers were (a reload), what only it counts (checks), rates
    slot k    worker k's: its own counts; a replacement goes on with its predecessor's totals

Each slot begins with the figures of the process, then has one row per frontend, backend and server. All cells are
doubles: aligned, so that a reader sees an old or a new value and never half of one, and exact for whole numbers up to
2^53. Requests count in plain attributes (pylb/counters.py); rows that have changed are written a few times a second, so
that counting costs a request nothing and sums are right to within a second, or exact after a `settle`.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

from pylb.counters import AVERAGED, GAUGES, LARGEST, OF_STEWARD, RATES, SUMMED, ProxyCounters, Rate
from pylb.latency import BUCKETS, Latencies
from pylb.process.usage import Usage

VERSION = 1
_HEADER = struct.Struct("4sIIII")
MAGIC = b"pylb"

PROCESS = (
    "heartbeat", "pid", "connections", "most", "total", "ssl", "dropped", "conn_rate", "conn_rate_max", "sess_rate",
    "sess_rate_max", "ssl_rate", "ssl_rate_max", "bytes_out_rate", "bytes_out_rate_max", "tasks", "idle",
)  # fmt: skip
"""Figures of a process: CLOCK_MONOTONIC of its last sign of life, its id, client connections now, at most and in all,
TLS connections now, log lines lost, tasks of its loop, per cent of the last second without work; in the steward's slot
also the rates of all together."""

RATES_OF_PROCESS = ("conn_rate", "sess_rate", "ssl_rate", "bytes_out_rate")

FIELDS = SUMMED + GAUGES + LARGEST + AVERAGED + OF_STEWARD
COLUMNS = FIELDS + tuple(f"{name}{what}" for name in RATES for what in ("", "_max")) + ("writes",)
_PLACE = {name: place for place, name in enumerate(COLUMNS)}
_WRITES = _PLACE["writes"]
_RATE_FROM = len(FIELDS)
_READ: Callable[[Any], tuple[float, ...]] = attrgetter(*FIELDS)
_ROW = struct.Struct(f"{len(FIELDS)}d")
_TIMES = struct.Struct(f"{BUCKETS}I")
"""The histogram of response times, in an area behind the cells."""
_MARK: Callable[[Any], tuple[float, ...]] = attrgetter(
    "req_tot", "conn_tot", "stot", "scur", "bout", "qcur", "idle", "econ", "ereq", "ttime"
)
"""What changes with anything worth a write; `ttime`: a server's requests have been averaged into its backend's row."""

_SUMS = range(len(SUMMED) + len(GAUGES))
_MAXIMA = range(_SUMS.stop, _SUMS.stop + len(LARGEST))
_MEANS = range(_MAXIMA.stop, _MAXIMA.stop + len(AVERAGED))
_OWN = range(_MEANS.stop, _MEANS.stop + len(OF_STEWARD))
_WEIGHT = _PLACE["lbtot"]


class KnownRate(Rate):
    """A rate that another process measures."""

    __slots__ = ("_value",)

    def __init__(self, value: float, most: float) -> None:
        super().__init__(int)
        self._value = value
        self.max = round(most)

    def value(self, now: float) -> int:
        """Events per second."""
        return round(self._value)

    def sample(self, now: float) -> None:
        """It is measured elsewhere."""


class SharedCounters:
    """The memory; made by the steward before it forks. `slots` counts the steward's."""

    def __init__(self, slots: int, rows: int) -> None:
        self.slots = slots
        self.rows = rows
        self._width = len(PROCESS) + rows * len(COLUMNS)
        self._start = 64
        self._times = self._start + 8 * self._width * slots
        self._memory = mmap.mmap(-1, self._times + _TIMES.size * rows * slots)
        _HEADER.pack_into(self._memory, 0, MAGIC, VERSION, slots, rows, len(COLUMNS))
        self.cells = memoryview(self._memory)[self._start : self._times].cast("d")
        self.usage = Usage(slots - 1, rows) if slots > 2 else None
        """What the workers hold at this moment, where there are several."""

    def process(self, slot: int) -> int:
        """Where the figures of that slot's process begin, in cells."""
        return slot * self._width

    def row(self, slot: int, row: int) -> int:
        """Where a row begins, in cells."""
        return slot * self._width + len(PROCESS) + row * len(COLUMNS)

    def _times_at(self, slot: int, row: int) -> int:
        return self._times + _TIMES.size * (slot * self.rows + row)

    # ------------------------------------------------------------------------------------------------------- writing

    def write(self, slot: int, row: int, counters: ProxyCounters) -> None:
        """Write one row of counters."""
        self.write_values(slot, row, _READ(counters))
        times = self._times_at(slot, row)
        self._memory[times : times + _TIMES.size] = _TIMES.pack(*counters.responses.counts)
        self.cells[self.row(slot, row) + _WRITES] += 1

    def write_values(self, slot: int, row: int, values: Sequence[float]) -> None:
        """Write one row of values in the order of FIELDS. They are copied as a whole: `pack_into` writes zeros first,
        and others read meanwhile."""
        start = self._start + 8 * self.row(slot, row)
        self._memory[start : start + _ROW.size] = _ROW.pack(*values)

    def write_rates(self, row: int, counters: ProxyCounters, now: float) -> None:
        """Write the rates into the steward's slot."""
        at = self.row(0, row) + _RATE_FROM
        for name in RATES:
            rate = getattr(counters, name)
            self.cells[at], self.cells[at + 1] = rate.value(now), rate.max
            at += 2

    def beat(self, slot: int, now: float, pid: int) -> None:
        """A sign of life."""
        at = self.process(slot)
        self.cells[at], self.cells[at + 1] = now, pid

    def write_figure(self, slot: int, name: str, value: float) -> None:
        """One figure of a process."""
        self.cells[self.process(slot) + PROCESS.index(name)] = value

    def clear(self, slot: int, row: int) -> None:
        """Nothing has been counted in that row by the process in `slot`; a change as any other."""
        start = self._start + 8 * self.row(slot, row)
        writes = self.cells[self.row(slot, row) + _WRITES]
        self._memory[start : start + 8 * len(COLUMNS)] = bytes(8 * len(COLUMNS))
        self.cells[self.row(slot, row) + _WRITES] = writes + 1
        times = self._times_at(slot, row)
        self._memory[times : times + _TIMES.size] = bytes(_TIMES.size)

    def leave(self, slot: int, rows: int) -> None:
        """The process in `slot` is dead: its totals stay, what it had open is closed. Of `rows` that are in use."""
        at = self.process(slot)
        for name in ("connections", "ssl", "pid", "tasks", "idle"):
            self.cells[at + PROCESS.index(name)] = 0
        for row in range(rows):
            at = self.row(slot, row)
            for name in GAUGES:
                self.cells[at + _PLACE[name]] = 0
            self.cells[at + _WRITES] += 1
        if self.usage is not None:
            self.usage.leave(slot, rows)

    # ------------------------------------------------------------------------------------------------------- reading

    def heartbeat(self, slot: int) -> float:
        """When the process in `slot` last showed life; 0: never."""
        return self.cells[self.process(slot)]

    def figure(self, slot: int, name: str) -> float:
        """One figure of a process."""
        return self.cells[self.process(slot) + PROCESS.index(name)]

    def sum_figure(self, name: str) -> int:
        """One figure over all processes."""
        place = PROCESS.index(name)
        return int(sum(self.cells[self.process(slot) + place] for slot in range(self.slots)))

    def writes(self, row: int, first: int = 1) -> float:
        """Changes with every write to that row by slots from `first` on."""
        return sum(self.cells[self.row(slot, row) + _WRITES] for slot in range(first, self.slots))

    def untouched(self, row: int) -> bool:
        """Nobody has counted anything there, nor did a generation before."""
        return not self.writes(row) and not any(self.values(0, row))

    def values(self, slot: int, row: int) -> tuple[float, ...]:
        """One slot's row, in the order of FIELDS."""
        return _ROW.unpack_from(self._memory, self._start + 8 * self.row(slot, row))

    def value(self, name: str, row: int) -> float:
        """One summed column of a row; or a rate, which the steward's slot has."""
        place = _PLACE[name]
        if place >= _RATE_FROM:
            return self.cells[self.row(0, row) + place]
        return sum(self.cells[self.row(slot, row) + place] for slot in range(self.slots))

    def cell(self, slot: int, name: str, row: int) -> float:
        """One slot's part of it."""
        return self.cells[self.row(slot, row) + _PLACE[name]]

    def total(self, row: int, first: int = 0) -> list[float]:
        """A row added up over the slots from `first` on, in the order of FIELDS: sums, maxima, weighted averages."""
        found = [self.values(slot, row) for slot in range(first, self.slots)]
        if len(found) == 1:
            return list(found[0])
        columns = list(zip(*found, strict=True))
        total = [sum(columns[place]) for place in _SUMS]
        total += [max(columns[place]) for place in _MAXIMA]
        weights = [min(weight, 1024.0) for weight in columns[_WEIGHT]]
        heavy = sum(weights) or 1.0
        total += [sum(map(float.__mul__, columns[place], weights)) / heavy for place in _MEANS]
        total += [sum(columns[place]) for place in _OWN]
        return total

    def latencies(self, row: int) -> Latencies:
        """The distribution of response times over all workers."""
        found = [_TIMES.unpack_from(self._memory, self._times_at(slot, row)) for slot in range(1, self.slots)]
        return Latencies.of(list(map(sum, zip(*found, strict=True))))

    def counters(self, row: int) -> ProxyCounters:
        """A row added up over all slots, with its rates, as a reader of statistics wants it."""
        made = ProxyCounters()
        put(made, self.total(row))
        made.responses = self.latencies(row)
        at = self.row(0, row) + _RATE_FROM
        for name in RATES:
            setattr(made, name, KnownRate(self.cells[at], self.cells[at + 1]))
            at += 2
        return made


def put(counters: ProxyCounters, values: Iterable[float], names: Sequence[str] = FIELDS) -> None:
    """Set fields; whole numbers become int again."""
    for name, value in zip(names, values, strict=False):
        setattr(counters, name, value if name in _FLOATS else int(value))


_FLOATS = frozenset(AVERAGED) | {"lastsess", "downtime", "qtime_max", "ctime_max", "rtime_max", "ttime_max"}


def mark(counters: ProxyCounters) -> tuple[float, ...]:
    """Differs after anything has been counted."""
    return _MARK(counters)


UNMARKED = mark(ProxyCounters())
"""The mark of what has counted nothing yet."""
