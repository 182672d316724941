"""Fetches of what stick tables have counted (manual 7.3.3: sc_…, sc0_…, src_…; 7.3.2: table_avl, table_cnt).

    sc_NAME(ID[,TABLE])    what is tracked as number ID; with TABLE the entry of the same key there
    sc0_NAME([TABLE])      the same with the number in the name
    src_NAME([TABLE])      the entry of the client's address, tracked or not

Nothing tracked and a datum that the table does not store are "not found"; a key without an entry has counted 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylb.backend.stick import suited
from pylb.backend.stick_entry import Entry
from pylb.backend.tracking import TRACKERS
from pylb.rules.kinds import Kind, Value, address
from pylb.rules.registry import BadArgument, Getter, fetch_with
from pylb.rules.scope import Scope
from pylb.rules.tables import EARLY, element, key_maker, table_named

Find = Callable[[Any], Any]
"""An exchange's Entry; None: nothing is tracked, ABSENT: there is no entry."""
Read = Callable[[Entry, float], Value]

ABSENT: Any = object()

PLAIN = {
    name: name
    for name in (
        "bytes_in_rate", "bytes_out_rate", "conn_cnt", "conn_cur", "conn_rate", "gpc0_rate", "gpc1_rate",
        "http_err_cnt", "http_err_rate", "http_fail_cnt", "http_fail_rate", "http_req_cnt", "http_req_rate",
        "sess_cnt", "sess_rate",
    )
} | {"get_gpc0": "gpc0", "get_gpc1": "gpc1", "get_gpt0": "gpt0", "trackers": "use"}  # fmt: skip
"""The cell that a fetch reads."""
KILOBYTES = {"kbytes_in": "bytes_in_cnt", "kbytes_out": "bytes_out_cnt"}
ELEMENTS = {"get_gpc": "gpc", "get_gpt": "gpt", "gpc_rate": "gpc_rate"}
"""Of arrays, by index: the array."""
CELLS = {"gpc": "gpc{}", "gpt": "gpt{}", "gpc_rate": "gpc{}_rate"}


# ---------------------------------------------------------------------------------------------------- whose entry


def tracked_entry(number: int, scope: Scope) -> Find:
    """What is tracked as `number`: by the exchange, else by its session."""
    if scope.place in EARLY:

        def early(x: Any) -> Any:
            tracked = x.session.tracked
            return None if tracked is None else tracked[number]

        return early

    def find(x: Any) -> Any:
        tracked = x.tracked
        if tracked is None:
            tracked = x.session.tracked
            if tracked is None:
                return None
        return tracked[number]

    return find


def _tracked_in(number: int, name: str | None, scope: Scope) -> Find:
    if not 0 <= number < TRACKERS:
        raise BadArgument(f"{number} is tracked by nothing; there are track-sc0 to track-sc2")
    find = tracked_entry(number, scope)
    if name is None:
        return find
    table = table_named(name, scope)

    def elsewhere(x: Any) -> Any:
        entry = find(x)
        if entry is None:
            return None
        return table.lookup(suited(table, entry.key), x.session.loop.time()) or ABSENT

    return elsewhere


def _of_client(name: str | None, scope: Scope, make: bool) -> Find:
    table = table_named(name, scope)
    key_of = key_maker(table)

    def find(x: Any) -> Any:
        key = key_of(address(x.session.src))
        if key is None:
            return None
        now = x.session.loop.time()
        return (table.entry(key, now) if make else table.find(key, now)) or ABSENT

    return find


# ------------------------------------------------------------------------------------------------- what is read there


def _getter(find: Find, read: Read) -> Getter:
    def get(x: Any) -> Value:
        entry = find(x)
        if entry is None:
            return None
        return 0 if entry is ABSENT else read(entry, x.session.loop.time())

    return get


def reader(name: str) -> Read:
    """What a fetch or converter without an index reads."""
    if name in KILOBYTES:
        big = KILOBYTES[name]
        return lambda entry, now: None if (value := entry.value(big, now)) is None else value >> 10
    cell = PLAIN[name]
    return lambda entry, now: entry.value(cell, now)


def element_reader(array: str, index: int) -> Read:
    """What one with an index reads."""
    cell = CELLS[array].format(element(index, array))
    return lambda entry, now: entry.value(cell, now) if array in entry.table.arrays else None


def increment(entry: Entry, cells: tuple[str, ...], array: str, now: float, n: int = 1) -> None:
    """Count in those of the cells that the table has; `array`: only if it has them as elements of an array."""
    if array:
        cells = tuple(cell for cell in cells if ("gpc_rate" if cell.endswith("_rate") else "gpc") in entry.table.arrays)
    present = tuple(cell for cell in cells if cell in entry.data)
    if present:
        entry.add(present, now, n)
        entry.table.touch(entry, now)


def _incrementing(cell: str, array: str) -> Read:
    """sc_inc_gpc0: one more, and how many that makes."""

    def read(entry: Entry, now: float) -> Value:
        increment(entry, (cell, f"{cell}_rate"), array, now)
        return _stored(entry, cell, array)

    return read


def _clearing(cell: str, array: str) -> Read:
    """sc_clr_gpc0: none any more, and how many there were."""

    def read(entry: Entry, now: float) -> Value:
        before = _stored(entry, cell, array)
        if before is not None:
            entry.put(cell, 0)
            entry.table.touch(entry, now)
        return before

    return read


def _stored(entry: Entry, cell: str, array: str) -> Value:
    return entry.data.get(cell) if not array or array in entry.table.arrays else None


# -------------------------------------------------------------------------------------------------------- registration


def _register(name: str, kind: Kind, read: Read, make: bool = False) -> None:
    """The five fetches of a name; `make`: src_NAME makes the entry if there is none."""

    @fetch_with(f"sc_{name}", kind, "int", "table?")
    def _numbered(args: tuple[Any, ...], scope: Scope) -> Getter:
        return _getter(_tracked_in(args[0], args[1], scope), read)

    def named(number: int) -> None:
        @fetch_with(f"sc{number}_{name}", kind, "table?")
        def _build(args: tuple[Any, ...], scope: Scope) -> Getter:
            return _getter(_tracked_in(number, args[0], scope), read)

    for number in range(TRACKERS):
        named(number)

    @fetch_with(f"src_{name}", kind, "table?")
    def _client(args: tuple[Any, ...], scope: Scope) -> Getter:
        return _getter(_of_client(args[0], scope, make), read)


def _register_element(name: str, reads: Callable[[int], Read], make: bool = False) -> None:
    @fetch_with(f"sc_{name}", Kind.INT, "int", "int", "table?")
    def _numbered(args: tuple[Any, ...], scope: Scope) -> Getter:
        return _getter(_tracked_in(args[1], args[2], scope), reads(args[0]))

    @fetch_with(f"src_{name}", Kind.INT, "int", "table?")
    def _client(args: tuple[Any, ...], scope: Scope) -> Getter:
        return _getter(_of_client(args[1], scope, make), reads(args[0]))


for _name in (*PLAIN, *KILOBYTES):
    _register(_name, Kind.INT, reader(_name))
for _cell in ("gpc0", "gpc1"):
    _register(f"inc_{_cell}", Kind.INT, _incrementing(_cell, ""), make=True)
    _register(f"clr_{_cell}", Kind.INT, _clearing(_cell, ""), make=True)
for _name, _array in ELEMENTS.items():
    _register_element(_name, lambda index, array=_array: element_reader(array, index))  # type: ignore[misc]
_register_element("inc_gpc", lambda index: _incrementing(f"gpc{element(index, 'gpc')}", "gpc"), make=True)
_register_element("clr_gpc", lambda index: _clearing(f"gpc{element(index, 'gpc')}", "gpc"), make=True)


@fetch_with("sc1_clr_gpc", Kind.INT, "int", "table?")  # the only one of its kind that HAProxy has
def _clear_element(args: tuple[Any, ...], scope: Scope) -> Getter:
    return _getter(_tracked_in(1, args[1], scope), _clearing(f"gpc{element(args[0], 'gpc')}", "gpc"))


@fetch_with("sc_tracked", Kind.BOOL, "int", "table?")
def _tracked(args: tuple[Any, ...], scope: Scope) -> Getter:
    return _is_tracked(_tracked_in(args[0], args[1], scope))


def _is_tracked(find: Find) -> Getter:
    return lambda x: (entry := find(x)) is not None and entry is not ABSENT


def _register_tracked(number: int) -> None:
    @fetch_with(f"sc{number}_tracked", Kind.BOOL, "table?")
    def _build(args: tuple[Any, ...], scope: Scope) -> Getter:
        return _is_tracked(_tracked_in(number, args[0], scope))


for _number in range(TRACKERS):
    _register_tracked(_number)


@fetch_with("src_updt_conn_cnt", Kind.INT, "table?")
def _updt_conn_cnt(args: tuple[Any, ...], scope: Scope) -> Getter:
    """One more connection of this client, without tracking it."""

    def read(entry: Entry, now: float) -> Value:
        if "conn_cnt" not in entry.data:
            return None
        entry.add(("conn_cnt",), now)
        return entry.value("conn_cnt", now)

    return _getter(_of_client(args[0], scope, make=True), read)


@fetch_with("table_cnt", Kind.INT, "table?")
def _table_cnt(args: tuple[Any, ...], scope: Scope) -> Getter:
    table = table_named(args[0], scope)
    return lambda _x: len(table)


@fetch_with("table_avl", Kind.INT, "table?")
def _table_avl(args: tuple[Any, ...], scope: Scope) -> Getter:
    table = table_named(args[0], scope)
    return lambda _x: table.model.size - len(table)
