"""Lines of a trace: who, seconds since the start, what happened, and where the configuration says so."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from vrrpd.config.model import NOWHERE, Origin
from vrrpd.core.actions import Level
from vrrpd.logs import Log

WIDTH = 96
"""Columns before the place in the configuration."""
INDENT = "    "

STYLES = {
    "received": "cyan",
    "timer": "yellow",
    "event": "bold",
    "state": "bold magenta",
    "change": "magenta",
    "done": "blue",
    "bytes": "dim",
    "log": "dim",
    "good": "green",
    "bad": "bold red",
}
"""How each kind of line looks on a terminal."""


class Printer:
    """Writes a trace to `out`; in colour where that is a terminal."""

    def __init__(self, out: TextIO, began: float | None = None) -> None:
        """`began`: seconds of the monotonic clock from which the lines count."""
        self._out = out
        self._began = time.monotonic() if began is None else began
        self._console = Console(file=out, highlight=False, soft_wrap=True) if out.isatty() else None

    def line(self, who: str, now: float | None, text: str, kind: str, at: Origin = NOWHERE) -> None:
        """One line. A reader that has gone away ends the trace, not the virtual router."""
        moment = "" if now is None else f"{now - self._began:.4f}"
        head = f"{who:<12} {moment:>10}  "
        place = f"{at.file}:{at.line}" if at.line else ""
        try:
            if self._console is not None:
                self._console.print(_coloured(head, text, place, STYLES[kind]))
            else:
                self._out.write(f"{head}{text:<{WIDTH}}  {place}".rstrip() + "\n")
                self._out.flush()
        except BrokenPipeError:  # `vrrpd … --trace | head`
            self._out = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
            self._console = None
            sys.stdout = self._out

    def add(self, text: str, kind: str, at: Origin = NOWHERE) -> None:
        """A line that belongs to the one before."""
        self.line("", None, INDENT + text, kind, at)


class TracedLog(Log):
    """The daemon's log with every line in the trace, detail too; syslog gets what it would get."""

    def __init__(self, printer: Printer, **settings: Any) -> None:
        super().__init__(**settings | {"console": False})
        self._printer = printer

    def say(self, level: Level, text: str) -> None:
        """As inherited, told."""
        self._printer.line("log", time.monotonic(), f"{level.value}: {text}", "log")
        super().say(level, text)


def _coloured(head: str, text: str, place: str, style: str) -> Text:
    line = Text.assemble((head, "dim"), (text, style))
    if place:
        line.append(" " * max(2, WIDTH + 2 - len(text)))
        line.append(place, "dim italic")
    return line
