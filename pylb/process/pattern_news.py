"""What rules have changed in maps and ACLs (rules/pattern_edits.py), in all workers.

    worker  ─► [file, order, pattern, value]                        twice a second, and before it answers a SETTLE
    steward ─► [slot of the teller, [file, pattern, [number, value, version]…]…]   to all, the teller included

The steward carries orders out as they arrive, and what a pattern stands for then holds everywhere: it tells every
worker in the same order. A worker that has given a newer order for the pattern, told or not, waits for the answer to
its own, so that a client does not see a value come back that it has just replaced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from pylb.rules.pattern_edits import Entry, Order
from pylb.rules.pattern_lists import PatternLists
from pylb.rules.registry import BadArgument

Record = list[Any]

BATCH = 200
"""Records in one message."""


def collect(lists: PatternLists) -> Iterator[list[Record]]:
    """In a worker: the orders since the last time, a message's at a time."""
    records: list[Record] = []
    for path, edits in lists.edited():
        untold, edits.untold = edits.untold, {}
        for pattern, (order, value) in untold.items():
            edits.asked[pattern] = edits.asked.get(pattern, 0) + 1
            records.append([path, order, pattern, value])
    return (records[first : first + BATCH] for first in range(0, len(records), BATCH))


def merge(lists: PatternLists, records: Iterable[Record]) -> list[Record]:
    """In the steward: carry orders out; what their patterns stand for now."""
    told = []
    for path, order, pattern, value in records:
        edits = lists.edits(path)
        if edits is None:
            continue
        with suppress(BadArgument, OverflowError):
            edits.carry_out(Order(order), pattern, value, edits.list.last + 1)
        held = edits.held(pattern)
        edits.list.last = max(edits.list.last, *(entry.number for entry in held), 0)
        told.append([path, pattern, [[entry.number, entry.value, entry.version] for entry in held]])
    return told


def apply(lists: PatternLists, records: Iterable[Record], own: bool) -> None:
    """In a worker: what the steward tells; `own`: in answer to this worker's orders."""
    for path, pattern, entries in records:
        edits = lists.edits(path)
        if edits is None:
            continue
        if own and pattern in edits.asked:
            edits.asked[pattern] -= 1
            if not edits.asked[pattern]:
                del edits.asked[pattern]
        if pattern not in edits.untold and pattern not in edits.asked:
            edits.assign(pattern, (Entry(number, pattern, value, version) for number, value, version in entries))
