"""What was measured as plain data: the content of http.json, from which pages and pictures are made."""

from __future__ import annotations

import os
import platform
import ssl
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.http import load, process
from bench.http.latency import GRID, Latency
from bench.http.measure import Effort, Figure, Measured
from bench.http.memory import Idle
from bench.http.programs import CONFIG, Program
from bench.http.world import World

FIGURES: Mapping[str, Figure] = {
    "cpu": lambda one: one.cpu,
    "user": lambda one: one.user,
    "system": lambda one: one.system,
    "rate": lambda one: one.load.rate,
    "busy": lambda one: one.busy,
    "p50": lambda one: one.load.p50,
    "p99": lambda one: one.load.p99,
}
"""CPU in µs per request, rates in requests per second, `busy` a part of 1, latencies in seconds."""


def machine() -> dict[str, Any]:
    """Where it was measured, and how busy that was before."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "cpu": next(names, platform.machine()),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load_before": [round(value, 2) for value in os.getloadavg()],
    }


def command(module: str, arguments: Sequence[str]) -> str:
    """The command line that repeats it, without where its results went."""
    kept = list(arguments)
    if "--out" in kept:
        del kept[kept.index("--out") : kept.index("--out") + 2]
    return " ".join([module, *kept])


def about(world: World, programs: Sequence[Program], effort: Effort) -> dict[str, Any]:
    """What a reader needs to repeat the figures and to doubt them."""
    return {
        "command": command("python -m bench.http", sys.argv[1:]),
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "machine": machine(),
        "cores": asdict(world.cores),
        "versions": {
            **{program.name: program.version for program in programs},
            "python": sys.version.split()[0],
            "openssl": ssl.OPENSSL_VERSION,
            "wrk": process.first_line(["wrk", "-v"]),
            "servers": process.first_line(["nginx", "-v"]),
        },
        "configuration": CONFIG.name,
        "commands": {program.name: " ".join(shortened(program.command)) for program in programs},
        "omits": {program.name: sorted(program.contender.omits) for program in programs if program.contender.omits},
        "effort": asdict(effort),
    }


def shortened(words: Sequence[str]) -> list[str]:
    """A command without the places where this checkout, its programs and its scratch directory happen to be."""
    return ["python" if word == sys.executable else _short(word) for word in words]


def _short(word: str) -> str:
    word = word.replace(f"{process.ROOT}/", "")
    return word.rpartition("/")[2] if word.startswith(("/tmp/", ".venv/", str(Path(sys.executable).parent))) else word


def of_scenarios(results: Sequence[Measured], world: World, programs: Sequence[Program]) -> list[dict[str, Any]]:
    """One entry per scenario: the load's command, each program's figures with all rounds, reasons for missing ones."""
    return [
        {
            **asdict(measured.scenario),
            "load": " ".join(shortened(load.command(
                measured.scenario, programs[0].ports[measured.scenario.frontend], world.cores.others
            ))),
            "met": measured.meets_goal,
            "programs": {name: _program(measured, name) for name in measured.rounds},
            "reasons": dict(measured.reasons),
        }
        for measured in results
    ]  # fmt: skip


def _program(measured: Measured, name: str) -> dict[str, Any]:
    ratios = {figure: measured.ratio(name, FIGURES[figure]) for figure in ("cpu", "rate")}
    return {
        **{figure: asdict(measured.spread(name, get)) for figure, get in FIGURES.items()},
        "ratio": {figure: ratio and asdict(ratio) for figure, ratio in ratios.items()},
        "rounds": [asdict(one.load) | asdict(one.times) for one in measured.rounds[name]],
    }


def of_latency(found: Latency) -> dict[str, Any]:
    """Seconds; quantiles in the order of `grid`."""
    return asdict(found) | {"grid": list(GRID)}


def of_idle(found: Idle) -> dict[str, Any]:
    """Bytes."""
    held = {name: asdict(one) | {"growth": one.growth} for name, one in found.held.items()}
    return {"held": held, "reasons": dict(found.reasons)}
