"""`python -m bench.failover`: see the package."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.failover import plot, report, results
from bench.http.process import first_line
from bench.http.results import command, machine

RESULTS = Path(__file__).parents[1] / "results"
STACKS = ("haproxy+keepalived", "pylb+vrrpd")
FULL = (
    "article", "article-nopreempt", "crash", "power-loss", "cable", "partition", "router-stops", "frozen-balancer",
    "worker-dies", "all-workers-down", "rolling-reload",
)  # fmt: skip
QUICK = ("article", "router-stops")
RATE = 100.0


def main() -> int:
    """0 when all went as the scenarios expect, 1 otherwise, 2 when nothing was seen."""
    options = parse_arguments()
    signal.signal(signal.SIGTERM, _stop)
    console = Console(width=None if sys.stdout.isatty() else 150)
    if os.geteuid():
        console.print("bench.failover makes network namespaces: run it as root, or inside unshare -Urnm", style="red")
        return 2
    facts, runs = about(), list[dict[str, Any]]()
    trouble = ""
    try:
        run(options, console, runs)
    except KeyboardInterrupt:
        trouble = "stopped"
    except Exception as error:  # whatever happens in the lab, what was seen before is kept
        trouble = "; ".join(f"{type(one).__name__}: {one}" for one in causes(error))
    if trouble:
        console.print(trouble, style="red", markup=False)
    if not runs:
        return 2
    runs.sort(key=lambda one: (options.scenario.index(one["scenario"]), options.stack.index(one["stack"])))
    console.print(report.table(runs))
    written = write(options.out, facts, runs)
    console.print(f"written: {', '.join(written)} in {os.path.relpath(options.out)}")
    return 1 if trouble or any(one["broken"] for one in runs) else 0


def causes(error: BaseException) -> list[BaseException]:
    """The errors in an exception, which may be a group of them."""
    if isinstance(error, BaseExceptionGroup):
        return [cause for one in error.exceptions for cause in causes(one)]
    return [error]


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    from bench.lab.scenarios import SCENARIOS

    parser = argparse.ArgumentParser("python -m bench.failover", description="what clients notice of a failover")
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--scenario", nargs="+", metavar="NAME", choices=list(SCENARIOS), help=", ".join(SCENARIOS))
    parser.add_argument(
        "--stack", nargs="+", metavar="STACK", default=list(STACKS), help=f"default: {' '.join(STACKS)}"
    )
    parser.add_argument("--rate", type=float, default=RATE, help=f"requests per second and stack (default {RATE:g})")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write (default bench/results)")
    options = parser.parse_args()
    options.scenario = options.scenario or list(QUICK if options.quick else FULL)
    return options


def run(options: argparse.Namespace, console: Console, runs: list[dict[str, Any]]) -> None:
    """All scenarios on all stacks, side by side; each is added to `runs` as it ends. Raises what the lab raises."""
    from bench import lab

    columns = (TextColumn("failover"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn())
    with Progress(*columns, TextColumn("left:"), TimeRemainingColumn(), console=console) as progress:
        task = progress.add_task("", total=len(options.scenario) * len(options.stack))

        def done(found: Any) -> None:
            runs.append(results.of_result(found))
            progress.console.print(report.headline(runs[-1]), markup=False, highlight=False)
            progress.advance(task)

        lab.run_all(options.scenario, options.stack, done, options.rate)


def about() -> dict[str, Any]:
    """What a reader needs to repeat the figures and to doubt them."""
    return {
        "command": command("python -m bench.failover", sys.argv[1:]),
        "date": time.strftime("%Y-%m-%d %H:%M:%S %Z"),
        "machine": machine(),
        "versions": {
            "haproxy": first_line(["haproxy", "-v"]).split("-")[0].replace(" version", ""),
            "keepalived": first_line(["keepalived", "--version"]).split(" (")[0],
            "pylb": first_line([sys.executable, "-m", "pylb", "-v"]),
            "python": f"Python {sys.version.split()[0]}",
        },
    }


def write(out: Path, facts: dict[str, Any], runs: list[dict[str, Any]]) -> list[str]:
    """JSON, page and pictures; their names."""
    out.mkdir(parents=True, exist_ok=True)
    text = results.dumps(facts, runs)
    (out / "failover.json").write_text(text)
    data = json.loads(text)
    (out / "failover.md").write_text(report.markdown(data))
    return ["failover.json", "failover.md", *plot.write(data, out)]


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
