"""`vrrpd status` for people: the status document as tables (rich)."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group, JustifyMethod
from rich.table import Table
from rich.text import Text

ROOMY = 100
"""Columns from which there is room for counts beside the addresses."""
NUMBERS = frozenset({"vrid", "sent", "got", "runs", "skipped", "timed out"})
"""Columns that are aligned at the right."""
STATE_STYLE = {"MASTER": "bold green", "BACKUP": "cyan", "FAULT": "bold red", "INIT": "dim"}


def span(seconds: float) -> str:
    """A duration in the two largest units that matter."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def problems(instance: dict[str, Any]) -> list[str]:
    """What somebody should look at, a sentence each."""
    found = [f"FAULT: {fault}" for fault in instance["faults"]]
    split = instance["split_brain"]
    if split:
        deaf = ", which does not hear us" if split["deaf"] else ""
        found.append(f"split brain: {split['peer']} is master too{deaf}")
    for peer, mismatch in instance["config_mismatch"].items():
        found.append(f"{peer} is configured differently: {mismatch['text']}")
    if instance["abdicating"]:
        found.append("asked for an election after its priority sank")
    return found


def render(document: dict[str, Any], width: int = 120) -> Group:
    """The whole document, for a terminal of that many columns."""
    parts: list[Any] = [_instances(document["instances"], width >= ROOMY)]
    tracking = document["tracking"]
    if any(tracking.values()):
        parts += [Text(), _checks(tracking)]
    notes: list[Text] = []
    for script in tracking["scripts"]:
        if (script["last"] or "").startswith("not run"):
            text = f"CHECK {script['name']} IS LEFT OUT ({script['last']}): this node will not notice a failure"
            notes.append(Text(text, style="bold red"))
    for instance in document["instances"]:
        notes += [Text(f"({instance['name']}) {text}", style="bold yellow") for text in problems(instance)]
    if document["late_timers"]:
        worst = document["worst_lateness"]
        notes.append(Text(f"{document['late_timers']} timers fired late, the worst by {worst:.3f} s", style="yellow"))
    if document["advert_rate_limit"] is not None:
        text = f"more than this machine keeps on time: {document['advert_rate_limit']:,.0f} adverts a second"
        notes.append(Text(text, style="bold yellow"))
    for link in document["links"]:
        if link["flood"]:
            notes.append(Text(f"flood of refused packets on {link['interface']}", style="bold red"))
    parts += [Text(), *notes] if notes else []
    parts.append(Text())
    refused = f", reloads {document['reloads']} (refused {document['failed_reloads']})"
    parts.append(Text(f"pid {document['pid']}, up {span(document['uptime'])}{refused}", style="dim"))
    return Group(*parts)


def table(*headings: str) -> Table:
    """Only the last column gives way when the terminal is narrow."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="underline")
    for heading in headings:
        last = heading == headings[-1]
        justify: JustifyMethod = "right" if heading in NUMBERS else "left"
        made.add_column(heading, justify=justify, no_wrap=not last, overflow="fold")
    return made


def _instances(instances: list[dict[str, Any]], roomy: bool) -> Table:
    counts = ("sent", "got") if roomy else ()
    shown = table("instance", "interface", "vrid", "state", "for", "priority", "master", *counts, "addresses")
    for one in instances:
        effective, base = one["effective_priority"], one["base_priority"]
        shown.add_row(
            one["name"],
            one["interface"],
            str(one["vrid"]),
            Text(one["state"], style=STATE_STYLE[one["state"]]),
            span(one["since"]),
            str(effective) if effective == base else f"{effective} ({base})",
            one["master"] or "-",
            *(str(one["counters"][f"adverts_{which}"]) for which in ("sent", "received") if roomy),
            "\n".join(one["addresses"]),
        )
    return shown


def _checks(tracking: dict[str, Any]) -> Table:
    shown = table("check", "result", "runs", "skipped", "timed out", "last run")
    for one in tracking["scripts"]:
        runs = [str(one.get(key, "-")) for key in ("runs", "skipped", "timeouts")]
        shown.add_row(f"script {one['name']}", _verdict(one["passed"]), *runs, one["last"] or "-")
    for one in tracking["files"]:
        shown.add_row(f"file {one['name']}", str(one["number"]), "", "", "", "")
    for one in tracking["processes"]:
        count = f"{one['running']} of {one['quorum']}"
        shown.add_row(f"process {one['name']}", _verdict(one["enough"]), "", "", "", count)
    return shown


def _verdict(passed: bool | None) -> Text:
    if passed is None:
        return Text("not known", style="yellow")
    return Text("passed", style="green") if passed else Text("FAILED", style="bold red")


def show(document: dict[str, Any], console: Console | None = None) -> None:
    """Print it."""
    console = console or Console()
    console.print(render(document, console.width))
