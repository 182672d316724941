"""A stick table is one for all workers, and outlives workers and generations."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

from live import ask
from load import CONFIG, Place, place
from support import wait_for

WITH_TABLE = (
    CONFIG.replace(
        " default_backend", " http-request use-service prometheus-exporter if {{ path /metrics }}\n default_backend"
    )
    + "backend seen\n stick-table type ip size 1k expire 1h store gpc0,server_id\n"
)
USED = re.compile(r'haproxy_sticktable_used\{name="seen",type="ip"\} (\S+)')


def entries(it: Place) -> dict[str, str]:
    """gpc0 by key; each key is shown once."""
    lines = it.tell("show table seen").splitlines()
    found = [(m[1], m[2]) for each in lines if (m := re.search(r"key=(\S+) .* gpc0=(\d+)", each))]
    assert len(dict(found)) == len(found), lines
    assert lines[0] == f"# table: seen, type: ip, size:1024, used:{len(found)}"
    return dict(found)


def fill(it: Place) -> dict[str, str]:
    """Make three entries; what the table holds then."""
    for last in (1, 2, 3):
        assert it.tell(f"set table seen key 10.0.0.{last} data.gpc0 {last} data.server_id 1").strip() == ""
    return {"10.0.0.1": "1", "10.0.0.2": "2", "10.0.0.3": "3"}


def used(it: Place) -> set[float]:
    """How many entries the workers see, each for itself: 24 connections meet all of them."""
    request = b"GET /metrics HTTP/1.0\r\n\r\n"
    found = [USED.search(ask(it.port, request)[2].decode()) for _ in range(24)]
    return {float(match[1]) for match in found if match is not None}


def test_it_is_one_for_three_workers_and_their_successors(tmp_path: Path) -> None:
    with place(tmp_path, workers=3, config=WITH_TABLE) as it:
        there = fill(it)
        assert entries(it) == there and used(it) == {3.0}
        assert it.tell("show table").count("# table: seen") == 1
        victim = it.pylb.workers()[0]
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda: victim not in it.pylb.workers() and len(it.pylb.workers()) == 3, 5, "the successor")
        assert entries(it) == there and used(it) == {3.0}
        assert it.tell("clear table seen data.gpc0 gt 2").strip() == ""
        assert it.tell("clear table seen key 10.0.0.1").strip() == ""
        assert entries(it) == {"10.0.0.2": "2"} and used(it) == {1.0}


def test_it_outlives_reloads(tmp_path: Path) -> None:
    with place(tmp_path, workers=3, config=WITH_TABLE) as it:
        there = fill(it)
        for _ in range(2):
            assert it.reload()["Last_reload_ok"] == "1"
            assert entries(it) == there and used(it) == {3.0}
        left = [int(text) for text in re.findall(r"exp=(\d+)", it.tell("show table seen"))]
        assert len(left) == 3 and all(0 < each < 3_600_000 for each in left), "a reload is no touch"
        it.configure((it.directory / "haproxy.cfg").read_text().replace("type ip size", "type ipv6 size"))
        assert it.reload()["Last_reload_ok"] == "1"
        assert it.tell("show table seen").strip() == "# table: seen, type: ipv6, size:1024, used:0"


def test_more_entries_than_a_message_holds_are_carried_over(tmp_path: Path) -> None:
    with place(tmp_path, config=WITH_TABLE.replace("size 1k", "size 100k")) as it:
        setting = [f"set table seen key 10.1.{n >> 8}.{n & 255} data.gpc0 {n}" for n in range(5000)]
        for first in range(0, len(setting), 200):
            it.tell("; ".join(setting[first : first + 200]))
        assert "used:5000" in it.tell("show table")
        assert it.reload()["Last_reload_ok"] == "1"
        lines = it.tell("show table seen").strip().splitlines()
        assert len(lines) == 5001 and lines[-1].endswith("gpc0=4999")
