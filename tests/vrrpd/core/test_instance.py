"""Stories of one virtual router and its neighbours, each with the times that the RFC or keepalived gives them."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from network import VIP, VIP_6, Network, settings

from vrrpd.config.model import Authentication, Garp, Track, TrackKind, UnicastPeer, VirtualAddress
from vrrpd.core.actions import AddAddresses, Announce, Event, Log, Notify, RemoveAddresses, SendAdvert, State
from vrrpd.core.instance import Instance, LinkState
from vrrpd.core.reload import needs_restart
from vrrpd.core.snapshot import snapshot
from vrrpd.core.timers import SLOTS
from vrrpd.packet.advert import Advert, decode
from vrrpd.packet.datagram import Datagram, from_ipv4

OURS, THEIRS = IPv4Address("172.16.10.100"), IPv4Address("172.16.10.101")
UP = LinkState(True, OURS)
CHECK = Track(TrackKind.SCRIPT, "haproxy-check", weight=10)


def kinds(actions) -> list[str]:
    return [type(action).__name__ for action in actions if not isinstance(action, Log)]


def advert(priority: int, source=THEIRS, **changes) -> Advert:
    return replace(Advert(61, priority, (VIP[0].address,), 1.0, source), **changes)


def backup(**changes) -> Instance:
    instance = Instance(settings(**changes))
    instance.start(0.0, UP)
    return instance


def master(**changes) -> Instance:
    instance = backup(**changes)
    instance.timer_fired(instance.deadline)
    assert instance.state is State.MASTER
    return instance


def two_nodes(**both) -> Network:
    network = Network()
    network.add("m1", priority=100, **both)
    network.add("m2", priority=90, **both)
    network.start()
    return network


def test_a_backup_takes_over_when_the_master_falls_silent():
    lb2 = backup(priority=150)
    lb2.advert_received(advert(200), now=1.0)
    assert lb2.deadline == 1.0 + 3 * 1.0 + (256 - 150) / 256
    actions = lb2.timer_fired(lb2.deadline)
    assert kinds(actions) == ["SendAdvert", "AddAddresses", "Announce", "Notify"]
    sent = next(action for action in actions if isinstance(action, SendAdvert))
    ((destination, data),) = sent.packets
    assert (str(destination), from_ipv4(data).ttl, sent.priority) == ("224.0.0.18", 255, 150)
    assert actions[-1] == Notify("VI_1", Event.MASTER, 150)


def test_leftover_addresses_are_taken_away_at_start():
    actions = Instance(settings()).start(0.0, UP)
    assert RemoveAddresses("VI_1", VIP) in actions
    assert "Entering BACKUP STATE (init)" in actions[-2].text


def test_a_first_start_waits_a_whole_master_down_interval_also_with_state_master():
    assert backup(state="MASTER", priority=100).deadline == pytest.approx(3.609375)
    assert backup(startup_delay=3).deadline == pytest.approx(6.609375)


def test_the_owner_is_master_at_once():
    owner = Instance(settings(priority=255, state="MASTER"))
    owner.start(0.0, UP)
    assert owner.state is State.MASTER


def test_a_restarted_master_goes_on_without_a_pause_and_without_taking_its_addresses_away():
    again = Instance(settings())
    actions = again.start(0.0, UP, resume=True)
    assert again.state is State.MASTER
    assert kinds(actions) == ["SendAdvert", "AddAddresses", "Announce", "Notify"]


def test_a_farewell_lets_the_backup_take_over_after_its_skew_time():
    network = two_nodes()
    network.run(10)
    assert network.masters == ["m1"]
    network.stop("m1")
    network.run(0.64)
    assert network.masters == []
    network.run(0.01)
    assert network.masters == ["m2"], "skew of 90 is 0.6484 s"


def test_the_better_node_preempts_and_the_other_lets_go():
    network = Network()
    network.add("m1", priority=100)
    network.add("m2", priority=90)
    network.start("m2")
    network.run(7)
    assert network.masters == ["m2"]
    network.start("m1")
    network.run(3.7)
    assert network.masters == network.holders == ["m1"]
    wanted = "(VI_1) Master received advert from 172.16.10.100 with higher priority 100, ours 90"
    assert wanted in network.nodes["m2"].logs()
    discarded = [text for text in network.nodes["m1"].logs() if "discarding" in text]
    assert discarded[0] == "(VI_1) received lower priority (90) advert from 172.16.10.101 - discarding"


def test_nopreempt_leaves_the_worse_master_alone():
    network = Network()
    network.add("m1", priority=100, preempt=False)
    network.add("m2", priority=90)
    network.start("m2")
    network.run(7)
    network.start("m1")
    network.run(30)
    assert network.masters == ["m2"]


def test_preempt_delay_counts_from_the_first_lower_advert_and_then_waits_as_usual():
    network = Network()
    network.add("m1", priority=100, preempt_delay=4)
    network.add("m2", priority=90)
    network.start("m2")
    network.run(6)
    network.start("m1")
    network.run(7)
    assert network.masters == ["m2"]
    network.run(1.1)
    assert network.masters == ["m1"]
    assert "(VI_1) start preempt delay (4.000000)" in network.nodes["m1"].logs()


def test_equal_priorities_are_decided_by_the_higher_address():
    network = Network()
    network.add("m1", priority=100)
    network.add("m2", priority=100)
    network.separate("m1", "m2")
    network.start()
    network.run(5)
    assert network.masters == ["m1", "m2"]
    network.heal()
    network.run(1.5)
    assert network.masters == ["m2"]
    wanted = "(VI_1) Master received advert from 172.16.10.101 with same priority 100 but higher IP address than ours"
    assert wanted in network.nodes["m1"].logs()


def test_two_owners_are_an_error_that_one_of_them_yields_to():
    one = Instance(settings(priority=255, state="MASTER"))
    one.start(0.0, UP)
    actions = one.advert_received(advert(255), 1.0)
    assert any("CONFIGURATION ERROR" in action.text for action in actions if isinstance(action, Log))
    assert (one.state, one.effective_priority) == (State.BACKUP, 254)


def test_a_healed_partition_is_named_and_announced_again_when_it_is_over():
    network = two_nodes()
    network.run(5)
    network.separate("m1", "m2")
    network.run(6)
    assert network.masters == ["m1", "m2"]
    network.heal()
    network.run(1.2)
    m1 = network.nodes["m1"]
    assert network.masters == ["m1"]
    assert snapshot(m1.instance, network.now)["split_brain"]["peer"] == "172.16.10.101"
    before = len(m1.announced())
    network.run(4)
    assert snapshot(m1.instance, network.now)["split_brain"] is None
    assert "(VI_1) split brain with 172.16.10.101 is over" in m1.logs()
    assert len(m1.announced()) > before
    assert m1.instance.counters.split_brains == 1


def test_a_master_that_the_other_does_not_hear_is_told_apart():
    instance = master()
    for second in range(6):
        instance.advert_received(advert(50), 4.0 + second)
    assert instance.rival.deaf
    assert snapshot(instance, 10.0)["split_brain"]["does_not_hear_us"]


@pytest.mark.parametrize("version", [2, 3])
def test_an_hour_of_three_nodes_costs_milliseconds(version):
    network = Network()
    for name, priority in (("m1", 100), ("m2", 99), ("m3", 98)):
        network.add(name, priority=priority, version=version)
    network.start()
    began = time.process_time()
    network.run(3600)
    took = time.process_time() - began
    assert network.masters == ["m1"]
    assert network.nodes["m2"].instance.counters.adverts_received > 3590
    assert took < 3.0, f"an hour took {took:.3f} s"


# Version 3


def test_version_3_learns_the_masters_interval_and_returns_to_its_own():
    network = Network()
    network.add("m1", priority=100, version=3, advert_int=0.5)
    network.add("m2", priority=90, version=3, advert_int=1.0)
    network.start()
    network.run(5)
    m2 = network.nodes["m2"]
    assert m2.instance.master_interval == 0.5
    assert "(VI_1) advertisement interval updated from 1000ms to 500ms by master" in m2.logs()
    network.kill("m1")
    network.run(2)
    assert network.masters == ["m2"]
    assert "(VI_1) changing advert interval from 500ms to locally configured 1000ms" in m2.logs()


def test_version_3_over_ipv6_elects_too():
    network = Network()
    network.add("m1", priority=100, version=3, addresses=VIP_6, advert_int=0.1)
    network.add("m2", priority=90, version=3, addresses=VIP_6, advert_int=0.1)
    network.start()
    network.run(1)
    assert network.masters == ["m1"]
    network.kill("m1")
    network.run(0.37)
    assert network.masters == ["m2"]


def test_unicast_reaches_the_peers_and_no_one_else():
    network = Network()
    peers = [UnicastPeer(ip_address(f"172.16.10.{n}")) for n in (100, 101, 102)]
    network.add("m1", priority=100, unicast_peers=(peers[1], peers[2]))
    network.add("m2", priority=90, unicast_peers=(peers[0], peers[2]))
    network.add("m3", priority=80, unicast_peers=(peers[0], peers[1]))
    network.start()
    network.run(10)
    assert network.masters == ["m1"]
    sent = [a for _, a in network.nodes["m1"].done if isinstance(a, SendAdvert)]
    assert [str(destination) for destination, _ in sent[0].packets] == ["172.16.10.101", "172.16.10.102"]
    ids = {from_ipv4(data).header[4:6] for _, data in sent[0].packets}
    assert len(ids) == 1, "the same IP id to every peer"


# Tracking, abdication


def article(network: Network, **changes) -> None:
    for name, priority in (("m1", 100), ("m2", 99), ("m3", 98)):
        network.add(
            name,
            priority=priority,
            advert_int=2.0,
            authentication=Authentication("ah", "viettq"),
            tracks=(CHECK,),
            **changes,
        )
    network.start()
    for name in network.nodes:
        network.event(name, "track_changed", TrackKind.SCRIPT, "haproxy-check", True)


def test_the_articles_failover_takes_less_than_a_second_when_the_master_abdicates():
    network = Network()
    article(network)
    network.run(20)
    assert network.masters == ["m1"]
    network.event("m1", "track_changed", TrackKind.SCRIPT, "haproxy-check", False)
    network.run(0.6)
    assert network.masters == network.holders == ["m2"]
    assert "(VI_1) Changing effective priority from 110 to 100" in network.nodes["m1"].logs()
    network.event("m1", "track_changed", TrackKind.SCRIPT, "haproxy-check", True)
    network.run(7)
    assert network.masters == network.holders == ["m1"]


def test_without_abdication_it_takes_a_master_down_interval_as_with_keepalived():
    network = Network()
    article(network, abdicate=False)
    network.run(20)
    network.event("m1", "track_changed", TrackKind.SCRIPT, "haproxy-check", False)
    network.run(4.5)
    assert network.masters == ["m1"]
    network.run(2.2)
    assert network.masters == network.holders == ["m2"]


def test_an_abdicating_master_stays_if_nobody_better_is_there_and_never_drops_the_address():
    network = Network()
    network.add("m1", priority=100, tracks=(CHECK,))
    network.add("m2", priority=50)
    network.start()
    network.event("m1", "track_changed", TrackKind.SCRIPT, "haproxy-check", True)
    network.run(10)
    network.event("m1", "track_changed", TrackKind.SCRIPT, "haproxy-check", False)
    held = []
    network.run(5, lambda: held.append(network.holders))
    assert all(holders == ["m1"] for holders in held)
    assert network.nodes["m1"].instance.counters.abdications == 1
    assert network.nodes["m1"].notified().count("MASTER") == 1


def test_an_unweighted_failure_is_fault_with_a_farewell_and_recovery_is_backup():
    instance = Instance(settings(tracks=(Track(TrackKind.SCRIPT, "s"),)))
    assert instance.start(0.0, UP)
    assert instance.state is State.INIT, "waits for the first result"
    instance.track_changed(TrackKind.SCRIPT, "s", True, 0.5)
    instance.timer_fired(instance.deadline)
    actions = instance.track_changed(TrackKind.SCRIPT, "s", False, 10.0)
    assert kinds(actions) == ["SendAdvert", "RemoveAddresses", "Notify"]
    assert actions[0].priority == 0
    assert (instance.state, instance.faults) == (State.FAULT, ("script s",))
    instance.track_changed(TrackKind.SCRIPT, "s", True, 11.0)
    assert instance.state is State.BACKUP


def test_link_down_is_fault_at_once_and_no_timer_runs_there():
    instance = master()
    instance.link_changed(LinkState(False, OURS), 10.0)
    assert instance.state is State.FAULT
    assert instance.timer_fired(1000.0) == []
    instance.link_changed(LinkState(True, None), 11.0)
    assert instance.state is State.FAULT, "no source address yet"
    instance.link_changed(UP, 12.0)
    assert instance.state is State.BACKUP


def test_a_priority_change_shifts_a_running_timer():
    instance = backup(tracks=(CHECK,))
    before = instance.deadline
    instance.track_changed(TrackKind.SCRIPT, "haproxy-check", True, 1.0)
    assert instance.deadline == pytest.approx(before - 10 / 256)


# Addresses


def test_an_address_that_someone_removes_is_put_back_without_a_change_of_master():
    instance = master()
    actions = instance.address_removed(VIP[0], 9.0)
    assert kinds(actions) == ["AddAddresses", "Announce"]
    assert instance.state is State.MASTER
    untracked = VirtualAddress(ip_address("10.0.0.1"), track=False)
    assert master(addresses=(untracked,)).address_removed(untracked, 9.0) == []


def test_announcements_come_in_two_batches_and_then_refresh():
    network = Network()
    garp = Garp(master_delay=5, master_repeat=3, master_refresh=2, master_refresh_repeat=2)
    node = network.add("m1", garp=garp)
    network.start()
    network.run(12)
    batches = [(round(t - 3.609, 1), a.repeat) for t, a in node.done if isinstance(a, Announce)]
    assert batches == [(0.0, 3), (2.0, 2), (4.0, 2), (5.0, 3), (6.0, 2), (8.0, 2)]


# Reload


def test_a_reload_keeps_a_master_and_moves_only_what_changed():
    instance = master()
    more = VirtualAddress(ip_address("172.16.10.98"))
    actions = instance.reload(settings(addresses=(*VIP, more)), 9.0)
    assert instance.state is State.MASTER
    assert [a for a in actions if isinstance(a, AddAddresses)] == [AddAddresses("VI_1", (more,))]
    assert decode(from_ipv4(actions[0].packets[0][1]).payload, OURS, THEIRS).addresses == (
        VIP[0].address,
        more.address,
    )
    assert instance.reload(settings(addresses=(*VIP, more)), 10.0) == []


def test_a_reload_of_another_interface_or_version_asks_for_a_restart():
    assert needs_restart(settings(), settings(interface="eth1"))
    assert needs_restart(settings(), settings(version=3))
    assert not needs_restart(settings(), settings(priority=7))


# Lateness


def test_a_timer_that_fires_late_does_not_lead_to_a_takeover():
    instance = backup()
    actions = instance.timer_fired(instance.deadline + 5)
    assert instance.state is State.BACKUP
    assert actions[0].text == "(VI_1) A thread timer expired 5.000000 seconds ago"
    assert instance.counters.late_timers == 1
    instance.timer_fired(instance.deadline)
    assert instance.state is State.MASTER, "but the next silence does"


def test_a_host_that_is_always_late_has_a_master_all_the_same():
    instance = backup()
    instance.timer_fired(instance.deadline + 5)
    instance.timer_fired(instance.deadline + 5)
    assert instance.state is State.MASTER


def test_late_adverts_announce_again_but_not_each_time():
    instance = master()
    told = []
    for _ in range(4):
        actions = instance.timer_fired(instance.deadline + 4)
        told.append(sum(isinstance(action, Announce) for action in actions))
    assert told[0] >= 1 and sum(told) < 4, "announcing must not feed the lateness that it answers"


def test_many_masters_share_sixteen_moments_of_the_interval():
    masters = []
    for number in range(64):
        instance = Instance(settings())
        instance.slot = number % SLOTS
        instance.start(0.0, UP)
        elected = instance.deadline + number / 1000
        instance.timer_fired(elected)
        assert 0 < instance.deadline - elected <= 1.0
        masters.append(instance)
    assert len({instance.deadline for instance in masters if instance.slot == 3}) == 1
    due = masters[0].deadline
    for instance in masters:
        first = instance.deadline
        instance.timer_fired(first + 0.0003)
        assert instance.deadline == pytest.approx(first + 1.0), "lateness does not add up"
    assert len({round(instance.deadline % 1.0, 6) for instance in masters}) == SLOTS
    masters[0].timer_fired(due + 5.5)
    assert masters[0].deadline == pytest.approx(due + 6.0), "the slot stays the same after a long pause"


def test_adverts_do_not_drift_with_small_delays():
    instance = master()
    due = instance.deadline
    instance.timer_fired(due + 0.004)
    assert instance.deadline == pytest.approx(due + 1.0)


# Hostile packets


def bad_packets():
    good = settings(priority=200)
    other = Instance(good)
    other.start(0.0, LinkState(True, THEIRS), resume=True)
    packet = from_ipv4(other.timer_fired(1.0)[0].packets[0][1])
    wrong_sum = bytearray(packet.payload)
    wrong_sum[6] ^= 1
    yield "checksum", replace(packet, payload=bytes(wrong_sum))
    yield "ttl", replace(packet, ttl=254)
    yield "length", replace(packet, payload=packet.payload[:12])
    for reason, changes in (
        ("interval", {"advert_int": 2.0}),
        ("version", {"version": 3}),
        ("auth_type", {"authentication": Authentication("pass", "x")}),
        ("address_count", {"addresses": (*VIP, VirtualAddress(ip_address("10.0.0.1")))}),
        ("address_list", {"addresses": (VirtualAddress(ip_address("10.0.0.1")),)}),
    ):
        other = Instance(settings(priority=200, **changes))
        other.start(0.0, LinkState(True, THEIRS), resume=True)
        yield reason, from_ipv4(other.timer_fired(other.deadline)[0].packets[0][1])


@pytest.mark.parametrize(("reason", "packet"), list(bad_packets()))
@pytest.mark.parametrize("make", [backup, master])
def test_a_bad_packet_is_counted_and_touches_neither_timer_nor_state(make, reason, packet):
    instance = make()
    state, deadline = instance.state, instance.deadline
    logged = 0
    for number in range(1000):
        actions = instance.packet_received(packet, 1.0 + number / 1000)
        logged += len(actions)
        assert all(isinstance(action, Log) for action in actions)
    assert (instance.state, instance.deadline) == (state, deadline)
    assert {r.value: n for r, n in instance.counters.refused.items()} == {reason: 1000}
    assert logged == 1, "once per flood"


def test_two_forged_packets_a_second_do_not_silence_a_master():
    """keepalived re-arms its advert timer with every packet of a known VRID, even a refused one."""
    network = two_nodes()
    network.run(5)
    forged = dict(bad_packets())["checksum"]
    for _ in range(40):
        network.inject("m1", forged)
        network.run(0.5)
    assert network.nodes["m2"].notified() == ["BACKUP"]


def test_differing_nodes_are_named():
    instance = backup()
    for reason, packet in bad_packets():
        if reason in ("interval", "address_list"):
            instance.packet_received(packet, 1.0)
    assert snapshot(instance, 2.0)["config_mismatch"]["172.16.10.101"]["reason"] == "address_list"


def test_a_flood_of_good_lower_adverts_is_not_answered_by_a_flood():
    instance = master()
    sent = 0
    for number in range(50_000):
        actions = instance.advert_received(advert(1), 5.0 + number / 50_000)
        sent += sum(isinstance(action, SendAdvert) for action in actions)
    assert sent <= 21


# AH


AH = {"authentication": Authentication("ah", "viettq")}


def test_numbers_run_on_across_the_group_whoever_is_master():
    network = two_nodes(**AH)
    network.run(10)
    network.stop("m1")
    network.run(5)
    assert network.masters == ["m2"]
    numbers = [
        int.from_bytes(from_ipv4(a.packets[0][1]).payload[8:12], "big")
        for node in ("m1", "m2")
        for _, a in network.nodes[node].done
        if isinstance(a, SendAdvert)
    ]
    assert numbers == list(range(1, len(numbers) + 1))


def owner_restarts(ah_probe: bool) -> Network:
    network = Network()
    network.add("m1", priority=255, state="MASTER", **AH)
    network.add("m2", priority=90, ah_probe=ah_probe, **AH)
    network.start()
    network.run(10.2)
    network.kill("m1")
    network.start("m1")
    network.run(10)
    return network


def test_a_restarted_owner_is_recognised_at_once_by_asking_it():
    network = owner_restarts(ah_probe=True)
    assert network.masters == ["m1"]
    assert network.nodes["m2"].notified() == ["BACKUP"], "no takeover in between"
    assert network.nodes["m2"].instance.counters.ah_probes == 1


def test_without_asking_it_looks_like_a_replay_until_the_backup_times_out():
    network = owner_restarts(ah_probe=False)
    assert network.nodes["m2"].notified() == ["BACKUP", "MASTER", "BACKUP"]


def test_a_node_whose_numbers_start_at_the_clock_is_no_replay_to_anyone():
    network = Network()
    network.add("m1", priority=255, state="MASTER", **AH)
    network.add("m2", priority=90, ah_probe=False, **AH)
    network.start(sequence=1_700_000_000)
    network.run(10.2)
    network.kill("m1")
    network.start("m1", sequence=1_700_000_010 + 1)
    network.run(10)
    assert network.nodes["m2"].notified() == ["BACKUP"]


def test_a_replay_changes_nothing_but_one_question_per_interval():
    network = two_nodes(**AH)
    network.run(8)
    old = from_ipv4(network.nodes["m1"].done[-1][1].packets[0][1])
    network.run(3)
    network.kill("m1")
    start, m2 = network.now, network.nodes["m2"]
    for _ in range(100):
        network.inject("m2", old)
        network.run(0.05)
    assert m2.master, "replays keep nobody from taking over"
    asked = [a for when, a in m2.done if isinstance(a, SendAdvert) and when >= start and a.priority == 1]
    assert len(asked) <= 4


def test_a_healed_partition_with_ah_ends_and_is_announced_again():
    """keepalived's winner drops the loser's adverts as replays and announces nothing."""
    network = two_nodes(**AH)
    network.run(12)
    network.separate("m1", "m2")
    network.run(6)
    network.heal()
    before = len(network.nodes["m1"].announced())
    network.run(3)
    assert network.masters == ["m1"]
    assert len(network.nodes["m1"].announced()) > before


def test_shutdown_says_farewell_before_it_removes_the_addresses():
    instance = master()
    actions = instance.shutdown(9.0)
    assert kinds(actions) == ["SendAdvert", "RemoveAddresses", "Notify"]
    assert (actions[0].priority, actions[-1].event, instance.state) == (0, Event.STOP, State.INIT)
    assert instance.packet_received(Datagram(THEIRS, ip_address("224.0.0.18"), 255, 112, b""), 9.1) is not None


@pytest.mark.parametrize("probe", [(True, True), (False, False), (True, False), (False, True)])
@pytest.mark.parametrize("priorities", [(100, 100), (100, 90), (90, 100), (1, 1)])
def test_masters_whose_numbers_run_side_by_side_do_not_refuse_each_other_for_ever(priorities, probe):
    network = Network()
    for name, priority, ask in zip(("m1", "m2"), priorities, probe, strict=True):
        network.add(name, priority=priority, ah_probe=ask, **AH)
    network.separate("m1", "m2")
    network.start(resume=True)
    network.run(5.5)
    network.heal()
    network.run(4)
    assert network.masters == network.holders == [network.masters[0]]
    assert network.masters == (["m1"] if priorities[0] > priorities[1] else ["m2"])
