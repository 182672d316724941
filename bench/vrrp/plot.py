"""The failovers as a picture: one row per kind and program, a dot per run on a logarithmic time axis."""

from __future__ import annotations

import math
import statistics
from typing import Any
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, TOP, ROW = 960, 190, 30, 86, 20
BLOCK = 2 * ROW + 30
"""Height of one kind: its name, and a row per program."""
COLOURS = {"keepalived": "#b35900", "vrrpd": "#1f5fbf"}
GRID = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
LOW, HIGH = 0.005, 10.0


def place(seconds: float) -> float:
    """The x coordinate of a time."""
    share = math.log(max(LOW, min(HIGH, seconds)) / LOW) / math.log(HIGH / LOW)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def label(seconds: float) -> str:
    """A time for the axis."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def draw(failovers: dict[str, Any]) -> str:
    """The SVG of this section of the results ("rows" with "kind", "program", "garp": list of seconds)."""
    kinds, facts = failovers["rows"], failovers["about"]
    title = f"VRRP failover, {facts['runs']} runs each: vrrpd and {facts['keepalived'].partition(' (')[0]}"
    names = list(dict.fromkeys(kind["kind"] for kind in kinds))
    height = TOP + len(names) * BLOCK + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="DejaVu Sans, Arial, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="16" y="26" font-size="17" font-weight="bold">{escape(title)}</text>',
        '<text x="16" y="46" fill="#555">From the event to the first gratuitous ARP of the new master, seen on the '
        "bridge. Dots: single runs, bar: median.</text>",
        *_grid(height),
    ]
    for row, name in enumerate(names):
        top = TOP + row * BLOCK
        parts.append(f'<text x="16" y="{top + 14}" font-weight="bold">{escape(name)}</text>')
        for line, program in enumerate(("keepalived", "vrrpd")):
            found = [kind for kind in kinds if kind["kind"] == name and kind["program"] == program]
            if found:
                parts += _row(program, found[0]["garp"], top + 18 + line * ROW + ROW / 2)
    return "\n".join([*parts, "</svg>\n"])


def _grid(height: int) -> list[str]:
    parts = []
    for seconds in GRID:
        x = place(seconds)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{height - 30}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP - 14}" text-anchor="middle" fill="#555">{label(seconds)}</text>')
    return parts


def _row(program: str, times: list[float], y: float) -> list[str]:
    colour, median = COLOURS[program], statistics.median(times)
    caption = f"{program} {label(median)}"
    parts = [
        f'<text x="{LEFT - 12}" y="{y + 4:.1f}" text-anchor="end" fill="{colour}">{caption}</text>',
        f'<line x1="{place(min(times)):.1f}" y1="{y:.1f}" x2="{place(max(times)):.1f}" y2="{y:.1f}" '
        f'stroke="{colour}" stroke-opacity="0.35" stroke-width="2"/>',
    ]
    parts += [f'<circle cx="{place(t):.1f}" cy="{y:.1f}" r="3.2" fill="{colour}" fill-opacity="0.45"/>' for t in times]
    x = place(median)
    parts.append(
        f'<line x1="{x:.1f}" y1="{y - 7:.1f}" x2="{x:.1f}" y2="{y + 7:.1f}" stroke="{colour}" stroke-width="3"/>'
    )
    return parts
