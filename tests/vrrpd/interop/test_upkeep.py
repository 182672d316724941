"""What vrrpd keeps on the host beside its addresses: routes, rules, statics; and what it finds after a crash."""

from __future__ import annotations

import contextlib
import os
import signal
from concurrent.futures import Future
from typing import Any

import pytest
from clusters import PROTOCOLS, config
from netlab import VIP, Lab, Node
from support import wait_for

pytestmark = pytest.mark.netns

V3 = PROTOCOLS["v3-ipv4"]
STATICS = """
static_ipaddress {
    10.9.0.1/24 dev ens37 track_group WATCH
}
static_routes {
    10.50.0.0/16 via 172.16.10.10 dev ens37
}
static_rules {
    from 10.50.0.0/16 table 77
}
track_group WATCH {
    group {
        VI_1
    }
}
"""
ROUTED = """    virtual_routes {
        10.77.0.0/16 via 172.16.10.10 hoplimit 5 rtt 100ms initcwnd 20
    }
    virtual_rules {
        from 172.16.10.99 table 100
        fwmark 5 table 100 priority 300
    }
    virtual_ipaddress_excluded {
        10.44.0.1/24
    }"""


def routing(node: Node) -> str:
    """Routes and rules in force there."""
    return node.run("ip", "route") + node.run("ip", "rule")


def put_back(lab: Lab, _: str) -> None:
    node = lab.node("m1", 100)
    text = config(V3, node, lab, ROUTED, STATICS)
    daemon = node.start("vrrpd", text)
    wait_for(node.holds, 30, "master")
    wait_for(lambda: "10.77.0.0/16" in routing(node) and "16382:" in routing(node), 30, "routes and rules")
    before, addresses = routing(node), node.addresses()
    assert "hoplimit 5" in before and "rtt 100ms" in before and "initcwnd 20" in before
    for words in (
        "addr del 10.9.0.1/24 dev ens37",
        "route del 10.77.0.0/16",
        "route del 10.50.0.0/16",
        "rule del priority 300",
        "rule del from 10.50.0.0/16",
        "rule del priority 16382",
    ):
        node.run("ip", *words.split())
    wait_for(lambda: sorted(routing(node).splitlines()) == sorted(before.splitlines()), 30, "everything to be back")
    assert node.addresses() == addresses
    assert daemon.text.count("Entering MASTER STATE") == 1
    node.file("keepalived.conf", text.replace("10.50.", "10.51.").replace("10.9.0.1", "10.9.0.2"))
    daemon.signal(signal.SIGHUP)
    wait_for(lambda: "10.51.0.0/16 via" in routing(node), 20, "the new static route")
    assert "10.50." not in routing(node)
    assert "10.9.0.2" in node.addresses() and "10.9.0.1" not in node.addresses()
    daemon.stop()
    after = routing(node)
    assert "10.77." not in after and "16382:" not in after and "10.51.0.0/16" in after, "statics stay"


def crashed(lab: Lab, case: str) -> None:
    """The next start has another file: what only the old one wanted goes, be it soon or late."""
    node = lab.node("m1", 100)
    daemon = node.start("vrrpd", config(V3, node, lab, ROUTED))
    wait_for(node.holds, 30, "master")
    wait_for(lambda: "16382:" in routing(node) or "16383:" in routing(node), 30, "rules")
    daemon.crash()
    assert node.holds() and "10.77." in routing(node)
    if case == "late":
        node.run("sleep", "0.6")
    daemon.mark()
    second = node.start("vrrpd", config(V3, node, lab))
    wait_for(lambda: "Entering MASTER STATE" in daemon.news, 30, "master again")
    wait_for(node.holds, 10, "its address")
    assert "10.44.0.1" not in node.addresses()
    assert "10.77." not in routing(node) and "lookup 100" not in routing(node)
    assert "left by an earlier run" in daemon.news
    second.stop()
    assert VIP not in node.addresses()


def left_out(lab: Lab, _: str) -> None:
    """keepalived.conf with a check that is not there: master all the same, as keepalived is, and loudly."""
    node = lab.node("m1", 100)
    script = 'vrrp_script gone {\n    script "/nosuch/check"\n}\n'
    tracked = "    track_script {\n        gone\n    }"
    daemon = node.start("vrrpd", config(V3, node, lab, tracked, script))
    wait_for(node.holds, 30, "master")
    assert "Disabling track script gone since not found/accessible" in daemon.text
    daemon.stop()
    daemon.mark()
    strict = "global_defs {\n    script_missing warn\n}\n" + script
    node.start("vrrpd", config(V3, node, lab, tracked, strict))
    wait_for(lambda: "Entering FAULT STATE" in daemon.news, 30, "FAULT")
    assert not node.holds()


def own_mac_elsewhere(lab: Lab, _: str) -> None:
    """use_vmac on an address of another interface: a macvlan there; no_track: that interface may go."""
    node = lab.node("m1", 100)
    node.run("ip", "link", "add", "inner0", "type", "bridge")
    node.run("ip", "link", "set", "inner0", "up")
    extra = "    virtual_ipaddress_excluded {\n        10.4.0.1/24 dev inner0 use_vmac no_track\n    }"
    daemon = node.start("vrrpd", config(V3, node, lab, extra))
    wait_for(lambda: {"10.4.0.1", VIP} <= node.addresses(), 30, "both addresses")
    shown = node.run("ip", "addr", "show", "vrrp.61")
    assert "vrrp.61@inner0" in shown and "00:00:5e:00:01:3d" in shown and "10.4.0.1/24" in shown
    node.run("ip", "link", "del", "inner0")
    wait_for(lambda: "10.4.0.1" not in node.addresses(), 30, "it to go with its interface")
    lab.always(node.holds, 1, "the other address stays")
    daemon.stop()
    assert "vrrp.61" not in node.run("ip", "link")


def news(reader: int) -> str:
    """What has come through a fifo that is never waited for."""
    with contextlib.suppress(BlockingIOError):
        return os.read(reader, 4096).decode()
    return ""


def told_of_reload(lab: Lab, _: str) -> None:
    node = lab.node("m1", 100)
    fifo = lab.directory / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    before = f"global_defs {{\n    vrrp_notify_fifo {fifo}\n    fifo_write_vrrp_states_on_reload\n}}\n"
    first = config(V3, node, lab)
    second, third = (
        first.replace("VI_1", f"VI_{n}").replace("router_id 61", f"router_id 6{n}").replace(VIP, f"172.16.10.9{n}")
        for n in (2, 3)
    )
    third = third.replace("priority 100", "priority 100\n    notify_deleted")
    try:
        daemon = node.start("vrrpd", before + first + second + third)
        said = []
        wait_for(lambda: said.append(news(reader)) or "".join(said).count(" MASTER ") == 3, 30, "master of all")
        node.file("keepalived.conf", before + first)
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: "Reload finished" in daemon.text, 20, "the reload")
        assert news(reader).splitlines() == [
            'INSTANCE "VI_2" FAULT 100',
            'INSTANCE "VI_3" DELETED 100',
            'INSTANCE "VI_1" MASTER 100',
        ]
    finally:
        os.close(reader)


def track_group(lab: Lab, _: str) -> None:
    """A static address that cannot be put back, its interface being gone, is a fault of those who watch it."""
    node = lab.node("m1", 100)
    node.run("ip", "link", "add", "inner0", "type", "bridge")
    node.run("ip", "link", "set", "inner0", "up")
    before = STATICS.replace("10.9.0.1/24 dev ens37", "10.9.0.1/24 dev inner0")
    daemon = node.start("vrrpd", config(V3, node, lab, "", before))
    wait_for(lambda: {"10.9.0.1", VIP} <= node.addresses(), 30, "both addresses")
    node.run("ip", "link", "del", "inner0")
    wait_for(lambda: "Entering FAULT STATE" in daemon.text and not node.holds(), 30, "FAULT")
    assert "cannot set static address 10.9.0.1/24 on inner0: No such device" in daemon.text
    node.run("ip", "link", "add", "inner0", "type", "bridge")
    wait_for(lambda: {"10.9.0.1", VIP} <= node.addresses(), 30, "both again")


SCENARIOS = {
    "test_a_static_address_that_is_lost_is_a_fault_of_its_track_group": track_group,
    "test_a_reload_tells_the_fifo_what_goes_and_what_stays": told_of_reload,
    "test_an_address_elsewhere_may_have_the_virtual_mac": own_mac_elsewhere,
    "test_routes_rules_and_statics_are_put_back_and_follow_a_reload": put_back,
    "test_what_a_crashed_run_left_goes_unless_it_is_wanted_still": crashed,
    "test_a_missing_check_is_left_out_or_has_failed": left_out,
}
Campaign = dict[tuple[str, Any], Future[None]]


@pytest.mark.parametrize("case", ["vrrpd"])
def test_routes_rules_and_statics_are_put_back_and_follow_a_reload(case: str, campaign: Campaign) -> None:
    campaign["test_routes_rules_and_statics_are_put_back_and_follow_a_reload", case].result()


@pytest.mark.parametrize("case", ["soon", "late"])
def test_what_a_crashed_run_left_goes_unless_it_is_wanted_still(case: str, campaign: Campaign) -> None:
    campaign["test_what_a_crashed_run_left_goes_unless_it_is_wanted_still", case].result()


@pytest.mark.parametrize("case", ["vrrpd"])
def test_a_missing_check_is_left_out_or_has_failed(case: str, campaign: Campaign) -> None:
    campaign["test_a_missing_check_is_left_out_or_has_failed", case].result()


@pytest.mark.parametrize("case", ["vrrpd"])
def test_an_address_elsewhere_may_have_the_virtual_mac(case: str, campaign: Campaign) -> None:
    campaign["test_an_address_elsewhere_may_have_the_virtual_mac", case].result()


@pytest.mark.parametrize("case", ["vrrpd"])
def test_a_reload_tells_the_fifo_what_goes_and_what_stays(case: str, campaign: Campaign) -> None:
    campaign["test_a_reload_tells_the_fifo_what_goes_and_what_stays", case].result()


@pytest.mark.parametrize("case", ["vrrpd"])
def test_a_static_address_that_is_lost_is_a_fault_of_its_track_group(case: str, campaign: Campaign) -> None:
    campaign["test_a_static_address_that_is_lost_is_a_fault_of_its_track_group", case].result()
