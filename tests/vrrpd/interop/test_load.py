"""Many adverts and many forged ones, measured as the benchmark measures them, vrrpd alone.

Others may have the machine: a bound counts as missed if it is missed three times, while a process that only sleeps and
wakes, measured beside it, is on time.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))
from bench.vrrp import flood, limit

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("alone")]

Row = dict[str, Any]
ATTEMPTS = 3
BUSY = 0.005
"""Seconds by which a hundredth of a sleeper's wakings is late on a machine that has no time for us."""
SLEEPER = """
import sys, threading, time
over, late = threading.Event(), []
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
while not over.is_set():
    due = time.monotonic() + 0.005
    time.sleep(0.005)
    late.append(time.monotonic() - due)
print(sorted(late)[int(0.99 * len(late))])
"""


@contextlib.contextmanager
def sleeper() -> Iterator[subprocess.Popen[str]]:
    """A process that says when its standard input ends how late it woke, in seconds."""
    command = [sys.executable, "-S", "-c", SLEEPER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process


def best(measure: Callable[[Path], Row], good: Callable[[Row], bool], directory: Path) -> Row:
    """The first good one of some measurements, or the last; `late` is what the sleeper says."""

    def attempt(place: Path) -> Row:
        with contextlib.suppress(OSError):  # before others, where that is allowed: this thread and what it starts
            os.setpriority(os.PRIO_PROCESS, 0, -10)
        with sleeper() as beside:
            row = measure(place)
            row["late"] = float(beside.communicate()[0])
        return row

    with ThreadPoolExecutor(1) as pool:
        for number in range(ATTEMPTS):
            row = pool.submit(attempt, directory / str(number)).result()
            if good(row):
                break
    return row


def test_255_routers_at_100_ms_are_on_time(tmp_path: Path) -> None:
    def measure(place: Path) -> Row:
        return limit.measure("vrrpd", limit.Load(255, 0.1), 2.0, place)

    def good(row: Row) -> bool:
        return bool(row["interval_p99"] <= 0.11 and row["heard_share"] > 0.9 and row["cpu_percent"] < 50)

    row = best(measure, good, tmp_path)
    assert good(row) or row["late"] > BUSY, row


@pytest.mark.parametrize("role", ["master", "backup"])
def test_real_adverts_are_on_time_while_50000_forged_ones_come_in_a_second(role: str, tmp_path: Path) -> None:
    def measure(place: Path) -> Row:
        return flood.measure("vrrpd", role, 1.5, place)

    def good(row: Row) -> bool:
        on_time = row["interval_max"] is not None and row["interval_max"] < 0.2 and row["real_adverts"] >= 13
        quiet = row["state_changes"] == 0
        return bool(quiet and float(row["sent"]) > 0.9 * flood.RATE and on_time and row["cpu_percent"] < 40)

    row = best(measure, good, tmp_path)
    assert good(row) or row["late"] > BUSY, row
