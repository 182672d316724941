"""What a stick table keeps of one key: counters, sliding rates, tags, names (manual: `stick-table … store`).

    column   one item of `store`                               gpc0, http_req_rate(10s), gpc(2), gpc_rate(2,1m)
    cell     one number or name of an entry, by its name       gpc0, http_req_rate, gpc0 gpc1, gpc0_rate gpc1_rate

The elements of an array are cells of their own and have the names of HAProxy's older columns, because what is written
for those works with the arrays too. Beside its columns every entry has the cell `use`: who tracks it now.

Counters hold 32 bits (bytes 64) and stay at the top instead of wrapping. What is counted here and not yet told to the
other processes stands in `news`, by cell: how much was added, or [value] when the cell was set (process/tallies.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pylb.config.values import parse_time

if TYPE_CHECKING:
    from pylb.backend.stick import StickTable

_LARGEST = 0xFFFFFFFF
_STORE = re.compile(r"([a-z0-9_]+)(?:\(([^()]*)\))?")

COUNTERS = frozenset(
    {"conn_cnt", "conn_cur", "sess_cnt", "http_req_cnt", "http_err_cnt", "http_fail_cnt", "gpc0", "gpc1"}
)
BIG_COUNTERS = frozenset({"bytes_in_cnt", "bytes_out_cnt"})
TAGS = frozenset({"gpt0", "server_id"})
NAMES = frozenset({"server_key"})

HOT = 16
"""Additions to an entry, three to five for a tracked request, after which the other processes are told at once: limits
hold for all of them, and who counts less often is not worth a message of his own. Each time an eighth more, until the
next regular telling: sums are right to within a part of what is counted, and a flood is not a flood of messages."""

RATES = frozenset(
    {
        "conn_rate", "sess_rate", "http_req_rate", "http_err_rate", "http_fail_rate", "bytes_in_rate", "bytes_out_rate",
        "gpc0_rate", "gpc1_rate",
    }
)  # fmt: skip
ARRAYS = {"gpc": "gpc{}", "gpt": "gpt{}", "gpc_rate": "gpc{}_rate"}
"""The names of their cells."""

News = dict[str, Any]
"""By cell: a number that was added, or [value]."""


class SlidingRate:
    """Events over the last `period` seconds, as HAProxy counts them: those of the running period, and of the one before
    as much as the time that is left of the running one. A period begins with the first event after an empty one."""

    __slots__ = ("_current", "_previous", "_start", "period")

    def __init__(self, period: float) -> None:
        self.period = period
        self._start = 0.0
        self._current = self._previous = 0

    def add(self, now: float, n: int = 1) -> None:
        """Count `n` events at `now`."""
        if now - self._start >= self.period:
            self._advance(now)
        self._current += n

    def value(self, now: float) -> int:
        """Events per period. The last event is seen for the whole of the next period, so that low rates do not
        flicker."""
        passed = now - self._start
        current, previous = self._current, self._previous
        if passed >= self.period:
            passed -= self.period
            current, previous = 0, current if passed < self.period else 0
        if not current and previous <= 1:
            return previous
        return current + int(previous * (1 - passed / self.period))

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
        self._start += self.period
        self._previous, self._current = self._current, 0
        if now - self._start >= self.period:
            self._previous, self._start = 0, now


@dataclass(frozen=True, slots=True)
class Column:
    """One item of `store`."""

    name: str
    period: float = 0.0
    """Seconds, of rates."""
    count: int = 0
    """Elements, of arrays."""

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells that an entry has for it."""
        form = ARRAYS.get(self.name)
        return (self.name,) if form is None else tuple(form.format(index) for index in range(self.count))

    def fresh(self) -> Any:
        """What one of its cells begins with."""
        if self.period:
            return SlidingRate(self.period)
        return "" if self.name in NAMES else 0


class Entry:
    """The data of one key: numbers, SlidingRates or a name, by cell."""

    __slots__ = ("additions", "data", "expires", "key", "news", "patience", "table", "told")

    def __init__(self, key: Any, table: StickTable) -> None:
        self.key = key
        self.table = table
        self.expires = 0.0
        self.data: dict[str, Any] = {cell: column.fresh() for column in table.columns for cell in column.cells}
        self.data["use"] = 0
        self.news: News = {}
        self.additions = 0
        """To `news`."""
        self.patience = HOT
        """So many of them are kept to ourselves."""
        self.told = False
        """The other processes have heard of this entry."""

    def add(self, cells: tuple[str, ...], now: float, n: int = 1) -> None:
        """Add `n` to cells that the table has."""
        data, news = self.data, self.news
        if not news:
            self.table.counted[self] = None
        for cell in cells:
            value = data[cell]
            if value.__class__ is SlidingRate:
                value.add(now, n)
            else:
                data[cell] = _bounded(cell, value + n)
            known = news.get(cell, 0)
            news[cell] = known + n if known.__class__ is int else [data[cell]]
        self.additions += 1
        if self.additions == self.patience and self.table.hurry is not None:
            self.table.hurry(self)

    def count(self, cell: str, now: float, n: int = 1) -> None:
        """Add `n` to a cell, if the table has it."""
        if cell in self.data:
            self.add((cell,), now, n)

    def put(self, cell: str, value: int) -> None:
        """Store a number, not a rate, in a cell that the table has."""
        if not self.news:
            self.table.counted[self] = None
        self.data[cell] = value & _LARGEST
        self.news[cell] = [self.data[cell]]

    def taken(self) -> News:
        """What has been counted since the last call."""
        news, self.news = self.news, {}
        self.additions = 0
        return news

    def set(self, column: Column, value: int, now: float) -> None:
        """What an operator stores, in all processes: a number (of an array the first); a rate becomes that many per
        period."""
        cell, fresh = column.cells[0], column.fresh()
        if isinstance(fresh, SlidingRate):
            fresh.add(now, value)
        self.data[cell] = value if isinstance(fresh, int) else fresh
        self.news.pop(cell, None)
        self.table.counted[self] = None

    def take(self, news: News, now: float) -> None:
        """Add what another process has counted; cells that there are not here do not matter."""
        data = self.data
        for cell, n in news.items():
            value = data.get(cell)
            if value is None:
                continue
            if isinstance(value, SlidingRate):
                value.add(now, n)
            else:
                data[cell] = n[0] if isinstance(n, list) else _bounded(cell, value + n)

    def value(self, cell: str, now: float) -> int | None:
        """A cell's number; None if the table does not have it."""
        value = self.data.get(cell)
        return value.value(now) if value.__class__ is SlidingRate else value


def _bounded(cell: str, number: int) -> int:
    return number if 0 <= number <= _LARGEST or cell in BIG_COUNTERS else max(0, min(_LARGEST, number))


def parse_columns(texts: Iterable[str]) -> tuple[Column, ...]:
    """All items of `store`; of two with the same name the first counts. Raises ValueError."""
    columns: dict[str, Column] = {}
    for text in texts:
        column = parse_column(text)
        columns.setdefault(column.name, column)
    for array in (name for name in columns if name in ARRAYS):
        for older in (ARRAYS[array].format(index) for index in (0, 1)):
            if older in columns:
                raise ValueError(f"cannot store '{older}' beside '{array}', whose elements take its place")
    return tuple(columns.values())


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
