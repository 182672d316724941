"""Lines of a trace: number, milliseconds, what happened, and where the configuration says so."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from rich.console import Console
from rich.text import Text

from pylb.config.model import NOWHERE, Origin

WIDTH = 96
"""Columns before the place in the configuration."""

STYLES = {
    "client": "cyan",
    "rule": "bold",
    "test": "dim",
    "yes": "green",
    "no": "dim",
    "choice": "magenta",
    "server": "blue",
    "timer": "yellow",
    "log": "dim",
    "end": "bold green",
    "bad": "bold red",
    "plain": "",
}
"""How each kind of line looks on a terminal."""


class Printer:
    """Writes a trace to `out`; in colour where that is a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self.silent = False
        """Nothing is written (`trace stream stop`)."""
        self._console = Console(file=out, highlight=False, soft_wrap=True) if out.isatty() else None

    def line(
        self, number: str, milliseconds: float | None, text: str, at: Origin = NOWHERE, kind: str = "plain"
    ) -> None:
        """One line. A reader that has gone away ends the trace, not the proxy."""
        if self.silent:
            return
        time = "" if milliseconds is None else f"{milliseconds:.1f}"
        head = f"{number:<6} {time:>8}  "
        place = f"{at.file}:{at.line}" if at.line else ""
        try:
            if self._console is not None:
                self._console.print(_coloured(head, text, place, STYLES[kind]))
            else:
                self._out.write(f"{head}{text:<{WIDTH}}  {place}".rstrip() + "\n")
                self._out.flush()
        except BrokenPipeError:  # `pylb … --trace | head`
            self._out = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
            self._console = None
            sys.stdout = self._out


def _coloured(head: str, text: str, place: str, style: str) -> Text:
    line = Text.assemble((head, "dim"), (text, style))
    if place:
        line.append(" " * max(2, WIDTH + 2 - len(text)))
        line.append(place, "dim italic")
    return line
