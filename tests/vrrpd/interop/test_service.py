"""The daemon as a service: what systemd hears of it, how soon it is there, what it takes, and its trace."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import Future
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from clusters import PROTOCOLS, config
from netlab import VIP, Daemon, Lab, Node, children_of
from support import wait_for

pytestmark = pytest.mark.netns

V3 = PROTOCOLS["v3-ipv4"]


def started(lab: Lab, node: Node, environment: dict[str, str], *options: str) -> Daemon:
    """vrrpd with further environment."""
    path = node.file("keepalived.conf", config(V3, node, lab))
    words = [f"{name}={value}" for name, value in environment.items()]
    return node.spawn("env", *words, sys.executable, "-m", "vrrpd", "-c", str(path), *options)


def told_to_systemd(lab: Lab, _: str) -> None:
    """READY when it serves, RELOADING with the time and READY again, STOPPING; the state for `systemctl status`."""
    node = lab.node("m1", 100)
    path = lab.directory / "systemd.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(30)
        daemon = started(lab, node, {"NOTIFY_SOCKET": str(path)})
        assert sock.recv(200) == b"READY=1\nSTATUS=1 virtual router, master of 0"
        wait_for(node.holds, 10, "master")
        daemon.signal(signal.SIGHUP)
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", sock.recv(200))
        assert sock.recv(200) == b"READY=1\nSTATUS=1 virtual router, master of 1"
        daemon.stop()
        assert sock.recv(200) == b"STOPPING=1"


def signs_of_life(lab: Lab, _: str) -> None:
    """Twice per WATCHDOG_USEC, as sd_watchdog_enabled(3) wants; none while the loop hangs, none for somebody else."""
    node = lab.node("m1", 100)
    path = lab.directory / "systemd.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(30)
        daemon = started(lab, node, {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "2000000"})
        heard: list[float] = []
        while len(heard) < 5:
            if sock.recv(200) == b"WATCHDOG=1":
                heard.append(time.monotonic())
        gaps = [later - earlier for earlier, later in pairwise(heard[1:])]
        assert max(gaps) < 2, gaps
        daemon.signal(signal.SIGSTOP)
        time.sleep(0.3)
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                sock.recv(200)
        time.sleep(1.5)
        with pytest.raises(BlockingIOError):
            sock.recv(200)
        daemon.signal(signal.SIGCONT)
        daemon.stop()
        other = started(lab, node, {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"})
        wait_for(node.holds, 10, "master")
        other.stop()
        found = []
        with pytest.raises(BlockingIOError):
            while True:
                found.append(sock.recv(200))
        assert b"READY=1" in b"".join(found) and b"WATCHDOG=1" not in found[-3:]


def stopped_for_good(lab: Lab, _: str) -> None:
    """What was begun before a stop (a reload, what is due now and then) does nothing after it."""
    node = lab.node("m1", 100)
    extra = '    notify_stop "/bin/sleep 0.9"'
    before = 'global_defs {\n    script_user root\n    shutdown_script "/bin/sleep 1"\n}'
    text = config(V3, node, lab, extra, before)
    path = node.file("keepalived.conf", text)
    environment = ("NOTIFY_SOCKET=/nowhere", "WATCHDOG_USEC=200000")  # with them something is due every 0.1 s
    daemon = node.spawn("env", *environment, sys.executable, "-m", "vrrpd", "-D", "-c", str(path))
    wait_for(node.holds, 10, "master")
    node.file("keepalived.conf", text.replace(VIP, "172.16.10.98"))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_line("Reloading")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(40) == 0
    assert not node.addresses() & {VIP, "172.16.10.98"}
    assert not re.search("Traceback|Reload (finished|refused)", daemon.text), daemon.text


def light(lab: Lab, _: str) -> None:
    """45 MB with everything loaded; nothing of what only reading a file needs."""
    node = lab.node("m1", 100)
    daemon = node.start("vrrpd", config(V3, node, lab))
    wait_for(node.holds, 10, "master")
    resident = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{daemon.pid}/status").read_text())[1])  # type: ignore[index]
    assert resident < 45 * 1024
    maps = Path(f"/proc/{daemon.pid}/maps").read_text()
    assert "pydantic" not in maps and "tree_sitter" not in maps


def traced(lab: Lab, _: str) -> None:
    """--trace: everything on standard output, and a reader that goes away ends nothing."""
    node = lab.node("m1", 100)
    path = node.file("keepalived.conf", config(V3, node, lab))
    reading, writing = os.pipe()
    command = [*node.enter, sys.executable, "-m", "vrrpd", "--trace", "-c", str(path)]
    with subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        with os.fdopen(reading) as lines:
            told = ""
            while "IP id 3," not in told:
                told += lines.readline()
        assert re.search(r"BACKUP → MASTER \(RFC 9568 6.4.3\)", told)
        assert re.search(r"\+ 172.16.10.99 on ens37, [\d.]+ ms \(VI_1\)", told)
        lab.always(node.holds, 0.5, "still master without a reader")
        os.kill(children_of(process.pid)[0], signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr is not None and process.stderr.read() == b""
    assert not node.holds()


SCENARIOS = {
    "test_systemd_is_told": told_to_systemd,
    "test_systemd_hears_signs_of_life": signs_of_life,
    "test_nothing_is_done_after_a_stop": stopped_for_good,
    "test_the_daemon_is_light": light,
    "test_a_trace_is_told_while_it_happens": traced,
}
once = pytest.mark.parametrize("case", ["vrrpd"])
Campaign = dict[tuple[str, Any], Future[None]]


@once
def test_systemd_is_told(case: str, campaign: Campaign) -> None:
    campaign["test_systemd_is_told", case].result()


@once
def test_systemd_hears_signs_of_life(case: str, campaign: Campaign) -> None:
    campaign["test_systemd_hears_signs_of_life", case].result()


@once
def test_nothing_is_done_after_a_stop(case: str, campaign: Campaign) -> None:
    campaign["test_nothing_is_done_after_a_stop", case].result()


@once
def test_the_daemon_is_light(case: str, campaign: Campaign) -> None:
    campaign["test_the_daemon_is_light", case].result()


@pytest.mark.usefixtures("alone")
def test_a_start_takes_less_than_half_a_second(tmp_path: Path) -> None:
    """From exec to "Startup complete", without the time in which others had the processor."""
    best = 60.0
    with Lab(tmp_path) as lab:
        node = lab.node("m1", 100)
        for _attempt in range(8):
            began = time.monotonic()
            daemon = node.start("vrrpd", config(V3, node, lab))
            while "Startup complete" not in daemon.text:
                assert daemon.running and time.monotonic() - began < 60, daemon.text
                time.sleep(0.002)
            # schedstat (proc(5)): nanoseconds on a processor, nanoseconds of waiting for one, turns.
            waited = int(Path(f"/proc/{daemon.pid}/schedstat").read_text().split()[1]) / 1e9
            best = min(best, time.monotonic() - began - waited)
            daemon.stop()
            if best < 0.5:
                break
    assert best < 0.5


@once
def test_a_trace_is_told_while_it_happens(case: str, campaign: Campaign) -> None:
    campaign["test_a_trace_is_told_while_it_happens", case].result()
