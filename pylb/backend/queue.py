"""Exchanges that wait for a server's slot: a server's queue or its backend's (manual: `maxconn`, `timeout queue`).

A queue only keeps order. Who gives slots away is backend.py: whenever a slot comes free it takes the next waiter of the
server's queue or the backend's, whichever `before` the other: lower priority class first (`http-request
set-priority-class`), then who came first. Invariant: a waiter is in at most one queue, and `waiting` on it names it.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple


class Ticket(NamedTuple):
    """A place in the order of all waiters of a backend; the smaller goes first."""

    priority: int
    """Priority class, -2047 … 2047, 0 by default; lower is served earlier."""
    number: int
    """Drawn from one counter per backend, so that a server's and the backend's queue compare."""


class Queue:
    """First in, first out within a priority class. Joining, leaving anywhere and taking the first are O(1)."""

    __slots__ = ("_classes", "_places", "granted", "length")

    def __init__(self) -> None:
        self._classes: dict[int, OrderedDict[Any, Ticket]] = {}  # ascending by class
        self._places: dict[Any, tuple[int, int]] = {}  # priority class, granted when it came
        self.length = 0
        self.granted = 0
        """Waiters that got a server so far; whoever grants counts it here."""

    def __len__(self) -> int:
        return self.length

    def join(self, x: Any, ticket: Ticket) -> None:
        """Put `x` behind those of its class."""
        members = self._classes.get(ticket.priority)
        if members is None:
            self._classes[ticket.priority] = members = OrderedDict()
            self._classes = dict(sorted(self._classes.items()))
        members[x] = ticket
        self._places[x] = (ticket.priority, self.granted)
        self.length += 1

    def leave(self, x: Any) -> int:
        """Take `x` out; its position (%sq, %bq): one more than were granted from here since it came.

        Raises KeyError if `x` does not wait here.
        """
        priority, granted_before = self._places.pop(x)
        members = self._classes[priority]
        del members[x]
        if not members:
            del self._classes[priority]
        self.length -= 1
        return self.granted - granted_before + 1

    def first(self) -> tuple[Ticket, Any] | None:
        """The next to be served, left in its place; None when nobody waits."""
        for members in self._classes.values():
            x, ticket = next(iter(members.items()))
            return ticket, x
        return None

    def all(self) -> list[Any]:
        """Everyone who waits, in order."""
        return [x for members in self._classes.values() for x in members]
