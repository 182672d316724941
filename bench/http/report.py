"""The same results three times: a table in the terminal, JSON with every round, Markdown with the ratios."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.http import load
from bench.http.measure import Measured, Round, Spread
from bench.http.programs import CONFIG, ROOT, World, versions
from bench.http.scenarios import SCENARIOS

Column = tuple[str, Callable[[Measured], str]]


def _pair(measured: Measured, figure: Callable[[Round], float], form: str) -> str:
    return " / ".join(format(measured.spread(name, figure).median, form) for name in ("haproxy", "pylb"))


def _ratio(spread: Spread) -> str:
    return f"{spread.median:.2f} ({spread.low:.2f}-{spread.high:.2f})"


def _goal(measured: Measured) -> str:
    if measured.scenario.goal is None:
        return ""
    return f"≤ {measured.scenario.goal:g} {'met' if measured.meets_goal else 'missed'}"


COLUMNS: tuple[Column, ...] = (
    ("scenario", lambda m: m.scenario.name),
    ("CPU µs/request", lambda m: _pair(m, lambda one: one.cpu, ".1f")),
    ("user", lambda m: _pair(m, lambda one: one.user, ".1f")),
    ("system", lambda m: _pair(m, lambda one: one.system, ".1f")),
    ("CPU ratio", lambda m: _ratio(m.ratio(lambda one: one.cpu))),
    ("goal", _goal),
    ("requests/s", lambda m: _pair(m, lambda one: one.load.rate, ",.0f")),
    ("ratio", lambda m: f"{m.ratio(lambda one: one.load.rate).median:.2f}"),
    ("core used", lambda m: _pair(m, lambda one: one.busy, ".0%")),
    ("p50 ms", lambda m: _pair(m, lambda one: one.load.p50 * 1e3, ".2f")),
    ("p99 ms", lambda m: _pair(m, lambda one: one.load.p99 * 1e3, ".2f")),
)
"""HAProxy's figure first, then pylb's; ratios are pylb's over HAProxy's."""


# ------------------------------------------------------------------------------------------------------------ terminal


def table(results: Iterable[Measured]) -> Table:
    """For rich."""
    shown = Table(
        title="HAProxy / pylb", caption="medians; ratio: pylb over HAProxy in each pair of rounds (quartiles)"
    )
    for number, (title, _) in enumerate(COLUMNS):
        shown.add_column(title, justify="right" if number else "left")
    for measured in results:
        style = "red" if measured.meets_goal is False else None
        shown.add_row(*(cell(measured) for _, cell in COLUMNS), style=style)
    return shown


# ---------------------------------------------------------------------------------------------------------------- JSON


def about(world: World, seconds: float, rounds: int) -> dict[str, Any]:
    """What a reader needs to repeat the figures and to doubt them."""
    haproxy = world.programs[0]
    names = (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name"))  # fmt: skip
    return {
        "command": " ".join(["python -m bench.http", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "machine": {
            "cpu": next(names, platform.machine()),
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "load_before": [round(value, 2) for value in os.getloadavg()],
        },
        "cores": asdict(world.cores),
        "versions": {program.name: program.version for program in world.programs} | versions(),
        "configuration": CONFIG.name,
        "commands": {program.name: " ".join(shortened(program.command)) for program in world.programs},
        "load": {
            scenario.name: " ".join(
                shortened(load.command(scenario, haproxy.ports[scenario.frontend], world.cores.others))
            )
            for scenario in SCENARIOS
        },
        "seconds_per_round": seconds,
        "rounds": rounds,
    }  # fmt: skip


def shortened(words: list[str]) -> list[str]:
    """A command without the place where this checkout happens to be."""
    return ["python" if word == sys.executable else word.replace(f"{ROOT}/", "") for word in words]


def as_json(facts: dict[str, Any], results: Iterable[Measured], failures: dict[str, str]) -> dict[str, Any]:
    """Everything, raw numbers of each round included. Seconds, bytes; CPU in µs per request."""
    return facts | {"scenarios": [_scenario(measured) for measured in results], "failures": failures}


def _scenario(measured: Measured) -> dict[str, Any]:
    ratios = {
        "cpu": asdict(measured.ratio(lambda one: one.cpu)),
        "rate": asdict(measured.ratio(lambda one: one.load.rate)),
    }
    return {
        **asdict(measured.scenario),
        "met": measured.meets_goal,
        "ratio": ratios,
        "haproxy": _program(measured, "haproxy"),
        "pylb": _program(measured, "pylb"),
    }


def _program(measured: Measured, name: str) -> dict[str, Any]:
    figures: dict[str, Callable[[Round], float]] = {
        "cpu": lambda one: one.cpu,
        "user": lambda one: one.user,
        "system": lambda one: one.system,
        "rate": lambda one: one.load.rate,
        "busy": lambda one: one.busy,
        "p50": lambda one: one.load.p50,
        "p99": lambda one: one.load.p99,
    }
    return {
        "resident": measured.resident[name],
        **{figure: asdict(measured.spread(name, get)) for figure, get in figures.items()},
        "rounds": [asdict(one.load) | asdict(one.times) for one in measured.rounds(name)],
    }


# ------------------------------------------------------------------------------------------------------------ Markdown


def markdown(facts: dict[str, Any], results: list[Measured], failures: dict[str, str]) -> str:
    """A page that can be read alone."""
    titles = [title for title, _ in COLUMNS]
    rows = [titles, ["---", *["---:"] * (len(titles) - 1)]]
    rows += [[cell(measured) for _, cell in COLUMNS] for measured in results]
    machine, said = facts["machine"], facts["versions"]
    lines = [
        "# pylb beside HAProxy over HTTP",
        "",
        "Each cell: HAProxy / pylb, medians of the rounds. Ratios: pylb over HAProxy within each pair of rounds, median"
        " (quartiles); for CPU less is better, for requests/s more. \"Core used\" is the part of its core that the"
        " proxy had busy: below 90 % the load or the servers were the limit, and only the CPU figures compare.",
        "",
        "![CPU per request and throughput by scenario](http.svg)",
        "",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        *(f"- `{measured.scenario.name}`: {measured.scenario.about}" for measured in results),
        "",
        *(f"**{name} was not measured:** {reason}" for name, reason in failures.items()),
        f"Memory after the last scenario: HAProxy {_megabytes(results, 'haproxy')}, pylb {_megabytes(results, 'pylb')}."
        if results else "",
        "",
        f"Measured {facts['date']} on {machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}, load"
        f" average before: {machine['load_before'][0]}. {said['haproxy']}; {said['pylb']} on Python {said['python']};"
        f" {said['nginx']}; {said['wrk']}; {said['openssl']}. The proxy has one core, wrk, nginx and the syslog"
        f" receiver the other. {facts['rounds']} pairs of {facts['seconds_per_round']:g} s each.",
        "",
        f"Repeat it with `{facts['command']}`. Both programs read [one file](../http/{facts['configuration']});"
        " requests come from [requests.lua](../http/requests.lua); raw numbers are in http.json.",
        "",
    ]  # fmt: skip
    return "\n".join(lines)


def _megabytes(results: list[Measured], name: str) -> str:
    return f"{results[-1].resident[name] / 1e6:.0f} MB"
