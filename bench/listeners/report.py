"""The page about it, made from listeners.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.http.report import amount, rows

Data = Mapping[str, Any]
TITLES = {"shared": "one socket for all (pylb)", "reuseport": "a socket each (SO_REUSEPORT)"}

FIGURES: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "rate": ("requests per second", lambda value: f"{value:,.0f}"),
    "cpu": ("CPU µs per request", amount),
    "p50": ("p50 ms", lambda value: f"{value * 1e3:.2f}"),
    "p99": ("p99 ms", lambda value: f"{value * 1e3:.2f}"),
    "largest_part": ("largest part of a worker", lambda value: f"{value:.0%}"),
}


def markdown(data: Data) -> str:
    """bench/results/listeners.md."""
    machine, effort = data["machine"], data["effort"]
    parts = [
        "# How connections reach the workers",
        f"Measured {data['date']} on {machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, load"
        f" average before: {machine['load_before'][0]}; Python {data['python']}. pylb with two workers on all cores;"
        " wrk and the server (nginx) share the first. Both ways run at the same time and take turns:"
        f" {effort['rounds']} rounds of {effort['seconds']:g} s; figures are medians.",
        rows(["", *(TITLES[way] for way in data["ways"])], [*spread_rows(data), *load_rows(data)]),
        f"Repeat it with `{data['command']}`; every round is in listeners.json.",
    ]
    return "\n\n".join(parts) + "\n"


def spread_rows(data: Data) -> list[list[str]]:
    """Kept connections by worker."""
    made = []
    for how in ("one by one", "at once"):
        found = {way: data["spread"][way] for way in data["ways"]}
        clients = next(iter(found.values()))["clients"]
        about = f"{clients} kept connections that come {how}: largest part of a worker, median and worst"
        made.append([about, *(largest(found[way][how]) for way in data["ways"])])
    return made


def largest(found: Sequence[Sequence[int]]) -> str:
    """Of all connections, the part that the worker with the most has: in the middle and at worst."""
    parts = sorted(one[0] / max(1, sum(one)) for one in found)
    return f"{parts[len(parts) // 2]:.0%}, {parts[-1]:.0%}"


def load_rows(data: Data) -> list[list[str]]:
    """Under load, and while workers are replaced."""
    made = []
    for scenario in data["scenarios"]:
        ways = [scenario["ways"][way] for way in data["ways"]]
        for name, (what, written) in FIGURES.items():
            if name != "largest_part" or scenario["name"] == "one each":
                made.append([f"{scenario['about']}: {what}", *(written(one[name]) for one in ways)])
        lost = [f"{one['lost']['failed']:,} of {one['lost']['requests']:,}" for one in ways]
        made.append([f"{scenario['about']}: requests lost in {ways[0]['lost']['reloads']} reloads", *lost])
    return made
