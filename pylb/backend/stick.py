"""Stick tables: what clients did, by key, with expiry and a bound on the number of entries (manual: `stick-table`).

A table maps a typed key to an entry of the declared data (stick_entry.py). An entry expires `expire` seconds after it
was last touched, and not while it is tracked. Entries are kept in order of their last touch, so both the expired and,
when the table is full, the oldest are at the front; with `nopurge` a full table refuses new keys instead. Invariant:
never more than `size` entries.

    key type   accepts                         stored as
    ip, ipv6   IPv4Address, IPv6Address        as given
    integer    int                             low 32 bits
    string     bytes                           cut to `len` (32)
    binary     bytes                           cut or padded with NUL to `len` (32)

Keys come from stick rules (sticking.py), from rules that track (tracking.py) and from operators.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from pylb.backend.stick_entry import ARRAYS, NAMES, Column, Entry, parse_columns
from pylb.config import model

_LARGEST = 0xFFFFFFFF

EVENTS = {
    "tracked": ("use", "conn_cnt", "conn_rate", "conn_cur"),
    "left": ("use", "conn_cur"),
    "request": ("http_req_cnt", "http_req_rate"),
    "session": ("sess_cnt", "sess_rate"),
    "error": ("http_err_cnt", "http_err_rate"),
    "failure": ("http_fail_cnt", "http_fail_rate"),
    "in": ("bytes_in_cnt", "bytes_in_rate"),
    "out": ("bytes_out_cnt", "bytes_out_rate"),
}
"""What happens to whom is tracked, and in which cells it is counted (manual: `stick-table`, data types)."""

PURGED = 64
"""Entries that are looked at for one that is not tracked, when a table is full."""


class StickTable:
    """See the module. Raises ValueError for a declaration that it cannot hold."""

    def __init__(self, name: str, declared: model.StickTable) -> None:
        self.name = name
        self.model = declared
        self.columns = parse_columns(declared.store)
        self.length = declared.length or 32
        """Bytes of keys of type string and binary."""
        self._convert = _KEYS.get(declared.type)
        if self._convert is None:
            raise ValueError(f"unknown stick-table type '{declared.type}'")
        self._entries: OrderedDict[Any, Entry] = OrderedDict()
        self.claims: dict[Any, str] = {}
        """Keys for which stick rules have stored a server since the other processes were told, and which one they named
        before."""
        self.touched: dict[Any, None] = {}
        """Keys whose expiry stick rules have put off since then."""
        self.counted: dict[Entry, None] = {}
        """Entries in which something has been counted or set since then."""
        self.hurry: Callable[[Entry], None] | None = None
        """Called for an entry of which they ought to hear before long."""
        self.cleared: set[Any] = set()
        """Keys that an operator has removed: in a worker since then, in the steward until all workers have done so."""
        self.arrays = frozenset(column.name for column in self.columns if column.name in ARRAYS)
        self.cells = {
            "use": 0.0,
            **{
                cell: column.period
                for column in self.columns
                for cell in column.cells
                if column.name not in NAMES and column.name != "server_id"
            },
        }
        """What is counted here, with the period of rates."""
        self.events = {event: tuple(c for c in cells if c in self.cells) for event, cells in EVENTS.items()}
        """The cells of each event that this table has."""

    def keep(self, name: str) -> None:
        """Store this name or number of a server, too. Before there are entries."""
        if not any(column.name == name for column in self.columns):
            self.columns = (*self.columns, Column(name))

    def __len__(self) -> int:
        return len(self._entries)

    def track(self, key: Any, now: float) -> Entry | None:
        """The entry of `key`, made if needed, its expiry put off; None for a key of the wrong type or a full table."""
        stored = self.key(key)
        return None if stored is None else self.entry(stored, now)

    def entry(self, stored: Any, now: float) -> Entry | None:
        """The same for a key as `key` gives it."""
        entry = self._entries.get(stored)
        if entry is None or (entry.expires <= now and not entry.data["use"]):
            self.expire(now)
            entry = self._make(stored)
            if entry is None:
                return None
        self.touch(entry, now)
        return entry

    def prolong(self, stored: Any, expires: float, now: float) -> Entry | None:
        """The same as `entry`, but it expires then, or when it would have anyway if that is later."""
        known = self.find(stored, now)
        latest = expires if known is None else max(expires, known.expires)
        entry = self.entry(stored, now)
        if entry is not None:
            entry.expires = latest
        return entry

    def touch(self, entry: Entry, now: float) -> None:
        """Put an entry's expiry off."""
        expire = self.model.expire
        entry.expires = now + expire if expire is not None else float("inf")
        if self._entries.get(entry.key) is entry:  # it may have been cleared while it was tracked
            self._entries.move_to_end(entry.key)

    def lookup(self, key: Any, now: float) -> Entry | None:
        """The entry of `key`, not touched; None without one."""
        return self.find(self.key(key), now)

    def find(self, stored: Any, now: float) -> Entry | None:
        """The same for a key as `key` gives it."""
        entry = self._entries.get(stored)
        return entry if entry is not None and (entry.expires > now or entry.data["use"]) else None

    def remove(self, key: Any) -> bool:
        """Forget `key`; whether it was there."""
        stored = self.key(key)
        self.cleared.add(stored)
        return self._entries.pop(stored, None) is not None

    def holds(self, entry: Entry) -> bool:
        """Whether this entry is still there."""
        return self._entries.get(entry.key) is entry

    def expire(self, now: float) -> int:
        """Drop what has expired; how many. The front is the oldest, so this stops at the first that lives."""
        dropped = 0
        while self._entries:
            entry = next(iter(self._entries.values()))
            if entry.expires > now:
                break
            if entry.data["use"]:
                self.touch(entry, now)
            else:
                self._entries.popitem(last=False)
                dropped += 1
        return dropped

    def entries(self, now: float) -> list[Entry]:
        """All living entries, least recently touched first."""
        return [entry for entry in self._entries.values() if entry.expires > now or entry.data["use"]]

    def key(self, value: Any) -> Any:
        """A key as it is stored; None for a value of another type."""
        assert self._convert is not None
        return self._convert(value, self.length)

    def _make(self, key: Any) -> Entry | None:
        if len(self._entries) >= self.model.size and (self.model.nopurge or not self._purge()):
            return None
        entry = self._entries[key] = Entry(key, self)
        return entry

    def _purge(self) -> bool:
        """Make room by dropping the oldest entry that nobody tracks."""
        for _ in range(min(PURGED, len(self._entries))):
            key, entry = next(iter(self._entries.items()))
            if not entry.data["use"]:
                del self._entries[key]
                return True
            self._entries.move_to_end(key)
        return False


def suited(table: StickTable, value: Any) -> Any:
    """An address in the family of the table's, if it has one there; everything else as it is."""
    kind = table.model.type
    if kind == "ip" and isinstance(value, IPv6Address):
        return value.ipv4_mapped
    if kind == "ipv6" and isinstance(value, IPv4Address):
        return IPv6Address(0xFFFF00000000 | int(value))
    return value


def _ip(value: Any, length: int) -> Any:
    return value if isinstance(value, IPv4Address) else None


def _ipv6(value: Any, length: int) -> Any:
    return value if isinstance(value, IPv6Address) else None


def _integer(value: Any, length: int) -> Any:
    return value & _LARGEST if isinstance(value, int) else None


def _string(value: Any, length: int) -> Any:
    return value[:length] if isinstance(value, bytes) else None


def _binary(value: Any, length: int) -> Any:
    return value[:length].ljust(length, b"\0") if isinstance(value, bytes) else None


_KEYS = {"ip": _ip, "ipv6": _ipv6, "integer": _integer, "string": _string, "binary": _binary}
