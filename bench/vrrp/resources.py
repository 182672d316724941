"""Memory, CPU at idle, start-up and punctuality of one node that is master of 1, 20 and 255 virtual routers."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from netlab import Lab

from bench.vrrp.measuring import PROGRAMS, Extent, Step, all_masters, config, percentile, start_all
from bench.vrrp.probes import Ear, cpu_share, resident_kb

CASES = ((1, 2, 1.0), (20, 2, 1.0), (255, 2, 1.0), (255, 3, 0.1))
"""(virtual routers, version, advert interval in seconds)."""
STARTS = 3
LATE = 1.1


def measure_all(extent: Extent, directory: Path, step: Step) -> list[dict[str, Any]]:
    """Every case by both programs."""
    total = len(CASES) * len(PROGRAMS)
    found = []
    for count, version, interval in CASES:
        for program in PROGRAMS:
            step(total, f"{count} every {interval:g} s: {program}", False)
            place = directory / f"{count}-{interval}-{program}"
            row = measure(program, count, version, interval, extent.seconds, place)
            if row["interval_p99"] > LATE * interval:  # counts if it happens twice: others may have the machine
                again = measure(program, count, version, interval, extent.seconds, place.with_name(place.name + "-2"))
                row = min(row, again, key=lambda one: float(one["interval_p99"]))
            found.append(row)
            step(total, f"{count} every {interval:g} s: {program}", True)
    return found


def measure(program: str, count: int, version: int, interval: float, seconds: float, directory: Path) -> dict[str, Any]:
    """One case by one program."""
    directory.mkdir(parents=True)
    with Lab(directory) as lab:
        node = lab.node("m1", 100)
        text, start_ups = config(count, version, interval), []
        while True:
            daemon, start_up = start_all(node, program, text, count)
            start_ups.append(start_up)
            if count > 1 or len(start_ups) == STARTS:
                break
            daemon.stop()
            daemon.log.write_text("")
        all_masters(daemon, count)
        time.sleep(1)
        ear = Ear(lab)
        ear.start()
        cpu = cpu_share(daemon.pid, max(seconds, 3 * interval))
        ear.finish()
        gaps = ear.intervals()
        return {
            "program": program,
            "instances": count,
            "advert_int": interval,
            "start_up": min(start_ups),
            "rss_kb": resident_kb(daemon.pid),
            "cpu_percent": cpu,
            "interval_p50": statistics.median(gaps),
            "interval_p99": percentile(gaps, 0.99),
            "interval_max": max(gaps),
        }
