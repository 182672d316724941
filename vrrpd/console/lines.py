"""Rows for the eye, made of two status documents (`vrrpd.status`): counts become rates, differences become events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from vrrpd.view import problems, span

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Snapshot:
    """One status document. `at`: seconds of any monotonic clock."""

    at: float
    document: Document

    @property
    def instances(self) -> dict[str, Document]:
        """By name, in the daemon's order."""
        return {one["name"]: one for one in self.document["instances"]}


@dataclass(frozen=True)
class Line:
    """One instance: what is shown, and what it is sorted by."""

    name: str
    state: str
    troubled: bool
    cells: tuple[str, ...]
    keys: tuple[float | str, ...]


@dataclass(frozen=True)
class Column:
    """`value`: from the instance, its entry in the document before, and the seconds in between."""

    title: str
    value: Callable[[Document, Document, float], float | str]
    show: Callable[[Any], str] = str
    figure: bool = False


def lines(now: Snapshot, before: Snapshot | None) -> list[Line]:
    """All instances, in the daemon's order. `before` lies some adverts back, so that a rate means something."""
    old = before or now
    known = old.instances
    return [_line(one, known.get(name, one), now.at - old.at) for name, one in now.instances.items()]


def _line(one: Document, before: Document, elapsed: float) -> Line:
    values = tuple(column.value(one, before, elapsed) for column in COLUMNS)
    cells = tuple(column.show(value) for column, value in zip(COLUMNS, values, strict=True))
    return Line(one["name"], one["state"], bool(problems(dict(one))), cells, values)


def rate(one: Document, before: Document, elapsed: float, count: Callable[[Document], int]) -> float:
    """Events per second; a restarted daemon counts from zero again, which is no negative rate."""
    return max(0.0, (count(one) - count(before)) / elapsed) if elapsed > 0 else 0.0


def sent(one: Document) -> int:
    """Adverts."""
    return int(one["counters"]["adverts_sent"])


def received(one: Document) -> int:
    """Adverts."""
    return int(one["counters"]["adverts_received"])


def refused(one: Document) -> int:
    """Packets, whatever the reason."""
    return sum(one["refused"].values())


def _per_second(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def _priority(one: Document, *_: object) -> str:
    base, effective = one["base_priority"], one["effective_priority"]
    return str(effective) if base == effective else f"{effective} ({base})"


def _addresses(one: Document, *_: object) -> str:
    first, *others = one["addresses"] or ["-"]
    return f"{first} +{len(others)}" if others else first


COLUMNS = (
    Column("Instance", lambda one, *_: one["name"]),
    Column("State", lambda one, *_: one["state"]),
    Column("For", lambda one, *_: one["since"], span, figure=True),
    Column("Priority", _priority, figure=True),
    Column("Master", lambda one, *_: one["master"] or "-"),
    Column("Its prio", lambda one, *_: one["master_priority"] or 0, lambda v: str(v) if v else "-", figure=True),
    Column("Sent/s", lambda one, before, elapsed: rate(one, before, elapsed, sent), _per_second, figure=True),
    Column("Got/s", lambda one, before, elapsed: rate(one, before, elapsed, received), _per_second, figure=True),
    Column("Refused/s", lambda one, before, elapsed: rate(one, before, elapsed, refused), _per_second, figure=True),
    Column("Interface", lambda one, *_: one["interface"]),
    Column("VRID", lambda one, *_: one["vrid"], figure=True),
    Column("Addresses", _addresses),
)


# --------------------------------------------------------------------------------------------------------------- events


def events(before: Snapshot | None, now: Snapshot) -> Iterator[str]:
    """What changed between two looks, a sentence each: states, priorities, masters, problems, checks, reloads."""
    if before is None:
        return
    if before.document["pid"] != now.document["pid"]:
        yield f"the daemon was started again: pid {now.document['pid']}"
    known = before.instances
    for name, one in now.instances.items():
        yield from (f"({name}) {text}" for text in _changes(known[name], one)) if name in known else (f"({name}) new",)
    yield from (f"({name}) gone" for name in known if name not in now.instances)
    yield from _checks(before.document["tracking"], now.document["tracking"])
    yield from _reloads(before.document, now.document)


def _changes(before: Document, now: Document) -> Iterator[str]:
    if before["state"] != now["state"]:
        yield f"{before['state']} -> {now['state']}"
    if before["effective_priority"] != now["effective_priority"]:
        yield f"priority {before['effective_priority']} -> {now['effective_priority']}"
    if before["master"] != now["master"]:
        yield f"master {before['master'] or 'unknown'} -> {now['master'] or 'unknown'}"
    old, new = problems(dict(before)), problems(dict(now))
    yield from (text for text in new if text not in old)
    yield from (f"over: {text}" for text in old if text not in new)


def _checks(before: Document, now: Document) -> Iterator[str]:
    for kind, key in (("scripts", "passed"), ("processes", "enough")):
        known = {one["name"]: one[key] for one in before[kind]}
        for one in now[kind]:
            if known.get(one["name"], one[key]) is not one[key]:
                yield f"check {one['name']} {'passes' if one[key] else 'FAILS'}"
    known_files = {one["name"]: one["number"] for one in before["files"]}
    for one in now["files"]:
        if known_files.get(one["name"], one["number"]) != one["number"]:
            yield f"file {one['name']}: {known_files[one['name']]} -> {one['number']}"


def _reloads(before: Document, now: Document) -> Iterator[str]:
    if now["reloads"] > before["reloads"]:
        yield "configuration reloaded"
    if now["failed_reloads"] > before["failed_reloads"]:
        yield "a reload was refused: the configuration is wrong and nothing was changed"


# --------------------------------------------------------------------------------------------------------------- detail


def detail(one: Document) -> list[tuple[str, str]]:
    """All there is to know of an instance, by name."""
    counters = one["counters"]
    facts = [
        ("addresses", ", ".join(one["addresses"]) or "none"),
        ("speaks", _speaks(one)),
        ("adverts", f"every {one['advert_interval']:g} s; the master's every {one['master_interval']:g} s"),
        ("times in", ", ".join(f"{state} {span(spent)}" for state, spent in one["seconds_in"].items() if spent)),
        ("checks", ", ".join(_track(track) for track in one["tracks"]) or "none"),
        ("counted", ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counters.items() if count)),
        ("refused", ", ".join(f"{reason} {count}" for reason, count in one["refused"].items() if count) or "nothing"),
    ]
    return facts + [("problem", text) for text in problems(dict(one))]


def _speaks(one: Document) -> str:
    to = ", ".join(one["peers"]) if one["peers"] else "multicast"
    auth = one["authentication"] or "none"
    return f"VRRPv{one['version']} over IPv{one['family']}, authentication {auth}, {one['source'] or '-'} to {to}"


def _track(track: Document) -> str:
    weight = f" weight {track['weight']}" if track["weight"] else ""
    result = {None: "not known", True: "up", False: "DOWN"}.get(track["result"], track["result"])
    return f"{track['kind']} {track['name']}{weight}: {result}"
