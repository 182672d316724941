"""Many adverts and many forged ones, measured as the benchmark measures them, vrrpd alone.

Others may have the machine: a bound counts as missed if it is missed three times.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[3]))
from bench.vrrp import flood, limit

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("alone")]

Row = dict[str, Any]
ATTEMPTS = 3


def best(measure: Callable[[Path], Row], good: Callable[[Row], bool], directory: Path) -> Row:
    """The first good one of some measurements, or the last."""
    for attempt in range(ATTEMPTS):
        row = measure(directory / str(attempt))
        if good(row):
            break
    return row


def test_255_routers_at_100_ms_are_on_time(tmp_path: Path) -> None:
    def measure(place: Path) -> Row:
        return limit.measure("vrrpd", limit.Load(255, 0.1), 2.0, place)

    row = best(measure, lambda row: bool(row["kept"]), tmp_path)
    assert row["interval_p99"] <= 0.11, row
    assert row["heard_share"] > 0.9 and row["cpu_percent"] < 50, row


@pytest.mark.parametrize("role", ["master", "backup"])
def test_real_adverts_are_on_time_while_50000_forged_ones_come_in_a_second(role: str, tmp_path: Path) -> None:
    def measure(place: Path) -> Row:
        return flood.measure("vrrpd", role, 1.5, place)

    def good(row: Row) -> bool:
        on_time = row["interval_max"] is not None and row["interval_max"] < 0.2 and row["real_adverts"] >= 13
        return bool(float(row["sent"]) > 0.9 * flood.RATE and on_time and row["cpu_percent"] < 40)

    row = best(measure, good, tmp_path)
    assert row["state_changes"] == 0, row
    assert good(row), row
