"""The console's screen: a table that follows the proxy, and keys for what operators do most.

A question is asked every `interval` seconds; while one is unanswered no other is sent. Commands that change something
are shown as they will be sent and confirmed first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Footer, Input, Sparkline, Static

from pylb.console import table
from pylb.console.dialogs import Confirm, Help
from pylb.console.grid import Grid
from pylb.console.socket import AdminSocket, Unreachable
from pylb.console.table import COLUMNS, Line, Snapshot

KEEP = 120
"""Looks in the plot of requests per second."""

FACTS = (
    ("Name", "Name"), ("Version", "Version"), ("pid", "Pid"), ("up", "Uptime"), ("connections", "CurrConns"),
    ("most", "Maxconn"), ("conn/s", "ConnRate"), ("TLS", "CurrSslConns"), ("idle %", "Idle_pct"),
)  # fmt: skip
"""What the first line shows of `show info`; what the proxy does not tell is left out."""

KEYS = [
    ("/", "filter: rows whose proxy, name or state has all the words; Enter keeps it, Escape clears it"),
    ("s  r", "sort by the next column, reverse; or click a heading"),
    ("p", "pause, go on"),
    ("d  e  g", "disable, enable, drain the server at the cursor, after a question"),
    ("←  →", "more columns"),
    ("q", "quit"),
]


class Console(App[None]):
    """`pylb top`."""

    TITLE = "pylb top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("s", "sort", "Sort"),
        Binding("r", "reverse", "Reverse", show=False),
        Binding("p", "pause", "Pause"),
        Binding("d", "server('disable server {}')", "Disable"),
        Binding("e", "server('enable server {}')", "Enable"),
        Binding("g", "server('set server {} state drain')", "Drain"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("escape", "leave_filter", show=False),
    ]
    CSS = """
    #facts { height: 1; padding: 0 1; background: $boost; }
    #trouble { height: auto; padding: 0 1; background: $error; color: $text; display: none; }
    #rate { height: 3; padding: 0 1; }
    #filter { display: none; }
    Grid { height: 1fr; }
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
        yield Grid()
        yield Input(
            placeholder="part of a proxy's or server's name or state; Enter keeps it, Escape clears it", id="filter"
        )
        yield Footer()

    def on_mount(self) -> None:
        """The first look, and the rhythm of the others."""
        self._grid.focus()
        self.look()
        self.set_interval(self._interval, self._tick)

    def on_resize(self) -> None:
        """Names get as much room as there is."""
        self.call_after_refresh(self.show)

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
        self._grid.fill(self._chosen(table.lines(now, before)), self.size.width)

    def _chosen(self, found: list[Line]) -> list[Line]:
        words = self.query_one("#filter", Input).value.lower().split()
        found = [line for line in found if all(w in f"{line.proxy} {line.name} {line.status}".lower() for w in words)]
        if self._sort is None:
            return found
        column = self._sort
        return sorted(
            found, key=lambda line: (isinstance(line.keys[column], str), line.keys[column]), reverse=self._reverse
        )

    @property
    def _grid(self) -> Grid:
        return self.query_one(Grid)

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

    def action_help(self) -> None:
        """What the keys and columns mean."""
        self.push_screen(Help([*KEYS, ("", ""), *((column.title, column.about) for column in COLUMNS)]))

    def action_pause(self) -> None:
        """Hold the picture, or go on."""
        self._paused = not self._paused
        self.notify("paused" if self._paused else "going on")

    def action_server(self, form: str) -> None:
        """A command on the server at the cursor, after a question."""
        now = self._snapshots[1]
        proxy, _, name = self._grid.at_cursor.rpartition("/")
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
