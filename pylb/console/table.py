"""Rows for the eye, made of two answers of an admin socket: `show info` and `show stat`.

What HAProxy gives as totals (bytes, errors) is shown per second, from the difference to the answer before.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO

KINDS = {"0": "frontend", "1": "backend", "2": "server", "3": "listener"}
"""The column `type` of `show stat`."""


@dataclass(frozen=True)
class Snapshot:
    """What one question learned. `at`: seconds of any monotonic clock."""

    at: float
    info: Mapping[str, str]
    rows: Mapping[tuple[str, str], Mapping[str, str]]
    """By pxname and svname, in the proxy's order."""


def read(answer: str, at: float) -> Snapshot:
    """The answer to `show info;show stat`. ValueError where it is none."""
    info_text, mark, table = answer.partition("# pxname,")
    if not mark:
        told = answer.strip().splitlines()
        raise ValueError(f"no statistics: {told[0] if told else 'an empty answer'}")
    info = dict(line.split(": ", 1) for line in info_text.splitlines() if ": " in line)
    found = csv.DictReader(StringIO("pxname," + table.strip() + "\n"))
    rows = {(row["pxname"], row["svname"]): row for row in found if row.get("svname")}
    return Snapshot(at, info, rows)


@dataclass(frozen=True)
class Line:
    """One row of the console: what is shown, and what it is sorted by."""

    proxy: str
    name: str
    kind: str
    status: str
    cells: tuple[str, ...]
    keys: tuple[float | str, ...]

    @property
    def server(self) -> str:
        """`backend/server`, as commands name it; empty for other rows."""
        return f"{self.proxy}/{self.name}" if self.kind == "server" else ""


@dataclass(frozen=True)
class Column:
    """`value`: from the row, the row before, and the seconds in between; None: nothing to say."""

    title: str
    about: str
    value: Callable[[Mapping[str, str], Mapping[str, str], float], float | str | None]
    show: Callable[[float | str], str] = str


def lines(now: Snapshot, before: Snapshot | None) -> list[Line]:
    """All rows, in the proxy's order."""
    old = before or now
    elapsed = now.at - old.at
    return [_line(row, old.rows.get(key, row), elapsed) for key, row in now.rows.items()]


def _line(row: Mapping[str, str], before: Mapping[str, str], elapsed: float) -> Line:
    values = [column.value(row, before, elapsed) for column in COLUMNS]
    return Line(
        row["pxname"],
        row["svname"],
        KINDS.get(row.get("type", ""), ""),
        row.get("status", ""),
        tuple("" if v is None else c.show(v) for c, v in zip(COLUMNS, values, strict=True)),
        tuple(-1.0 if v is None else v for v in values),
    )


# -------------------------------------------------------------------------------------------------------------- columns


def number(row: Mapping[str, str], name: str) -> float | None:
    """A column as a number; None where it is empty or missing."""
    text = row.get(name) or ""
    try:
        return float(text)
    except ValueError:
        return None


def _of(name: str) -> Callable[[Mapping[str, str], Mapping[str, str], float], float | None]:
    return lambda row, before, elapsed: number(row, name)


def _text(name: str) -> Callable[[Mapping[str, str], Mapping[str, str], float], str | None]:
    return lambda row, before, elapsed: row.get(name) or None


def _per_second(*names: str) -> Callable[[Mapping[str, str], Mapping[str, str], float], float | None]:
    """How fast some totals grow together. A total that shrank was cleared: it counts from zero."""

    def value(row: Mapping[str, str], before: Mapping[str, str], elapsed: float) -> float | None:
        known = [(now, number(before, name) or 0.0) for name in names if (now := number(row, name)) is not None]
        if not known or elapsed <= 0:
            return None
        return sum(now - then if now >= then else now for now, then in known) / elapsed

    return value


def _rate(row: Mapping[str, str], before: Mapping[str, str], elapsed: float) -> float | None:
    """Requests a second where they are counted, else sessions."""
    found = number(row, "req_rate")
    return number(row, "rate") if found is None else found


def count(value: float | str) -> str:
    """At most four figures and a letter."""
    amount = float(value)
    for letter in ("", "k", "M", "G"):
        if amount < 9999.5:
            return f"{amount:.0f}{letter}" if amount >= 10 or amount == int(amount) else f"{amount:.1f}{letter}"
        amount /= 1000
    return f"{amount:.0f}T"


def age(value: float | str) -> str:
    """Seconds as people say them."""
    seconds = int(float(value))
    if seconds < 0:
        return "never"
    for size, letter, smaller, other in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if seconds >= size:
            return f"{seconds // size}{letter}{seconds % size // smaller:02}{other}"
    return f"{seconds}s"


COLUMNS: tuple[Column, ...] = (
    Column("Proxy", "frontend, backend or listen section", _text("pxname")),
    Column("Name", "server, or the proxy's own row", _text("svname")),
    Column("Status", "state; 1/3: checks that are still missing", _text("status")),
    Column("Rate/s", "requests a second (TCP and servers: sessions)", _rate, count),
    Column("Sess", "sessions now", _of("scur"), count),
    Column("Max", "most sessions there have been at once", _of("smax"), count),
    Column("Queue", "requests that wait", _of("qcur"), count),
    Column("In B/s", "bytes a second from clients", _per_second("bin"), count),
    Column("Out B/s", "bytes a second to clients", _per_second("bout"), count),
    Column("5xx/s", "responses with 5xx a second", _per_second("hrsp_5xx"), count),
    Column(
        "Err/s", "errors of requests, connections and responses a second", _per_second("ereq", "econ", "eresp"), count
    ),
    Column("Resp ms", "average time to the head of a response", _of("rtime"), count),
    Column("Weight", "weight in force", _of("weight"), count),
    Column("Since", "time since the state last changed", _of("lastchg"), age),
    Column("Check", "result of the last check", _text("check_status")),
    Column("Last check said", "what it found", _text("last_chk")),
)
