"""Entries of stick tables as JSON carries them: from a generation to the next.

An entry goes to the table of the same name if that has the same type and length of key; what both tables store of it is
kept, what is new begins at nothing. Times are of CLOCK_MONOTONIC, which all processes of a machine share.

    table  = [type, length, columns, entries]         columns = [[name, period, count], …]
    entry  = [key, expires (null: never), values]     least recently touched first
    values = [[value, …], …]                          cells by column, in the order of the columns

Who is connected or tracked now (conn_cur) belongs to the processes that serve it and is not carried.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from itertools import islice
from socket import AF_INET6, inet_ntop
from typing import Any

from pylb.backend.stick import StickTable
from pylb.backend.stick_entry import Column, Entry, SlidingRate

CARRIED = 200_000
"""Entries of all tables together that a reload carries over, so that writing and reading them takes a second or two; of
longer tables those most recently touched."""


def records_of(tables: Iterable[StickTable], now: float, most: int = CARRIED) -> dict[str, list[Any]]:
    """The living entries of all tables, by table name; of each an equal share of `most` at the most."""
    given = list(tables)
    return {table.name: _record(table, now, most // len(given)) for table in given}


def restore(tables: Iterable[StickTable], given: dict[str, list[Any]], now: float) -> None:
    """Make the entries that `records_of` has written. Where the declaration has changed, it wins: `size` keeps the most
    recently touched, `expire` ends nothing later than it would end a fresh entry."""
    for table in tables:
        if table.name not in given:
            continue
        kind, length, columns, entries = given[table.name]
        if (kind, length) == (table.model.type, table.length):
            _restore(table, [Column(*column) for column in columns], entries[-table.model.size :], now)


def _record(table: StickTable, now: float, most: int) -> list[Any]:
    columns = [[column.name, column.period, column.count] for column in table.columns]
    living = table.entries(now)
    entries = [_written(table, entry) for entry in islice(living, max(0, len(living) - most), None)]
    return [table.model.type, table.length, columns, entries]


def _written(table: StickTable, entry: Entry) -> list[Any]:
    values = [[written_cell(entry.data[cell]) for cell in column.cells] for column in table.columns]
    return [written_key(entry.key), written_time(entry.expires), values]


def written_cell(value: Any) -> Any:
    """What a cell holds as JSON can carry it."""
    return value.record() if isinstance(value, SlidingRate) else value


def _restore(table: StickTable, columns: list[Column], entries: list[list[Any]], now: float) -> None:
    both = [(place, column) for place, column in enumerate(columns) if column in table.columns]
    kept = [(place, column) for place, column in both if column.name != "conn_cur"]
    latest = now + table.model.expire if table.model.expire is not None else float("inf")
    for key, expires, values in entries:
        entry = table.track(key_of(table.model.type, key), now)
        if entry is None:
            continue
        entry.expires = min(latest, expires if expires is not None and table.model.expire is not None else latest)
        for place, column in kept:
            for cell, value in zip(column.cells, values[place], strict=True):
                entry.data[cell] = SlidingRate.of(column.period, value) if column.period else value


def written_key(key: Any) -> Any:
    """A key as JSON can carry it."""
    if isinstance(key, bytes):
        return key.decode("latin-1")
    return key if isinstance(key, int) else str(key)


def key_text(key: Any) -> str:
    """A key as people read it."""
    if isinstance(key, bytes):
        return key.decode("latin-1") if key.isascii() and b" " not in key else key.hex().upper()
    return inet_ntop(AF_INET6, key.packed) if isinstance(key, IPv6Address) else str(key)


def written_time(expires: float) -> float | None:
    """The time of expiry as JSON can carry it; None: never."""
    return None if expires == float("inf") else expires


def key_of(kind: str, key: Any) -> Any:
    """The key that `written_key` has made, for a table of that type."""
    if kind in ("ip", "ipv6"):
        return ip_address(key)
    return key if kind == "integer" else key.encode("latin-1")
