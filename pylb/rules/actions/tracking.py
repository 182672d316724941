"""Actions on stick tables: what is tracked, and the counters and tags that rules keep (manual 4.2: `track-sc0`,
`sc-inc-gpc0`, …)."""

from __future__ import annotations

import re
from collections.abc import Callable

from pylb.backend import tracking
from pylb.backend.stick_entry import Entry
from pylb.config import model
from pylb.config.expression import parse_sample
from pylb.rules.action import Step, Words, action
from pylb.rules.compile import compile_sample
from pylb.rules.context import Context
from pylb.rules.kinds import Kind
from pylb.rules.registry import BadArgument
from pylb.rules.reply import Reply
from pylb.rules.samples.tracked import increment, tracked_entry
from pylb.rules.scope import Place, Scope
from pylb.rules.tables import EARLY, element, table_named
from pylb.rules.tracking import compile_key

NUMBERS = range(tracking.TRACKERS)
TRACKING = frozenset({Place.CONNECTION, Place.SESSION, Place.CONTENT, Place.REQUEST, Place.RESPONSE})


@action("track-sc0 track-sc1 track-sc2", TRACKING)
def _track(words: Words) -> Step | None:
    args, scope = words.args, words.scope
    if len(args) not in (1, 3) or (len(args) == 3 and args[1] != "table"):
        raise BadArgument(f'"{words.name}" is written {words.name} SAMPLE [table NAME]')
    table = table_named(args[2] if len(args) == 3 else None, scope)
    sample = parse_sample(args[0], words.at, scope.report)
    key_of = None if sample is None else compile_key(sample, table, scope)
    if key_of is None:
        return None
    number, requests, early = int(words.name[-1]), _counts_requests(scope), scope.place in EARLY

    def step(x: Context) -> Reply | None:
        holder = x.session if early else x
        tracked = holder.tracked
        if tracked is None or tracked[number] is None:  # else the first rule of this number has the word
            key = key_of(x)
            if key is not None:
                tracking.track(holder, number, table, key, x.session.loop.time(), requests)
        return None

    def late(x: Context) -> Reply | None:
        if x.tracked is None or x.tracked[number] is None:
            step(x)
            if x.tracked is not None and x.response is not None and (entry := x.tracked[number]) is not None:
                tracking.responded((entry,), x.response.status, x.session.loop.time())
        return None

    return late if scope.place is Place.RESPONSE else step


def _counts_requests(scope: Scope) -> bool:
    """Whether the rule itself counts the request, because nothing behind it does (rules/tracking.count_request)."""
    if scope.place is Place.CONTENT:
        return scope.http and isinstance(scope.proxy, model.Backend)
    return scope.place not in EARLY


# ------------------------------------------------------------------------------------------------------ sc-…(IDX,ID)


def _numbers(words: Words, form: str) -> tuple[int, ...]:
    """What stands in the parenthesis; the last is the number of what is tracked."""
    found = [part.strip() for part in (words.subject or "").split(",")]
    if len(found) != form.count(",") + 1 or not all(re.fullmatch("[0-9]{1,3}", part) for part in found):
        raise BadArgument(f'"{words.name}" is written {words.name}{form}')
    numbers = tuple(map(int, found))
    if numbers[-1] not in NUMBERS:
        raise BadArgument(f'"{words.name}": {numbers[-1]} is tracked by nothing; there are track-sc0 to track-sc2')
    if len(numbers) > 1:
        element(numbers[0], words.name)
    return numbers


def _counting(words: Words, number: int, cells: tuple[str, ...], array: str) -> Step:
    words.expect(0, 0, f"{words.name}({words.subject}), without words behind it")
    find = tracked_entry(number, words.scope)

    def step(x: Context) -> Reply | None:
        entry = find(x)
        if entry is not None:
            increment(entry, cells, array, x.session.loop.time())
        return None

    return step


@action("sc-inc-gpc0 sc-inc-gpc1", TRACKING)
def _inc_first(words: Words) -> Step | None:
    (number,) = _numbers(words, "(ID)")
    cell = words.name.rpartition("-")[2]
    return _counting(words, number, (cell, f"{cell}_rate"), "")


@action("sc-inc-gpc", TRACKING)
def _inc(words: Words) -> Step | None:
    index, number = _numbers(words, "(INDEX,ID)")
    return _counting(words, number, (f"gpc{index}", f"gpc{index}_rate"), "gpc")


def _value(words: Words) -> Callable[[Context], int | None] | None:
    """A number, or a sample that gives one."""
    words.expect(1, 1, f"{words.name}({words.subject}) NUMBER, or a sample; converters follow after commas")
    if words.args[0].isascii() and words.args[0].isdigit():
        fixed = int(words.args[0])
        return lambda _x: fixed
    sample = parse_sample(words.args[0], words.at, words.scope.report)
    get = None if sample is None else compile_sample(sample, words.scope, Kind.INT)
    if get is None:
        return None
    return lambda x: value if isinstance(value := get(x), int) else None


def _storing(words: Words, number: int, store: Callable[[Entry, int, float], None]) -> Step | None:
    get, find = _value(words), tracked_entry(number, words.scope)
    if get is None:
        return None

    def step(x: Context) -> Reply | None:
        entry = find(x)
        value = get(x) if entry is not None else None
        if entry is not None and value is not None:
            store(entry, value, x.session.loop.time())
        return None

    return step


def _tag(entry: Entry, cell: str, value: int, now: float) -> None:
    if cell in entry.data:
        entry.put(cell, value)
        entry.table.touch(entry, now)


@action("sc-set-gpt0", TRACKING)
def _set_first(words: Words) -> Step | None:
    (number,) = _numbers(words, "(ID)")
    return _storing(words, number, lambda entry, value, now: _tag(entry, "gpt0", value, now))


@action("sc-set-gpt", TRACKING)
def _set(words: Words) -> Step | None:
    index, number = _numbers(words, "(INDEX,ID)")

    def store(entry: Entry, value: int, now: float) -> None:
        if "gpt" in entry.table.arrays:
            _tag(entry, f"gpt{index}", value, now)

    return _storing(words, number, store)


@action("sc-add-gpc", TRACKING)
def _add(words: Words) -> Step | None:
    index, number = _numbers(words, "(INDEX,ID)")
    cells = (f"gpc{index}", f"gpc{index}_rate")
    return _storing(words, number, lambda entry, value, now: increment(entry, cells, "gpc", now, max(0, value)))
