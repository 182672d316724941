"""What happened in the lab and when, in one list; whoever wants to see it live is told at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["step", "program", "link", "vrrp", "check", "vip", "server"]
"""step: the scenario did something; program: one started or ended; link: a cable; vrrp: state or priority; check: it
failed or passed; vip: the address appeared or went; server: what a balancer thinks of a server."""

MOST = 10_000
"""Events that are remembered at least."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; `at` in seconds of the monotonic clock."""

    at: float
    where: str
    kind: Kind
    text: str


class Journal:
    """The events in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._listeners: list[Callable[[Event], None]] = []

    def note(self, where: str, kind: Kind, text: str, at: float | None = None) -> Event:
        """Something happened, now unless `at` says when."""
        event = Event(time.monotonic() if at is None else at, where, kind, text)
        self.events.append(event)
        if len(self.events) > 2 * MOST:
            del self.events[:MOST]
        for listener in self._listeners:
            listener(event)
        return event

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call it with every event from now on."""
        self._listeners.append(listener)

    def forget(self, listener: Callable[[Event], None]) -> None:
        """Do not call it any more."""
        self._listeners.remove(listener)

    def since(self, at: float) -> list[Event]:
        """The events from a moment on."""
        return [event for event in self.events if event.at >= at]
