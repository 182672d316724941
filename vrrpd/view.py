"""`vrrpd status` for people: the status document as tables (rich)."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

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


def render(document: dict[str, Any]) -> Group:
    """The whole document."""
    parts: list[Any] = [_instances(document["instances"])]
    tracking = document["tracking"]
    if any(tracking.values()):
        parts.append(_checks(tracking))
    for script in tracking["scripts"]:
        if (script["last"] or "").startswith("not run"):
            text = f"CHECK {script['name']} IS LEFT OUT ({script['last']}): this node will not notice a failure"
            parts.append(Text(text, style="bold red"))
    for instance in document["instances"]:
        parts += [Text(f"({instance['name']}) {text}", style="bold yellow") for text in problems(instance)]
    if document["late_timers"]:
        worst = document["worst_lateness"]
        parts.append(Text(f"{document['late_timers']} timers fired late, the worst by {worst:.3f} s", style="yellow"))
    for link in document["links"]:
        if link["flood"]:
            parts.append(Text(f"flood of refused packets on {link['interface']}", style="bold red"))
    refused = f", reloads {document['reloads']} (refused {document['failed_reloads']})"
    parts.append(Text(f"pid {document['pid']}, up {span(document['uptime'])}{refused}", style="dim"))
    return Group(*parts)


def _instances(instances: list[dict[str, Any]]) -> Table:
    table = Table(title="Virtual routers")
    for heading in ("instance", "interface", "vrid", "state", "for", "priority", "master", "addresses", "sent", "got"):
        table.add_column(heading, justify="right" if heading in ("vrid", "sent", "got") else "left")
    for one in instances:
        effective, base = one["effective_priority"], one["base_priority"]
        table.add_row(
            one["name"],
            one["interface"],
            str(one["vrid"]),
            Text(one["state"], style=STATE_STYLE[one["state"]]),
            span(one["since"]),
            str(effective) if effective == base else f"{effective} (base {base})",
            one["master"] or "-",
            "\n".join(one["addresses"]),
            str(one["counters"]["adverts_sent"]),
            str(one["counters"]["adverts_received"]),
        )
    return table


def _checks(tracking: dict[str, Any]) -> Table:
    table = Table(title="Checks")
    for heading in ("check", "result", "last run", "runs", "skipped", "timed out"):
        table.add_column(heading)
    for one in tracking["scripts"]:
        runs = [str(one.get(key, "-")) for key in ("runs", "skipped", "timeouts")]
        table.add_row(f"script {one['name']}", _verdict(one["passed"]), one["last"] or "-", *runs)
    for one in tracking["files"]:
        table.add_row(f"file {one['name']}", str(one["number"]), "", "", "", "")
    for one in tracking["processes"]:
        count = f"{one['running']} of {one['quorum']}"
        table.add_row(f"process {one['name']}", _verdict(one["enough"]), count, "", "", "")
    return table


def _verdict(passed: bool | None) -> Text:
    if passed is None:
        return Text("not known", style="yellow")
    return Text("passed", style="green") if passed else Text("FAILED", style="bold red")


def show(document: dict[str, Any], console: Console | None = None) -> None:
    """Print it."""
    (console or Console()).print(render(document))
