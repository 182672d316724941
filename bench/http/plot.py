"""The result as one picture, written as plain SVG text.

Costs reach from 20 µs to 2 ms, so every bar is drawn relative to HAProxy's in its scenario (the line at 1) and has the
absolute figure at its end. Left: CPU per request, user and system parts in two shades, with a mark where the goal is;
shorter is better. Right: throughput; longer is better.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from bench.http.measure import Measured, Round

ROW, BAR, TOP, LABELS = 44, 14, 92, 150
PANEL, GAP, TAIL = 400, 100, 110
"""Width of a panel's bars, between the panels, and behind the second for the figures."""
COLOURS = {"haproxy": ("#4a6fa5", "#a9bcd6"), "pylb": ("#d9822b", "#f3c998")}
"""User and system part; throughput has the first."""
NAMES = {"haproxy": "HAProxy", "pylb": "pylb"}


@dataclass(frozen=True)
class Panel:
    """One set of bars: where it begins and how many pixels HAProxy's length is."""

    left: float
    unit: float

    def x(self, ratio: float) -> float:
        return self.left + ratio * self.unit


def draw(results: list[Measured], subtitle: str) -> str:
    """The SVG text."""
    right = LABELS + PANEL + GAP
    width, height = right + PANEL + TAIL, TOP + ROW * len(results) + 30
    costs = [measured.ratio(_cpu).median for measured in results]
    rates = [measured.ratio(_rate).median for measured in results]
    cost = Panel(LABELS, PANEL / max(1, *costs, *(m.scenario.goal or 0 for m in results)))
    rate = Panel(right, PANEL / max(1, *rates))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        _text(16, 26, "What a request costs: pylb beside HAProxy, same configuration, one core each", 17, "bold"),
        _text(16, 46, subtitle, 11, colour="#666"),
        *_legend(16, 64),
        _text(cost.left, TOP - 8, "CPU µs per request (shorter is better; HAProxy = 1)", weight="bold"),
        _text(rate.left, TOP - 8, "requests per second (longer is better; HAProxy = 1)", weight="bold"),
    ]
    bottom = TOP + ROW * len(results)
    parts += _axis(cost, bottom) + _axis(rate, bottom)
    for number, measured in enumerate(results):
        parts += _row(measured, TOP + ROW * number + 6, cost, rate)
    return "\n".join([*parts, "</svg>", ""])


def _cpu(one: Round) -> float:
    return one.cpu


def _rate(one: Round) -> float:
    return one.load.rate


def _row(measured: Measured, y: float, cost: Panel, rate: Panel) -> list[str]:
    scenario = measured.scenario
    parts = [_text(LABELS - 10, y + BAR + 5, scenario.name, 12, "bold", anchor="end")]
    if scenario.goal is not None:
        x = cost.x(scenario.goal)
        parts.append(_mark(x, y - 3, y + 2 * BAR + 5))
    # pylb's length is the ratio that the table shows; a quotient of medians would differ a little.
    for number, name in enumerate(("haproxy", "pylb")):
        top = y + number * (BAR + 2)
        cpu = measured.ratio(_cpu).median if name == "pylb" else 1.0
        user = cpu * measured.spread(name, lambda one: one.user / one.cpu).median
        dark, light = COLOURS[name]
        median = measured.spread(name, _cpu).median
        absolute = f"{median:.1f} µs" if median < 100 else f"{median:.0f} µs"
        parts += [
            _bar(cost.x(0), cost.x(user), top, dark),
            _bar(cost.x(user), cost.x(cpu), top, light),
            _text(cost.x(cpu) + 5, top + 11, absolute + (f"  ×{cpu:.2f}" if name == "pylb" else ""), 11),
        ]
        throughput = measured.ratio(_rate).median if name == "pylb" else 1.0
        figure = f"{measured.spread(name, _rate).median:,.0f}" + (f"  ×{throughput:.2f}" if name == "pylb" else "")
        parts += [
            _bar(rate.x(0), rate.x(throughput), top, dark),
            _text(rate.x(throughput) + 5, top + 11, figure, 11),
        ]
    return parts


def _bar(start: float, end: float, top: float, colour: str) -> str:
    return f'<rect x="{start:.1f}" y="{top}" width="{max(0, end - start):.1f}" height="{BAR}" fill="{colour}"/>'


def _mark(x: float, top: float, bottom: float) -> str:
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}" stroke="#c0392b" stroke-width="2"/>'


def _axis(panel: Panel, bottom: float) -> list[str]:
    x = panel.x(1)
    return [
        f'<line x1="{panel.left}" x2="{panel.left}" y1="{TOP}" y2="{bottom}" stroke="#888"/>',
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke="#888" stroke-dasharray="3 3"/>',
        _text(x, bottom + 16, "1", 11, anchor="middle", colour="#666"),
    ]


def _legend(x: float, y: float) -> list[str]:
    parts = []
    for name, (dark, light) in COLOURS.items():
        for colour, text in ((dark, f"{NAMES[name]}: own code"), (light, f"{NAMES[name]}: kernel")):
            parts.append(f'<rect x="{x}" y="{y - 9}" width="11" height="11" fill="{colour}"/>')
            parts.append(_text(x + 16, y, text, 11))
            x += 140
    parts.append(_mark(x + 4, y - 10, y + 3))
    parts.append(_text(x + 12, y, "goal: the most that pylb may cost", 11))
    return parts


def _text(
    x: float, y: float, text: str, size: int = 12, weight: str = "normal", anchor: str = "start", colour: str = "#222"
) -> str:
    """With a white rim, so that lines behind it do not hurt."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}"'
        f' fill="{colour}" stroke="#fff" stroke-width="3" paint-order="stroke">{escape(text)}</text>'
    )
