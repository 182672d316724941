"""The failovers as a page and as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from bench.failover.plot import amount, in_order, stack_name
from bench.failover.results import Data, by_scenario
from bench.http.report import rows

HEAD = ("scenario", "stack", "without service", "failed", "of", "back after", "p50 ms", "p99 ms", "stickiness lost")


def cells(run: Data) -> list[str]:
    """One run's row behind the scenario's name."""
    found = run["measures"]
    return [
        stack_name(run["stack"]),
        f"{found['longest_gap']:.2f} s",
        f"{found['failures']:,}",
        f"{found['sent']:,}",
        "" if found["back_after"] is None else f"{found['back_after']:.2f} s",
        f"{found['p50'] * 1e3:.1f}",
        f"{found['p99'] * 1e3:.1f}",
        f"{found['lost']:,}",
    ]


def table(runs: Iterable[Data]) -> Table:
    """For rich; bounds that did not hold are red."""
    shown = Table(title="What clients noticed")
    for number, title in enumerate(HEAD):
        shown.add_column(title, justify="right" if number > 1 else "left")
    for run in runs:
        shown.add_row(run["scenario"], *cells(run), style="red" if run["broken"] else None)
    return shown


def markdown(data: Data) -> str:
    """A page that can be read alone."""
    machine, said = data["machine"], data["versions"]
    scenarios = by_scenario(data["runs"])
    body = [[name if number == 0 else "", *cells(run)]
            for name, runs in scenarios.items() for number, run in enumerate(in_order(runs))]  # fmt: skip
    broken = [
        f"- **{run['scenario']}, {stack_name(run['stack'])}**: {text}" for run in data["runs"] for text in run["broken"]
    ]
    rate = data["runs"][0]["rate"] if data["runs"] else 0
    parts = [
        "# Failover: what clients notice",
        f"Measured {data['date']} on {machine['cpu']}, {machine['cores']} cores, Linux {machine['kernel']}."
        f" {'; '.join(said.values())}. Three masters with a virtual address, three workers and clients in network"
        f" namespaces, once per stack and at the same time; {rate:g} requests per second, half of them on kept"
        " connections, half on new ones, timed from the moment they are due.",
        "![Longest time without service](failover.svg)",
        '"Without service": the longest stretch of requests of which none was answered within a second. "Back after":'
        " from the event to the first good answer behind the last failure.",
        rows(HEAD, body),
    ]
    if broken:
        parts.append("Expected and not kept:\n\n" + "\n".join(broken))
    for name, runs in scenarios.items():
        parts += [f"## {name}", runs[0]["text"], f"![Timeline of {name}](failover-{name}.svg)"]
    parts.append(f"Repeat it with `{data['command']}`. Every request is in failover.json.")
    return "\n\n".join(parts) + "\n"


def headline(run: Data) -> str:
    """One line for the terminal as a run ends."""
    found = run["measures"]
    state = "; ".join(run["broken"]) or "as expected"
    gap = amount(found["longest_gap"])
    return f"{run['scenario']}, {stack_name(run['stack'])}: {gap} without service, {found['failures']} failed; {state}"
