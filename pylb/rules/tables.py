"""Stick tables as rules, samples and converters name and ask them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylb.backend.stick import StickTable, suited
from pylb.rules.kinds import Kind, Value, conversion
from pylb.rules.registry import BadArgument
from pylb.rules.scope import Place, Scope

KEY_KINDS = {"ip": Kind.ADDR, "ipv6": Kind.ADDR, "integer": Kind.INT, "string": Kind.STR, "binary": Kind.BIN}
"""What a sample has to give for a table of each type."""

EARLY = (Place.CONNECTION, Place.SESSION)
"""Where there is a session and no exchange yet."""


def table_named(name: str | None, scope: Scope) -> StickTable:
    """The table of a section, by default the own one; raises BadArgument."""
    wanted = name or (scope.proxy.name if scope.proxy is not None else "")
    table = scope.world.tables.get(wanted)
    if table is None:
        raise BadArgument(f'"{wanted}" has no stick table; add a stick-table to that section')
    return table


def key_maker(table: StickTable) -> Callable[[Value], Any]:
    """Makes the stored key of a value of any type, None of what cannot be one."""
    convert = conversion(Kind.ANY, KEY_KINDS[table.model.type])
    assert convert is not None
    return lambda value: table.key(suited(table, convert(value)))


def element(index: int, name: str) -> int:
    """The index of an element of an array; raises BadArgument."""
    if not 0 <= index <= 99:
        raise BadArgument(f'"{name}": an index is a number from 0 to 99, not {index}')
    return index
