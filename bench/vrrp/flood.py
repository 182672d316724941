"""50,000 forged adverts a second: what they cost, whether the state holds, whether real adverts stay on time."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from netlab import Lab

from bench.vrrp.measuring import PROGRAMS, Extent, Step, config, percentile
from bench.vrrp.probes import Ear, cpu_seconds

RATE = 50_000


def measure_all(extent: Extent, directory: Path, step: Step) -> list[dict[str, Any]]:
    """At a master and at a backup of each program."""
    found = []
    for role in ("master", "backup"):
        for program in PROGRAMS:
            step(2 * len(PROGRAMS), f"at the {role}: {program}", False)
            found.append(measure(program, role, extent.seconds, directory / f"{role}-{program}"))
            step(2 * len(PROGRAMS), f"at the {role}: {program}", True)
    return found


def measure(program: str, role: str, seconds: float, directory: Path) -> dict[str, Any]:
    """One flood at the node in that role; the other node runs the same program."""
    directory.mkdir(parents=True)
    with Lab(directory) as lab:
        node, other, hostile = lab.node("m1", 100), lab.node("m2", 101), lab.node("hostile", 50)
        master, backup = (node, other) if role == "master" else (other, node)
        first = master.start(program, config(1, 3, 0.1, 100))
        second = backup.start(program, config(1, 3, 0.1, 90))
        second.wait_for_line("Entering BACKUP STATE")
        lab.wait_for_holder(master.name, 6, "10.99.1.1")
        time.sleep(1)
        daemon = first if node is master else second
        for one in (first, second):
            one.mark()
        ear = Ear(lab, only=master.address)
        flooder = str(Path(__file__).with_name("flooder.py"))
        sender = hostile.spawn(sys.executable, flooder, str(RATE), str(seconds + 1))
        time.sleep(0.5)
        before, begin = cpu_seconds(daemon.pid), time.monotonic()
        ear.start()
        time.sleep(seconds)
        cpu = 100 * (cpu_seconds(daemon.pid) - before) / (time.monotonic() - begin)
        ear.finish()
        sender.wait(10)
        gaps = ear.intervals(source=master.address)
        return {
            "program": program,
            "role": role,
            "wanted_rate": RATE,
            "sent": sender.text.strip().splitlines()[-1],
            "cpu_percent": cpu,
            "real_adverts": len(gaps) + 1,
            "interval_p99": percentile(gaps, 0.99) if gaps else None,
            "interval_max": max(gaps) if gaps else None,
            "state_changes": (first.news + second.news).count(" STATE"),
        }
