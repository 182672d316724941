"""The console's table of instances, rewritten as little as possible.

To measure a column textual looks at all of its cells, so a cell is written only if it has changed, and measured only if
it has grown. Columns become narrower when instances come or go.
"""

from __future__ import annotations

from rich.text import Text
from textual.widgets import DataTable

from vrrpd.console.lines import COLUMNS, Line
from vrrpd.view import STATE_STYLE

NARROWEST = 16
"""Characters that are left of a name on a narrow screen."""


class Grid(DataTable[Text]):
    """All instances; the cursor stays on its own."""

    def __init__(self) -> None:
        super().__init__(cursor_type="row", zebra_stripes=True)
        self._shown: dict[str, list[Text]] = {}
        self._room = 0

    def fill(self, found: list[Line], width: int) -> None:
        """Show these on a screen of so many characters, the cursor on its row and the place in the table kept."""
        room = max(NARROWEST, width // 4)
        rows = {line.name: _drawn(line, room) for line in found}
        if list(self._shown) != list(rows) or room != self._room:
            self._rebuild(rows)
        else:
            self._update(rows)
        self._shown, self._room = rows, room

    def _rebuild(self, rows: dict[str, list[Text]]) -> None:
        at, place = self.at_cursor, self.scroll_offset
        self.clear(columns=True)
        for column in COLUMNS:
            self.add_column(column.title, key=column.title)
        for key, cells in rows.items():
            self.add_row(*cells, key=key)
        if at in rows:
            self.move_cursor(row=list(rows).index(at), animate=False)
        self.scroll_to(place.x, place.y, animate=False)

    def _update(self, rows: dict[str, list[Text]]) -> None:
        widths = {key.value: column.content_width for key, column in self.columns.items()}
        for key, cells in rows.items():
            for column, cell, old in zip(COLUMNS, cells, self._shown[key], strict=True):
                if cell.plain != old.plain or cell.style != old.style:
                    self.update_cell(key, column.title, cell, update_width=cell.cell_len > widths[column.title])

    @property
    def at_cursor(self) -> str:
        """The instance at the cursor; empty without any."""
        return str(self.ordered_rows[self.cursor_row].key.value) if self.is_valid_row_index(self.cursor_row) else ""


def _drawn(line: Line, room: int) -> list[Text]:
    """The cells: the state in its colour, figures to the right, a troubled instance's name in yellow."""
    styles = {"State": STATE_STYLE[line.state], "Instance": "bold yellow" if line.troubled else "bold"}
    cells = []
    for column, text in zip(COLUMNS, line.cells, strict=True):
        alarm = column.title == "Refused/s" and text != "0"
        style = "bold red" if alarm else styles.get(column.title, "")
        shown = _short(text, room) if column.title == "Instance" else text
        cells.append(Text(shown, style=style, justify="right" if column.figure else "left"))
    return cells


def _short(text: str, width: int) -> str:
    """A name that fits; names differ in their beginnings and ends, so the middle is left out."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[-end:]}"
