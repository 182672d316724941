"""The failovers as pictures: the timeline of a scenario, and how long clients were without service in all of them."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, NullLocator

from bench import style
from bench.failover.results import Data, by_scenario

FLOOR, LOWEST, HIGHEST = 1e-5, 4e-4, 20.0
"""Seconds: the foot of the latency axis, and the range of its marks; the bands are below."""
MASTERS = {"master1": "#0072b2", "master2": "#e69f00", "master3": "#009e73"}
"""Colours of the bands."""
BAND = 0.075
"""Height of a master's band, as a part of the panel."""
STACKS = {"haproxy+keepalived": "HAProxy + keepalived", "pylb+vrrpd": "pylb + vrrpd"}
ORDER = list(STACKS)


def write(data: Data, out: Path) -> list[str]:
    """A timeline per scenario, and the overview; their names."""
    drawn = []
    with style.applied():
        for scenario, runs in by_scenario(data["runs"]).items():
            style.save(timeline(in_order(runs), data), out / f"failover-{scenario}.svg")
            drawn.append(f"failover-{scenario}.svg")
        if data["runs"]:
            style.save(gaps(data), out / "failover.svg")
            drawn.append("failover.svg")
    return drawn


def in_order(runs: Sequence[Data]) -> list[Data]:
    """The real programs first."""
    return sorted(runs, key=lambda run: ORDER.index(run["stack"]) if run["stack"] in ORDER else len(ORDER))


def stack_name(stack: str) -> str:
    """As it is written."""
    return STACKS.get(stack, stack)


def where(data: Data) -> str:
    """The small line under a title."""
    machine, said = data["machine"], data["versions"]
    programs = ", ".join(said[name] for name in ("haproxy", "keepalived", "python") if name in said)
    return f"three masters, three workers in namespaces; {machine['cpu']}; {programs}; {data['date'][:10]}"


# ------------------------------------------------------------------------------------------------------------ timeline


def timeline(runs: Sequence[Data], data: Data) -> Figure:
    """One panel per stack over the same time: each request a mark, the holder of the address as a band."""
    text = textwrap.wrap(runs[0]["text"], 150)
    head = 0.95 + 0.18 * len(text)
    figure = Figure(figsize=(12.4, head + 2.75 * len(runs) + 0.55))
    height = figure.get_figheight()
    style.headline(figure, f"{runs[0]['scenario']}: every request while it happens", where(data))
    for number, line in enumerate(text):
        figure.text(0.012, 1 - (0.78 + 0.18 * number) / height, line, fontsize=9.5, va="center")
    panels = figure.subplots(len(runs), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.075, right=0.885, top=1 - (head + 0.38) / height, bottom=0.5 / height, hspace=0.44)
    for axes, run in zip(panels, runs, strict=True):
        _panel(axes, run)
    panels[-1].set_xlabel("seconds")
    panels[0].set_xlim(0, max(run["seconds"] for run in runs))
    return figure


def _panel(axes: Axes, run: Data) -> None:
    axes.set_yscale("log")
    axes.set_ylim(FLOOR, HIGHEST)
    axes.set_yticks([0.001, 0.01, 0.1, 1, 10], ["1 ms", "10 ms", "100 ms", "1 s", "10 s"])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y")
    axes.set_ylabel("answered after", color=style.FAINT, fontsize=9)
    good = [(due, value) for due, value, kind in _requests(run) if kind == "ok"]
    bad = [(due, value) for due, value, kind in _requests(run) if kind != "ok"]
    axes.plot(*_columns(good), ".", color=style.INK, alpha=0.45, markersize=3.5, markeredgewidth=0, rasterized=True)
    axes.plot(*_columns(bad), "x", color=style.FAILURE, markersize=4.5, markeredgewidth=1.1)
    axes.set_title(f"{stack_name(run['stack'])}: {summary(run)}", pad=25)
    _steps(axes, run)
    _bands(axes, run)
    y = 0.98
    for mark, colour, label in (
        (".", style.INK, f"{len(good):,} answered"),
        ("x", style.FAILURE, f"{len(bad):,} failed"),
    ):
        axes.plot([1.016], [y - 0.03], mark, color=colour, transform=axes.transAxes, clip_on=False, markersize=6)
        axes.annotate(label, (1.027, y), xycoords="axes fraction", va="top", color=colour, fontsize=9)
        y -= 0.1
    for kind, count in run["measures"]["failed"].items():
        axes.annotate(
            f"{count:,} {kind}", (1.027, y), xycoords="axes fraction", va="top", color=style.FAILURE, fontsize=8
        )
        y -= 0.085


def summary(run: Data) -> str:
    """The outage in words."""
    measures = run["measures"]
    if not measures["failures"]:
        return f"no request failed, the slowest took {amount(measures['slowest'])}"
    failed = f"{measures['failures']:,} of {measures['sent']:,} requests failed"
    return f"{failed}, {amount(measures['longest_gap'])} without service"


def amount(seconds: float) -> str:
    """A time for people."""
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _requests(run: Data) -> list[tuple[float, float, str]]:
    found = zip(run["due"], run["latency"], run["outcomes"], strict=True)
    return [(due, min(max(value, LOWEST), HIGHEST / 1.3), run["kinds"][kind]) for due, value, kind in found]


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _steps(axes: Axes, run: Data) -> None:
    """What the scenario did, as lines with words above the panel; words that would meet the one before are lifted."""
    total, row, busy_until = run["seconds"], 0, -1.0
    for at, place, text in run["steps"]:
        words = f"{place}: {text}"
        row = (row + 1) % 2 if at < busy_until else 0
        busy_until = at + total * (0.011 * len(words)) * 0.62
        axes.axvline(at, color=style.FAINT, linewidth=0.9, linestyle=(0, (4, 2)))
        axes.annotate(words, (at, 1), (2, 3 + 9 * row), xycoords=axes.get_xaxis_transform(), textcoords="offset points",
                      fontsize=8, color=style.FAINT)  # fmt: skip


def _bands(axes: Axes, run: Data) -> None:
    """Who has the address: a row per master along the foot of the panel."""
    for row, name in enumerate(MASTERS):
        bottom = 0.015 + BAND * (len(MASTERS) - 1 - row)
        for start, end in run["vip"].get(name, []):
            width = max(end - start, run["seconds"] / 400)
            band = Rectangle((start, bottom), width, BAND * 0.82, color=MASTERS[name], linewidth=0,
                             transform=axes.get_xaxis_transform(), zorder=3)  # fmt: skip
            axes.add_patch(band)
        axes.annotate(name, (1.01, bottom + BAND * 0.4), xycoords="axes fraction", va="center", fontsize=8,
                      color=MASTERS[name], fontweight="bold")  # fmt: skip
    top = 0.02 + BAND * len(MASTERS)
    ground = Rectangle((0, 0), run["seconds"], top, color="#f2f2f2", linewidth=0, transform=axes.get_xaxis_transform())
    axes.add_patch(ground)
    axes.annotate(
        "has the VIP:", (1.01, top + 0.035), xycoords="axes fraction", va="center", fontsize=8, color=style.FAINT
    )


# ------------------------------------------------------------------------------------------------------------ overview


def gaps(data: Data) -> Figure:
    """A row per scenario: the longest time without service, each stack a mark."""
    scenarios = by_scenario(data["runs"])
    figure = Figure(figsize=(12.4, 1.75 + 0.42 * len(scenarios)))
    height = figure.get_figheight()
    style.headline(figure, "Longest time without service, seen by clients, in each kind of trouble", where(data))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.21, right=0.72, top=1 - 1.15 / height, bottom=0.55 / height)
    for row, runs in enumerate(scenarios.values()):
        axes.axhline(row + 0.5, color=style.GRID, linewidth=0.8, zorder=0)
        ends = [(run["measures"]["longest_gap"], run["stack"]) for run in in_order(runs)]
        for (before, _), (after, _) in itertools.pairwise(ends):
            axes.plot([before, after], [row, row], color=style.FAINT, linewidth=1, zorder=1)
        for value, stack in ends:
            axes.plot([value], [row], style.MARKS[_program(stack)], color=style.COLOURS[_program(stack)], markersize=8,
                      alpha=0.85, zorder=3, clip_on=False)  # fmt: skip
        x = 1.02
        for run in in_order(runs):
            text = f"{run['measures']['longest_gap']:.2f} s, {run['measures']['failures']:,} failed"
            axes.annotate(text, (x, row), xycoords=axes.get_yaxis_transform(), va="center", fontsize=9,
                          color=style.COLOURS[_program(run["stack"])])  # fmt: skip
            x += 0.26
    axes.set_yticks(range(len(scenarios)), list(scenarios), color=style.INK)
    axes.set_ylim(len(scenarios) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds (further left is better)")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(axis="x")
    style.plain(axes)
    x = 0.21
    for stack in dict.fromkeys(run["stack"] for run in in_order(data["runs"])):
        style.key(figure, x, 1 - 0.85 / height, _program(stack), stack_name(stack))
        x += 0.2
    return figure


def _program(stack: str) -> str:
    """Whose colour and mark a stack has."""
    balancer = stack.partition("+")[0]
    return balancer if balancer in style.COLOURS else "nginx"
