"""`python -m bench.lab` as people use it; whatever ends a lab, nothing is left of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from support import wait_for

pytestmark = pytest.mark.netns
VIP = "172.16.10.99"


@pytest.fixture(scope="module")
def lab(runs, early):
    assert early["up"].ended() == 0, early["up"].output
    yield early["up"]
    runs.start("down", "--name", "first").ended(30)  # where the test of it did not come that far


def said(runs, *words):
    run = runs.start(*words)
    return run.ended(), run.output


def test_up_shows_the_lab_and_leaves_it_in_the_background(lab):
    assert "master1" in lab.output and "●" in lab.output and "priority" in lab.output
    assert any("serve" in line for line in lab.left())


def test_status_tells_who_has_the_address_and_what_clients_get(runs, lab):
    status, text = said(runs, "status", "--name", "first")
    assert status == 0
    [holder] = [line for line in text.splitlines() if "●" in line]
    assert "master1" in holder and "MASTER" in holder and "110" in holder and "w1 w2 w3 r" in holder
    assert "answered" in text and "20 requests/s" in text


def test_exec_runs_a_command_on_a_node(runs, lab):
    assert VIP in said(runs, "exec", "--name", "first", "master1", "ip", "addr")[1]
    assert VIP not in said(runs, "exec", "--name", "first", "master2", "ip", "addr")[1]
    status, text = said(runs, "exec", "--name", "first", "master9", "true")
    assert status == 2 and 'no node "master9"' in text


def test_a_program_on_a_node_cannot_write_to_the_machines_files(runs, lab, tmp_path):
    status, text = said(runs, "exec", "--name", "first", "master1", "touch", str(tmp_path / "here"), "/usr/bin/here")
    assert status == 1 and text.count("Read-only file system") == 2 and not (tmp_path / "here").exists()
    assert said(runs, "exec", "--name", "first", "master1", "touch", "/run/here", "/etc/here")[0] == 0
    assert not Path("/etc/here").exists() and not Path("/run/here").exists()


def test_a_frozen_router_is_shown_and_goes_on(runs, lab):
    assert said(runs, "act", "--name", "first", "master3", "router", "freeze")[0] == 0
    assert "vrrpd (frozen)" in said(runs, "status", "--name", "first")[1]
    assert said(runs, "act", "--name", "first", "master3", "router", "thaw")[0] == 0
    assert "(frozen)" not in said(runs, "status", "--name", "first")[1]
    status, text = said(runs, "act", "--name", "first", "worker1", "router", "stop")
    assert status == 2 and "worker1 has no router" in text


def test_one_name_is_one_lab(runs, lab):
    status, text = said(runs, "up", "--name", "first")
    assert status == 2 and "another one needs --name" in text


def test_down_leaves_nothing(runs, lab):
    assert said(runs, "down", "--name", "first")[0] == 0
    assert lab.nothing_left(), lab.left()
    status, text = said(runs, "status", "--name", "first")
    assert status == 2 and 'no lab "first" is up' in text
    base = Path("/run") if os.geteuid() == 0 else runs.logs
    assert not (base / "pylb-lab" / "first").exists()


def test_whatever_ends_a_run_nothing_is_left_of_it(runs):
    ends = {signal.SIGINT: 130, signal.SIGKILL: -signal.SIGKILL}
    started = {number: runs.start("run", "crash", "--stack", "pylb+vrrpd", "--no-nginx") for number in ends}
    for number, run in started.items():
        wait_for(lambda run=run: "pylb started" in run.output, 60, f"the lab to be built: {run.output}")
        assert len(run.left()) > 20
        run.process.send_signal(number)
    for number, run in started.items():
        assert run.ended(60) == ends[number], run.output
        assert run.nothing_left(), run.left()


def test_what_cannot_be_had_is_said(runs):
    status, text = said(runs, "run", "crash", "--stack", "pylb+bird")
    assert status == 2 and "write pylb or haproxy, +, vrrpd or keepalived" in text
    assert said(runs, "down", "--name", "nobody")[0] == 2
    assert said(runs, "up", "--name", "../evil") == (2, '"../evil" is no name for a lab: letters, digits and -\n')
