"""`pylb demo` as its user sees it: it says what to try, what it says works, and Ctrl-C ends all of it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import require_program, wait_for

ROOT = Path(__file__).parents[3]


class Demo:
    """The running program and what it has said so far."""

    def __init__(self, log: Path) -> None:
        self._log = log
        command = [sys.executable, "-m", "pylb", "demo", "--port", "0", "--stats-port", "0"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, start_new_session=True)
        wait_for(lambda: "Ctrl-C ends it all" in self.text or self.process.poll() is not None, 20, "the demo")
        self.url = re.search(r"pylb demo on (\S+)", self.text)[1]

    @property
    def text(self) -> str:
        return self._log.read_text()

    def line(self, start: str) -> str:
        """What to type, from the line of the help that begins like this."""
        return next(
            line[2:].split("  ", 1)[1].strip() for line in self.text.splitlines() if line.startswith(f"  {start}")
        )

    def get(self, path: str = "/", host: str = "") -> str:
        request = urllib.request.Request(self.url + path, headers={"Host": host} if host else {})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read().decode()


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("demo") / "log")
    yield demo
    if demo.process.poll() is None:
        os.killpg(demo.process.pid, signal.SIGKILL)
        demo.process.wait()


def test_requests_go_round_and_by_host(demo):
    servers = [demo.get().split()[0] for _ in range(6)]
    assert sorted(servers) == ["worker1", "worker1", "worker2", "worker2", "worker3", "worker3"]
    assert demo.get(host="rancher.demo").startswith("rancher answers")
    assert "X-Forwarded-For: 127.0.0.1" in demo.get("/headers")


def test_the_commands_it_prints_work(demo):
    require_program("curl")
    typed = subprocess.run(demo.line("stay with one"), shell=True, capture_output=True, text=True, check=True)
    assert len({line.split()[0] for line in typed.stdout.splitlines()}) == 1 and len(typed.stdout.splitlines()) == 3
    typed = demo.line("a request that is none")
    garbage = subprocess.run(typed, shell=True, capture_output=True, text=True, timeout=20, check=False)
    assert garbage.stdout.startswith("HTTP/1.0 400 ") or garbage.stdout.startswith("HTTP/1.1 400 ")
    slow = subprocess.Popen(demo.line("a client that is never done"), shell=True, stdout=subprocess.PIPE, text=True)
    big = subprocess.run(demo.line("a big one"), shell=True, capture_output=True, check=True, timeout=20)
    failing = subprocess.run(demo.line("a failing one"), shell=True, capture_output=True, check=True, timeout=20)
    assert big.stdout == b"" and failing.stdout.startswith(b"HTTP/1.1 500 ")
    assert slow.communicate(timeout=20)[0].startswith("HTTP/1.1 408 ")
    page = subprocess.run(["curl", "-sf", demo.line("what goes on")], capture_output=True, text=True, check=True)
    assert "<html" in page.stdout and "worker1" in page.stdout


def servers(demo: Demo) -> set[str]:
    """Who answers three requests in a row."""
    return {demo.get().split()[0] for _ in range(3)}


def test_a_sick_worker_gets_no_requests_until_it_is_well(demo):
    sick = shlex.split(demo.line("make worker1 sick"))[3]
    for path, down in (("sick", True), ("well", False)):
        urllib.request.urlopen(urllib.request.Request(sick.replace("sick", path), method="POST"), timeout=10).close()
        wait_for(lambda down=down: ("worker1" not in servers(demo)) is down, 15, f"worker1 {path}")


def test_interrupt_ends_all_of_it(demo):
    """As from a terminal: every process of the group gets the signal. Last in this module: the others use the demo."""
    port = int(demo.url.rpartition(":")[2])
    os.killpg(demo.process.pid, signal.SIGINT)
    assert demo.process.wait(15) == 0
    assert "Traceback" not in demo.text
    with pytest.raises(ProcessLookupError):
        os.killpg(demo.process.pid, 0)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 1)
