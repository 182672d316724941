"""The console's help: keys and columns, each with what it is for."""

from __future__ import annotations

from typing import ClassVar

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

ROWS = (
    ("/", "filter: rows that have all the words in some column; Enter keeps it, Escape clears it"),
    ("s  r", "sort by the next column, reverse; or click a heading"),
    ("p", "pause, go on"),
    ("←  →", "more columns"),
    ("q", "quit"),
    ("", ""),
    ("For", "time in this state"),
    ("Priority", "in the adverts; in brackets the configured one, where checks have changed it"),
    ("Master", "address of the master that is heard, or our own"),
    ("Its prio", "that master's priority"),
    ("Sent/s, Got/s", "adverts a second over the last seconds"),
    ("Refused/s", "packets that were not accepted; the part below says why"),
)


class Help(ModalScreen[None]):
    """Over the table, until a key."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "Back")]
    CSS = """
    Help { align: center middle; }
    Help > VerticalScroll { width: 76; max-width: 95%; height: auto; max-height: 90%; padding: 0 2; }
    Help > VerticalScroll { border: round $accent; background: $surface; }
    """

    def compose(self) -> ComposeResult:
        """Two columns of text, scrolled where the screen is low."""
        grid = Table.grid(padding=(0, 2))
        for name, about in ROWS:
            grid.add_row(f"[b]{name}[/b]", about)
        with VerticalScroll():
            yield Static(grid)
