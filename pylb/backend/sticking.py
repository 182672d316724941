"""Stick rules: a client goes to the server that its key in a table names (manual: stick on, match, store-request,
store-response).

    request(x)   before the server is chosen, after rules and cookie, which come first: the first entry found that names
                 a server which can be reached is followed; keys to be stored are kept in `x.stick_keys`
    learn(x)     when the server has answered, before rules change what it says: store-response finds further keys
    response(x)  when that is done (TCP: the server is connected): these keys name it from now on

As in HAProxy an entry names its server by `server_key` (the name, which outlives another order of servers) and else by
`server_id`, one rule a table stores, and what is found is touched. What is new or touched is noted at the table for the
other processes (process/sticks.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pylb.backend.stick import StickTable
from pylb.backend.stick_entry import Entry

if TYPE_CHECKING:
    from pylb.backend.backend import Backend
    from pylb.backend.server import Server


@dataclass(frozen=True, slots=True)
class Rule:
    """One line."""

    table: StickTable
    key: Callable[[Any], Any]
    """The key of an exchange as the table stores it, None without one."""
    test: Callable[[Any], bool] | None
    matches: bool = False
    stores: bool = False
    learns: bool = False
    """From the response."""


class Sticking:
    """The stick rules of one backend."""

    __slots__ = ("backend", "learning", "rules")

    def __init__(self, backend: Backend, rules: tuple[Rule, ...]) -> None:
        self.backend = backend
        self.rules = tuple(rule for rule in rules if not rule.learns)
        self.learning = tuple(rule for rule in rules if rule.learns)
        for rule in rules:
            rule.table.keep("server_id")
            rule.table.keep("server_key")

    def request(self, x: Any) -> None:
        """Set `x.persist_server`, unless something has, and `x.stick_keys`."""
        now = x.session.loop.time()
        keys: list[tuple[StickTable, Any]] = []
        x.stick_keys = keys
        for rule in self.rules:
            table = rule.table
            if any(table is other for other, _ in keys) or (rule.test is not None and not rule.test(x)):
                continue
            key = rule.key(x)
            if key is None:
                continue
            if rule.matches and (entry := table.lookup(key, now)) is not None:
                self._follow(x, entry)
                table.track(key, now)
                table.touched[key] = None
            if rule.stores:
                keys.append((table, key))

    def learn(self, x: Any) -> None:
        """A step before the response's rules: add to `x.stick_keys`, one key a table."""
        found: list[tuple[StickTable, Any]] = []
        for rule in self.learning:
            table = rule.table
            if any(table is other for other, _ in found) or (rule.test is not None and not rule.test(x)):
                continue
            key = rule.key(x)
            if key is not None:
                found.append((table, key))
        x.stick_keys += found

    def response(self, x: Any) -> None:
        """The keys name `x.server`, unless it is one that is not to be stuck to (manual: `non-stick`)."""
        if x.server.model.non_stick:
            return
        now = x.session.loop.time()
        for table, key in x.stick_keys:
            entry = table.track(key, now)
            if entry is not None and not name_server(entry, x.server.sid, x.server.name, table.claims):
                table.touched[key] = None

    def _follow(self, x: Any, entry: Entry) -> None:
        if x.persist_server is not None:
            return
        server = self._server(entry)
        if server is not None and (server.reachable or x.force_persist or self.backend.model.persist):
            x.persist_server = server

    def _server(self, entry: Entry) -> Server | None:
        name, sid = entry.data["server_key"], entry.data["server_id"]
        server = self.backend.by_name.get(name)
        if server is None and sid:
            server = next((each for each in self.backend.servers if each.sid == sid), None)
        return server


def name_server(entry: Entry, sid: int, name: str, claims: dict[Any, str]) -> bool:
    """Let an entry name a server, and note in `claims` what it named before; False if it does so already."""
    data = entry.data
    if data["server_key"] == name and data["server_id"] == sid:
        return False
    claims.setdefault(entry.key, data["server_key"])
    data["server_key"], data["server_id"] = name, sid
    return True
