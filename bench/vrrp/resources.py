"""Memory, CPU at idle, start-up, punctuality of adverts, and what a flood of forged adverts costs."""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

from netlab import Daemon, Lab, Node
from probes import Ear, cpu_seconds, cpu_share, resident_kb
from support import wait_for

COUNTS = (1, 20, 255)
FLOOD = 50_000


def config(count: int, version: int, interval: float, priority: int = 100) -> str:
    """`count` instances on one interface."""
    blocks = [
        f"vrrp_instance V{vrid} {{\n    interface ens37\n    virtual_router_id {vrid}\n    version {version}\n"
        f"    advert_int {interval}\n    priority {priority}\n"
        f"    virtual_ipaddress {{\n        10.99.{vrid}.1\n    }}\n}}\n"
        for vrid in range(1, count + 1)
    ]
    return "".join(blocks)


def percentile(values: list[float], share: float) -> float:
    """The value below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def started(node: Node, program: str, text: str, count: int) -> tuple[Daemon, float]:
    """Start it; seconds until every instance is in BACKUP."""
    start = time.monotonic()
    daemon = node.start(program, text)
    wait_for(lambda: daemon.text.count("Entering BACKUP STATE") >= count, 20, "all instances to start")
    return daemon, time.monotonic() - start


def idle(program: str, count: int, version: int, interval: float, seconds: float, directory: Path) -> dict[str, Any]:
    """One node that is master of `count` routers."""
    directory.mkdir(parents=True, exist_ok=True)
    with Lab(directory) as lab:
        node = lab.node("m1", 100)
        daemon, start_up = started(node, program, config(count, version, interval), count)
        wait_for(lambda: daemon.text.count("Entering MASTER STATE") >= count, 20, "all instances to be master")
        time.sleep(6)  # the second batch of gratuitous ARPs, 5 s after the first
        ear = Ear(lab)
        ear.start()
        cpu = cpu_share(daemon.pid, seconds)
        ear.finish()
        gaps = ear.intervals()
        return {
            "program": program,
            "instances": count,
            "advert_int": interval,
            "start_up": start_up,
            "rss_kb": resident_kb(daemon.pid),
            "cpu_percent": cpu,
            "adverts_per_second": (len(gaps) + count) / seconds,
            "interval_p50": statistics.median(gaps) if gaps else None,
            "interval_p99": percentile(gaps, 0.99) if gaps else None,
            "interval_max": max(gaps) if gaps else None,
        }


def flood(program: str, role: str, seconds: float, directory: Path, rate: int = FLOOD) -> dict[str, Any]:
    """Forged adverts at a rate: what they cost, whether the state holds, whether real adverts stay on time."""
    directory.mkdir(parents=True, exist_ok=True)
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
        sender = hostile.spawn(sys.executable, str(Path(__file__).with_name("flooder.py")), str(rate), str(seconds + 1))
        time.sleep(0.5)
        before, begin = cpu_seconds(daemon.pid), time.monotonic()
        ear.start()
        time.sleep(seconds)
        spent = time.monotonic() - begin
        cpu = 100 * (cpu_seconds(daemon.pid) - before) / spent
        ear.finish()
        sender.wait(10)
        gaps = ear.intervals(source=master.address)
        return {
            "program": program,
            "role": role,
            "wanted_rate": rate,
            "sent": sender.text.strip().splitlines()[-1],
            "cpu_percent": cpu,
            "real_adverts": len(gaps) + 1,
            "interval_p99": percentile(gaps, 0.99) if gaps else None,
            "interval_max": max(gaps) if gaps else None,
            "state_changes": (first.news + second.news).count(" STATE"),
        }
