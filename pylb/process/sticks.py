"""Stick rules' entries in all workers: each has its own tables, which its requests read and write without a lock.

    worker  ─► what its stick rules have stored or touched, twice a second, and before it answers a SETTLE
    steward ─► what holds: to the others, and to the teller as far as it has stored

The steward's table decides: when two workers meet a new client at the same time, the server of the first that tells
holds. For that a claim says what the entry named before, "" for a new one; a claim that began from something else than
the steward has is refused. Whatever the steward's entries name, it tells every worker in the same order, and a worker
takes over what it is told, so all of them end with the same. Only a change that it has not told yet stays, to be told
as a change of that.

    record = [table, key, expires (null: never), server_id, server_key, before (null: touched only)]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pylb.backend.stick import StickTable
from pylb.backend.stick_entry import Entry
from pylb.backend.stick_records import key_of, written_key, written_time

Record = list[Any]

BATCH = 200
"""Records in one message."""


def collect(tables: Iterable[StickTable], now: float) -> list[Record]:
    """In a worker: what is to be told since the last time. What is gone meanwhile is not told."""
    records = []
    for table in tables:
        if not table.touched and not table.claims:
            continue
        claims, touched = table.claims, table.touched
        table.claims, table.touched = {}, {}
        for key in {**touched, **claims}:
            entry = table.lookup(key, now)
            if entry is not None:
                records.append(_record(table, entry, claims.get(key)))
    return records


def merge(tables: Mapping[str, StickTable], records: Iterable[Record], now: float) -> tuple[list[Record], list[Record]]:
    """In the steward: what goes to the other workers, and what to the teller. All of it is as the entries are here."""
    others, teller = [], []
    for record in records:
        table = tables.get(record[0])
        if table is None:
            continue
        key, before = key_of(table.model.type, record[1]), record[5]
        known = table.lookup(key, now)
        if known is None and before is None:
            continue  # touched, and gone here: an operator's order has removed it
        holds = before is not None and (known is None or before == known.data["server_key"])
        entry = _take(table, key, record, now, named=holds)
        if entry is None:
            continue
        others.append(_record(table, entry, None))
        if before is not None:
            teller.append(others[-1])
    return others, teller


def apply(tables: Mapping[str, StickTable], records: Iterable[Record], now: float) -> None:
    """In a worker: what the steward tells."""
    for record in records:
        table = tables.get(record[0])
        if table is not None:
            key = key_of(table.model.type, record[1])
            untold = bool(table.claims.get(key))
            if untold:
                table.claims[key] = record[4]
            else:
                table.claims.pop(key, None)
            _take(table, key, record, now, named=not untold)


def batches(records: list[Record]) -> Iterable[list[Record]]:
    """In pieces for one message each."""
    return (records[first : first + BATCH] for first in range(0, len(records), BATCH))


def _record(table: StickTable, entry: Entry, before: str | None) -> Record:
    data = entry.data
    expires = written_time(entry.expires)
    return [table.name, written_key(entry.key), expires, data["server_id"], data["server_key"], before]


def _take(table: StickTable, key: Any, record: Record, now: float, named: bool) -> Entry | None:
    expires = record[2] if record[2] is not None else float("inf")
    if expires <= now:
        return None
    entry = table.prolong(key, expires, now)
    if entry is not None and named:
        entry.data["server_id"], entry.data["server_key"] = record[3], record[4]
    return entry
