"""Stick tables: what clients did, by key, with expiry and a bound on the number of entries (manual: `stick-table`).

A table maps a typed key to an entry of the declared data. An entry expires `expire` seconds after it was last touched.
Entries are kept in order of their last touch, so both the expired and, when the table is full, the oldest are at the
front; with `nopurge` a full table refuses new keys instead. Invariant: never more than `size` entries.

    key type   accepts                         stored as
    ip, ipv6   IPv4Address, IPv6Address        as given
    integer    int                             low 32 bits
    string     bytes                           cut to `len` (32)
    binary     bytes                           cut or padded with NUL to `len` (32)

Counters hold 32 bits and stay at the top instead of wrapping. Rates count over a sliding period as HAProxy's do: the
running period plus what is left of the previous one. Keys come from stick rules (sticking.py) and operators.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from pylb.config import model
from pylb.config.values import parse_time

_LARGEST = 0xFFFFFFFF
_STORE = re.compile(r"([a-z0-9_]+)(?:\(([^()]*)\))?")

COUNTERS = frozenset(
    {"conn_cnt", "conn_cur", "sess_cnt", "http_req_cnt", "http_err_cnt", "http_fail_cnt", "gpc0", "gpc1"}
)
BIG_COUNTERS = frozenset({"bytes_in_cnt", "bytes_out_cnt"})
TAGS = frozenset({"gpt0", "server_id"})
NAMES = frozenset({"server_key"})
RATES = frozenset(
    {
        "conn_rate", "sess_rate", "http_req_rate", "http_err_rate", "http_fail_rate", "bytes_in_rate", "bytes_out_rate",
        "gpc0_rate", "gpc1_rate",
    }
)  # fmt: skip
ARRAYS = frozenset({"gpc", "gpt", "gpc_rate"})


class SlidingRate:
    """Events over the last `period` seconds."""

    __slots__ = ("_current", "_previous", "_start", "period")

    def __init__(self, period: float) -> None:
        self.period = period
        self._start = 0.0
        self._current = self._previous = 0

    def add(self, now: float, n: int = 1) -> None:
        """Count `n` events at `now`."""
        self._advance(now)
        self._current += n

    def value(self, now: float) -> int:
        """Events per period."""
        self._advance(now)
        return self._current + int(self._previous * (1 - (now - self._start) / self.period))

    def record(self) -> list[float]:
        """Everything but the period, for `of`."""
        return [self._start, self._current, self._previous]

    @classmethod
    def of(cls, period: float, record: list[float]) -> SlidingRate:
        """A rate that goes on where `record` was made."""
        rate = cls(period)
        rate._start, rate._current, rate._previous = record[0], int(record[1]), int(record[2])
        return rate

    def _advance(self, now: float) -> None:
        passed = int((now - self._start) / self.period)
        if passed <= 0:
            return
        self._previous = self._current if passed == 1 else 0
        self._current = 0
        self._start += passed * self.period


@dataclass(frozen=True, slots=True)
class Column:
    """One item of `store`."""

    name: str
    period: float = 0.0
    """Seconds, of rates."""
    count: int = 0
    """Elements, of arrays."""


class Entry:
    """The data of one key: numbers, SlidingRates or lists of them, or a name, by column name."""

    __slots__ = ("data", "expires", "key")

    def __init__(self, key: Any, columns: tuple[Column, ...]) -> None:
        self.key = key
        self.expires = 0.0
        self.data: dict[str, Any] = {column.name: _fresh(column) for column in columns}

    def count(self, name: str, now: float, n: int = 1) -> None:
        """Add `n` to a column, if the table has it."""
        value = self.data.get(name)
        if isinstance(value, SlidingRate):
            value.add(now, n)
        elif value is not None:
            total = value + n
            self.data[name] = total if name in BIG_COUNTERS else max(0, min(_LARGEST, total))

    def set(self, column: Column, value: int, now: float) -> None:
        """Store a number (every element of an array); a rate becomes that many per period."""
        fresh = _fresh(column)
        for rate in fresh if isinstance(fresh, list) else [fresh]:
            if isinstance(rate, SlidingRate):
                rate.add(now, value)
        if isinstance(fresh, list) and column.name != "gpc_rate":
            fresh = [value] * column.count
        self.data[column.name] = value if isinstance(fresh, int) else fresh

    def value(self, name: str, now: float) -> int | None:
        """A column's number; None if the table does not have it."""
        value = self.data.get(name)
        return value.value(now) if isinstance(value, SlidingRate) else value


def _fresh(column: Column) -> Any:
    if column.name in RATES:
        return SlidingRate(column.period)
    if column.name == "gpc_rate":
        return [SlidingRate(column.period) for _ in range(column.count)]
    if column.name in NAMES:
        return ""
    return [0] * column.count if column.name in ARRAYS else 0


class StickTable:
    """See the module. Raises ValueError for a declaration that it cannot hold."""

    def __init__(self, name: str, declared: model.StickTable) -> None:
        self.name = name
        self.model = declared
        self.columns = tuple(parse_column(text) for text in declared.store)
        self.length = declared.length or 32
        """Bytes of keys of type string and binary."""
        self._convert = _KEYS.get(declared.type)
        if self._convert is None:
            raise ValueError(f"unknown stick-table type '{declared.type}'")
        self._entries: OrderedDict[Any, Entry] = OrderedDict()
        self.claims: dict[Any, str] = {}
        """Keys for which stick rules have stored a server since the other processes were told, and which one they named
        before."""
        self.touched: dict[Any, None] = {}
        """Keys whose expiry stick rules have put off since then."""

    def keep(self, name: str) -> None:
        """Store this, too. Before there are entries."""
        if not any(column.name == name for column in self.columns):
            self.columns = (*self.columns, Column(name))

    def __len__(self) -> int:
        return len(self._entries)

    def track(self, key: Any, now: float) -> Entry | None:
        """The entry of `key`, made if needed, its expiry put off; None for a key of the wrong type or a full table."""
        stored = self.key(key)
        if stored is None:
            return None
        entry = self._entries.get(stored)
        if entry is None or entry.expires <= now:
            self.expire(now)
            entry = self._make(stored)
            if entry is None:
                return None
        entry.expires = now + (self.model.expire if self.model.expire is not None else float("inf"))
        self._entries.move_to_end(stored)
        return entry

    def lookup(self, key: Any, now: float) -> Entry | None:
        """The entry of `key`, not touched; None without one."""
        entry = self._entries.get(self.key(key))
        return entry if entry is not None and entry.expires > now else None

    def remove(self, key: Any) -> bool:
        """Forget `key`; whether it was there."""
        return self._entries.pop(self.key(key), None) is not None

    def expire(self, now: float) -> int:
        """Drop what has expired; how many. The front is the oldest, so this stops at the first that lives."""
        dropped = 0
        while self._entries and next(iter(self._entries.values())).expires <= now:
            self._entries.popitem(last=False)
            dropped += 1
        return dropped

    def entries(self, now: float) -> list[Entry]:
        """All living entries, least recently touched first."""
        return [entry for entry in self._entries.values() if entry.expires > now]

    def key(self, value: Any) -> Any:
        """A key as it is stored; None for a value of another type."""
        assert self._convert is not None
        return self._convert(value, self.length)

    def _make(self, key: Any) -> Entry | None:
        if len(self._entries) >= self.model.size:
            if self.model.nopurge or not self._entries:
                return None
            self._entries.popitem(last=False)
        entry = self._entries[key] = Entry(key, self.columns)
        return entry


def parse_column(text: str) -> Column:
    """`gpc0`, `http_req_rate(24h)`, `gpc(4)`, `gpc_rate(2,1m)`. Raises ValueError."""
    match = _STORE.fullmatch(text)
    name, argument = (match[1], match[2]) if match else (text, None)
    if name in RATES and argument:
        return Column(name, _period(text, argument))
    if name == "gpc_rate" and argument:
        count, _, period = argument.partition(",")
        return Column(name, _period(text, period), _count(text, count))
    if name in ("gpc", "gpt") and argument:
        return Column(name, count=_count(text, argument))
    if name in COUNTERS | BIG_COUNTERS | TAGS | NAMES and argument is None:
        return Column(name)
    raise ValueError(f"cannot store '{text}'")


def _period(text: str, period: str) -> float:
    seconds = parse_time(period)
    if not seconds:
        raise ValueError(f"cannot store '{text}': a rate needs a period")
    return seconds


def _count(text: str, number: str) -> int:
    if number.isascii() and number.isdigit() and 1 <= int(number) <= 100:
        return int(number)
    raise ValueError(f"cannot store '{text}': 1 to 100 elements")


def _ip(value: Any, length: int) -> Any:
    return value if isinstance(value, IPv4Address) else None


def _ipv6(value: Any, length: int) -> Any:
    return value if isinstance(value, IPv6Address) else None


def _integer(value: Any, length: int) -> Any:
    return value & _LARGEST if isinstance(value, int) else None


def _string(value: Any, length: int) -> Any:
    return value[:length] if isinstance(value, bytes) else None


def _binary(value: Any, length: int) -> Any:
    return value[:length].ljust(length, b"\0") if isinstance(value, bytes) else None


_KEYS = {"ip": _ip, "ipv6": _ipv6, "integer": _integer, "string": _string, "binary": _binary}
