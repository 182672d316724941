"""The console's table: rows as cells with colours, rewritten as little as possible.

To measure a column textual looks at all of its cells, so a cell is written only if it has changed, and measured only if
it has grown: 70 servers cost a tenth of what writing them all does. Columns become narrower when rows come or go.
"""

from __future__ import annotations

from rich.text import Text
from textual.widgets import DataTable

from pylb.console import table
from pylb.console.table import COLUMNS, Line

COLOURS = {"UP": "green", "OPEN": "green", "DOWN": "bold red", "MAINT": "yellow", "DRAIN": "blue", "NOLB": "blue"}
LONGEST = 60
"""Characters of a cell."""
NARROWEST = 12
"""Characters that are left of a name on a narrow screen."""


class Grid(DataTable[Text]):
    """All rows; the cursor stays on its own."""

    def __init__(self) -> None:
        super().__init__(cursor_type="row", zebra_stripes=True)
        self._shown: dict[str, list[Text]] = {}
        self._names = 0

    def fill(self, found: list[Line], width: int) -> None:
        """Show these rows on a screen of so many characters, the cursor on its row and the place in the table kept."""
        names = max(NARROWEST, width // 6)
        rows = {f"{line.proxy}/{line.name}": drawn(line, names) for line in found}
        if list(self._shown) != list(rows) or names != self._names:
            self._rebuild(rows)
        else:
            self._update(rows)
        self._shown, self._names = rows, names

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
        """`proxy/name` of the row at the cursor; empty without rows."""
        return str(self.ordered_rows[self.cursor_row].key.value) if self.is_valid_row_index(self.cursor_row) else ""


def drawn(line: Line, names: int) -> list[Text]:
    """The cells: the state in its colour, figures to the right, a proxy's own rows in bold, names of at most `names`
    characters."""
    colour = COLOURS.get(line.status.split(" ")[0], "")
    moving = line.status.split(" ")[-1][:1].isdigit()  # "UP 1/3"
    weight = "" if line.kind in ("server", "listener") else "bold"
    cells = []
    for column, text in zip(COLUMNS, line.cells, strict=True):
        style = ("yellow" if moving else colour) if column.title == "Status" else weight
        figure = column.show is table.count
        alarm = column.title in ("5xx/s", "Err/s", "Queue") and text not in ("", "0")
        shown = short(text, names if column.title in ("Proxy", "Name") else LONGEST)
        cells.append(Text(shown, style="bold red" if alarm else style, justify="right" if figure else "left"))
    return cells


def short(text: str, width: int) -> str:
    """A text that fits; names differ in their beginnings and ends, so the middle is left out."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[-end:]}"
