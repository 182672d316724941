"""Converters that look a value up in a stick table (manual 7.3.1: in_table, table_…). They touch nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylb.backend.stick import StickTable
from pylb.backend.stick_entry import Entry
from pylb.rules.kinds import Kind, Value
from pylb.rules.registry import Step, converter_with
from pylb.rules.samples.tracked import ELEMENTS, KILOBYTES, PLAIN, Read, element_reader, reader
from pylb.rules.scope import Scope
from pylb.rules.tables import key_maker, table_named


def _looking(table: StickTable, read: Read, missing: Value = 0) -> Step:
    """The step; `missing`: what a key without an entry gives."""
    key_of = key_maker(table)

    def step(value: Value, x: Any) -> Value:
        key = key_of(value)
        if key is None:
            return None
        now = x.session.loop.time()
        entry = table.find(key, now)
        return missing if entry is None else read(entry, now)

    return step


def _register(name: str, read: Read) -> None:
    @converter_with(name, Kind.ANY, Kind.INT, "table?", contextual=True)
    def _build(args: tuple[Any, ...], scope: Scope) -> Step:
        return _looking(table_named(args[0], scope), read)


def _register_element(name: str, array: str) -> None:
    @converter_with(name, Kind.ANY, Kind.INT, "int", "table?", contextual=True)
    def _build(args: tuple[Any, ...], scope: Scope) -> Step:
        return _looking(table_named(args[1], scope), element_reader(array, args[0]))


for _name in (*PLAIN, *KILOBYTES):
    _register(f"table_{_name.removeprefix('get_')}", reader(_name))
for _name, _array in ELEMENTS.items():
    _register_element(f"table_{_name.removeprefix('get_')}", _array)
_register("table_server_id", lambda entry, now: entry.value("server_id", now))


@converter_with("in_table", Kind.ANY, Kind.BOOL, "table?", contextual=True)
def _in_table(args: tuple[Any, ...], scope: Scope) -> Step:
    return _looking(table_named(args[0], scope), lambda _entry, _now: True, False)


def _milliseconds(of: Callable[[StickTable, Entry, float], float]) -> Callable[[tuple[Any, ...], Scope], Step]:
    """Converters about an entry's time, `table[,default]`."""

    def build(args: tuple[Any, ...], scope: Scope) -> Step:
        table = table_named(args[0], scope)
        if table.model.expire is None:
            return _looking(table, lambda _entry, _now: 0, args[1])
        return _looking(table, lambda entry, now: max(0, int(of(table, entry, now) * 1000)), args[1])

    return build


converter_with("table_expire", Kind.ANY, Kind.INT, "table?", "int?", contextual=True)(
    _milliseconds(lambda _table, entry, now: entry.expires - now)
)
converter_with("table_idle", Kind.ANY, Kind.INT, "table?", "int?", contextual=True)(
    _milliseconds(lambda table, entry, now: (table.model.expire or 0.0) - (entry.expires - now))
)
