"""How every picture of the results looks: one place for colours, marks, sizes and the way to a file.

Colours are those of Okabe and Ito, which people with every kind of colour vision can tell apart; each program also has
a mark of its own, so that a picture in grey can still be read. Files are the same bytes for the same figures.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

INK, FAINT, GRID = "#1a1a1a", "#5f5f5f", "#dddddd"
FAILURE = "#c1121f"

COLOURS = {
    "haproxy": "#0072b2",
    "pylb": "#d55e00",
    "haproxy-2": "#00395a",
    "pylb-2": "#7a3600",
    "nginx": "#009e73",
    "aiohttp": "#cc79a7",
    "python-pyproxy": "#b8860b",
    "pyhaproxy-lb": "#56b4e9",
    "no proxy": "#8c8c8c",
    "keepalived": "#0072b2",
    "vrrpd": "#d55e00",
}
MARKS = {
    "haproxy": "o",
    "pylb": "D",
    "haproxy-2": "o",
    "pylb-2": "D",
    "nginx": "s",
    "aiohttp": "^",
    "python-pyproxy": "v",
    "pyhaproxy-lb": "P",
    "no proxy": ".",
    "keepalived": "o",
    "vrrpd": "D",
}
NAMES = {"haproxy": "HAProxy", "haproxy-2": "HAProxy, 2 threads", "pylb-2": "pylb, 2 workers"}
"""As they are written, where that differs from the key."""

SETTINGS = {
    "svg.hashsalt": "pylb",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "figure.facecolor": "white",
    "figure.dpi": 100,
}


def name(program: str) -> str:
    """As it is written."""
    return NAMES.get(program, program)


@contextmanager
def applied() -> Iterator[None]:
    """These settings and no others, whatever the user's own file says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        yield


def headline(figure: Figure, title: str, subtitle: str, inches: float = 0.28) -> None:
    """What is shown, large; how and where it was measured, small. Both at the top left, `inches` from the edge."""
    height = figure.get_figheight()
    figure.text(0.012, 1 - inches / height, title, fontsize=14, fontweight="bold", va="center")
    figure.text(0.012, 1 - (inches + 0.27) / height, subtitle, fontsize=9, color=FAINT, va="center")


def key(figure: Figure, x: float, y: float, program: str, text: str) -> None:
    """A program's mark with its name, somewhere on the figure."""
    mark = Line2D([x], [y], marker=MARKS[program], color=COLOURS[program], markersize=8, transform=figure.transFigure)
    figure.add_artist(mark)
    figure.text(x + 0.009, y, text, color=COLOURS[program], va="center", fontweight="bold", fontsize=10)


def plain(axes: Axes) -> None:
    """Without a line or ticks on the left."""
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)


def save(figure: Figure, file: Path) -> None:
    """As SVG without a date."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    file.write_text("\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n")
