"""The console's screen: instances, what became of the one at the cursor, and the events as they happen.

The daemon is asked every `interval` seconds; while a question is unanswered no other is sent.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Footer, Input, RichLog, Static

from vrrpd.console.grid import Grid
from vrrpd.console.help import Help
from vrrpd.console.lines import COLUMNS, Line, Snapshot, detail, events, lines
from vrrpd.view import STATE_STYLE, span

KEEP_EVENTS = 1000
"""Lines of the event list."""

RATE_SPAN = 5.0
"""Seconds that rates are taken over: the usual adverts come once a second."""


class Console(App[None]):
    """`vrrpd top`."""

    TITLE = "vrrpd top"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("s", "sort", "Sort"),
        Binding("r", "reverse", "Reverse"),
        Binding("p", "pause", "Pause"),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("escape", "leave_filter", show=False),
    ]
    CSS = """
    #facts { height: 1; padding: 0 1; background: $boost; }
    #trouble { height: auto; padding: 0 1; background: $error; color: $text; display: none; }
    #filter { display: none; }
    Grid { height: 2fr; }
    #around { height: 1fr; border-top: solid $accent; }
    #detail { padding: 0 1; height: auto; }
    RichLog { height: 1fr; border-top: solid $accent; padding: 0 1; }
    """

    def __init__(
        self,
        fetch: Callable[[], dict[str, Any]],
        interval: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], str] = lambda: time.strftime("%H:%M:%S"),
    ) -> None:
        """`fetch`: the status document, or OSError (it may wait: it runs in a thread); `interval`: seconds between two
        looks; `wall`: the time of day that stands before events."""
        super().__init__()
        self._fetch, self._interval, self._clock, self._wall = fetch, interval, clock, wall
        self._snapshots: deque[Snapshot] = deque()
        self._sort: int | None = None
        self._reverse = False
        self._paused = False

    def compose(self) -> ComposeResult:
        """Facts, instances, the one at the cursor, events, filter, keys."""
        yield Static("asking the daemon …", id="facts")
        yield Static(id="trouble")
        yield Grid()
        with VerticalScroll(id="around", can_focus=False):
            yield Static(id="detail")
        yield RichLog(max_lines=KEEP_EVENTS, wrap=True)
        yield Input(placeholder="part of a name, a state or an address; Enter keeps it, Escape clears it", id="filter")
        yield Footer()

    def on_mount(self) -> None:
        """The first look, and the rhythm of the others."""
        self.query_one(RichLog).can_focus = False
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
        """Ask once; show what comes, or why nothing does."""
        trouble, fresh = "", None
        try:
            fresh = Snapshot(self._clock(), await asyncio.to_thread(self._fetch))
        except (OSError, ValueError) as error:
            trouble = f"no daemon answers: {getattr(error, 'strerror', None) or error}"
        if not self.query("#trouble"):  # the console was left meanwhile
            return
        self._trouble(trouble)
        if fresh is None:
            return
        for text in events(self._now, fresh):
            self.query_one(RichLog).write(Text(f"{self._wall()} {text}"))
        self._snapshots.append(fresh)
        while len(self._snapshots) > 2 and fresh.at - self._snapshots[1].at >= RATE_SPAN:
            self._snapshots.popleft()
        self.show()

    def _trouble(self, text: str) -> None:
        line = self.query_one("#trouble", Static)
        if text and not line.display:
            self.query_one(RichLog).write(Text(f"{self._wall()} {text}", style="bold red"))
        line.update(Text(text))
        line.display = bool(text)

    def show(self) -> None:
        """Draw what is known."""
        now = self._now
        if now is None:
            return
        self.query_one("#facts", Static).update(_facts(now))
        self._grid.fill(self._chosen(lines(now, self._snapshots[0])), self.size.width)
        self._describe()

    def _chosen(self, found: list[Line]) -> list[Line]:
        words = self.query_one("#filter", Input).value.lower().split()
        found = [line for line in found if all(word in " ".join(line.cells).lower() for word in words)]
        if self._sort is None:
            return found[::-1] if self._reverse else found
        column = self._sort
        return sorted(found, key=lambda line: line.keys[column], reverse=self._reverse)

    def _describe(self) -> None:
        now = self._now
        one = now.instances.get(self._grid.at_cursor) if now is not None else None
        text = Text()
        for name, value in detail(one) if one is not None else ():
            text.append(f"{name:>10}  ", style="dim")
            text.append(f"{value}\n", style="bold yellow" if name == "problem" else "")
        self.query_one("#detail", Static).update(text)

    @property
    def _now(self) -> Snapshot | None:
        return self._snapshots[-1] if self._snapshots else None

    @property
    def _grid(self) -> Grid:
        return self.query_one(Grid)

    # ------------------------------------------------------------------------------------------------------------- keys

    def on_data_table_row_highlighted(self) -> None:
        """Another instance is at the cursor."""
        self._describe()

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
        """Sort by the next column; behind the last in the daemon's order again."""
        following = 0 if self._sort is None else self._sort + 1
        self._sort = following if following < len(COLUMNS) else None
        self.notify("as configured" if self._sort is None else f"sorted by {COLUMNS[self._sort].title}")
        self.show()

    def on_data_table_header_selected(self, event: DataTable.HeaderSelected) -> None:
        """Sort by the column that was clicked."""
        self._reverse = not self._reverse if self._sort == event.column_index else False
        self._sort = event.column_index
        self.show()

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._reverse = not self._reverse
        self.show()

    def action_help(self) -> None:
        """What the keys and columns mean."""
        self.push_screen(Help())

    def action_pause(self) -> None:
        """Hold the picture, or go on."""
        self._paused = not self._paused
        self.notify("paused" if self._paused else "going on")


def _facts(now: Snapshot) -> Text:
    """The daemon in one line: process, age, how many instances are in which state, what is wrong."""
    document = now.document
    states: dict[str, int] = {}
    for one in document["instances"]:
        states[one["state"]] = states.get(one["state"], 0) + 1
    text = Text.assemble(("pid ", "dim"), str(document["pid"]), ("  up ", "dim"), span(document["uptime"]))
    for state, count in states.items():
        text.append(f"  {count} {state}", style=STATE_STYLE[state])
    checks = document["tracking"]["scripts"]
    failed = sum(one["passed"] is False for one in checks)
    text.append(f"  checks {len(checks) - failed} of {len(checks)}", style="bold red" if failed else "dim")
    if document["late_timers"]:
        text.append(
            f"  late timers {document['late_timers']} (worst {document['worst_lateness']:.3f} s)", style="yellow"
        )
    flooded = [link["interface"] for link in document["links"] if link["flood"]]
    if flooded:
        text.append(f"  flood on {', '.join(flooded)}", style="bold red")
    return text
