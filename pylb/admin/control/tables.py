"""Stick tables: show table, set table, clear table.

filter  = "data." <type> <operator> <value>, up to four, all of which must hold
key     = "key" <key>, as text of the table's type
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import chain
from typing import Any

from pylb.admin.control.registry import Answer, Kind, command
from pylb.admin.control.session import Level, Session
from pylb.admin.world import Running
from pylb.backend.operate import Refused
from pylb.backend.stick import StickTable
from pylb.backend.stick_entry import Column, Entry
from pylb.backend.stick_records import key_text

OPERATORS: dict[str, Callable[[int, int], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "le": operator.le, "ge": operator.ge, "lt": operator.lt, "gt": operator.gt,
}  # fmt: skip
MAX_FILTERS = 4

Keep = Callable[[Entry], bool]


@command("show table", "<table> [<filter>]*", help="report table usage stats or dump this table's contents"
         " (filter: data/key)")  # fmt: skip
def show_table(session: Session, world: Running, words: Sequence[str], payload: str) -> Answer:
    """A line per table, or the entries of one, all or those that a filter or key chooses."""
    now = world.now()
    if not words:
        return "".join(head(table, now) for table in reversed(list(world.tables.values()))).encode()
    table = _table(world, words[0])
    key, keep = _choice(table, words[1:], now)
    if key is not None:
        entry = table.lookup(key, now)
        return (head(table, now) + line(table, entry, now)).encode() if entry is not None else b""
    shown = (line(table, entry, now).encode() for entry in table.entries(now) if keep(entry))
    return chain((head(table, now).encode(),), shown)


def _table(world: Running, name: str) -> StickTable:
    table = world.tables.get(name)
    if table is None:
        raise Refused("No such table")
    return table


def head(table: StickTable, now: float) -> str:
    """The line about a whole table."""
    used = len(table.entries(now))
    return f"# table: {table.name}, type: {table.model.type}, size:{table.model.size}, used:{used}\n"


def line(table: StickTable, entry: Entry, now: float) -> str:
    """One entry: its key, the milliseconds it has left, its data in HAProxy's order."""
    left = 0 if entry.expires == float("inf") else max(0, int((entry.expires - now) * 1000))
    data = "".join(f" {name}={value}" for name, value in _data(table, entry, now))
    return f"{id(entry):#x}: key={key_text(entry.key, table.model.type)} use={entry.data['use']} exp={left}{data}\n"


ORDER = (
    "server_id", "gpt0", "gpc0", "gpc0_rate", "conn_cnt", "conn_rate", "conn_cur", "sess_cnt", "sess_rate",
    "http_req_cnt", "http_req_rate", "http_err_cnt", "http_err_rate", "bytes_in_cnt", "bytes_in_rate",
    "bytes_out_cnt", "bytes_out_rate", "gpc1", "gpc1_rate", "server_key", "http_fail_cnt", "http_fail_rate", "gpt",
    "gpc", "gpc_rate",
)  # fmt: skip
"""In which HAProxy shows what is stored."""


def _data(table: StickTable, entry: Entry, now: float) -> Iterator[tuple[str, Any]]:
    for column in sorted(table.columns, key=lambda column: ORDER.index(column.name)):
        period = f"({int(column.period * 1000)})" if column.period else ""
        for cell in column.cells:
            value: Any = entry.value(cell, now)
            yield f"{cell}{period}", value if value != "" else "-"


def _choice(table: StickTable, words: Sequence[str], now: float) -> tuple[Any, Keep]:
    """(a key, …) or (None, whether an entry is meant)."""
    if not words:
        return None, lambda entry: True
    if words[0] == "key":
        return _key(table, words[1:]), lambda entry: True
    if not words[0].startswith("data."):
        raise Refused('Optional argument only supports "data.<store_data_type>" <operator> <value> and key <key>')
    filters = [_filter(table, words[at : at + 3], at // 3 + 1) for at in range(0, 3 * MAX_FILTERS, 3) if words[at:]]
    if len(words) > 3 * MAX_FILTERS:
        place, last = 3 * MAX_FILTERS + 4, words[3 * MAX_FILTERS - 1]
        raise Refused(f"Detected extra data in filter, {place}th word of input, after '{last}'")
    return None, lambda entry: all(compare(entry.value(cell, now) or 0, wanted) for cell, compare, wanted in filters)


def _filter(table: StickTable, words: Sequence[str], number: int) -> tuple[str, Callable[[int, int], bool], int]:
    """A cell (of an array the first), and how it is compared with what."""
    name = words[0].removeprefix("data.")
    if name not in ORDER:
        raise Refused(f"Filter entry #{number}: Unknown data type")
    column = next((column for column in table.columns if column.name == name), None)
    if column is None:
        raise Refused(f"Filter entry #{number}: Data type not stored in this table")
    if name == "server_key":
        raise Refused(f"Filter entry #{number}: Data type is no number")
    compare = OPERATORS.get(words[1]) if len(words) > 1 else None
    if compare is None:
        raise Refused(f'Filter entry #{number}: Require and operator among "eq", "ne", "le", "ge", "lt", "gt"')
    value = _number(words[2:])
    if value is None:
        raise Refused(f"Filter entry #{number}: Require a valid integer value to compare against")
    return column.cells[0], compare, value


def _number(words: Sequence[str]) -> int | None:
    """The first word, if it is a number of 64 bits; None: it is none."""
    if not words or re.fullmatch("-?[0-9]{1,19}", words[0]) is None:
        return None
    value = int(words[0])
    return value if -(1 << 63) <= value < 1 << 63 else None


def _key(table: StickTable, words: Sequence[str]) -> Any:
    """The key that a text means, as the table takes it."""
    if not words:
        raise Refused("Key value expected")
    text, kind = words[0], table.model.type
    try:
        if kind in ("ip", "ipv6"):
            address = ip_address(text)
            wanted: type = IPv4Address if kind == "ip" else IPv6Address
            if isinstance(address, wanted):
                return address
        elif kind == "integer":
            value = _number(words)
            if value is not None and 0 <= value < 1 << 32:
                return value
        elif kind == "string":
            return text.encode("utf-8", "surrogateescape")
        elif kind == "binary":
            return bytes.fromhex(text)
    except ValueError:
        pass
    raise Refused("Invalid key")


@command("set table", "<table> key <k> [data.* <v>]*", help="update or create a table entry's data", kind=Kind.CHANGE,
         level=Level.OPERATOR)  # fmt: skip
def set_table(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Make the entry if there is none, and store the values."""
    if not words:
        raise Refused("Required arguments: <table> key <key> [data.<store_data_type> <value>]*")
    table, now = _table(world, words[0]), world.now()
    if words[1:] and words[1].startswith("data."):
        raise Refused('content-based lookup is only supported with the "show" and "clear" actions')
    if list(words[1:2]) != ["key"]:
        raise Refused("Required arguments: <table> key <key> [data.<store_data_type> <value>]*")
    key = _key(table, words[2:3])
    values = dict(_setting(table, words[at : at + 2]) for at in range(3, len(words), 2))
    entry = table.track(key, now)
    if entry is None:
        raise Refused("Unable to allocate a new entry")
    for column, value in values.items():
        entry.set(column, value, now)
    return b""


def _setting(table: StickTable, words: Sequence[str]) -> tuple[Column, int]:
    if not words[0].startswith("data."):
        raise Refused('"data.<type>" followed by a value expected')
    name = words[0].removeprefix("data.")
    if name not in ORDER or name == "server_key":
        raise Refused("Unknown data type")
    column = next((column for column in table.columns if column.name == name), None)
    if column is None:
        raise Refused("Data type not stored in this table")
    value = _number(words[1:])
    if value is None:
        raise Refused("Require a valid integer value to store")
    return column, value % (1 << 64 if name in WIDE else 1 << 32)  # the rest is cut off, as in HAProxy


WIDE = ("bytes_in_cnt", "bytes_out_cnt")
"""Columns of 64 bits."""


@command("clear table", "<table> [<filter>]*", help="remove an entry from a table (filter: data/key)", kind=Kind.CHANGE,
         level=Level.OPERATOR)  # fmt: skip
def clear_table(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Forget all entries, or those that a filter or key chooses."""
    usage = 'Required arguments: <table> "data.<store_data_type>" <operator> <value> or <table> key <key>'
    if not words:
        raise Refused(usage)
    table, now = _table(world, words[0]), world.now()
    if words[1:] and words[1] != "key" and not words[1].startswith("data."):
        raise Refused(usage)
    key, keep = _choice(table, words[1:], now)
    if key is not None:
        entry = table.lookup(key, now)
        if entry is not None and entry.data["use"]:
            raise Refused("Entry currently in use, cannot remove")
        table.remove(key)
        return b""
    for entry in table.entries(now):
        if keep(entry) and not entry.data["use"]:
            table.remove(entry.key)
    return b""
