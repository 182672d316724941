"""Results of scenarios as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from bench.lab.result import Result

COLUMNS = ("scenario", "stack", "sent", "answered", "failed", "longest gap", "VIP back", "stickiness", "bounds")


def table(results: Iterable[Result]) -> Table:
    """A row per run; what did not hold is red and says why."""
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for title in COLUMNS:
        shown.add_column(title, justify="right" if title in COLUMNS[2:4] + COLUMNS[5:7] else "left")
    for one in results:
        found = one.measures
        shown.add_row(
            one.scenario,
            one.stack,
            f"{found.sent}",
            f"{found.answered}",
            ", ".join(f"{count} {kind}" for kind, count in found.failed.items()) or "0",
            f"{found.longest_gap:.2f} s",
            "" if found.back_after is None else f"{found.back_after:.2f} s",
            f"{found.kept} kept, {found.lost} lost",
            "; ".join(one.broken) or "kept",
            style="red" if one.broken else None,
        )
    return shown
