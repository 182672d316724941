"""vrrpd beside real keepalived: failovers, resources, punctuality, floods. `--quick` for a first impression.

    python bench/vrrp/run.py [--quick] [--runs N] [--only failovers|resources|flood]

Writes bench/results/vrrp.json and vrrp.svg (quick: vrrp-quick.*). Needs root, as it makes network namespaces.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "vrrpd"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import failovers
import resources
import timeline
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

PROGRAMS = ("keepalived", "vrrpd")
RESULTS = Path(__file__).parent.parent / "results"
ALLOWANCE = 0.005
"""vrrpd's median may be this many seconds above keepalived's."""


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 failovers of each kind, short measurements")
    parser.add_argument("--runs", type=int, help="failovers of each kind (default 12, quick 3)")
    parser.add_argument("--only", choices=("failovers", "resources", "flood"), action="append")
    options = parser.parse_args()
    wanted = options.only or ["failovers", "resources", "flood"]
    runs = options.runs or (3 if options.quick else 12)
    console = Console()
    name = "vrrp-quick" if options.quick else "vrrp"
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch, Progress(console=console) as progress:
        for section, measure in SECTIONS.items():
            if section in wanted:
                facts = about(runs)
                rows = measure(runs, options.quick, Path(scratch) / section, progress)
                result[section] = {"about": facts, "rows": rows}
                save(result, name)
    report(result, console)
    return 0


def save(result: dict[str, Any], name: str) -> None:
    """Write what there is so far; sections of an earlier run that were not asked for stay."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    whole = json.loads(path.read_text()) if path.exists() else {}
    whole |= result
    path.write_text(json.dumps(whole, indent=1) + "\n")
    if "failovers" in result:
        runs = result["failovers"]["about"]["runs"]
        title = f"VRRP failover, {runs} runs each: keepalived 2.2.7 and vrrpd"
        timeline.draw(result["failovers"]["rows"], RESULTS / f"{name}.svg", title)


def about(runs: int) -> dict[str, Any]:
    """What a reader needs to repeat and doubt the figures."""
    keepalived = subprocess.run(["keepalived", "--version"], capture_output=True, text=True, check=False)
    model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return {
        "command": " ".join(["python", *sys.argv]),
        "time": time.strftime("%Y-%m-%d %H:%M:%S"),
        "runs": runs,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cpu": model.partition(":")[2].strip(),
        "cores": os.cpu_count(),
        "load_before": os.getloadavg(),
        "keepalived": keepalived.stderr.splitlines()[0],
    }


def all_failovers(runs: int, _quick: bool, directory: Path, progress: Progress) -> list[dict[str, Any]]:
    """Every kind by both programs, kind after kind, so that both meet the same weather."""
    task = progress.add_task("failovers", total=len(failovers.KINDS) * len(PROGRAMS) * runs)
    found = []
    for number, kind in enumerate(failovers.KINDS):
        for program in PROGRAMS:
            progress.update(task, description=f"{kind.name}: {program}")
            measured = failovers.measure(
                kind, program, runs, directory / f"{number}-{program}", lambda: progress.advance(task)
            )
            found.append(
                {
                    "kind": kind.name,
                    "program": program,
                    "garp": [run.garp for run in measured],
                    "gap": [run.gap for run in measured],
                    "silence": [run.silence for run in measured],
                    "judged_by": "silence" if kind.event == "crash" else "garp",
                }
            )
    return found


def all_resources(_runs: int, quick: bool, directory: Path, progress: Progress) -> list[dict[str, Any]]:
    """Idle cost with 1, 20 and 255 instances at 1 s, and 255 ever faster, until adverts are late."""
    cases = [(count, 2, 1.0) for count in resources.COUNTS]
    cases += [(255, 3, interval) for interval in ((0.1, 0.02) if quick else (0.1, 0.05, 0.02, 0.01))]
    task = progress.add_task("resources", total=len(cases) * len(PROGRAMS))
    found = []
    for count, version, interval in cases:
        for program in PROGRAMS:
            progress.update(task, description=f"{count} instances every {interval:g} s: {program}")
            place = directory / f"idle-{count}-{interval}-{program}"
            found.append(resources.idle(program, count, version, interval, 4 if quick else 10, place))
            progress.advance(task)
    return found


def all_floods(_runs: int, quick: bool, directory: Path, progress: Progress) -> list[dict[str, Any]]:
    """50,000 forged adverts a second at a master and at a backup."""
    task = progress.add_task("flood", total=2 * len(PROGRAMS))
    found = []
    for role in ("master", "backup"):
        for program in PROGRAMS:
            progress.update(task, description=f"flood at the {role}: {program}")
            found.append(resources.flood(program, role, 3 if quick else 8, directory / f"flood-{role}-{program}"))
            progress.advance(task)
    return found


SECTIONS = {"failovers": all_failovers, "resources": all_resources, "flood": all_floods}


def report(result: dict[str, Any], console: Console) -> None:
    """Tables with ratios."""
    if "failovers" in result:
        console.print(failover_table(result["failovers"]["rows"]))
    if "resources" in result:
        console.print(resource_table(result["resources"]["rows"]))
    if "flood" in result:
        console.print(flood_table(result["flood"]["rows"]))


def span(values: list[float]) -> str:
    """min / median / max in ms."""
    return " / ".join(f"{1000 * value:.1f}" for value in (min(values), statistics.median(values), max(values)))


def failover_table(found: list[dict[str, Any]]) -> Table:
    table = Table(title="Failovers, ms: min / median / max")
    for heading in ("kind", "program", "first GARP", "since last advert", "without answer", "ratio", "goal"):
        table.add_column(heading)
    by = {(one["kind"], one["program"]): one for one in found}
    for (kind, program), one in by.items():
        ratio, goal = "", ""
        if program == "vrrpd":
            ours, theirs = (statistics.median(by[kind, p][one["judged_by"]]) for p in ("vrrpd", "keepalived"))
            ratio = f"{ours / theirs:.3f}"
            goal = "met" if ours <= theirs + ALLOWANCE else f"missed by {1000 * (ours - theirs - ALLOWANCE):.1f} ms"
        table.add_row(
            kind if program == "keepalived" else "",
            program,
            span(one["garp"]),
            span(one["silence"]),
            span(one["gap"]),
            ratio,
            goal,
        )
    return table


def resource_table(found: list[dict[str, Any]]) -> Table:
    table = Table(title="One node as master, at idle")
    for heading in (
        "instances",
        "interval",
        "program",
        "start-up s",
        "RSS MB",
        "CPU %",
        "adverts/s",
        "p50",
        "p99",
        "max",
    ):
        table.add_column(heading)
    for one in found:
        gaps = [one[f"interval_{which}"] for which in ("p50", "p99", "max")]
        table.add_row(
            str(one["instances"]),
            f"{one['advert_int']:g} s",
            one["program"],
            f"{one['start_up']:.2f}",
            f"{one['rss_kb'] / 1024:.1f}",
            f"{one['cpu_percent']:.2f}",
            f"{one['adverts_per_second']:.0f}",
            *(f"{1000 * gap:.1f} ms" if gap else "-" for gap in gaps),
        )
    return table


def flood_table(found: list[dict[str, Any]]) -> Table:
    table = Table(title="Flood of forged adverts (known VRID, wrong checksum), real ones every 100 ms")
    for heading in ("at the", "program", "forged/s", "CPU %", "real adverts", "p99", "max", "state changes"):
        table.add_column(heading)
    for one in found:
        gaps = [one[f"interval_{which}"] for which in ("p99", "max")]
        table.add_row(
            one["role"],
            one["program"],
            one["sent"],
            f"{one['cpu_percent']:.1f}",
            str(one["real_adverts"]),
            *(f"{1000 * gap:.1f} ms" if gap else "-" for gap in gaps),
            str(one["state_changes"]),
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
