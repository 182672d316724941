"""bench/listeners: the page from made-up figures; both ways of listening, really."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from support import require_program, wait_for

from bench.http.world import Cores, World
from bench.listeners import measure, report, subject

FIGURES = {"rate": 12000.0, "cpu": 23.4, "p50": 0.002, "p99": 0.0154, "largest_part": 0.51}


def made_up() -> dict[str, Any]:
    return {
        "command": "python -m bench.listeners",
        "date": "2026-11-26 12:00:00 UTC",
        "machine": {"cpu": "Some CPU", "cores": 2, "kernel": "6.1", "load_before": [0.5, 0.4, 0.3]},
        "python": "3.11.7",
        "effort": {"rounds": 7, "seconds": 2.0, "reloads": 20, "spreads": 3},
        "ways": ["shared", "reuseport"],
        "spread": {
            "shared": {"clients": 50, "one by one": [[26, 24], [30, 20], [25, 25]], "at once": [[29, 21]] * 3},
            "reuseport": {"clients": 50, "one by one": [[40, 10]] * 3, "at once": [[25, 25]] * 3},
        },
        "scenarios": [
            {"name": name, "about": name, "ways": {
                "shared": {**FIGURES, "lost": {"reloads": 20, "requests": 100_000, "failed": 0}},
                "reuseport": {**FIGURES, "lost": {"reloads": 20, "requests": 90_000, "failed": 123}},
            }}
            for name in ("kept", "one each")
        ],
    }  # fmt: skip


def test_the_page_says_what_was_measured() -> None:
    page = report.markdown(made_up())
    rows = {
        line.split(" | ")[0].lstrip("| "): line.strip("| ").split(" | ")[1:]
        for line in page.splitlines()
        if "|" in line
    }
    assert rows["50 kept connections that come one by one: largest part of a worker, median and worst"] == [
        "52%, 60%",
        "80%, 80%",
    ]
    assert rows["one each: requests lost in 20 reloads"] == ["0 of 100,000", "123 of 90,000"]
    assert rows["kept: p99 ms"] == ["15.40", "15.40"]
    assert "kept: largest part of a worker" not in rows and rows["one each: largest part of a worker"] == ["51%"] * 2


def listening(port: int) -> set[str]:
    """Inodes of the sockets that listen at a port."""
    found = set()
    for row in Path("/proc/net/tcp").read_text().splitlines():
        fields = row.split()
        if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
            found.add(fields[9])
    return found


def test_both_ways_listen_as_they_are_called(tmp_path: Path) -> None:
    require_program("taskset")
    core = min(os.sched_getaffinity(0))
    command = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path)
    assert server.stdout is not None
    try:
        port = int(server.stdout.readline().split()[5])
        world = World(Cores(core, core), tmp_path, {"WORKER1": port}, tmp_path / "none")
        for way, sockets in (("shared", 1), ("reuseport", 2)):
            with subject.running(way, world) as running:
                assert len(listening(running.port)) == sockets
                for _attempt in range(5):  # a worker that was not given the processor had no chance to accept
                    found = measure._one_by_one(running)
                    assert len(found) == 2 and sum(found) == measure.CLIENTS
                    if min(found) > 0:
                        break
                assert min(found) > 0
                assert len(running.accepted()) == 2
                running.reload()
                wait_for(lambda it=running: len(it.accepted()) == 2, 30, "two workers")
    finally:
        server.terminate()
        server.wait(10)
        server.stdout.close()
