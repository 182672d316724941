"""The steward's side of what is counted in stick tables: the sums over all workers; see tallies.py."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from pylb.backend.stick import StickTable
from pylb.backend.stick_entry import Entry, News
from pylb.backend.stick_records import key_of, written_cell, written_key, written_time
from pylb.process.tallies import BATCH, SOON, Later, compact, prolonged, taken

GATHER = 0.1
"""Seconds in which the steward gathers before it tells, so that workers that tell at the same time cost one answer."""

CARRIED_ON = 20_000
"""Entries that an old generation collects for the next one between two times that it tells, half a second."""

OWN = ("use", "conn_cur")
"""Cells that count what is there now."""


class StewardsTally:
    """The steward's side. `send` takes a worker's slot and a message; `later` calls a function after some seconds."""

    def __init__(
        self,
        tables: Mapping[str, StickTable],
        send: Callable[[int, bytes], None],
        slots: Callable[[], Iterable[int]],
        later: Later,
        clock: Callable[[], float],
    ) -> None:
        self._tables = tables
        self._send = send
        self._slots = slots
        self._later = later
        self._clock = clock
        self._heard: dict[int, int] = {}
        """The last message of each worker."""
        self._tellers: dict[str, dict[Any, int]] = defaultdict(dict)
        """By table the keys that others have to hear of: the slot that has told, 0 for several or an operator."""
        self._held: dict[int, dict[tuple[str, Any], dict[str, int]]] = defaultdict(dict)
        """By worker what it has of OWN."""
        self._gathering: set[float] = set()
        """The intervals that are running."""
        self._carried_on: dict[tuple[str, Any], list[Any]] | None = None
        """What has been counted since the next generation was told the sums; None: there is none."""

    def heard(self, slot: int, payload: bytes, now: float) -> None:
        """A worker tells."""
        number, name, records, soon = json.loads(payload)
        self._heard[slot] = number
        table = self._tables.get(name)
        if table is not None:
            for written, made, expires, news in records:
                self._add(slot, table, key_of(table.model.type, written), made, expires, news, now)
        self._gather(SOON if soon else GATHER)

    def _add(
        self, slot: int, table: StickTable, key: Any, made: bool, expires: float | None, news: News, now: float
    ) -> None:
        if not made and key in table.cleared:
            return
        entry = prolonged(table, key, expires, now)
        if entry is None:
            return
        entry.take(news, now)
        self._note(table, key, slot)
        if self._carried_on is not None:
            self._collect(self._carried_on, table, entry, news)
        for cell in OWN:
            n = news.get(cell)
            if isinstance(n, int) and n and cell in entry.data:
                held = self._held[slot].setdefault((table.name, key), dict.fromkeys(OWN, 0))
                held[cell] += n
                if not any(held.values()):
                    del self._held[slot][table.name, key]

    def _collect(
        self, carried_on: dict[tuple[str, Any], list[Any]], table: StickTable, entry: Entry, news: News
    ) -> None:
        """For the next generation. What is set is told as it stands."""
        lasting = {cell: n for cell, n in news.items() if cell not in OWN}
        known = carried_on.get((table.name, entry.key))
        if known is None:
            if lasting and len(carried_on) < CARRIED_ON:
                expires = written_time(entry.expires)
                carried_on[table.name, entry.key] = [
                    table.name, table.model.type, written_key(entry.key), expires, lasting,
                ]  # fmt: skip
            return
        known[3] = written_time(entry.expires)
        for cell, n in lasting.items():
            before = known[4].get(cell, 0)
            both_added = isinstance(n, int) and isinstance(before, int)
            known[4][cell] = before + n if both_added else [entry.data[cell]]

    def begin_to_carry(self) -> None:
        """Another generation is told the sums now; from here on what is counted is for it, too."""
        self._carried_on = {}

    def carried(self) -> list[list[Any]]:
        """What has been counted since then, or since the last time: for `inherit`."""
        if not self._carried_on:
            return []
        records, self._carried_on = list(self._carried_on.values()), {}
        return records

    def inherit(self, records: list[list[Any]]) -> None:
        """What the generation before has counted meanwhile, where the table is still of its type."""
        now = self._clock()
        for name, kind, written, expires, news in records:
            table = self._tables.get(name)
            if table is not None and table.model.type == kind:
                self._add(0, table, key_of(kind, written), True, expires, news, now)
        if records:
            self._gather()

    def _note(self, table: StickTable, key: Any, slot: int) -> None:
        tellers = self._tellers[table.name]
        tellers[key] = slot if tellers.get(key, slot) == slot else 0

    def gone(self, slot: int) -> None:
        """A worker has ended: so has everything that it served."""
        now = self._clock()
        for (name, key), held in self._held.pop(slot, {}).items():
            table = self._tables[name]
            entry = table.find(key, now)
            if entry is not None:
                entry.take({cell: -n for cell, n in held.items()}, now)
                self._note(table, key, 0)
        self._heard.pop(slot, None)
        self._gather()

    def _gather(self, seconds: float = GATHER) -> None:
        if seconds not in self._gathering:
            self._gathering.add(seconds)
            self._later(seconds, partial(self._gathered, seconds))

    def _gathered(self, seconds: float) -> None:
        self._gathering.discard(seconds)
        self.tell()

    def look(self) -> None:
        """Now and then: what operators have set here, and in every worker, holds everywhere."""
        if any(table.counted for table in self._tables.values()):
            self.tell()

    def tell(self) -> None:
        """The sums to all workers, except for what a worker alone has counted and therefore knows."""
        now = self._clock()
        for table in self._tables.values():
            for entry in taken(table, None):
                entry.taken()
                self._note(table, entry.key, 0)
            tellers = self._tellers.pop(table.name, {})
            records = [(slot, text) for key, slot in tellers.items() if (text := _record(table, key, now)) is not None]
            for slot in self._slots():
                mine = [text for teller, text in records if teller != slot]
                if mine or tellers:
                    self._tell(slot, table.name, mine)

    def _tell(self, slot: int, name: str, records: list[str]) -> None:
        number = self._heard.get(slot, 0)
        for first in range(0, max(1, len(records)), BATCH):
            text = ",".join(records[first : first + BATCH])
            self._send(slot, b"[%d,%b,[%b]]" % (number, compact(name), text.encode()))


def _record(table: StickTable, key: Any, now: float) -> str | None:
    entry = table.find(key, now)
    if entry is None:
        return None
    sums = {cell: written_cell(entry.data[cell]) for cell in table.cells}
    return compact([written_key(key), written_time(entry.expires), sums]).decode()
