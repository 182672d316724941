"""`python -m bench.http`: see the package."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bench.http import check, load, measure, plot, programs, report
from bench.http.measure import Measured
from bench.http.programs import World
from bench.http.scenarios import BY_NAME, SCENARIOS, Scenario

RESULTS = Path(__file__).parents[1] / "results"
FULL = (1.5, 7)
QUICK = (0.5, 3)
"""Seconds of a round, and rounds of each program."""


def main() -> int:
    """0 when everything was measured and the goals were met, 1 otherwise, 2 when the programs did not start."""
    options = parse_arguments()
    signal.signal(signal.SIGTERM, _stop)
    chosen = [BY_NAME[name] for name in options.scenario] if options.scenario else list(SCENARIOS)
    console = Console(width=None if sys.stdout.isatty() else 180)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-http-") as scratch, programs.running(Path(scratch)) as world:
            facts = report.about(world, options.seconds, options.rounds)
            results, failures = run(chosen, world, options, console)
    except programs.StartError as error:
        console.print(str(error), style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        console.print("stopped; nothing written")
        return 1
    write(options.out, facts, results, failures)
    console.print(f"written: http.json, http.md, http.svg in {os.path.relpath(options.out)}")
    missed = [measured.scenario.name for measured in results if measured.meets_goal is False]
    if missed:
        console.print(f"goal missed: {', '.join(missed)}", style="red")
    return 1 if missed or failures else 0


def parse_arguments() -> argparse.Namespace:
    """The command line; the defaults of --seconds and --rounds depend on --quick."""
    parser = argparse.ArgumentParser("python -m bench.http", description="pylb beside HAProxy, on one core each")
    parser.add_argument("--quick", action="store_true", help="short rounds, few of them, for a first impression")
    parser.add_argument("--scenario", nargs="+", metavar="NAME", choices=list(BY_NAME), help=", ".join(BY_NAME))
    parser.add_argument("--seconds", type=float, help=f"length of a round (default {FULL[0]}, quick {QUICK[0]})")
    parser.add_argument("--rounds", type=int, help=f"rounds of each program (default {FULL[1]}, quick {QUICK[1]})")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write (default bench/results)")
    options = parser.parse_args()
    usual = QUICK if options.quick else FULL
    options.seconds = min(max(options.seconds or usual[0], 0.1), 60.0)
    options.rounds = min(max(options.rounds or usual[1], 1), 100)
    return options


def run(
    chosen: list[Scenario], world: World, options: argparse.Namespace, console: Console
) -> tuple[list[Measured], dict[str, str]]:
    """Check and measure; the results, and why the others have none. The table grows while it runs."""
    results: list[Measured] = []
    failures: dict[str, str] = {}
    progress = Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console)
    task = progress.add_task("", total=len(chosen) * options.rounds * 2)
    with Live(Group(report.table(results), progress), console=console, refresh_per_second=4) as live:
        for number, scenario in enumerate(chosen):
            progress.update(task, description=scenario.name)
            try:
                for program in world.programs:
                    correct(scenario, program, world)
                results.append(
                    measure.measure(scenario, world, options.rounds, options.seconds, lambda: progress.advance(task))
                )
            except (measure.BadRound, load.LoadError) as error:
                failures[scenario.name] = str(error)
                console.print(f"{scenario.name}: {error}", style="red", markup=False)
            progress.update(task, completed=(number + 1) * options.rounds * 2)
            live.update(Group(report.table(results), progress))
    return results, failures


def correct(scenario: Scenario, program: programs.Program, world: World) -> None:
    """The check of check.py, as a reason not to measure."""
    try:
        check.check(scenario, program, world)
    except (check.WrongAnswer, OSError, ValueError, check.http.client.HTTPException) as error:
        raise measure.BadRound(f"{program.name}: {error or type(error).__name__}") from error


def write(out: Path, facts: dict, results: list[Measured], failures: dict[str, str]) -> None:
    """The three files."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "http.json").write_text(json.dumps(report.as_json(facts, results, failures), indent=1) + "\n")
    (out / "http.md").write_text(report.markdown(facts, results, failures))
    with contextlib.suppress(FileNotFoundError):
        (out / "http.svg").unlink()
    if results:
        subtitle = f"{facts['machine']['cpu']}, Linux {facts['machine']['kernel']}; {facts['versions']['haproxy']};"
        subtitle += f" {facts['versions']['pylb']}, Python {facts['versions']['python']}; {facts['date'][:10]}"
        (out / "http.svg").write_text(plot.draw(results, subtitle))


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
