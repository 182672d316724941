"""One client connection's lines, numbered `connection.request`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pylb.config.model import NOWHERE, Origin

if TYPE_CHECKING:
    from pylb.trace.printer import Printer

INDENT = "    "


class Story:
    """What is told of one client connection; `clock` gives seconds, finer than the loop's, which are whole
    milliseconds."""

    def __init__(self, printer: Printer, connection: int, clock: Callable[[], float] = time.perf_counter) -> None:
        self.printer = printer
        self.connection = connection
        self._clock = clock
        self._began = clock()
        self._number = str(connection)
        self._notes: list[tuple[str, Origin, bool]] = []
        self.route: Origin | None = None
        """The use_backend rule that named the backend, until the backend has been told."""
        self.server_timer = ""
        """The server-side deadline that runs."""
        self.over = False
        """The client has gone."""

    def begin(self, request: int) -> None:
        """Request number `request` of the connection: its lines are numbered so, and time starts with it."""
        number = f"{self.connection}.{request}"
        if number != self._number:
            self._number = number
            self._began = self._clock()
            self.route = None

    def between(self) -> None:
        """No request is running."""
        self._number = str(self.connection)

    def say(self, text: str, at: Origin = NOWHERE, kind: str = "plain") -> None:
        """A line; tests that were noted before it and belong to nothing else come first."""
        self.tell_notes()
        self.printer.line(self._number, (self._clock() - self._began) * 1000, text, at, kind)

    def add(self, text: str, at: Origin = NOWHERE, kind: str = "plain") -> None:
        """A line that belongs to the one before."""
        self.printer.line(self._number, None, INDENT + text, at, kind)

    def note(self, text: str, at: Origin, holds: bool) -> None:
        """A test's outcome, told with whatever asked for it."""
        self._notes.append((text, at, holds))

    def tell_notes(self) -> None:
        """The noted tests, as lines of the rule that was told last."""
        notes, self._notes = self._notes, []
        for text, at, holds in notes:
            self.add(text, at, "yes" if holds else "no")

    def take_notes(self) -> list[tuple[str, Origin, bool]]:
        """The noted tests, for whoever tells them later."""
        notes, self._notes = self._notes, []
        return notes

    def give_notes(self, notes: list[tuple[str, Origin, bool]]) -> None:
        """Put them back."""
        self._notes = [*notes, *self._notes]


def of(x: Any) -> Story:
    """The story of whoever an exchange or an arriving connection belongs to."""
    story: Story = x.session.story
    return story


def seconds(value: float) -> str:
    """A duration as the configuration would write it: `10 s`, `250 ms`."""
    return f"{value:g} s" if value >= 1 or not value else f"{value * 1000:g} ms"


def show(data: bytes, limit: int = 160) -> str:
    """Bytes for people, on one line."""
    text = data.decode("latin-1")
    text = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
    return text if len(text) <= limit else f"{text[:limit]}…"
