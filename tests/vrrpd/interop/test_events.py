"""What befalls a running pair, one keepalived and one vrrpd: checks, cables, priorities, removed addresses.

With v3 and short intervals, so that most of the time is spent on what happens. "kv" is: m1 (the better one)
is keepalived, m2 is vrrpd.
"""

from __future__ import annotations

import signal
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from clusters import PROTOCOLS, config
from netlab import VIP, Client, Daemon, Lab, Node
from support import require_program, wait_for

pytestmark = [pytest.mark.interop, pytest.mark.netns]

KINDS = {"k": "keepalived", "v": "vrrpd"}
V3 = PROTOCOLS["v3-ipv4"]


class Pair:
    """m1 with priority 100 and m2 with 90, and a client that talks to the address."""

    def __init__(self, lab: Lab, mix: str) -> None:
        self.lab, self.mix = lab, mix
        self.m1, self.m2 = lab.node("m1", 100), lab.node("m2", 101)
        self.client = Client(lab)

    def start(self, node: Node, extra: str = "", before: str = "", priority: int = 0) -> Daemon:
        """Start the node's program."""
        kind = KINDS[self.mix[0 if node is self.m1 else 1]]
        return node.start(kind, config(V3, node, self.lab, extra, before, priority))

    def both(self, extra: str = "", before: str = "") -> tuple[Daemon, Daemon]:
        """Start both, the same additions in both files; m1 has the address then and the client knows it."""
        daemons = self.start(self.m1, extra, before), self.start(self.m2, extra, before)
        daemons[1].wait_for_line("Entering BACKUP STATE")
        self.lab.wait_for_holder("m1", 6)
        self.client.touch()
        self.client.follows(self.m1)
        for daemon in daemons:
            daemon.mark()
        return daemons


def check_script(lab: Lab, weight: int) -> tuple[str, str]:
    """(instance part, script part) of a check that looks for the file NODE-up."""
    script = lab.directory / "check.sh"
    script.write_text(f'#!/bin/sh\ntest -e "{lab.directory}/$(ip -o -4 addr show dev ens37 | grep -c 10.100/)-up"\n')
    script.chmod(0o755)
    for name in ("1-up", "0-up"):
        (lab.directory / name).touch()
    before = (
        "global_defs {\n    script_user root\n}\n"
        f'vrrp_script chk {{\n    script "{script}"\n    interval 1\n    timeout 20\n    weight {weight}\n}}'
    )
    return "    track_script {\n        chk\n    }", before


def failing_check(lab: Lab, mix: str) -> None:
    """A check without weight: FAULT, and back."""
    pair = Pair(lab, mix)
    first, _ = pair.both(*check_script(lab, 0))
    (lab.directory / "1-up").unlink()
    lab.wait_for_holder("m2", 3)
    pair.client.follows(pair.m2)
    first.wait_for_line(r"VRRP_Script\(chk\) failed \(exited with status 1\)")
    first.wait_for_line(r"Script `chk` now returning 1")
    first.wait_for_line(r"\(VI_1\) Entering FAULT STATE")
    (lab.directory / "1-up").touch()
    lab.wait_for_holder("m1", 4)
    pair.client.follows(pair.m1)
    assert first.text.count("VRRP_Script(chk) succeeded") == 2


def weighted_check(lab: Lab, mix: str) -> None:
    """A check with weight -20: the priority sinks below the other's, and back."""
    pair = Pair(lab, mix)
    first, second = pair.both(*check_script(lab, -20))
    (lab.directory / "1-up").unlink()
    lab.wait_for_holder("m2", 4)
    pair.client.follows(pair.m2)
    first.wait_for_line(r"\(VI_1\) Changing effective priority from 100 to 80")
    first.wait_for_line(r"\(VI_1\) Master received advert from 172.16.10.101 with higher priority 90, ours 80")
    second.wait_for_line(r"\(VI_1\) received lower priority \(80\) advert from 172.16.10.100 - discarding")
    (lab.directory / "1-up").touch()
    lab.wait_for_holder("m1", 4)
    pair.client.follows(pair.m1)
    first.wait_for_line(r"\(VI_1\) Changing effective priority from 80 to 100")


def pulled_cable(lab: Lab, mix: str) -> None:
    """No carrier on the master: FAULT there, the other takes over; plugged in again it takes back."""
    pair = Pair(lab, mix)
    first, _ = pair.both()
    pair.m1.cable(False)
    wait_for(lambda: pair.m2.holds() and not pair.m1.holds(), 12, "m2 to take over")
    first.wait_for_line(r"\(VI_1\) Entering FAULT STATE")
    pair.client.follows(pair.m2)
    pair.m1.cable(True)
    lab.wait_for_holder("m1", 4)
    pair.client.follows(pair.m1)


def lost_interface(lab: Lab, mix: str) -> None:
    """The interface set down and up by the administrator."""
    pair = Pair(lab, mix)
    pair.both()
    pair.m1.run("ip", "link", "set", "ens37", "down")
    wait_for(lambda: pair.m2.holds() and not pair.m1.holds(), 12, "m2 to take over")
    pair.m1.run("ip", "link", "set", "ens37", "up")
    lab.wait_for_holder("m1", 4)
    pair.client.follows(pair.m1)


def changed_priority(lab: Lab, mix: str) -> None:
    """SIGHUP with another priority: the order changes, without a stop."""
    pair = Pair(lab, mix)
    first, _ = pair.both()
    for priority, holder in ((80, "m2"), (100, "m1")):
        pair.m1.file("keepalived.conf", config(V3, pair.m1, lab, priority=priority))
        first.signal(signal.SIGHUP)
        lab.wait_for_holder(holder, 4)
        pair.client.follows(pair.m1 if holder == "m1" else pair.m2)
    assert first.running


def untouched_reload(lab: Lab, mix: str) -> None:
    """SIGHUP with nothing changed: the master stays master and the client notices nothing."""
    pair = Pair(lab, mix)
    first, second = pair.both()
    first.signal(signal.SIGHUP)
    lab.always(lambda: lab.holders() == ["m1"], 1.0, "m1 keeps the address over a reload")
    assert "Entering MASTER STATE" not in second.news
    assert "Entering MASTER STATE" not in first.news or KINDS[mix[0]] == "keepalived"


def no_preemption(lab: Lab, mix: str) -> None:
    """nopreempt: the better node comes later and leaves the address where it is, until the other goes."""
    pair = Pair(lab, mix)
    second = pair.start(pair.m2)
    lab.wait_for_holder("m2", 6)
    pair.start(pair.m1, extra="    nopreempt")
    lab.always(lambda: lab.holders() == ["m2"], 1.5, "m1 does not preempt")
    second.stop()
    lab.wait_for_holder("m1", 3)


def equal_priorities(lab: Lab, mix: str) -> None:
    """Equal priorities after a partition: the higher address stays master."""
    pair = Pair(lab, mix)
    lab.in_switch("ip", "link", "set", "m1", "nomaster")
    first, _ = pair.start(pair.m1, priority=90), pair.start(pair.m2)
    wait_for(lambda: lab.holders() == ["m1", "m2"], 20, "two masters while the network is cut")
    lab.in_switch("ip", "link", "set", "m1", "master", "br0")
    lab.wait_for_holder("m2", 3)
    first.wait_for_line(
        r"\(VI_1\) Master received advert from 172.16.10.101 with same priority 90 but higher IP address than ours"
    )


def healed_partition(lab: Lab, mix: str) -> None:
    """Two masters while the network was cut, afterwards one. Which of them hears the other first is chance."""
    pair = Pair(lab, mix)
    first, second = pair.both()
    lab.in_switch("ip", "link", "set", "m1", "nomaster")
    wait_for(lambda: lab.holders() == ["m1", "m2"], 20, "two masters while the network is cut")
    pair.client.follows(pair.m2)
    lab.in_switch("ip", "link", "set", "m1", "master", "br0")
    lab.wait_for_holder("m1", 3)
    second.wait_for_line(r"\(VI_1\) Master received advert from 172.16.10.100 with higher priority 100, ours 90")
    if "Received advert from 172.16.10.101 with lower priority 90, ours 100, forcing new" in first.text:
        pair.client.follows(pair.m1)


def group_moves_together(lab: Lab, mix: str) -> None:
    """A sync group: when one member's check fails, the addresses of both move, and both come back."""
    pair = Pair(lab, mix)
    track, before = check_script(lab, 0)
    daemons = []
    for node, priority in ((pair.m1, 100), (pair.m2, 90)):
        one = config(V3, node, lab, track, before, priority)
        other = config(V3, node, lab, "", "", priority)
        other = other.replace("VI_1", "VI_2").replace("router_id 61", "router_id 62").replace(VIP, "172.16.10.98")
        group = "vrrp_sync_group G1 {\n    group {\n        VI_1\n        VI_2\n    }\n}\n"
        kind = KINDS[mix[0 if node is pair.m1 else 1]]
        daemons.append(node.start(kind, one + other + group))
    for address in (VIP, "172.16.10.98"):
        lab.wait_for_holder("m1", 12, address)
    daemons[1].wait_for_line("Entering BACKUP STATE")
    (lab.directory / "1-up").unlink()
    for address in (VIP, "172.16.10.98"):
        lab.wait_for_holder("m2", 6, address)
    daemons[0].wait_for_line(r"\(VI_2\) Entering FAULT STATE")
    daemons[1].wait_for_line(r"VRRP_Group\(G1\) Syncing instances to MASTER state")
    (lab.directory / "1-up").touch()
    for address in (VIP, "172.16.10.98"):
        lab.wait_for_holder("m1", 6, address)


def removed_address(lab: Lab, mix: str) -> None:
    """Somebody deletes the master's address: vrrpd puts it back within milliseconds and stays master."""
    pair = Pair(lab, mix)
    first, second = pair.both()
    pair.m1.run("ip", "addr", "del", f"{VIP}/32", "dev", "ens37")
    lab.wait_for_holder("m1", 1)
    first.wait_for_line(rf"Netlink reflector reports IP {VIP} removed from ens37")
    time.sleep(0.5)
    assert "STATE" not in first.news + second.news


def restarted_after_a_crash(lab: Lab, mix: str) -> None:
    """SIGKILL and a start at once: never two nodes with the address once the new process runs, none left over."""
    pair = Pair(lab, mix)
    first, _ = pair.both()
    first.crash()
    wait_for(pair.m2.holds, 12, "m2 to take over")
    assert pair.m1.holds(), "SIGKILL leaves the address behind"
    first = pair.start(pair.m1)
    lab.wait_for_holder("m1", 12)
    assert f"removed {VIP} from ens37, left by an earlier run" in first.text
    first.stop()
    assert not pair.m1.holds()


def quick_restart(lab: Lab, mix: str) -> None:
    """A supervisor that restarts a killed master at once: the backup never notices."""
    pair = Pair(lab, mix)
    slow = replace(PROTOCOLS["v2-none"], interval=3)
    first = pair.m1.start(KINDS[mix[0]], config(slow, pair.m1, lab))
    second = pair.m2.start(KINDS[mix[1]], config(slow, pair.m2, lab))
    second.wait_for_line("Entering BACKUP STATE")
    lab.wait_for_holder("m1", 15)
    for _attempt in range(3):
        second.mark()
        first, taken = pair.m1.restart(first, config(slow, pair.m1, lab))
        if taken < 2 * slow.interval:
            break
        lab.wait_for_holder("m1", 15)  # too late for what is judged here: others have the machine
    lab.always(lambda: lab.holders() == ["m1"], 11, "m1 goes on as master")
    assert "Entering MASTER STATE" not in second.news


SCENARIOS = {
    "test_a_failing_check_hands_the_address_over_and_back": failing_check,
    "test_a_weighted_check_moves_the_priority": weighted_check,
    "test_a_pulled_cable_is_a_fault": pulled_cable,
    "test_an_interface_set_down_is_a_fault": lost_interface,
    "test_a_changed_priority_takes_effect_at_reload": changed_priority,
    "test_a_reload_without_a_change_keeps_the_master": untouched_reload,
    "test_nopreempt_leaves_a_lower_master_alone": no_preemption,
    "test_the_higher_address_wins_between_equal_priorities": equal_priorities,
    "test_a_healed_partition_leaves_one_master": healed_partition,
    "test_a_sync_group_moves_together": group_moves_together,
    "test_a_removed_address_is_put_back": removed_address,
    "test_a_crash_leaves_no_address_behind_after_the_next_start": restarted_after_a_crash,
    "test_a_supervised_restart_is_not_noticed": quick_restart,
}


def cases(*quick: str, soak: tuple[str, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [*quick, *(pytest.param(mix, marks=pytest.mark.soak) for mix in soak)])


both_ways = cases("kv", "vk", soak=("vv",))
ours_first = cases("vk", soak=("kv", "vv"))
theirs_first = cases("kv", soak=("vk", "vv"))
only_ours_first = cases("vk", soak=("vv",))
"""What only vrrpd does: keepalived is never the first."""


Campaign = dict[tuple[str, Any], Future[None]]


@pytest.fixture(autouse=True)
def _real_keepalived() -> None:
    require_program("keepalived")


@both_ways
def test_a_failing_check_hands_the_address_over_and_back(case: str, campaign: Campaign) -> None:
    campaign["test_a_failing_check_hands_the_address_over_and_back", case].result()


@both_ways
def test_a_weighted_check_moves_the_priority(case: str, campaign: Campaign) -> None:
    campaign["test_a_weighted_check_moves_the_priority", case].result()


@both_ways
def test_a_pulled_cable_is_a_fault(case: str, campaign: Campaign) -> None:
    campaign["test_a_pulled_cable_is_a_fault", case].result()


@theirs_first
def test_an_interface_set_down_is_a_fault(case: str, campaign: Campaign) -> None:
    campaign["test_an_interface_set_down_is_a_fault", case].result()


@both_ways
def test_a_changed_priority_takes_effect_at_reload(case: str, campaign: Campaign) -> None:
    campaign["test_a_changed_priority_takes_effect_at_reload", case].result()


@ours_first
def test_a_reload_without_a_change_keeps_the_master(case: str, campaign: Campaign) -> None:
    campaign["test_a_reload_without_a_change_keeps_the_master", case].result()


@ours_first
def test_nopreempt_leaves_a_lower_master_alone(case: str, campaign: Campaign) -> None:
    campaign["test_nopreempt_leaves_a_lower_master_alone", case].result()


@ours_first
def test_the_higher_address_wins_between_equal_priorities(case: str, campaign: Campaign) -> None:
    campaign["test_the_higher_address_wins_between_equal_priorities", case].result()


@theirs_first
def test_a_healed_partition_leaves_one_master(case: str, campaign: Campaign) -> None:
    campaign["test_a_healed_partition_leaves_one_master", case].result()


@both_ways
def test_a_sync_group_moves_together(case: str, campaign: Campaign) -> None:
    campaign["test_a_sync_group_moves_together", case].result()


@only_ours_first
def test_a_removed_address_is_put_back(case: str, campaign: Campaign) -> None:
    campaign["test_a_removed_address_is_put_back", case].result()


@only_ours_first
def test_a_crash_leaves_no_address_behind_after_the_next_start(case: str, campaign: Campaign) -> None:
    campaign["test_a_crash_leaves_no_address_behind_after_the_next_start", case].result()


@only_ours_first
def test_a_supervised_restart_is_not_noticed(case: str, campaign: Campaign) -> None:
    campaign["test_a_supervised_restart_is_not_noticed", case].result()
