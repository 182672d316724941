"""The units as they stand, run by a real systemd with everything that they forbid."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import wait_for
from systemd_host import Host

PYLB = """
[global]
maxconn = 100
user = "nobody"
chroot = "/run/lab"
pidfile = "/run/lab/pylb.pid"
stats-socket = { address = "/run/lab/admin.sock", mode = "600", level = "admin" }
[frontend.web]
mode = "http"
bind = "*:80"
timeout.client = "1s"
http-request = 'return status 200 content-type text/plain string "served"'
"""
VRRPD = """
[script.check]
command = "/bin/true"
interval = 1
weight = 10
[instance.a]
interface = "ens37"
virtual_router_id = 61
priority = 255
addresses = ["172.16.10.99"]
track_scripts = ["check"]
"""


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    machine = Host()
    try:
        machine.write("/run/lab/pylb.toml", PYLB)
        machine.write("/run/lab/vrrpd.toml", VRRPD)
        # Sooner than in the units themselves, so that the test need not wait as long.
        machine.write("/etc/systemd/system/pylb.service.d/soon.conf", "[Service]\nWatchdogSec=3\n")
        machine.systemctl("daemon-reload")
        yield machine
    finally:
        machine.close()


def answer(host: Host) -> str:
    return host.run("curl", "-s", "-m", "5", "http://127.0.0.1/").stdout


def served(host: Host) -> bool:
    return answer(host) == "served"


@pytest.mark.netns
def test_pylb_serves_inside_its_sandbox_and_is_started_anew(host: Host) -> None:
    host.systemctl("start", "pylb")
    assert host.show("pylb", "ActiveState") == "active"
    assert host.show("pylb", "StatusText").startswith("1 frontend")
    assert served(host)
    first = host.show("pylb", "MainPID")
    # Killed.
    host.run("kill", "-9", first)
    wait_for(lambda: served(host), timeout=30)
    second = host.show("pylb", "MainPID")
    assert second != first
    # Hanging: the watchdog ends it.
    host.run("kill", "-STOP", second)
    wait_for(lambda: host.show("pylb", "MainPID") not in ("0", second) and served(host), timeout=40)
    assert int(host.show("pylb", "NRestarts")) >= 2
    host.write("/run/lab/pylb.toml", PYLB.replace("served", "reloaded"))
    host.systemctl("reload", "pylb")
    wait_for(lambda: answer(host) == "reloaded", timeout=30)
    host.write("/run/lab/pylb.toml", PYLB.replace("bind", "bond"))
    assert host.run("systemctl", "reload", "pylb").returncode != 0
    assert answer(host) == "reloaded"
    host.systemctl("stop", "pylb")
    assert (host.show("pylb", "ActiveState"), host.show("pylb", "Result")) == ("inactive", "success")


@pytest.mark.netns
def test_a_socket_that_systemd_holds_refuses_nobody(host: Host) -> None:
    """The first client starts pylb; who connects between a kill and the next start waits, and is served."""
    host.write("/run/lab/pylb.toml", PYLB.replace("*:80", "fd@3"))
    host.systemctl("start", "pylb.socket")
    patient = ("curl", "-s", "-m", "20", "http://127.0.0.1/")
    assert host.run(*patient).stdout == "served"
    first = host.show("pylb", "MainPID")
    host.run("kill", "-9", first)
    assert host.run(*patient).stdout == "served"
    wait_for(
        lambda: host.show("pylb", "MainPID") not in ("0", first) and host.show("pylb", "ActiveState") == "active", 30
    )
    assert host.run(*patient).stdout == "served"
    host.write("/run/lab/pylb.toml", PYLB.replace("*:80", "fd@3").replace("served", "reloaded"))
    host.systemctl("reload", "pylb")
    wait_for(lambda: answer(host) == "reloaded", timeout=30)
    host.systemctl("stop", "pylb.socket", "pylb.service")


@pytest.mark.netns
def test_vrrpd_moves_addresses_inside_its_sandbox(host: Host) -> None:
    def has_address() -> bool:
        return "172.16.10.99" in host.run("ip", "addr", "show", "ens37").stdout

    host.systemctl("start", "vrrpd")
    wait_for(has_address, timeout=20)
    host.write("/run/lab/vrrpd.toml", VRRPD.replace("172.16.10.99", "172.16.10.98"))
    host.systemctl("reload", "vrrpd")
    wait_for(lambda: not has_address(), timeout=20)
    host.write("/run/lab/vrrpd.toml", VRRPD)
    host.systemctl("reload", "vrrpd")
    wait_for(has_address, timeout=20)
    host.systemctl("stop", "vrrpd")
    assert not has_address()
    assert host.show("vrrpd", "Result") == "success"


@pytest.mark.netns
def test_a_wrong_file_is_an_error_of_the_start(host: Host) -> None:
    host.systemctl("stop", "pylb")
    host.write("/run/lab/pylb.toml", PYLB.replace("bind", "bond"))
    host.write("/etc/systemd/system/pylb.service.d/once.conf", "[Service]\nRestart=no\n")
    host.systemctl("daemon-reload")
    assert host.run("systemctl", "start", "pylb").returncode != 0
    assert host.show("pylb", "ActiveState") == "failed"
