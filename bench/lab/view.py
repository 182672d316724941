"""The lab on a terminal: nodes and programs, who has the address, traffic second by second, events as they happen."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bench.lab.snapshot import MasterNow, Snapshot, TrafficNow

STATES = {"running": "green", "frozen": "cyan", "off": "red"}
VRRP = {"MASTER": "bold green", "BACKUP": "blue", "FAULT": "bold red", "": "dim"}
KINDS = {
    "step": "bold yellow",
    "vip": "bold green",
    "vrrp": "blue",
    "check": "magenta",
    "server": "cyan",
    "program": "white",
    "link": "red",
}
BARS = " ▁▂▃▄▅▆▇█"
FEWEST_EVENTS = 6
NARROW = 105
"""Columns below which addresses are left out."""
OTHER_LINES = 23
"""Lines of the terminal that are not events."""


def masters(snapshot: Snapshot, narrow: bool = False) -> Table:
    """The load balancers; without their addresses where there is little room."""
    table = Table(expand=True, box=None, pad_edge=False, header_style="dim")
    for heading in ("master", "address", "VIP", "balancer", "router", "state", "priority", "its servers"):
        if heading != "address" or not narrow:
            table.add_column(heading, justify="right" if heading == "priority" else "left", no_wrap=True)
    for one in snapshot.masters:
        cells = _master(one)
        if narrow:
            del cells[1]
        table.add_row(*cells, style="on grey11" if one.vip else "")
    return table


def _master(one: MasterNow) -> list[RenderableType]:
    cable = Text(one.name, "bold") if one.plugged else Text(f"{one.name} ✂", "bold red")
    servers = Text()
    for name, state in one.servers.items():
        colour = "green" if state.startswith("UP") else "red" if state.startswith("DOWN") else "yellow"
        servers.append(f"{_short(name)}{'✗' if state.startswith('DOWN') else ''} ", colour)
    return [
        cable,
        one.address,
        Text("●", "bold green") if one.vip else "",
        Text(one.balancer + _remark(one.balancer_state), STATES[one.balancer_state]),
        Text(one.router + _remark(one.router_state), STATES[one.router_state]),
        Text(one.vrrp or "-", VRRP.get(one.vrrp, "red")),
        str(one.priority) if one.vrrp else "-",
        servers if one.servers else Text("nothing answers", "dim"),
    ]


def _remark(state: str) -> str:
    return "" if state == "running" else f" ({state})"


def _short(name: str) -> str:
    return name.replace("worker", "w").replace("rancher", "r")


def hosts(snapshot: Snapshot) -> Text:
    """Workers and rancher in a line, with what they have answered lately."""
    line = Text()
    for one in snapshot.hosts:
        if one.name == "client":
            continue
        line.append(f"{one.name} ", "bold").append(one.address + " ", "dim")
        line.append(one.program + _remark(one.state), STATES[one.state])
        line.append(f" {snapshot.traffic.by_server.get(one.name, 0) / 5:.0f}/s   ")
    return line


def traffic(now: TrafficNow) -> Group:
    """Figures, and a bar per second: green what was answered, red what failed."""
    good, bad = Text("answered ", "green"), Text("failed   ", "red")
    top = max(now.rate, *(max(pair) for pair in now.seconds), 1.0)
    for answered, failed in now.seconds:
        good.append(_bar(answered, top), "green")
        bad.append(_bar(failed, top), "red")
    # The second that has just begun says nothing yet.
    last = now.seconds[-2] if len(now.seconds) > 1 else (0, 0)
    kinds = ", ".join(f"{count} {kind}" for kind, count in now.failed.items()) or "none"
    figures = Text.assemble(
        (f"{last[0]:4}/s", "bold green"), " answered, ", (f"{last[1]:3}/s", "bold red" if last[1] else "dim"),
        " failed",
        f"   latency p50 {1000 * now.p50:.1f} ms, p99 {1000 * now.p99:.1f} ms\n",
        f"of {now.sent} requests failed: ", (kinds, "red" if now.failed else "green"),
        f"   users who met their server: {now.kept}, another one: {now.lost}",
    )  # fmt: skip
    return Group(figures, good, bad)


def _bar(count: int, top: float) -> str:
    return BARS[0] if not count else BARS[max(1, min(8, round(8 * count / top)))]


def events(snapshot: Snapshot, lines: int) -> Text:
    """The latest ones, newest at the bottom."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for at, where, kind, what in snapshot.events[-lines:]:
        text.append(f"{at:8.2f} s  ", "dim").append(f"{where:9}", "bold").append(f"{what}\n", KINDS.get(kind, ""))
    text.rstrip()
    return text


class View:
    """One picture; its events fill the rest of the terminal."""

    def __init__(self, snapshot: Snapshot, hint: str = "") -> None:
        self.snapshot, self.hint = snapshot, hint

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shot = self.snapshot
        lines = max(FEWEST_EVENTS, (options.height or console.height) - OTHER_LINES)
        yield Panel(
            Group(masters(shot, options.max_width < NARROW), "", hosts(shot)),
            title=f"[bold]{shot.title}",
            title_align="left",
            border_style="dim",
        )
        if shot.running or shot.verdict:
            yield Text(shot.running or shot.verdict, "bold yellow" if shot.running else "bold")
        yield Panel(
            traffic(shot.traffic),
            title=f"clients → 172.16.10.99, {shot.traffic.rate:.0f} requests/s, the last minute",
            title_align="left",
            border_style="dim",
        )
        yield Panel(events(shot, lines), title="events", title_align="left", height=lines + 2, border_style="dim")
        if self.hint:
            yield Text.from_markup(self.hint, style="dim")
