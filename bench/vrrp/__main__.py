"""`python -m bench.vrrp`: see the package."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.vrrp import failovers, flood, limit, plot, report, resources
from bench.vrrp.measuring import Extent, Step

RESULTS = Path(__file__).parents[1] / "results"
SECTIONS: dict[str, Any] = {
    "failovers": failovers.measure_all,
    "resources": resources.measure_all,
    "limit": limit.measure_all,
    "flood": flood.measure_all,
}


def main() -> int:
    """0 when everything was measured and the goals were met, 1 otherwise, 2 without the rights to measure."""
    options = parse_arguments()
    signal.signal(signal.SIGTERM, _stop)
    console = Console(width=None if sys.stdout.isatty() else 150)
    if os.geteuid():
        console.print("bench.vrrp makes network namespaces and raw sockets: run it as root", style="red")
        return 2
    extent = Extent.quick() if options.quick else Extent.full()
    if options.runs:
        extent = Extent(options.runs, extent.seconds)
    name = "vrrp-quick" if options.quick else "vrrp"
    result: dict[str, Any] = {}
    try:
        for section in options.only or SECTIONS:
            result[section] = measure(section, extent, console)
            save(options.out, name, result)
            console.print(*report.tables(section, result[section]["rows"]))
    except KeyboardInterrupt:
        console.print(f"stopped; finished parts are in {os.path.relpath(options.out)}/{name}.json")
        return 1
    console.print(f"written: {name}.json, {name}.md, {name}.svg in {os.path.relpath(options.out)}")
    missed = [goal for section, found in result.items() for goal in report.missed(section, found["rows"])]
    for goal in missed:
        console.print(f"goal missed: {goal}", style="red")
    return 1 if missed else 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("python -m bench.vrrp", description="vrrpd beside keepalived")
    parser.add_argument("--quick", action="store_true", help="3 failovers of each kind, short measurements: 4 minutes")
    parser.add_argument("--only", choices=tuple(SECTIONS), action="append", help="may be given several times")
    parser.add_argument("--runs", type=int, help="failovers of each kind (default 10, quick 3)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to write (default bench/results)")
    return parser.parse_args()


def measure(section: str, extent: Extent, console: Console) -> dict[str, Any]:
    """One section: what was measured, and under which circumstances."""
    facts = report.about(extent.runs)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with (
        tempfile.TemporaryDirectory(prefix="bench-vrrp-") as scratch,
        Progress(*columns, TimeElapsedColumn(), console=console, refresh_per_second=2) as progress,
    ):
        task = progress.add_task(section, total=None)

        def step(total: int, description: str, done: bool) -> None:
            progress.update(task, total=total, description=f"{section}: {description}", advance=1 if done else 0)

        progress_step: Step = step
        rows = SECTIONS[section](extent, Path(scratch), progress_step)
    return {"about": facts | {"seconds": round(time.time() - facts["began"])}, "rows": rows}


def save(out: Path, name: str, result: dict[str, Any]) -> None:
    """Write what there is so far; sections of an earlier run that were not asked for stay."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.json"
    whole: dict[str, Any] = {}
    with contextlib.suppress(FileNotFoundError, ValueError):
        whole = json.loads(path.read_text())
    whole |= result
    path.write_text(json.dumps(whole, indent=1) + "\n")
    (out / f"{name}.md").write_text(report.markdown(whole))
    if "failovers" in result:
        (out / f"{name}.svg").write_text(plot.draw(result["failovers"]))


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
