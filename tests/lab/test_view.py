"""The picture of the lab, from a snapshot."""

from __future__ import annotations

import io
import json
from dataclasses import replace

from rich.console import Console

from bench.lab.snapshot import HISTORY, HostNow, MasterNow, Snapshot, TrafficNow
from bench.lab.view import View

SERVERS = {"worker1": "UP", "worker2": "DOWN", "worker3": "UP 1/3", "rancher": "UP"}
HOLDER = MasterNow(
    "master1", "172.16.10.100", 1, True, True, "haproxy", "running", "keepalived", "running", "MASTER", 110, SERVERS
)
OTHER = replace(
    HOLDER, name="master2", plugged=False, vip=False, balancer="pylb", balancer_state="frozen", vrrp="", servers={}
)
SHOT = Snapshot(
    "lab: mixed", "crash: all is killed", "", 9.0, [HOLDER, OTHER],
    [HostNow("worker1", "172.16.10.102", 1, "nginx", "off")],
    TrafficNow(100.0, 5, {"refused": 3}, [(0, 0)] * (HISTORY - 3) + [(100, 0), (50, 50), (0, 9)], kept=2),
    [(number / 10, "master1", "vip", f"event {number}") for number in range(60)],
)  # fmt: skip


def drawn(width, height=40, shot=SHOT):
    output = io.StringIO()
    Console(file=output, width=width, height=height).print(View(shot, "[bold]q[/] leave"))
    return output.getvalue().splitlines()


def line(lines, word):
    [found] = [one for one in lines if word in one]
    return found


def test_what_a_master_runs_and_thinks():
    lines = drawn(130)
    holder, other = line(lines, "haproxy"), line(lines, "master2 ✂")
    assert holder.split()[1:] == [
        "master1", "172.16.10.100", "●", "haproxy", "keepalived", "MASTER", "110", "w1", "w2✗", "w3", "r", "│"
    ]  # fmt: skip
    assert "pylb (frozen)" in other and "●" not in other and "nothing answers" in other


def test_the_second_that_is_over_is_told_in_numbers_and_all_of_them_in_bars():
    lines = drawn(130)
    assert " 50/s answered,  50/s failed" in line(lines, "/s failed")
    assert "of 5 requests failed: 3 refused" in line(lines, "requests failed")
    assert line(lines, "│ answered").rstrip(" │").endswith("█▄")
    assert line(lines, "│ failed").rstrip(" │").endswith("▄▁")


def test_the_latest_events_fill_the_terminal():
    for height in (24, 40, 50):
        lines = drawn(130, height)
        assert any("event 59" in one for one in lines) and not any("event 0" in one for one in lines)
    assert len(drawn(130, 50)) <= 50


def test_a_narrow_terminal_shows_everything_but_addresses_of_masters():
    lines = drawn(80)
    assert max(map(len, lines)) <= 80
    assert not any("172.16.10.100" in one for one in lines) and "110  w1 w2✗ w3 r" in line(lines, "haproxy")


def test_a_snapshot_survives_json():
    assert Snapshot.from_json(json.loads(json.dumps(SHOT.as_json()))) == SHOT
