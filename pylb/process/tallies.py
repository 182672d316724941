"""What is counted in stick tables, summed over all workers: each counts in its own tables, without a lock.

    worker  ─► what it has counted since it last told, twice a second, and before it answers a SETTLE; of an entry in
               which much is counted, at once
    steward ─► the sums so far, to every worker, a moment after it has heard something

The steward's table holds the sums. It adds what workers tell and tells what that makes; with it, which message of the
worker it has heard last. A worker takes the sums over and adds again what they cannot contain yet: what is on its way,
and what it has not told. So nothing is counted twice or lost, whatever crosses, and a number that somebody has set
wins over what was counted before. Sums are right to within TICK and GATHER seconds together, or but for HOT additions
of each worker, or an eighth of what it has counted since a tick, and for what is counted in twice SOON seconds.

What a worker has counted in an entry that an operator clears meanwhile is dropped, unless the worker made it anew.
Who tracks or is connected now (`use`, conn_cur) is a worker's own: when it ends without notice, that is taken away.
What the workers of an old generation go on counting is collected for the next one, which adds it.

    worker  ─► [number, table, [[key, made, expires, news], …], soon]      news: by cell, see stick_entry.py
    steward ─► [number, table, [[key, expires, sums], …]]                  sums: by cell; of rates their records

The steward's side is sums.py.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from pylb.backend.stick import StickTable
from pylb.backend.stick_entry import HOT, Entry, News, SlidingRate
from pylb.backend.stick_records import key_of, written_key, written_time

BATCH = 200
"""Entries in one message."""

MOST = 2000
"""Entries of a table that a worker tells of at a time: 3 µs each to tell, 10 for another worker to take over, so that
a flood of new keys holds nobody up for longer than 20 ms; those that are left wait for the next time."""


SOON = 0.001
"""Seconds that each side gathers before it tells of an entry in which much is counted."""

Later = Callable[[float, Callable[[], None]], Any]
"""Calls a function after some seconds."""


class WorkersTally:
    """A worker's side. With `later` it tells at once of entries in which much is counted: where there are others."""

    def __init__(
        self, tables: Mapping[str, StickTable], send: Callable[[bytes], None], later: Later | None = None
    ) -> None:
        self._tables = tables
        self._send = send
        self._later = later
        self._hot: dict[Entry, None] = {}
        self._hurried: set[Entry] = set()
        """Entries that were told of early since the last time all were told."""
        self._number = 0
        self._on_its_way: deque[tuple[int, str, dict[Any, News]]] = deque()
        for table in tables.values():
            table.counted = {}  # the steward's
            if later is not None:
                table.hurry = self._hurry

    def tell(self, most: int | None = MOST) -> None:
        """Send what has been counted since the last time, of at most `most` entries of a table."""
        for table in self._tables.values():
            table.cleared.clear()
            if table.counted:
                self._tell(table, taken(table, most))
        for entry in self._hurried:
            entry.patience = HOT
        self._hurried.clear()

    def _hurry(self, entry: Entry) -> None:
        assert self._later is not None
        if not self._hot:
            self._later(SOON, self._tell_hot)
        self._hot[entry] = None

    def _tell_hot(self) -> None:
        hot, self._hot = self._hot, {}
        for entry in hot:
            entry.table.counted.pop(entry, None)
            entry.patience += entry.patience // 8
        self._hurried.update(hot)
        for table in {entry.table: None for entry in hot}:
            self._tell(table, [entry for entry in hot if entry.table is table], soon=True)

    def _tell(self, table: StickTable, entries: list[Entry], soon: bool = False) -> None:
        living = [entry for entry in entries if entry.news and table.holds(entry)]
        for first in range(0, len(living), BATCH):
            told: dict[Any, News] = {}
            records = []
            for entry in living[first : first + BATCH]:
                news = entry.taken()
                told[entry.key] = news
                records.append([written_key(entry.key), not entry.told, written_time(entry.expires), news])
                entry.told = True
            self._number += 1
            self._on_its_way.append((self._number, table.name, told))
            self._send(compact([self._number, table.name, records, soon]))

    def take(self, payload: bytes, now: float) -> None:
        """What the steward says."""
        number, name, records = json.loads(payload)
        while self._on_its_way and self._on_its_way[0][0] <= number:
            self._on_its_way.popleft()
        table = self._tables.get(name)
        if table is None:
            return
        waiting = [told for _, about, told in self._on_its_way if about == name]
        for written, expires, sums in records:
            key = key_of(table.model.type, written)
            entry = prolonged(table, key, expires, now)
            if entry is None:
                continue
            _replace(entry, table, sums)
            for told in waiting:
                if key in told:
                    entry.take(told[key], now)
            entry.take(entry.news, now)


def later(seconds: float, call: Callable[[], None]) -> None:
    """Call it in this process's loop."""
    asyncio.get_running_loop().call_later(seconds, call)


def taken(table: StickTable, most: int | None) -> list[Entry]:
    """The entries in which something was counted, which are noted no longer."""
    if most is None or len(table.counted) <= most:
        counted, table.counted = table.counted, {}
        return list(counted)
    taken = list(islice(table.counted, most))
    for entry in taken:
        del table.counted[entry]
    return taken


def prolonged(table: StickTable, key: Any, expires: float | None, now: float) -> Entry | None:
    """The entry, made if needed, that lives to `expires` at least; the steward knows it."""
    entry = table.prolong(key, expires if expires is not None else float("inf"), now)
    if entry is not None:
        entry.told = True
    return entry


def _replace(entry: Entry, table: StickTable, sums: dict[str, Any]) -> None:
    data, periods = entry.data, table.cells
    for cell, value in sums.items():
        if cell in periods:
            data[cell] = SlidingRate.of(periods[cell], value) if periods[cell] else value


def compact(value: Any) -> bytes:
    """As JSON."""
    return json.dumps(value, separators=(",", ":")).encode()
