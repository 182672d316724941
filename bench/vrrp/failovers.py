"""How long until the other node has the address: crash, stop, failed check, each by both programs.

Both nodes run the same program from the same file, m1 with priority 100, m2 with 90. `garp` is from the event
to the first gratuitous ARP of m2 on the bridge, `gap` the time without an answered ping at the client. A
crash is the death of a host: its cable is cut and the daemon killed.

When in the advert interval the event falls makes most of the difference between runs, so the runs are spread
evenly over it. `silence`, from the last advert of m1 to the gratuitous ARP, leaves that out. A failed check is seen
when its script runs next, which is chance; `news`, from m1's first advert with another priority, leaves that out.
Each kind is judged by the figure that has no chance in it.

Kinds with an advert interval of a second run side by side in labs of their own, the faster ones alone.
"""

from __future__ import annotations

import itertools
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netlab import VIP, Client, Daemon, Lab
from support import wait_for

from bench.vrrp.measuring import PROGRAMS, Extent, Step
from bench.vrrp.probes import Ear, Prober

AT_ONCE = 4
"""Labs side by side for failovers that take a second and more: they wait nearly all the time."""
PRIORITIES = {"m1": 100, "m2": 90}


@dataclass(frozen=True)
class Kind:
    """One way to lose the master."""

    name: str
    event: str
    version: int
    interval: float
    weight: int | None = None
    option: str = ""
    """A keyword that only vrrpd knows: measured with vrrpd alone."""
    beside: str = ""
    """The kind whose figures for keepalived these are compared with, instead of the same kind's."""

    @property
    def programs(self) -> tuple[str, ...]:
        """Who is measured."""
        return ("vrrpd",) if self.option else PROGRAMS


KINDS = (
    Kind("crash, advert_int 1", "crash", 2, 1),
    Kind("crash, advert_int 0.1", "crash", 3, 0.1),
    Kind("crash, advert_int 0.01", "crash", 3, 0.01),
    Kind("stop, advert_int 1", "stop", 2, 1),
    Kind("stop, advert_int 0.1", "stop", 3, 0.1),
    Kind("failed check (FAULT), advert_int 1", "check", 2, 1, 0),
    Kind("failed check (weight -20), advert_int 1", "check", 2, 1, -20),
    Kind(
        "failed check (weight -20), abdicate, advert_int 1",
        *("check", 2, 1, -20, "abdicate", "failed check (weight -20), advert_int 1"),
    ),
)


@dataclass(frozen=True)
class Run:
    """One failover; seconds."""

    garp: float
    gap: float
    silence: float
    news: float | None


class Pair:
    """m1 and m2 with the same program."""

    def __init__(self, lab: Lab, program: str, kind: Kind) -> None:
        self.lab, self.program, self.kind = lab, program, kind
        self.nodes = {"m1": lab.node("m1", 100), "m2": lab.node("m2", 101)}
        self.client = Client(lab)
        self.flag = {name: lab.directory / f"{name}-up" for name in self.nodes}
        for path in self.flag.values():
            path.touch()
        self.daemons = {name: self.start(name) for name in self.nodes}
        self.home()

    def start(self, name: str) -> Daemon:
        node = self.nodes[name]
        return node.start(self.program, self.config(name))

    def config(self, name: str) -> str:
        kind = self.kind
        check, track = "", ""
        if kind.weight is not None:
            check = (
                f'vrrp_script chk {{\n    script "/usr/bin/test -e {self.flag[name]}"\n'
                f"    interval 1\n    weight {kind.weight}\n}}\n"
            )
            track = "    track_script {\n        chk\n    }\n"
        option = f"    {kind.option}\n" if kind.option and self.program == "vrrpd" else ""
        return (
            "global_defs {\n    script_user root\n}\n"
            f"{check}vrrp_instance VI_1 {{\n    interface ens37\n    virtual_router_id 61\n"
            f"    version {kind.version}\n    advert_int {kind.interval}\n    priority {PRIORITIES[name]}\n"
            f"    virtual_ipaddress {{\n        {VIP}\n    }}\n{track}{option}}}\n"
        )

    def home(self) -> None:
        """Wait until m1 has the address again, and the client knows it."""
        self.lab.wait_for_holder("m1", 15)
        self.client.touch()
        self.client.follows(self.nodes["m1"])
        time.sleep(0.3 + random.random() * 0.5)

    def once(self, phase: float) -> Run:
        """One failover, `phase` (0 to 1) of an interval after an advert, and the way back."""
        ear, prober = Ear(self.lab), Prober(self.client.node, VIP)
        ear.start()
        prober.start()
        mac, address = self.nodes["m2"].mac, self.nodes["m1"].address
        time.sleep(0.2)
        before = len(ear.adverts(address))
        wait_for(lambda: len(ear.adverts(address)) > before, 5, "an advert of m1")
        time.sleep(phase * self.kind.interval)
        event = time.monotonic()
        getattr(self, self.kind.event)()
        wait_for(lambda: ear.first_garp(mac, event) is not None, 15, "the first gratuitous ARP of m2")
        time.sleep(0.15)
        prober.finish()
        ear.finish()
        garp = ear.first_garp(mac, event)
        assert garp is not None
        silence = garp - ear.adverts(address, before=garp)[-1]
        news = ear.first_other_priority(address, PRIORITIES["m1"], event, garp)
        self.back()
        self.home()
        return Run(garp - event, prober.gap(event), silence, None if news is None else garp - news)

    def crash(self) -> None:
        self.nodes["m1"].die(self.daemons["m1"])

    def stop(self) -> None:
        self.daemons["m1"].signal(signal.SIGTERM)

    def check(self) -> None:
        self.flag["m1"].unlink()

    def back(self) -> None:
        if self.kind.event == "check":
            self.flag["m1"].touch()
            return
        self.daemons["m1"].stop()
        if self.kind.event == "crash":
            self.nodes["m1"].revive()
        self.daemons["m1"] = self.start("m1")


def measure_all(extent: Extent, directory: Path, step: Step) -> list[dict[str, Any]]:
    """Every kind by both programs, in the order of `KINDS`."""
    jobs = [(kind, program) for kind in KINDS for program in kind.programs]
    total = len(jobs) * extent.runs
    places = (directory / str(number) for number in itertools.count())

    def measured(kind: Kind, program: str) -> dict[str, Any]:
        place = next(places)
        runs = []
        for run in measure(kind, program, extent.runs, place):
            runs.append(run)
            step(total, f"{kind.name}: {program}", True)
        return row(kind, program, runs)

    slow = [job for job in jobs if job[0].interval >= 1]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(slow, pool.map(lambda job: measured(*job), slow), strict=True))
    for job in jobs:
        if job not in found:
            found[job] = measured(*job)
    return [found[job] for job in jobs]


def measure(kind: Kind, program: str, count: int, directory: Path) -> Iterator[Run]:
    """`count` failovers of one kind, spread evenly over the advert interval."""
    directory.mkdir(parents=True)
    with Lab(directory) as lab:
        pair = Pair(lab, program, kind)
        for number in range(count):
            yield pair.once((number + 0.5) / count)


def row(kind: Kind, program: str, runs: list[Run]) -> dict[str, Any]:
    """The raw numbers of one kind by one program."""
    return {
        "kind": kind.name,
        "program": program,
        "beside": kind.beside or kind.name,
        "garp": [run.garp for run in runs],
        "gap": [run.gap for run in runs],
        "silence": [run.silence for run in runs],
        "news": [run.news for run in runs if run.news is not None],
        "judged_by": {"crash": "silence", "stop": "garp", "check": "news"}[kind.event],
    }
