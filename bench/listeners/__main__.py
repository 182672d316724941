"""`python -m bench.listeners`: see the package."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.http import load, process, results, world
from bench.http.world import World
from bench.listeners import measure, report, subject

RESULTS = Path(__file__).parents[1] / "results"


def main() -> int:
    """0 when everything was measured, 1 when it was stopped or failed, 2 when the programs did not start."""
    options = parse_arguments()
    signal.signal(signal.SIGTERM, _stop)
    console = Console(width=None if sys.stdout.isatty() else 150)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-listeners-") as scratch, world.around(Path(scratch)) as around:
            data = run(around, measure.QUICK if options.quick else measure.FULL, console)
    except process.StartError as error:
        console.print(str(error), style="red", markup=False)
        return 2
    except (KeyboardInterrupt, load.LoadError) as error:
        console.print(f"{error or 'stopped'}; nothing written", style="red", markup=False)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "listeners.json").write_text(json.dumps(data, indent=1) + "\n")
    (options.out / "listeners.md").write_text(page := report.markdown(data))
    console.print(Markdown(page))
    console.print(f"written: listeners.json, listeners.md in {os.path.relpath(options.out)}")
    return 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m bench.listeners", description="SO_REUSEPORT beside shared accept")
    parser.add_argument("--quick", action="store_true", help="short rounds, few of them, for a first impression")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write (default bench/results)")
    return parser.parse_args()


def run(around: World, effort: measure.Effort, console: Console) -> dict[str, Any]:
    """What listeners.json holds."""
    data: dict[str, Any] = {
        "command": results.command("python -m bench.listeners", sys.argv[1:]),
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "machine": results.machine(),
        "python": sys.version.split()[0],
        "effort": asdict(effort),
        "ways": list(subject.WAYS),
        "spread": {},
        "scenarios": [],
    }
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left:"))
    with contextlib.ExitStack() as stack:
        subjects = [stack.enter_context(subject.running(way, around)) for way in subject.WAYS]
        progress = stack.enter_context(Progress(*columns, TimeRemainingColumn(), console=console, refresh_per_second=2))
        task = progress.add_task("", total=effort.steps * len(subjects))

        def tell() -> None:
            progress.advance(task)

        for one in subjects:
            progress.update(task, description=f"spread, {one.way}")
            data["spread"][one.way] = measure.spreads(one, around, effort, tell)
        for scenario in measure.SCENARIOS:
            progress.update(task, description=scenario.about)
            ways = measure.rounds(scenario, subjects, around, effort, tell)
            for one in subjects:
                progress.update(task, description=f"{scenario.about}, {effort.reloads} reloads, {one.way}")
                ways[one.way]["lost"] = measure.lost(scenario, one, around, effort)
                tell()
            data["scenarios"].append({"name": scenario.name, "about": scenario.about, "ways": ways})
    return data


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
