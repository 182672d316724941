"""The console's screen: a table that follows the proxy, and keys for what operators do most.

A question is asked every `interval` seconds; while one is unanswered no other is sent. Commands that change something
are shown as they will be sent and confirmed first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, DataTable, Footer, Input, Label, Sparkline, Static

from pylb.console import table
from pylb.console.socket import AdminSocket, Unreachable
from pylb.console.table import COLUMNS, Line, Snapshot

KEEP = 120
"""Looks in the plot of requests per second."""

COLOURS = {"UP": "green", "OPEN": "green", "DOWN": "bold red", "MAINT": "yellow", "DRAIN": "blue", "NOLB": "blue"}
FACTS = (
    ("Name", "Name"), ("Version", "Version"), ("pid", "Pid"), ("up", "Uptime"), ("connections", "CurrConns"),
    ("most", "Maxconn"), ("conn/s", "ConnRate"), ("TLS", "CurrSslConns"), ("idle %", "Idle_pct"),
)  # fmt: skip
"""What the first line shows of `show info`; what the proxy does not tell is left out."""


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


class Console(App[None]):
    """`pylb top`."""

    TITLE = "pylb top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("s", "sort", "Sort by column"),
        Binding("r", "reverse", "Reverse"),
        Binding("p", "pause", "Pause"),
        Binding("d", "server('disable server {}')", "Disable"),
        Binding("e", "server('enable server {}')", "Enable"),
        Binding("g", "server('set server {} state drain')", "Drain"),
        Binding("escape", "leave_filter", show=False),
    ]
    CSS = """
    #facts { height: 1; padding: 0 1; background: $boost; }
    #trouble { height: auto; padding: 0 1; background: $error; color: $text; display: none; }
    #rate { height: 3; padding: 0 1; }
    #filter { display: none; }
    DataTable { height: 1fr; }
    """

    def __init__(self, socket: AdminSocket, interval: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        """`interval`: seconds between two looks."""
        super().__init__()
        self._socket, self._interval, self._clock = socket, interval, clock
        self._snapshots: tuple[Snapshot | None, Snapshot | None] = (None, None)
        self._rates: list[float] = []
        self._sort: int | None = None
        self._reverse = True
        self._paused = False

    def compose(self) -> ComposeResult:
        """Facts, plot, table, filter, keys."""
        yield Static(f"asking {self._socket} …", id="facts")
        yield Static(id="trouble")
        yield Sparkline([], id="rate")
        yield DataTable(cursor_type="row", zebra_stripes=True)
        yield Input(
            placeholder="part of a proxy's or server's name or state; Enter keeps it, Escape clears it", id="filter"
        )
        yield Footer()

    def on_mount(self) -> None:
        """The first look, and the rhythm of the others."""
        grid = self._grid
        for column in COLUMNS:
            grid.add_column(column.title, key=column.title)
        grid.focus()
        self.look()
        self.set_interval(self._interval, self._tick)

    # ---------------------------------------------------------------------------------------------------------- looking

    def _tick(self) -> None:
        if not self._paused and not any(worker.group == "look" for worker in self.workers):
            self.look()

    @work(group="look", exclusive=True)
    async def look(self) -> None:
        """Ask once and show what comes, or why nothing does."""
        trouble, fresh = "", None
        try:
            fresh = table.read(await self._socket.ask("show info;show stat"), self._clock())
        except (Unreachable, ValueError) as error:
            trouble = str(error)
        if not self.query("#trouble"):  # the console was left meanwhile
            return
        self._trouble(trouble)
        if fresh is None:
            return
        self._snapshots = (self._snapshots[1], fresh)
        self._rates = [*self._rates[1 - KEEP :], _requests(fresh)]
        self.show()

    def _trouble(self, text: str) -> None:
        line = self.query_one("#trouble", Static)
        line.update(text)
        line.display = bool(text)

    def show(self) -> None:
        """Draw what is known."""
        before, now = self._snapshots
        if now is None:
            return
        facts = [(name, now.info[key]) for name, key in FACTS if key in now.info]
        self.query_one("#facts", Static).update("  ".join(f"[dim]{name}[/dim] [b]{value}[/b]" for name, value in facts))
        plot = self.query_one("#rate", Sparkline)
        plot.data = self._rates
        plot.tooltip = f"{self._rates[-1]:.0f} requests a second now, at most {max(self._rates):.0f} seen"
        self._fill(self._chosen(table.lines(now, before)))

    def _chosen(self, found: list[Line]) -> list[Line]:
        words = self.query_one("#filter", Input).value.lower().split()
        found = [line for line in found if all(w in f"{line.proxy} {line.name} {line.status}".lower() for w in words)]
        if self._sort is None:
            return found
        column = self._sort
        return sorted(
            found, key=lambda line: (isinstance(line.keys[column], str), line.keys[column]), reverse=self._reverse
        )

    def _fill(self, found: list[Line]) -> None:
        """Write the rows, keeping the cursor on its row and the place in the table."""
        grid = self._grid
        at, place = self._at_cursor(), grid.scroll_offset
        keys = [f"{line.proxy}/{line.name}" for line in found]
        if [key.value for key in grid.rows] != keys:
            grid.clear()
            for key, line in zip(keys, found, strict=True):
                grid.add_row(*_drawn(line), key=key)
            if at in keys:
                grid.move_cursor(row=keys.index(at), animate=False)
            grid.scroll_to(place.x, place.y, animate=False)
            return
        for key, line in zip(keys, found, strict=True):
            for column, cell in zip(COLUMNS, _drawn(line), strict=True):
                grid.update_cell(key, column.title, cell, update_width=True)

    @property
    def _grid(self) -> DataTable[Text]:
        return self.query_one(DataTable)

    def _at_cursor(self) -> str:
        grid = self._grid
        return str(grid.ordered_rows[grid.cursor_row].key.value) if grid.is_valid_row_index(grid.cursor_row) else ""

    # ------------------------------------------------------------------------------------------------------------- keys

    def action_filter(self) -> None:
        """Type a filter."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.focus()

    def action_leave_filter(self) -> None:
        """Show all rows again."""
        self.query_one("#filter", Input).value = ""
        self.on_input_submitted()

    def on_input_changed(self) -> None:
        """Filter while it is typed."""
        self.show()

    def on_input_submitted(self) -> None:
        """Back to the table, with the filter."""
        field = self.query_one("#filter", Input)
        field.display = bool(field.value)
        self._grid.focus()

    def action_sort(self) -> None:
        """Sort by the next column; behind the last in the proxy's order again."""
        following = 0 if self._sort is None else self._sort + 1
        self._sort = following if following < len(COLUMNS) else None
        self.notify("as configured" if self._sort is None else f"sorted by {COLUMNS[self._sort].title}")
        self.show()

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """Sort by the column that was clicked."""
        self._reverse = not self._reverse if self._sort == event.column_index else True
        self._sort = event.column_index
        self.show()

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._reverse = not self._reverse
        self.show()

    def action_pause(self) -> None:
        """Hold the picture, or go on."""
        self._paused = not self._paused
        self.notify("paused" if self._paused else "going on")

    def action_server(self, form: str) -> None:
        """A command on the server at the cursor, after a question."""
        now = self._snapshots[1]
        proxy, _, name = self._at_cursor().rpartition("/")
        row = now.rows.get((proxy, name)) if now is not None else None
        if row is None or table.KINDS.get(row.get("type", "")) != "server":
            self.notify("choose a server's row first", severity="warning")
            return
        command = form.format(f"{proxy}/{name}")

        def answered(sure: bool | None) -> None:
            if sure:
                self.send(command)

        self.push_screen(Confirm(command), answered)

    @work(group="send")
    async def send(self, command: str) -> None:
        """Send a command, tell what came back, and look again."""
        try:
            answer = (await self._socket.ask(command)).strip()
        except Unreachable as error:
            self.notify(str(error), severity="error")
            return
        self.notify(answer or f"done: {command}", severity="warning" if answer else "information", markup=False)
        self.look()


def _requests(now: Snapshot) -> float:
    """Requests a second of all frontends (of TCP ones: sessions)."""
    fronts = [row for row in now.rows.values() if row.get("type") == "0"]
    return sum(table.number(row, "req_rate") or table.number(row, "rate") or 0.0 for row in fronts)


def _drawn(line: Line) -> list[Text]:
    """The cells, the state in its colour, figures to the right, a proxy's own rows in bold."""
    colour = COLOURS.get(line.status.split(" ")[0], "")
    moving = line.status.split(" ")[-1][:1].isdigit()  # "UP 1/3"
    weight = "" if line.kind in ("server", "listener") else "bold"
    cells = []
    for column, text in zip(COLUMNS, line.cells, strict=True):
        style = ("yellow" if moving else colour) if column.title == "Status" else weight
        figure = column.show is table.count
        alarm = column.title in ("5xx/s", "Err/s", "Queue") and text not in ("", "0")
        cells.append(Text(text[:60], style="bold red" if alarm else style, justify="right" if figure else "left"))
    return cells
