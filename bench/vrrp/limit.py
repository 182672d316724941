"""How many adverts a second a program keeps on time, on one core: ever more of them until they are late.

On time means that of the gaps between two adverts of a router no more than one in a hundred is over 110 % of
the interval. 255 virtual routers fit on a link, so that beyond 25,500 a second there are several links; the
listener is on the first. The last rates that one program kept and did not keep are approached by halving.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netlab import Lab, Node

from bench.lab.net import command
from bench.vrrp.measuring import PER_LINK, PROGRAMS, Extent, Step, all_masters, config, percentile, start_all
from bench.vrrp.probes import Ear, cpu_share

TOLERANCE = 1.1
LADDER = ((255, 0.1), (255, 0.05), (255, 0.02), (255, 0.01), (510, 0.01), (1020, 0.01))
HALVINGS = 2
SETTLE = 1.0


@dataclass(frozen=True)
class Load:
    """Virtual routers, and seconds between two adverts of each."""

    count: int
    interval: float

    @property
    def rate(self) -> float:
        """Adverts a second."""
        return self.count / self.interval


def measure_all(extent: Extent, directory: Path, step: Step) -> list[dict[str, Any]]:
    """Both programs up the ladder; one row for each rung."""
    total = len(PROGRAMS) * (len(LADDER) + HALVINGS)
    found: list[dict[str, Any]] = []
    for program in PROGRAMS:
        climb = Climb(program, min(extent.seconds, 3.0), directory)
        for _ in range(len(LADDER) + HALVINGS):
            load = climb.next()
            if load is not None:
                step(total, f"{program}, {load.count} every {1000 * load.interval:g} ms", False)
                climb.measure(load)
            step(total, program, True)
        found += sorted(climb.rows, key=lambda row: float(row["adverts_per_second"]))
    return found


class Climb:
    """One program's way up, and back between the last two rungs."""

    def __init__(self, program: str, seconds: float, directory: Path) -> None:
        self.program, self.seconds, self.directory = program, seconds, directory
        self.rows: list[dict[str, Any]] = []
        self._rungs = [Load(*rung) for rung in LADDER]
        self._kept: Load | None = None
        self._late: Load | None = None
        self._halvings = HALVINGS

    def next(self) -> Load | None:
        """What to measure next; None when the limit is known closely enough."""
        if self._late is None:
            return self._rungs[len(self.rows)] if len(self.rows) < len(self._rungs) else None
        if self._halvings == 0 or self._kept is None:
            return None
        self._halvings -= 1
        wanted = (self._kept.rate + self._late.rate) / 2
        return Load(round(wanted * self._late.interval), self._late.interval)

    def measure(self, load: Load) -> None:
        """One rung; a failure only counts if it happens three times: others may have the machine."""
        for attempt in range(3):
            place = self.directory / f"{self.program}-{len(self.rows)}-{attempt}"
            row = measure(self.program, load, self.seconds, place)
            if row["kept"]:
                break
        self.rows.append(row)
        if row["kept"]:
            self._kept = load
        else:
            self._late = load


def measure(program: str, load: Load, seconds: float, directory: Path) -> dict[str, Any]:
    """One program under one load, bound to one core, as it has one thread."""
    directory.mkdir(parents=True)
    with Lab(directory) as lab:
        node = lab.node("m1", 100)
        links = ["ens37"]
        links += [link(lab, node, number) for number in range(1, -(-load.count // PER_LINK))]
        text = config(load.count, 3, load.interval, interfaces=tuple(links))
        daemon, _ = start_all(node, program, text, load.count)
        all_masters(daemon, load.count)
        time.sleep(SETTLE)
        ear = Ear(lab)
        ear.start()
        cpu = cpu_share(daemon.pid, seconds)
        ear.finish()
        gaps = ear.intervals()
        heard = min(load.count, PER_LINK)
        p99 = percentile(gaps, 0.99) if gaps else float("inf")
        return {
            "program": program,
            "instances": load.count,
            "advert_int": load.interval,
            "adverts_per_second": load.rate,
            "heard_share": len(gaps) / (heard * seconds / load.interval),
            "cpu_percent": cpu,
            "interval_p50": statistics.median(gaps) if gaps else None,
            "interval_p99": p99,
            "kept": p99 <= TOLERANCE * load.interval,
        }


def link(lab: Lab, node: Node, number: int) -> str:
    """One more interface of the node, on a bridge of its own; its name."""
    name, port, bridge = f"ens{37 + number}", f"m1p{number}", f"br{number}"
    lab.in_switch("ip", "link", "add", bridge, "type", "bridge", "mcast_snooping", "0")
    lab.in_switch("ip", "link", "set", bridge, "up")
    # From outside, where both have a process number.
    command("ip", "link", "add", name, "netns", str(node.init), "type", "veth",
            "peer", "name", port, "netns", str(lab.switch.pid))  # fmt: skip
    lab.in_switch("ip", "link", "set", port, "master", bridge, "up")
    node.run("ip", "addr", "add", f"172.17.{number}.100/24", "dev", name)
    node.run("ip", "link", "set", name, "up")
    return name
