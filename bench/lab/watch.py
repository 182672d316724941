"""What is going on: who has the virtual address, what the routers and the balancers think.

Addresses come from the kernel's own notifications, states and priorities from the routers' logs (vrrpd words them as
keepalived does), servers from the balancers' admin sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import re
import time
from collections.abc import Callable

from bench.lab.journal import Journal
from bench.lab.net import Namespace, network_of
from bench.lab.programs import ask
from bench.lab.topology import CONFIGS, VIP
from vrrpd.system.netlink import Address, Monitor, RouteSocket

SERVER_POLL = 0.5
"""Seconds between two looks at a balancer's servers."""

Interval = tuple[float, float | None]
"""From, to (None: still); seconds of the monotonic clock."""


class Ownership:
    """When the virtual address stood on a host."""

    def __init__(self, host: Namespace, journal: Journal, changed: Callable[[], None]) -> None:
        self._host, self._journal, self._changed = host, journal, changed
        self.intervals: list[Interval] = []
        with network_of(host.pid):
            self._monitor = Monitor()
            routes = RouteSocket()
        if VIP in {one.address for one in routes.addresses()}:
            self.intervals.append((time.monotonic(), None))
        routes.close()
        asyncio.get_running_loop().add_reader(self._monitor.fileno(), self._read)

    @property
    def here(self) -> bool:
        """Whether it stands there now."""
        return bool(self.intervals) and self.intervals[-1][1] is None

    def _read(self) -> None:
        now = time.monotonic()
        for event in self._monitor.read():
            if isinstance(event, Address) and event.address == VIP and event.present is not self.here:
                if event.present:
                    self.intervals.append((now, None))
                else:
                    self.intervals[-1] = (self.intervals[-1][0], now)
                self._journal.note(self._host.name, "vip", "has the VIP" if event.present else "lets the VIP go", now)
                self._changed()

    def close(self) -> None:
        """Stop listening."""
        asyncio.get_running_loop().remove_reader(self._monitor.fileno())
        self._monitor.close()


def base_priority(node: str) -> int:
    """What the node's file says."""
    found = re.search(r"priority (\d+)", (CONFIGS / f"keepalived-{node}.conf").read_text())
    assert found is not None
    return int(found[1])


_STATE = re.compile(r"\((\w+)\) Entering (\w+) STATE")
_PRIORITY = re.compile(r"\((\w+)\) Changing effective priority from (\d+) to (\d+)")
_CHECK = re.compile(r"VRRP_Script\(([\w-]+)\) (succeeded|failed.*)|Script `([\w-]+)` now returning (\d+)")


class RouterState:
    """State and effective priority of the router on one node, read from what it logs."""

    def __init__(self, node: str, journal: Journal) -> None:
        self.node, self._journal = node, journal
        self.gone()

    def gone(self) -> None:
        """The router has ended."""
        self.state = ""
        self.priority = base_priority(self.node)

    def line(self, line: str) -> None:
        """One line of its log."""
        if found := _STATE.search(line):
            self.state = found[2]
            self._journal.note(self.node, "vrrp", found[2])
        elif found := _PRIORITY.search(line):
            self.priority = int(found[3])
            self._journal.note(self.node, "vrrp", f"priority {found[2]} → {found[3]}")
        elif (found := _CHECK.search(line)) and found[1]:
            self._journal.note(self.node, "check", f"{found[1]} {found[2]}")


class ServerStates:
    """What one balancer thinks of its servers: "UP", "DOWN", "UP 1/3" and so on, by name."""

    def __init__(self, host: Namespace, journal: Journal, running: Callable[[], bool]) -> None:
        self._host, self._journal, self._running = host, journal, running
        self.states: dict[str, str] = {}
        self._task = asyncio.get_running_loop().create_task(self._poll())

    async def _poll(self) -> None:
        while True:
            if self._running():
                with contextlib.suppress(OSError, KeyError):
                    self._take(await asyncio.to_thread(ask, self._host, "show stat", SERVER_POLL))
            else:
                self.states = {}
            await asyncio.sleep(SERVER_POLL)

    def _take(self, text: str) -> None:
        rows = csv.DictReader(text.removeprefix("# ").splitlines())
        found = {
            row["svname"]: row["status"]
            for row in rows
            if row["svname"] not in ("FRONTEND", "BACKEND") and row["pxname"]
        }
        for name, state in found.items():
            before = self.states.get(name)
            if before is not None and _word(before) != _word(state):
                self._journal.note(self._host.name, "server", f"{name} is {_word(state)}")
        self.states = found

    def up(self) -> set[str]:
        """The servers that are up, whatever is on its way."""
        return {name for name, state in self.states.items() if state.startswith(("UP", "no check"))}

    async def close(self) -> None:
        """Stop asking."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


def _word(state: str) -> str:
    return state.partition(" ")[0]
