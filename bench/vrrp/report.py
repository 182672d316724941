"""The same results as tables in the terminal and as Markdown; which goals were missed."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rich.table import Table

from bench.http.results import command

Rows = list[dict[str, Any]]
Column = tuple[str, Callable[[dict[str, Any]], str]]

ALLOWANCE = 0.005
"""vrrpd's median may be this many seconds above keepalived's."""
LATENESS, START_UP, MEMORY_KB = 1.1, 0.5, 45 * 1024
"""255 routers at 100 ms: share of the interval at p99; one router: seconds and resident memory."""


def about(runs: int) -> dict[str, Any]:
    """What a reader needs to repeat and doubt the figures."""
    keepalived = subprocess.run(["keepalived", "--version"], capture_output=True, text=True, check=False)
    model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return {
        "command": command("python -m bench.vrrp", sys.argv[1:]),
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
        "began": time.time(),
        "runs": runs,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cpu": model.partition(":")[2].strip(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg(),
        "keepalived": keepalived.stderr.splitlines()[0],
    }


# ------------------------------------------------------------------------------------------------------------- columns


def _span(key: str) -> Callable[[dict[str, Any]], str]:
    def text(row: dict[str, Any]) -> str:
        values = row.get(key)
        if not values:
            return "-"
        return " / ".join(f"{1000 * one:.1f}" for one in (min(values), statistics.median(values), max(values)))

    return text


def _ms(key: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: f"{1000 * row[key]:.1f}" if row[key] is not None else "-"


def _number(key: str, form: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: format(row[key], form)


TITLES = {
    "failovers": "Failovers in ms: min / median / max",
    "resources": "One node as master of all, nothing happening (start-up of one router: best of three)",
    "limit": "Ever more adverts, until p99 of the gaps is over 110 % of the interval",
    "flood": "Flood of forged adverts (known VRID, wrong checksum) beside real ones every 100 ms",
}
COLUMNS: dict[str, tuple[Column, ...]] = {
    "failovers": (
        ("kind", lambda row: row["kind"]),
        ("program", lambda row: row["program"]),
        ("first gratuitous ARP", _span("garp")),
        ("since the last advert", _span("silence")),
        ("since the first other priority", _span("news")),
        ("client without answer", _span("gap")),
        ("ratio", lambda row: row["ratio"]),
        ("goal: median + 5 ms", lambda row: row["goal"]),
    ),
    "resources": (
        ("routers", _number("instances", "d")),
        ("interval s", _number("advert_int", "g")),
        ("program", lambda row: row["program"]),
        ("start-up s", _number("start_up", ".2f")),
        ("RSS MB", lambda row: f"{row['rss_kb'] / 1024:.1f}"),
        ("CPU %", _number("cpu_percent", ".2f")),
        ("gap p50 ms", _ms("interval_p50")),
        ("p99 ms", _ms("interval_p99")),
        ("max ms", _ms("interval_max")),
    ),
    "limit": (
        ("program", lambda row: row["program"]),
        ("routers", _number("instances", "d")),
        ("interval ms", lambda row: f"{1000 * row['advert_int']:g}"),
        ("adverts/s", _number("adverts_per_second", ",.0f")),
        ("CPU %", _number("cpu_percent", ".1f")),
        ("gap p50 ms", _ms("interval_p50")),
        ("p99 ms", _ms("interval_p99")),
        ("on time", lambda row: "yes" if row["kept"] else "no"),
    ),
    "flood": (
        ("at the", lambda row: row["role"]),
        ("program", lambda row: row["program"]),
        ("forged/s", lambda row: row["sent"]),
        ("CPU %", _number("cpu_percent", ".1f")),
        ("real adverts", _number("real_adverts", "d")),
        ("gap p99 ms", _ms("interval_p99")),
        ("max ms", _ms("interval_max")),
        ("state changes", _number("state_changes", "d")),
    ),
}


def _judged(rows: Rows) -> Rows:
    """Failovers with ratio and goal of vrrpd's medians to keepalived's."""
    by = {(row["kind"], row["program"]): row for row in rows}
    judged = []
    for row in rows:
        ratio = goal = ""
        theirs = by.get((row["beside"], "keepalived"))
        if row["program"] == "vrrpd" and theirs is not None:
            ours, other = (statistics.median(one[row["judged_by"]]) for one in (row, theirs))
            over = ours - other - ALLOWANCE
            ratio = f"{ours / other:.3f}"
            goal = "met" if over <= 0 else f"missed by {1000 * over:.1f} ms"
        judged.append(row | {"ratio": ratio, "goal": goal})
    return judged


def missed(section: str, rows: Rows) -> Iterable[str]:
    """The goals that these rows do not meet."""
    if section == "failovers":
        yield from (f"{row['kind']}: {row['goal']}" for row in _judged(rows) if row["goal"].startswith("missed"))
    if section != "resources":
        return
    for row in rows:
        if row["program"] != "vrrpd":
            continue
        if row["instances"] == 1 and row["start_up"] > START_UP:
            yield f"start-up {row['start_up']:.2f} s, wanted {START_UP}"
        if row["instances"] == 1 and row["rss_kb"] > MEMORY_KB:
            yield f"resident memory {row['rss_kb'] / 1024:.1f} MB, wanted {MEMORY_KB / 1024:.0f}"
        if row["advert_int"] == 0.1 and row["interval_p99"] > LATENESS * row["advert_int"]:
            yield f"255 routers at 100 ms: p99 {1000 * row['interval_p99']:.1f} ms, wanted 110"


# -------------------------------------------------------------------------------------------------- terminal, Markdown


def _cells(section: str, rows: Rows) -> list[list[str]]:
    shown = _judged(rows) if section == "failovers" else rows
    return [[text(row) for _, text in COLUMNS[section]] for row in shown]


def tables(section: str, rows: Rows) -> list[Table]:
    """For rich."""
    table = Table(title=TITLES[section])
    for heading, _ in COLUMNS[section]:
        table.add_column(heading, overflow="fold")
    for cells in _cells(section, rows):
        table.add_row(*cells)
    return [table]


def markdown(results: dict[str, Any]) -> str:
    """The report of all sections there are."""
    parts = ["# vrrpd beside keepalived", ""]
    for section, found in results.items():
        facts, names = found["about"], [heading for heading, _ in COLUMNS[section]]
        parts += [f"## {TITLES[section]}", ""]
        parts += ["| " + " | ".join(names) + " |", "| " + " | ".join("---" for _ in names) + " |"]
        parts += ["| " + " | ".join(cells) + " |" for cells in _cells(section, found["rows"])]
        parts += ["", *_kept(section, found["rows"])]
        parts += [
            f"`{facts['command']}`, {facts['time']}, {facts['seconds']} s; {facts['keepalived']}, Python"
            f" {facts['python']}, Linux {facts['kernel']}, {facts['cpu']}, {facts['cores']} cores, load before"
            f" {facts['load_before'][0]:.2f}.",
            "",
        ]
    return "\n".join(parts)


def _kept(section: str, rows: Rows) -> list[str]:
    """The limit in a sentence."""
    if section != "limit":
        return []
    best = dict.fromkeys((row["program"] for row in rows), 0.0)
    for row in rows:
        if row["kept"]:
            best[row["program"]] = max(best[row["program"]], row["adverts_per_second"])
    kept = ", ".join(f"{program} {rate:,.0f} adverts/s" for program, rate in best.items())
    return [f"Kept on time: {kept}.", ""]
