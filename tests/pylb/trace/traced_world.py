"""A conversation (tests/pylb/net/conversation.py) that is traced."""

from __future__ import annotations

import io

from conversation import CONFIG, World

from pylb.trace.printer import Printer
from pylb.trace.tracer import Tracer


class Traced(World):
    """A conversation that is traced; time stands still in what is told."""

    def __init__(self, text: str = CONFIG) -> None:
        self.out = io.StringIO()
        super().__init__(text, Tracer(Printer(self.out), clock=lambda: self.loop.now))

    @property
    def told(self) -> list[str]:
        """The lines so far, blanks between the columns merged."""
        return [" ".join(line.split()) for line in self.out.getvalue().splitlines()]

    def tells(self, text: str) -> bool:
        """Whether some line has `text` in it."""
        return any(text in line for line in self.told)
