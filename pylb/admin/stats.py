"""The statistics table as CSV and JSON (management manual, 9.1 and 9.3), and what all its renderings leave out.

View is what a reader asked for: `;up` hides servers that are down, `;no-maint` those in maintenance, `?scope=` keeps
the proxies whose name contains a text, `stats scope` those of the configuration. The rest is walking the table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from pylb.admin.columns import COLUMNS, END_OF_STATIC, Column, Value
from pylb.admin.rows import Row, Section, rows_of, sections
from pylb.admin.world import World

OBJECTS = {"F": "Frontend", "S": "Server", "B": "Backend"}
ORIGIN = {"M": "Metric", "S": "Status", "K": "Key", "C": "Config", "P": "Product"}
NATURE = {
    "A": "Age", "a": "Avg", "C": "Counter", "D": "Duration", "G": "Gauge", "L": "Limit", "M": "Max", "m": "Min",
    "N": "Name", "O": "Output", "R": "Rate", "T": "Time",
}  # fmt: skip
SCOPE = {"C": "Cluster", "S": "Service", "s": "System", "P": "Process"}

HEADER = "# " + ",".join(column.name for column in COLUMNS) + ",\n"


@dataclass(frozen=True, slots=True)
class View:
    """Which rows and columns to show."""

    only_up: bool = False
    no_maint: bool = False
    scope: str = ""
    scopes: tuple[str, ...] = ()
    """`stats scope`: empty for all."""
    legends: bool = True
    proxy: int = -1
    """The one proxy with this number (column iid); -1: all."""
    kinds: str = "FSB"
    """Kinds of rows."""
    sid: int = -1
    """The servers with this number; -1: all."""

    @property
    def hides(self) -> bool:
        """Whether servers may be missing."""
        return self.only_up or self.no_maint

    def shows(self, row: Row) -> bool:
        """Whether a row is to be seen."""
        if row.kind not in self.kinds or (self.sid >= 0 and row.sid != self.sid):
            return False
        if row.server is None:
            return True
        if self.no_maint and row.server.status.startswith("MAINT"):
            return False
        return not self.only_up or row.server.state != 0

    def sections(self, world: World) -> list[Section]:
        """The proxies to be seen."""
        return [
            s
            for s in sections(world)
            if self.scope in s.name and (not self.scopes or s.name in self.scopes) and self.proxy in (-1, s.iid)
        ]

    def rows(self, world: World, now: float) -> Iterator[Row]:
        """All rows to be seen."""
        for section in self.sections(world):
            yield from filter(self.shows, rows_of(world, section, now))

    def value(self, column: Column, row: Row) -> Value:
        """A column's value, as far as it is to be seen."""
        if column.legend and not self.legends:
            return None
        value = column.value(row)
        if column.name == "status" and row.kind == "B" and self.hides and row.backend is not None:
            servers = row.backend.servers
            return f"{value} ({sum(s.usable for s in servers)}/{len(servers)})"
        return value


EVERYTHING = View()


def csv(world: World, view: View = EVERYTHING) -> bytes:
    """HAProxy's CSV, header line included."""
    return b"".join(csv_lines(world, view))


def csv_lines(world: World, view: View = EVERYTHING) -> Iterator[bytes]:
    """The same line by line; servers may come and go meanwhile."""
    yield HEADER.encode()
    for row in view.rows(world, world.now()):
        line = ",".join(_field(column, view.value(column, row)) for column in COLUMNS) + ",\n"
        yield line.encode("utf-8", "surrogateescape")


def _field(column: Column, value: Value) -> str:
    if column is END_OF_STATIC:
        return "-"
    if value is None:
        return ""
    text = str(value)
    if not text.isprintable():  # texts of checks come from servers: a line break would forge a row
        text = "".join(c if c.isprintable() else " " for c in text)
    return '"' + text.replace('"', '""') + '"' if '"' in text or "," in text else text


def as_json(world: World, view: View = EVERYTHING) -> bytes:
    """HAProxy's JSON: a list of rows, each a list of typed fields."""
    return b"".join(json_rows(world, view))


def json_rows(world: World, view: View = EVERYTHING) -> Iterator[bytes]:
    """The same row by row."""
    before = "["
    for row in view.rows(world, world.now()):
        yield f"{before}{_json_row(row, view)}".encode()
        before = ","
    yield b"[]" if before == "[" else b"]"


def _json_row(row: Row, view: View) -> str:
    identity = json.dumps({"objType": OBJECTS[row.kind], "proxyId": row.section.iid, "id": row.sid}, **_DENSE)
    fields = []
    for position, column in _POSITIONS:
        value = view.value(column, row)
        if value is not None:
            field = _json_field(position, column.name, column.type_in(row))
            fields.append(f"{identity[:-1]},{field}{json.dumps(value)}}}}}")
    return f"[{','.join(fields)}]"


@cache
def _json_field(position: int, name: str, type_: str) -> str:
    """All that stands before the value and is the same in every row."""
    letters, kind = type_.split()
    field = {
        "field": {"pos": position, "name": name},
        "processNum": 1,
        "tags": {"origin": ORIGIN[letters[0]], "nature": NATURE[letters[1]], "scope": SCOPE[letters[2]]},
        "value": {"type": kind, "value": None},
    }
    return json.dumps(field, **_DENSE)[1:].removesuffix("null}}")


_DENSE: Any = {"separators": (",", ":")}


def typed(world: World, view: View = EVERYTHING, describe: bool = False) -> Iterator[bytes]:
    """HAProxy's typed output: a line per field (management manual, 9.2)."""
    for row in view.rows(world, world.now()):
        lines = []
        for position, column in _POSITIONS:
            value = view.value(column, row)
            if value is not None:
                letters, kind = column.type_in(row).split()
                text = str(value) if str(value).isprintable() else "".join(c for c in str(value) if c.isprintable())
                about = f':"{column.help}"' if describe else ""
                where = f"{row.kind}.{row.section.iid}.{row.sid}.{position}.{column.name}.1"
                lines.append(f"{where}:{letters}:{kind}:{text}{about}\n")
        yield "".join(lines).encode("utf-8", "surrogateescape")


_POSITIONS = list(enumerate(column for column in COLUMNS if column is not END_OF_STATIC))
