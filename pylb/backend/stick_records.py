"""Entries of stick tables as JSON carries them: from a generation to the next, in parts, as tables may be long.

An entry goes to the table of the same name if that has the same type and length of key; what both tables store of it is
kept, what is new begins at nothing. Times are of CLOCK_MONOTONIC, which all processes of a machine share.

    part   = [type, length, columns, entries]         columns = [[name, period, count], …]
    entry  = [key, expires (null: never), values]     least recently touched first
    values = [[value, …], …]                          cells by column, in the order of the columns

Who is connected or tracked now (conn_cur) belongs to the processes that serve it and is not carried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv6Address, ip_address
from itertools import groupby
from operator import itemgetter
from socket import AF_INET6, inet_ntop
from typing import Any

from pylb.backend.stick import StickTable
from pylb.backend.stick_entry import Column, Entry, SlidingRate

CARRIED = 200_000
"""Entries of all tables together that a reload carries over, so that writing and reading them takes a second or two; of
longer tables those most recently touched."""


Part = tuple[str, list[Any]]
"""The table's name and some of its entries. The parts of one table come one after the other."""

_ENTRIES = 50
"""In a part."""


def records_of(tables: Iterable[StickTable], now: float, most: int = CARRIED) -> Iterator[Part]:
    """The living entries of all tables; of each an equal share of `most` at the most."""
    given = list(tables)
    for table in given:
        columns = [[column.name, column.period, column.count] for column in table.columns]
        living = list(table.entries(now))
        living = living[max(0, len(living) - most // len(given)) :]
        for first in range(0, len(living), _ENTRIES):
            entries = [_written(table, entry) for entry in living[first : first + _ENTRIES]]
            yield table.name, [table.model.type, table.length, columns, entries]


def restore(tables: Iterable[StickTable], parts: Iterable[Part], now: float) -> None:
    """Make the entries that `records_of` has written. Where the declaration has changed, it wins: `size` keeps the most
    recently touched, `expire` ends nothing later than it would end a fresh entry."""
    by_name = {table.name: table for table in tables}
    for name, group in groupby(parts, key=itemgetter(0)):
        records = [record for _, record in group]
        kind, length, columns, _ = records[0]
        table = by_name.get(name)
        if table is not None and (kind, length) == (table.model.type, table.length):
            entries = [entry for record in records for entry in record[3]]
            _restore(table, [Column(*column) for column in columns], entries[-table.model.size :], now)


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


def key_text(key: Any, kind: str = "string") -> str:
    """A key as people read it: of a binary table in hexadecimal, of a string table without blanks and controls."""
    if isinstance(key, bytes):
        return key.hex().upper() if kind == "binary" else "".join(map(_letter, key))
    return inet_ntop(AF_INET6, key.packed) if isinstance(key, IPv6Address) else str(key)


def _letter(byte: int) -> str:
    return _ESCAPES.get(byte) or (chr(byte) if 32 < byte < 127 else f"\\x{byte:02X}")


_ESCAPES = {9: "\\t", 10: "\\n", 13: "\\r", 27: "\\e", 32: "\\ ", 61: "\\=", 92: "\\\\"}


def written_time(expires: float) -> float | None:
    """The time of expiry as JSON can carry it; None: never."""
    return None if expires == float("inf") else expires


def key_of(kind: str, key: Any) -> Any:
    """The key that `written_key` has made, for a table of that type."""
    if kind in ("ip", "ipv6"):
        return ip_address(key)
    return key if kind == "integer" else key.encode("latin-1")
