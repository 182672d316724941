"""Tracked entries: a rule has a connection or a request counted in an entry of a stick table (manual: `track-sc0`).

Who tracks holds up to three entries, by number: a session those of tcp-request connection and session rules, until the
client leaves; an exchange those of later rules and its session's, until it ends. What happens to the holder is counted
in each of them, as far as the table stores it (stick.EVENTS):

    tracked   by the rule that begins it                     request   by that rule, or when HTTP rules begin
    session   once the tcp-request rules have let it in      error     refused by a rule, no HTTP, or a 4xx
    in, out   when the exchange ends                         failure   no response, a bad one, or a 5xx but 501, 505

As in HAProxy what ends without a word (reject, silent-drop) is no error, and a body that is cut no failure.

A holder that tracks nothing has None in place of the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pylb.backend.stick import StickTable
from pylb.backend.stick_entry import Entry

TRACKERS = 3
"""Entries that one holder can track: HAProxy's MAX_SESS_STKCTR, as Debian builds it."""

Tracked = list[Entry | None]

NO_FAILURE = frozenset({501, 505})
"""Statuses of servers that blame the request."""

UNREAD = b"<BADREQ>"
"""The line of a request that could not be read (net/client.py)."""


def track(holder: Any, number: int, table: StickTable, key: Any, now: float, requests: bool) -> Entry | None:
    """Let `holder` track the entry of a stored key; `requests`: its request counts now. None where a full table has no
    place."""
    entry = table.entry(key, now)
    if entry is None:
        return None
    events = table.events
    entry.add(events["tracked"] + events["request"] if requests else events["tracked"], now)
    tracked = holder.tracked
    if tracked is None:
        tracked = holder.tracked = [None] * TRACKERS
    tracked[number] = entry
    return entry


def count(tracked: Sequence[Entry | None], event: str, now: float, n: int = 1) -> None:
    """An event, to all that are tracked."""
    for entry in tracked:
        if entry is not None:
            table = entry.table
            cells = table.events[event]
            if cells:
                entry.add(cells, now, n)
                table.touch(entry, now)


def ended(x: Any, now: float) -> None:
    """An exchange is over: its bytes, and whether it was a request at all."""
    tracked = x.tracked
    if tracked is None:  # it came to no rules
        tracked = x.session.tracked
        if x.request_line:
            count(tracked, "request", now)
            if x.request_line == UNREAD:
                count(tracked, "error", now)
    if x.bytes_uploaded:
        count(tracked, "in", now, x.bytes_uploaded)
    if x.bytes_read:
        count(tracked, "out", now, x.bytes_read)


def leave(tracked: Sequence[Entry | None], but: Sequence[Entry | None] | None, now: float) -> None:
    """No longer track these, except for those that `but` (the session) goes on with."""
    for number, entry in enumerate(tracked):
        if entry is not None and (but is None or entry is not but[number]):
            table = entry.table
            entry.add(table.events["left"], now, -1)
            table.touch(entry, now)


def answered(x: Any, reply: Any) -> None:
    """The exchange is answered here: `reply` refuses it, asks who it is, or neither."""
    if reply.denied and not reply.silent:
        count(x.tracked, "failure" if reply.termination[1:] == b"H" else "error", x.session.loop.time())
    elif reply.asks_login:
        count(x.tracked, "error", x.session.loop.time())


def responded(tracked: Sequence[Entry | None], status: int, now: float) -> None:
    """A server has answered."""
    if 400 <= status < 500:
        count(tracked, "error", now)
    elif status >= 500 and status not in NO_FAILURE:
        count(tracked, "failure", now)
