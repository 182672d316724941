"""The pictures of http.json: cost and throughput, latency at fixed rates, memory for idle clients."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from bench import style
from bench.http.report import short_versions

Data = Mapping[str, Any]


def write(data: Data, out: Path) -> list[str]:
    """Those that `data` has figures for; their names."""
    drawn = []
    with style.applied():
        for file, ready, draw in (
            ("http.svg", any(one["programs"] for one in data["scenarios"]), costs),
            ("http-latency.svg", bool(data.get("latency")), latencies),
            ("http-memory.svg", bool(data.get("idle", {}).get("held")), memory),
        ):
            if ready:
                style.save(draw(data), out / file)
                drawn.append(file)
    return drawn


def where(data: Data) -> str:
    """The small line under a title."""
    return f"{data['machine']['cpu']}, one core each; {short_versions(data['versions'])}; {data['date'][:10]}"


# ------------------------------------------------------------------------------------------------- cost and throughput


def costs(data: Data) -> Figure:
    """Every program's CPU per request and throughput, times HAProxy's, one row per scenario."""
    scenarios = [one for one in data["scenarios"] if one["programs"]]
    figure = Figure(figsize=(12.4, 2.0 + 0.42 * len(scenarios)))
    style.headline(
        figure, "What a request costs and how many a core serves, as multiples of HAProxy's figure", where(data)
    )
    height = figure.get_figheight()
    cost, rate = figure.subplots(1, 2, sharey=True)
    figure.subplots_adjust(left=0.16, right=0.885, wspace=0.35, top=1 - 1.28 / height, bottom=0.42 / height)
    _ratios(cost, scenarios, "cpu", "CPU per request (further left is cheaper)")
    _ratios(rate, scenarios, "rate", "requests per second (further right is more)")
    cost.set_yticks(range(len(scenarios)), [_row_name(one) for one in scenarios], color=style.INK)
    cost.set_ylim(len(scenarios) - 0.5, -0.5)
    _legend(figure, data, 1 - 0.78 / height)
    return figure


def _row_name(scenario: Data) -> str:
    base = scenario["programs"].get("haproxy")
    if base is None:
        return str(scenario["name"])
    return f"{scenario['name']}\nHAProxy {_amount(base['cpu']['median'])} µs, {base['rate']['median']:,.0f}/s"


def _ratios(axes: Axes, scenarios: Sequence[Data], figure: str, title: str) -> None:
    axes.set_title(title)
    axes.set_xscale("log")
    axes.axvline(1, color=style.COLOURS["haproxy"], linewidth=1, zorder=1)
    values = []
    for row, scenario in enumerate(scenarios):
        axes.axhline(row + 0.5, color=style.GRID, linewidth=0.8, zorder=0)
        for name, found in scenario["programs"].items():
            ratio = found["ratio"][figure]
            if ratio is None:
                continue
            value = ratio["median"]
            values.append(value)
            size = 8 if name == "pylb" else 6
            axes.plot([value], [row], style.MARKS[name], color=style.COLOURS[name], markersize=size, zorder=3)
            if name == "pylb":
                own = (
                    f"{_amount(found['cpu']['median'])} µs" if figure == "cpu" else f"{found['rate']['median']:,.0f}/s"
                )
                _aside(axes, row, f"{own}  ×{value:.2f}")
    low, high = min([0.5, *values]) / 1.5, max([2, *values]) * 1.5
    axes.set_xlim(low, high)
    steps = [step for step in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000) if low <= step <= high]
    axes.set_xticks(steps, [f"×{step:g}" for step in steps])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x")
    style.plain(axes)


def _aside(axes: Axes, row: int, text: str) -> None:
    """pylb's own figure, beside the panel."""
    axes.annotate(text, (1, row), (8, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points", va="center",
                  color=style.COLOURS["pylb"], fontweight="bold", fontsize=9, annotation_clip=False)  # fmt: skip


def _legend(figure: Figure, data: Data, y: float) -> None:
    """The programs' marks in one line, above the panels."""
    width, x = figure.get_figwidth(), 0.012
    for name in data["commands"]:
        style.key(figure, x + 0.007, y, name, style.name(name))
        x += (0.5 + 0.088 * len(style.name(name))) / width


def _amount(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


# ------------------------------------------------------------------------------------------------------------- latency


def latencies(data: Data) -> Figure:
    """One panel per rate: latency over the percentile, on an axis of nines."""
    latency = data["latency"]
    figure = Figure(figsize=(12.4, 4.9))
    title = f"How long an answer takes at a fixed rate: parts of what {style.name(latency['slowest'])} can do at most"
    style.headline(figure, title, f"requests timed from the moment they are due (open loop); {where(data)}")
    panels = figure.subplots(1, len(latency["rates"]), sharey=True, squeeze=False)[0]
    figure.subplots_adjust(left=0.06, right=0.925, wspace=0.31, top=0.80, bottom=0.12)
    shares = [share for share in latency["grid"] if 0.25 <= share < 1]
    for axes, rate in zip(panels, latency["rates"], strict=True):
        axes.set_title(f"{rate['rate']:,.0f} requests/s ({rate['fraction']:.0%})")
        ends = {}
        for name, curve in rate["curves"].items():
            points = [1e3 * value for share, value in zip(latency["grid"], curve["quantiles"], strict=True)
                      if share in shares]  # fmt: skip
            axes.plot([nines(share) for share in shares], points, color=style.COLOURS[name],
                      marker=style.MARKS[name], markersize=4, linewidth=1.6, clip_on=False)  # fmt: skip
            ends[name] = points[-1]
        axes.set_yscale("log")
        axes.set_xlabel("percentile of requests")
        marks = (0.5, 0.9, 0.99, 0.999, 0.9999)
        axes.set_xticks([nines(share) for share in marks], [f"{100 * share:g}" for share in marks])
        axes.set_xlim(nines(0.25), nines(0.9999))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} ms"))
        axes.grid(visible=True)
        _label_ends(axes, ends)
    return figure


def nines(share: float) -> float:
    """The place of a percentile: each nine the same step further."""
    return -math.log10(1 - share)


def _label_ends(axes: Axes, ends: Mapping[str, float]) -> None:
    """Each line's name behind its end, moved apart where lines end close together."""
    low, high = (math.log10(value) for value in axes.get_ylim())
    step = 0.055 * (high - low)
    place = -math.inf
    for name, value in sorted(ends.items(), key=lambda item: item[1]):
        place = max(math.log10(value), place + step)
        axes.annotate(style.name(name), (nines(0.9999), 10**place), (5, 0), textcoords="offset points", va="center",
                      color=style.COLOURS[name], fontweight="bold", annotation_clip=False)  # fmt: skip


# -------------------------------------------------------------------------------------------------------------- memory


def memory(data: Data) -> Figure:
    """A bar per program: before the clients, and what they add."""
    held = data["idle"]["held"]
    count = next(iter(held.values()))["connections"]
    figure = Figure(figsize=(12.4, 1.5 + 0.46 * len(held)))
    height = figure.get_figheight()
    style.headline(figure, f"Memory of each program, and what {count:,} idle clients add to it", where(data))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.125, right=0.74, top=1 - 0.78 / height, bottom=0.5 / height)
    for row, (name, one) in enumerate(held.items()):
        before, after = (one[when]["proportional"] / 1e6 for when in ("before", "after"))
        axes.barh(row, before, color=style.COLOURS[name], height=0.6)
        axes.barh(row, after - before, left=before, color=style.COLOURS[name], height=0.6, alpha=0.4)
        text = f"{before:.0f} MB + {after - before:.0f} MB: {one['growth'] / 1e3:.1f} kB per client"
        axes.annotate(text, (after, row), (6, 0), textcoords="offset points", va="center", annotation_clip=False)
    axes.set_yticks(range(len(held)), [style.name(name) for name in held], color=style.INK)
    axes.set_ylim(len(held) - 0.5, -0.5)
    axes.set_xlabel("MB (proportional set size): full colour without clients, light colour what the clients add")
    axes.grid(axis="x")
    style.plain(axes)
    return figure
