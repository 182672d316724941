"""`python -m bench.http`: see the package."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.http import latency, load, measure, memory, plot, process, programs, report, results, world
from bench.http.measure import Effort, Measured
from bench.http.programs import BY_NAME as PROGRAMS
from bench.http.programs import Program
from bench.http.scenarios import BY_NAME as SCENARIOS
from bench.http.world import World

RESULTS = Path(__file__).parents[1] / "results"
LATENCY, IDLE = "latency", "idle"


@dataclass(frozen=True)
class Plan:
    """How much is measured; seconds."""

    effort: Effort
    fractions: tuple[float, ...]
    latency_seconds: float
    latency_rounds: int
    connections: int


FULL = Plan(Effort(1.5, 5, 2), latency.FRACTIONS, 4.0, 2, memory.CONNECTIONS)
QUICK = Plan(Effort(0.4, 2, 1), latency.FRACTIONS, 1.0, 1, 2000)
OVERHEAD, PREPARATION, IDLE_SECONDS = 0.25, 0.8, 6.0
"""What a round, a program's check, and a program with idle clients take besides; to foretell the end."""


def main() -> int:
    """0 when everything was measured and the goals were met, 1 otherwise, 2 when the programs did not start."""
    options = parse_arguments()
    signal.signal(signal.SIGTERM, _stop)
    console = Console(width=None if sys.stdout.isatty() else 180)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-http-") as scratch, world.around(Path(scratch)) as around:
            data = run(around, options, console)
    except process.StartError as error:
        console.print(str(error), style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        console.print("stopped; nothing written")
        return 1
    written = write(options.out, data)
    console.print(f"written: {', '.join(written)} in {os.path.relpath(options.out)}")
    missed = [one["name"] for one in data["scenarios"] if one["met"] is False]
    if missed:
        console.print(f"goal missed: {', '.join(missed)}", style="red")
    failed = [name for one in data["scenarios"] for name in ("haproxy", "pylb") if name in one["reasons"]]
    return 1 if missed or failed else 0


def parse_arguments() -> argparse.Namespace:
    """The command line; the defaults of --seconds and --rounds depend on --quick."""
    names = [*SCENARIOS, LATENCY, IDLE]
    parser = argparse.ArgumentParser(
        "python -m bench.http", description="pylb beside HAProxy, nginx and Python proxies"
    )
    parser.add_argument("--quick", action="store_true", help="short rounds, few of them, for a first impression")
    parser.add_argument("--scenario", nargs="+", metavar="NAME", choices=names, default=names, help=", ".join(names))
    parser.add_argument("--program", nargs="+", metavar="NAME", choices=list(PROGRAMS), default=programs.USUAL,
                        help=", ".join(PROGRAMS))  # fmt: skip
    parser.add_argument("--seconds", type=float, help=f"length of a round (default {FULL.effort.seconds})")
    parser.add_argument("--rounds", type=int, help=f"rounds of each program (default {FULL.effort.rounds})")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write (default bench/results)")
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    seconds = min(max(options.seconds or plan.effort.seconds, 0.1), 60.0)
    rounds = min(max(options.rounds or plan.effort.rounds, 1), 100)
    effort = Effort(seconds, rounds, min(rounds, plan.effort.peer_rounds))
    options.plan = Plan(effort, plan.fractions, plan.latency_seconds, plan.latency_rounds, plan.connections)
    return options


def run(around: World, options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """All that was chosen; what http.json holds."""
    contenders = [PROGRAMS[name] for name in PROGRAMS if name in options.program]
    plan: Plan = options.plan
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(programs.running(contender, around)) for contender in contenders]
        data = results.about(around, started, plan.effort)
        chosen = [SCENARIOS[name] for name in SCENARIOS if name in options.scenario]
        real = [program for program in started if not program.contender.peer]
        found: list[Measured] = []
        names = [program.name for program in started]
        with following(console, seconds_needed(plan, len(chosen), started, options.scenario)) as follow:
            for scenario in chosen:
                follow.now(scenario.name, plan.effort.seconds + OVERHEAD)
                found.append(measure.measure(scenario, around, started, plan.effort, follow.done))
                follow.done(len(started) * PREPARATION / (plan.effort.seconds + OVERHEAD))
                follow.show(report.table(found, names))
            data["scenarios"] = results.of_scenarios(found, around, started)
            if LATENCY in options.scenario and real:
                follow.now("latency at fixed rates", plan.latency_seconds + latency.WARM_UP + OVERHEAD)
                with failures_shown(console, "latency"):
                    data["latency"] = results.of_latency(latency.measure_rates(
                        around, real, plan.fractions, plan.latency_seconds, plan.latency_rounds, follow.done
                    ))  # fmt: skip
            if IDLE in options.scenario:
                follow.now("idle clients", IDLE_SECONDS)
                limit = world.raise_file_limit()
                idle = memory.measure_idle(around, contenders, plan.connections, limit, follow.done)
                data["idle"] = results.of_idle(idle)
    return data


def seconds_needed(plan: Plan, scenarios: int, started: Sequence[Program], chosen: Sequence[str]) -> float:
    """About how long it will take."""
    real = sum(not program.contender.peer for program in started)
    rounds = sum(plan.effort.of(program) for program in started)
    needed = scenarios * (rounds * (plan.effort.seconds + OVERHEAD) + len(started) * PREPARATION)
    if LATENCY in chosen and real:
        runs = len(plan.fractions) * plan.latency_rounds * (real + 1)
        needed += runs * (plan.latency_seconds + latency.WARM_UP + OVERHEAD)
    return needed + (IDLE_SECONDS * len(started) if IDLE in chosen else 0)


class Follow:
    """The progress bar and the table above it; its unit is the second that something was expected to take."""

    def __init__(self, live: Live, progress: Progress, total: float) -> None:
        self.live, self.progress, self.weight = live, progress, 1.0
        self.task = progress.add_task("", total=total)

    def now(self, what: str, weight: float) -> None:
        """What is measured from here on, and how many seconds each `done` of it stands for."""
        self.weight = weight
        self.progress.update(self.task, description=what)

    def done(self, rounds: float) -> None:
        """So many are over."""
        self.progress.advance(self.task, rounds * self.weight)

    def show(self, table: Any) -> None:
        """The table so far."""
        self.live.update(Group(table, self.progress))


@contextlib.contextmanager
def following(console: Console, seconds: float) -> Iterator[Follow]:
    """Show progress and the time that is left."""
    console.print(f"about {seconds / 60:.0f} minutes" if seconds > 90 else f"about {seconds:.0f} seconds")
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left:"))
    progress = Progress(*columns, TimeRemainingColumn(), console=console)
    with Live(progress, console=console, refresh_per_second=4) as live:
        yield Follow(live, progress, seconds)


@contextlib.contextmanager
def failures_shown(console: Console, what: str) -> Iterator[None]:
    """What cannot be measured is said and left out."""
    try:
        yield
    except (measure.BadRound, load.LoadError) as error:
        console.print(f"{what}: {error}", style="red", markup=False)


def write(out: Path, data: dict[str, Any]) -> list[str]:
    """JSON, page and pictures; their names."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "http.json").write_text(json.dumps(data, indent=1) + "\n")
    (out / "http.md").write_text(report.markdown(data))
    return ["http.json", "http.md", *plot.write(data, out)]


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
