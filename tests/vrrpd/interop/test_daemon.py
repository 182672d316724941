"""The daemon seen from outside: reload, notify, status, interfaces that come and go, hostile packets, limits."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from clusters import PROTOCOLS, config
from netlab import VIP, Client, Daemon, Lab, Node, network_of
from support import wait_for

pytestmark = pytest.mark.netns

V3 = PROTOCOLS["v3-ipv4"]


def master(lab: Lab, extra: str = "", before: str = "", name: str = "m1", number: int = 100) -> tuple[Node, Daemon]:
    """One node that has become master."""
    node = lab.node(name, number)
    daemon = node.start("vrrpd", config(V3, node, lab, extra, before))
    wait_for(node.holds, 10, f"{name} to be master")
    return node, daemon


def status(node: Node) -> dict[str, Any]:
    """What `vrrpd status --json` says there."""
    document: dict[str, Any] = json.loads(node.run(sys.executable, "-m", "vrrpd", "status", "--json"))
    return document


def forge(node: Node, index: int, message: bytes, source: str, ttl: int = 255) -> bytes:
    """An IPv4 packet with a VRRP message."""
    header = struct.pack(">BBHHHBBH", 0x45, 0xC0, 20 + len(message), 7, 0, ttl, 112, 0)
    return header + socket.inet_aton(source) + socket.inet_aton("224.0.0.18") + message


def wrong_reload(lab: Lab, _: str) -> None:
    node, daemon = master(lab)
    for broken in ("vrrp_instance VI_1 {\n interface ens37\n}\n", "}}}", "vrrp_instance X {\n interface nosuch0\n"
                   " virtual_router_id 9\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n"):  # fmt: skip
        daemon.mark()
        node.file("keepalived.conf", broken)
        daemon.signal(signal.SIGHUP)
        wait_for(lambda: "Reload refused, nothing was changed" in daemon.news, 10, "the refusal")
        assert node.holds()
    document = status(node)
    assert document["failed_reloads"] == 3
    assert document["instances"][0]["state"] == "MASTER"
    assert document["instances"][0]["counters"]["became_master"] == 1


def changing_reload(lab: Lab, _: str) -> None:
    node, daemon = master(lab)
    text = config(V3, node, lab)
    second = text.replace("VI_1", "VI_2").replace("router_id 61", "router_id 62").replace(VIP, "172.16.10.98")
    more = text.replace(f"        {VIP}\n", f"        {VIP}\n        172.16.10.97\n")
    node.file("keepalived.conf", more + second)
    daemon.signal(signal.SIGHUP)
    wait_for(lambda: {"172.16.10.97", "172.16.10.98", VIP} <= node.addresses(), 10, "the new addresses")
    assert daemon.text.count("(VI_1) Entering MASTER STATE") == 1
    node.file("keepalived.conf", text)
    daemon.signal(signal.SIGHUP)
    wait_for(lambda: not {"172.16.10.97", "172.16.10.98"} & node.addresses(), 10, "the old addresses to go")
    assert node.holds()
    assert len(status(node)["instances"]) == 1


def notified(lab: Lab, _: str) -> None:
    said, fifo = lab.directory / "said", lab.directory / "fifo"
    script = lab.directory / "notify.sh"
    script.write_text(f'#!/bin/sh\nsleep 0.1\necho "$@" >> {said}\n')
    script.chmod(0o755)
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    extra = f'    notify {script}\n    notify_master "{script} i am master"\n    notify_stop "{script} i stop"'
    before = f"global_defs {{\n    script_user root\n    vrrp_notify_fifo {fifo}\n}}"
    try:
        _, daemon = master(lab, extra, before)
        wait_for(lambda: said.exists() and said.read_text().count("\n") == 3, 5, "the programs")
        daemon.stop()
        wait_for(lambda: said.read_text().count("\n") == 5, 5, "what a stop does not wait for long")
        assert said.read_text().splitlines() == [
            "INSTANCE VI_1 BACKUP 100",
            "i am master",
            "INSTANCE VI_1 MASTER 100",
            "i stop",
            "INSTANCE VI_1 STOP 100",
        ]
        assert os.read(reader, 4096).decode().splitlines() == [
            'INSTANCE "VI_1" BACKUP 100',
            'INSTANCE "VI_1" MASTER 100',
            'INSTANCE "VI_1" STOP 100',
        ]
    finally:
        os.close(reader)


def told(lab: Lab, _: str) -> None:
    node, daemon = master(lab)
    one = status(node)["instances"][0]
    assert (one["name"], one["state"], one["vrid"], one["addresses"]) == ("VI_1", "MASTER", 61, [VIP])
    assert one["interface"] == "ens37" and one["effective_priority"] == 100
    table = node.run("env", "COLUMNS=150", sys.executable, "-m", "vrrpd", "status")
    assert re.search(r"VI_1 .*ens37 .*61 .*MASTER", table)
    metrics = node.run(sys.executable, "-m", "vrrpd", "status", "--metrics")
    labels = 'family="4",instance_name="VI_1",interface="ens37",state="MASTER",vrid="61"'
    assert f"vrrpd_state{{{labels}}} 1.0" in metrics
    seconds = re.search(rf"vrrpd_state_seconds_total{{{labels}}} ([\d.]+)", metrics)
    assert seconds and 0 < float(seconds[1]) < 60
    watch = [sys.executable, "-m", "vrrpd", "watch", "ens37", "--seconds", "1", "--json"]
    masters = [node.address]  # one that has to pause is none at that moment
    wait_for(lambda: json.loads(node.run(*watch))["routers"][0]["masters"] == masters, 10, "it to be seen")
    second = Daemon(node, "vrrpd", [sys.executable, "-m", "vrrpd", "--interface", "ens37", "--vip", "10.0.0.1"],
                    lab.directory / "second.log")  # fmt: skip
    assert second.wait() == 1
    assert "vrrpd is already running" in second.text
    daemon.stop()
    assert (
        "no daemon answers"
        in subprocess.run(
            [*node.enter, sys.executable, "-m", "vrrpd", "status"], capture_output=True, text=True, check=False
        ).stderr
    )


def interface_comes_and_goes(lab: Lab, _: str) -> None:
    node = lab.node("m1", 100)
    text = config(V3, node, lab).replace("ens37", "late0")
    refused = node.start("vrrpd", text)
    assert refused.wait() == 2
    assert "interface late0 for instance VI_1 does not exist; this host has: ens37" in refused.text
    daemon = node.start("vrrpd", "global_defs {\n    dynamic_interfaces\n}\n" + text)
    daemon.wait_for_line(r"\(VI_1\) Entering FAULT STATE")
    for _round in range(2):
        node.run("ip", "link", "add", "late0", "type", "bridge")
        node.run("ip", "addr", "add", "10.3.0.1/24", "dev", "late0")
        node.run("ip", "link", "add", "leg0", "type", "veth", "peer", "name", "leg1")
        node.run("ip", "link", "set", "leg0", "master", "late0", "up")
        node.run("ip", "link", "set", "leg1", "up")
        node.run("ip", "link", "set", "late0", "up")
        wait_for(node.holds, 10, "master on the interface that came")
        daemon.mark()
        node.run("ip", "link", "del", "late0")
        node.run("ip", "link", "del", "leg0")
        wait_for(lambda: "(VI_1) Entering FAULT STATE" in daemon.news, 5, "FAULT without the interface")
    assert daemon.running


def other_interface(lab: Lab, _: str) -> None:
    """Interfaces of addresses are tracked unless the address says no_track."""
    node = lab.node("m1", 100)
    node.run("ip", "link", "add", "inner0", "type", "bridge")
    node.run("ip", "link", "set", "inner0", "up")
    text = config(V3, node, lab).replace(f"        {VIP}\n", f"        {VIP}\n        10.4.0.1/24 dev inner0\n")
    daemon = node.start("vrrpd", text)
    wait_for(lambda: {"10.4.0.1", VIP} <= node.addresses(), 10, "both addresses")
    node.run("ip", "link", "del", "inner0")
    wait_for(lambda: not {"10.4.0.1", VIP} & node.addresses(), 5, "FAULT, as keepalived has it")
    assert "Netlink reports inner0 down" in daemon.text and "(VI_1) Entering FAULT STATE" in daemon.text
    node.run("ip", "link", "add", "inner0", "type", "bridge")
    node.run("ip", "link", "add", "leg0", "type", "veth", "peer", "name", "leg1")
    node.run("ip", "link", "set", "leg0", "master", "inner0", "up")
    node.run("ip", "link", "set", "leg1", "up")
    node.run("ip", "link", "set", "inner0", "up")
    wait_for(lambda: {"10.4.0.1", VIP} <= node.addresses(), 10, "both to come back with the interface")
    daemon.stop()
    assert not {"10.4.0.1", VIP} & node.addresses()


def hostile(lab: Lab, _: str) -> None:
    """keepalived goes silent under two such packets a second."""
    node, daemon = master(lab)
    second = lab.node("m2", 101)
    backup = second.start("vrrpd", config(V3, second, lab))
    backup.wait_for_line("Entering BACKUP STATE")
    attacker = lab.node("hostile", 50)
    with network_of(attacker.init):
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        index = socket.if_nametoindex("ens37")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), index))
    time.sleep(0.3)
    for one in (daemon, backup):
        one.mark()
    vip = socket.inet_aton(VIP)
    messages = [
        bytes([0x31, 61, 255, 1, 0, 10, 0xBA, 0xD0]) + vip,  # wrong checksum
        bytes([0x31, 61, 0, 1, 0, 10, 0xBA, 0xD0]) + vip,
        bytes([0x21, 61, 255, 1, 0, 1, 0, 0]) + vip + bytes(8),  # wrong version
        bytes([0x31, 61, 255, 3, 0, 10, 0, 0]) + vip,  # shorter than it says
        b"\x31\x3d",
        bytes([0x31, 61, 255, 1, 0, 0, 0, 0]) + vip,
    ]
    end, sent = time.monotonic() + 2, 0
    with sock:
        while time.monotonic() < end or sent < 200:
            for number, message in enumerate(messages):
                sock.sendto(
                    forge(attacker, index, message, attacker.address, 255 if number else 254), ("224.0.0.18", 0)
                )
                sent += 1
            assert lab.holders() == ["m1"]
            time.sleep(0.005)
    assert " STATE" not in daemon.news + backup.news
    document = status(node)
    refused = document["instances"][0]["refused"]
    assert {"checksum", "version", "address_count", "ttl", "interval"} == set(refused)
    assert sum(refused.values()) >= 50
    assert document["links"][0]["malformed"] >= 10
    assert len(daemon.news.splitlines()) < 30, "a flood is logged once"
    assert "Traceback" not in daemon.text + backup.text


def flooded(lab: Lab, _: str) -> None:
    """Some ten thousand forged adverts a second: the kernel drops most of them, real adverts get through."""
    node, _daemon = master(lab)
    second = lab.node("m2", 101)
    backup = second.start("vrrpd", config(V3, second, lab))
    backup.wait_for_line("Entering BACKUP STATE")
    attacker = lab.node("hostile", 50)
    with network_of(attacker.init):
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        index = socket.if_nametoindex("ens37")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), index))
    time.sleep(0.5)
    backup.mark()
    message = bytes([0x31, 61, 255, 1, 0, 10, 0xBA, 0xD0]) + socket.inet_aton(VIP)
    stranger, forged = (forge(attacker, index, message, source) for source in (attacker.address, node.address))
    before = status(second)["instances"][0]
    with sock:
        for _burst in range(200):
            for packet in (stranger, forged) * 50:
                sock.sendto(packet, ("224.0.0.18", 0))
            time.sleep(0.005)
    document = status(second)
    after = document["instances"][0]
    assert document["links"][0]["floods"] >= 1
    assert after["counters"]["adverts_received"] - before["counters"]["adverts_received"] >= 8
    assert 20 < after["refused"]["checksum"] < 10_000, "looked at some of 20,000, not at all"
    assert " STATE" not in backup.news and lab.holders() == ["m1"]
    wait_for(lambda: status(second)["links"][0]["flood"] is False, 10, "the filter to be wide again")


def frozen_backup(lab: Lab, _: str) -> None:
    """A backup that could not run for 2 s (20 intervals) has its adverts waiting: no false takeover."""
    _, first = master(lab)
    second = lab.node("m2", 101)
    backup = second.start("vrrpd", config(V3, second, lab))
    backup.wait_for_line("Entering BACKUP STATE")
    time.sleep(0.5)
    for one in (first, backup):
        one.mark()
    backup.signal(signal.SIGSTOP)
    time.sleep(2)
    backup.signal(signal.SIGCONT)
    lab.always(lambda: lab.holders() == ["m1"], 1, "m1 alone")
    assert " STATE" not in first.news + backup.news
    assert status(second)["late_timers"] >= 1


def virtual_mac(lab: Lab, case: str) -> None:
    first, second = lab.node("m1", 100), lab.node("m2", 101)
    client = Client(lab)
    kinds, protocol = case.split("-", 1)
    protocol = PROTOCOLS[protocol]
    v6 = ":" in protocol.address
    mac = f"00:00:5e:00:0{2 if v6 else 1}:3d"
    programs = [{"k": "keepalived", "v": "vrrpd"}[kind] for kind in kinds]
    one = first.start(programs[0], config(protocol, first, lab, "    use_vmac"))
    two = second.start(programs[1], config(protocol, second, lab, "    use_vmac"))
    two.wait_for_line("Entering BACKUP STATE")
    lab.wait_for_holder("m1", 10, protocol.address)

    def asked() -> bool:
        client.touch(protocol.address)
        return client.neighbour(protocol.address) == mac

    wait_for(asked, 15, "the virtual MAC at the client")
    lab.always(lambda: lab.holders(protocol.address) == ["m1"], 1, "m1 alone has the address")
    one.stop()
    lab.wait_for_holder("m2", 5, protocol.address)
    assert client.neighbour(protocol.address) == mac, "nothing changes for the client"
    assert mac not in first.run("ip", "link", "show")


SCENARIOS = {
    "test_a_wrong_reload_changes_nothing": wrong_reload,
    "test_a_reload_adds_and_removes_addresses_and_routers": changing_reload,
    "test_programs_and_fifos_are_told_in_order": notified,
    "test_status_tells_people_programs_and_prometheus": told,
    "test_interfaces_may_come_and_go": interface_comes_and_goes,
    "test_addresses_on_another_interface_come_back_with_it": other_interface,
    "test_hostile_packets_touch_no_timer_and_no_state": hostile,
    "test_a_flood_is_dropped_in_the_kernel_and_real_adverts_pass": flooded,
    "test_a_frozen_backup_does_not_take_over": frozen_backup,
    "test_a_virtual_mac_stays_the_same_over_a_failover": virtual_mac,
}
Campaign = dict[tuple[str, Any], Future[None]]
once = pytest.mark.parametrize("case", ["vrrpd"])


@once
def test_a_wrong_reload_changes_nothing(case: str, campaign: Campaign) -> None:
    campaign["test_a_wrong_reload_changes_nothing", case].result()


@once
def test_a_reload_adds_and_removes_addresses_and_routers(case: str, campaign: Campaign) -> None:
    campaign["test_a_reload_adds_and_removes_addresses_and_routers", case].result()


@once
def test_programs_and_fifos_are_told_in_order(case: str, campaign: Campaign) -> None:
    campaign["test_programs_and_fifos_are_told_in_order", case].result()


@once
def test_status_tells_people_programs_and_prometheus(case: str, campaign: Campaign) -> None:
    campaign["test_status_tells_people_programs_and_prometheus", case].result()


@once
def test_interfaces_may_come_and_go(case: str, campaign: Campaign) -> None:
    campaign["test_interfaces_may_come_and_go", case].result()


@once
def test_addresses_on_another_interface_come_back_with_it(case: str, campaign: Campaign) -> None:
    campaign["test_addresses_on_another_interface_come_back_with_it", case].result()


@once
def test_hostile_packets_touch_no_timer_and_no_state(case: str, campaign: Campaign) -> None:
    campaign["test_hostile_packets_touch_no_timer_and_no_state", case].result()


@once
def test_a_flood_is_dropped_in_the_kernel_and_real_adverts_pass(case: str, campaign: Campaign) -> None:
    campaign["test_a_flood_is_dropped_in_the_kernel_and_real_adverts_pass", case].result()


@once
def test_a_frozen_backup_does_not_take_over(case: str, campaign: Campaign) -> None:
    campaign["test_a_frozen_backup_does_not_take_over", case].result()


@pytest.mark.parametrize(
    "case",
    [
        "vk-v3-ipv4",
        "kv-v3-ipv6",
        *(pytest.param(case, marks=pytest.mark.soak) for case in ("vv-v3-ipv4", "kv-v3-ipv4", "vk-v3-ipv6")),
    ],
)
def test_a_virtual_mac_stays_the_same_over_a_failover(case: str, campaign: Campaign) -> None:
    campaign["test_a_virtual_mac_stays_the_same_over_a_failover", case].result()


def test_without_permission_the_capability_is_named(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("gives rights up, which only root has")
    command = ["setpriv", "--reuid", "65534", "--clear-groups", sys.executable, "-m", "vrrpd", "--interface", "lo",
               "--vip", "10.0.0.1"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 4
    assert "CAP_NET_ADMIN" in done.stderr and "CAP_NET_RAW" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_daemon_imports_nothing_that_it_does_not_need() -> None:
    code = "import sys, vrrpd.cli, vrrpd.daemon; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"scapy", "rich", "prometheus_client", "pydantic", "tree_sitter", "uvloop", "cryptography"}
