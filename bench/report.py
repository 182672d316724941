"""The main results, for README and as the front page of bench/results.

    python -m bench.report readme     the section for README: one table, one picture, the command that repeats it
    python -m bench.report            write README.md into bench/results

Both are made from the JSON files alone, so they say what was measured and nothing else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.http.report import amount, rows, short_versions
from bench.style import name as written

Data = Mapping[str, Any]
RESULTS = Path(__file__).with_name("results")
SHOWN = (
    ("bare", "keep-alive, 64 B answers, nothing else asked"),
    ("keepalive", "the same with log, cookie, X-Forwarded-For, choice by Host"),
    ("post-2k", "the same, POST of 2 KB"),
    ("body-10k", "answers of 10 KB"),
    ("body-1m", "answers of 1 MB"),
    ("tls-keepalive", "TLS, kept connections"),
    ("tls-connect", "TLS, a connection per request"),
    ("client-close", "a client connection per request"),
    ("both-close", "a connection per request on both sides"),
)
"""Scenarios of README's table, in words that need no other page."""
PEERS = ("nginx", "aiohttp", "python-pyproxy")
"""Columns besides HAProxy and pylb, where they were measured."""


def load(directory: Path) -> dict[str, Data]:
    """The results that are there, by name: "http", "listeners", "failover", "vrrp"."""
    files = {name: directory / f"{name}.json" for name in ("http", "listeners", "failover", "vrrp")}
    return {name: json.loads(file.read_text()) for name, file in files.items() if file.exists()}


# -------------------------------------------------------------------------------------------------------------- README


def readme(found: Mapping[str, Data]) -> str:
    """The section "How fast". KeyError when there are no HTTP results."""
    http = found["http"]
    parts = [
        "## How fast",
        rows(*cost_table(http)),
        *(sentence for sentence in (memory_line(http), latency_line(http), failover_line(found)) if sentence),
        "![CPU per request and throughput of every program, by scenario](bench/results/http.svg)",
        f"`make bench` repeats it; [bench/results](bench/results) holds numbers, machine and commands. {_where(http)}",
    ]
    return "\n\n".join(parts) + "\n"


def cost_table(http: Data) -> tuple[list[str], list[list[str]]]:
    """Head and rows: CPU µs per request."""
    by_name = {one["name"]: one for one in http["scenarios"]}
    chosen = [(by_name[name], words) for name, words in SHOWN if name in by_name]
    peers = [name for name in PEERS if any(name in one["programs"] for one, _ in chosen)]
    head = ["CPU µs per request, one core", "HAProxy", "pylb", "ratio", *peers]
    return head, [_cost_row(one, words, peers) for one, words in chosen]


def _cost_row(scenario: Data, words: str, peers: list[str]) -> list[str]:
    def cell(name: str) -> str:
        found = scenario["programs"].get(name)
        return amount(found["cpu"]["median"]) if found else "–"

    ratio = scenario["programs"].get("pylb", {}).get("ratio", {}).get("cpu")
    return [words, cell("haproxy"), cell("pylb"), f"**{ratio['median']:.2f}**" if ratio else "–", *map(cell, peers)]


def memory_line(http: Data) -> str:
    """What an idle client costs."""
    held = http.get("idle", {}).get("held", {})
    if not {"haproxy", "pylb"} <= set(held):
        return ""
    said = ", ".join(f"{written(name)} {held[name]['growth'] / 1e3:.1f} kB" for name in ("haproxy", "pylb"))
    return f"An idle client costs {said} of memory ({held['pylb']['connections']:,} of them)."


def latency_line(http: Data) -> str:
    """Half of what the slower one can do."""
    latency = http.get("latency")
    half = next((rate for rate in (latency or {}).get("rates", ()) if rate["fraction"] == 0.5), None)
    if latency is None or half is None or not {"haproxy", "pylb"} <= set(half["curves"]):
        return ""
    at = {quantile: index for index, quantile in enumerate(latency["grid"])}

    def said(name: str) -> str:
        p50, p99 = (half["curves"][name]["quantiles"][at[quantile]] * 1e3 for quantile in (0.5, 0.99))
        return f"{p50:.2f} / {p99:.2f} ms"

    return f"At {half['rate']:,.0f} requests/s, p50 / p99: HAProxy {said('haproxy')}, pylb {said('pylb')}."


def failover_line(found: Mapping[str, Data]) -> str:
    """The two stacks in the first scenario that both were in."""
    gaps: dict[str, dict[str, float]] = {}
    for run in found.get("failover", {}).get("runs", ()):
        gaps.setdefault(run["scenario"], {})[run["stack"]] = run["measures"]["longest_gap"]
    both = {name: gap for name, gap in gaps.items() if {"haproxy+keepalived", "pylb+vrrpd"} <= set(gap)}
    if not both:
        return ""
    said = "; ".join(
        f"{name} {gap['haproxy+keepalived']:.1f} / {gap['pylb+vrrpd']:.1f} s"
        for name, gap in both.items()
        if name in TOLD
    )
    return f"Without service, HAProxy + keepalived / pylb + vrrpd: {said}." if said else ""


TOLD = ("article", "crash", "router-stops", "rolling-reload")
"""Failover scenarios that README names."""


def _where(http: Data) -> str:
    return f"Here: {http['machine']['cpu']}, {short_versions(http['versions'])}, {http['date'][:10]}."


# ---------------------------------------------------------------------------------------------------------- front page


PAGES = {
    "http": ("HTTP", "What a request costs pylb, HAProxy, nginx and three Python proxies; latency; memory."),
    "listeners": ("Listeners", "How connections reach several workers: one socket for all, or one each."),
    "failover": ("Failover", "What clients notice: pylb + vrrpd beside HAProxy + keepalived, every request shown."),
    "vrrp": ("VRRP", "How long a takeover takes vrrpd and keepalived; memory, CPU, punctuality."),
}


def front_page(found: Mapping[str, Data], directory: Path) -> str:
    """Where everything is."""
    parts = [
        "# Results",
        "`make bench` measures all of it anew. Raw numbers are in the JSON files, machine and versions too.",
    ]
    for name in found:
        title, about = PAGES[name]
        page = f"[{name}.md]({name}.md), " if (directory / f"{name}.md").exists() else ""
        parts += [f"## {title}", f"{about} {page}[{name}.json]({name}.json)"]
        if (directory / f"{name}.svg").exists():
            parts.append(f"![{title}]({name}.svg)")
    return "\n\n".join(parts) + "\n"


def write(directory: Path) -> Path:
    """The front page."""
    page = directory / "README.md"
    page.write_text(front_page(load(directory), directory))
    return page


def main() -> int:
    """0, or 1 when there is nothing to make it of."""
    parser = argparse.ArgumentParser("python -m bench.report", description="the main results from the JSON files")
    parser.add_argument("what", nargs="?", choices=("page", "readme"), default="page")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where they are (default bench/results)")
    options = parser.parse_args()
    found = load(options.results)
    if "http" not in found:
        print(f"no http.json in {options.results}: run make bench", file=sys.stderr)
        return 1
    if options.what == "readme":
        print(readme(found), end="")
    else:
        print(f"written: {write(options.results)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
