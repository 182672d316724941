"""What the console puts over its table: a question before a command, and help."""

from __future__ import annotations

from typing import ClassVar

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Label, Static


class Confirm(ModalScreen[bool]):
    """A command, as it will be sent: yes or no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "answer(False)", "No"),
        Binding("y", "answer(True)", "Yes"),
    ]
    CSS = """
    Confirm { align: center middle; }
    Confirm > Vertical { width: auto; max-width: 80; height: auto; padding: 1 2; }
    Confirm > Vertical { border: round $accent; background: $surface; }
    Confirm Horizontal { height: auto; width: auto; }
    """

    def __init__(self, command: str) -> None:
        super().__init__()
        self._command = command

    def compose(self) -> ComposeResult:
        """The command and two buttons."""
        with Vertical():
            yield Label(f"Send: [b]{self._command}[/b] ?")
            with Horizontal():
                yield Button("Yes (y)", variant="warning", id="yes")
                yield Button("No (n)", id="no")

    def action_answer(self, answer: bool) -> None:
        """By key."""
        self.dismiss(answer)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """By button."""
        self.dismiss(event.button.id == "yes")


class Help(ModalScreen[None]):
    """Keys and columns, each with what it is for."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", "Back")]
    CSS = """
    Help { align: center middle; }
    Help > VerticalScroll { width: 76; max-width: 95%; height: auto; max-height: 90%; padding: 0 2; }
    Help > VerticalScroll { border: round $accent; background: $surface; }
    """

    def __init__(self, rows: list[tuple[str, str]]) -> None:
        """`rows`: a key or a column, and what it is for; empty ones are gaps."""
        super().__init__()
        self._rows = rows

    def compose(self) -> ComposeResult:
        """Two columns of text, scrolled where the screen is low."""
        grid = Table.grid(padding=(0, 2))
        for name, about in self._rows:
            grid.add_row(f"[b]{name}[/b]", about)
        with VerticalScroll():
            yield Static(grid)
