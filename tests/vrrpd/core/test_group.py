"""Sync groups: the members move together."""

from __future__ import annotations

import sys
from ipaddress import IPv4Address
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from network import settings

from vrrpd.config.model import SyncGroup, Track, TrackKind
from vrrpd.core.actions import Event, Log, Notify, SendAdvert, State
from vrrpd.core.group import Group
from vrrpd.core.instance import Instance, LinkState
from vrrpd.packet.advert import Advert

OURS, THEIRS = IPv4Address("172.16.10.100"), IPv4Address("172.16.10.101")
UP, DOWN = LinkState(True, OURS), LinkState(False, OURS)


def pair(tracks=(), **changes):
    inside = Instance(settings("inside", virtual_router_id=61, **changes))
    outside = Instance(settings("outside", virtual_router_id=62, **changes))
    group = Group(SyncGroup("G1", ("inside", "outside"), tracks), (inside, outside))
    return inside, outside, group


def started(**changes):
    inside, outside, group = pair(**changes)
    inside.start(0.0, UP)
    outside.start(0.1, UP)
    return inside, outside, group


def masters(**changes):
    inside, outside, group = started(**changes)
    inside.timer_fired(inside.deadline)
    outside.timer_fired(outside.deadline)
    assert inside.state is outside.state is State.MASTER
    return inside, outside, group


def states(*instances):
    return [instance.state for instance in instances]


def test_the_last_one_to_want_it_takes_all_along():
    inside, outside, _ = started()
    assert inside.timer_fired(inside.deadline) == []
    assert states(inside, outside) == [State.BACKUP, State.BACKUP]
    actions = outside.timer_fired(outside.deadline)
    assert states(inside, outside) == [State.MASTER, State.MASTER]
    assert "VRRP_Group(G1) Syncing instances to MASTER state" in [a.text for a in actions if isinstance(a, Log)]
    assert [a.instance for a in actions if isinstance(a, SendAdvert)] == ["outside", "inside"]
    assert [a for a in actions if isinstance(a, Notify) and a.group] == [Notify("G1", Event.MASTER, 0, True)]


def test_a_member_that_hears_a_master_holds_the_others_back():
    inside, outside, _ = started()
    inside.timer_fired(inside.deadline)
    inside.advert_received(Advert(61, 200, (), 1.0, THEIRS), 3.65)
    outside.timer_fired(outside.deadline)
    assert states(inside, outside) == [State.BACKUP, State.BACKUP]


def test_one_that_stands_back_takes_all_along():
    inside, outside, _ = masters()
    actions = inside.advert_received(Advert(61, 200, (), 1.0, THEIRS), 5.0)
    assert states(inside, outside) == [State.BACKUP, State.BACKUP]
    assert Notify("G1", Event.BACKUP, 0, True) in actions
    assert not [a for a in actions if isinstance(a, SendAdvert)]


def test_one_fault_puts_all_into_fault_and_all_come_back_together():
    inside, outside, _ = masters()
    actions = inside.link_changed(DOWN, 5.0)
    assert states(inside, outside) == [State.FAULT, State.FAULT]
    assert [(a.instance, a.priority) for a in actions if isinstance(a, SendAdvert)] == [("inside", 0), ("outside", 0)]
    assert Notify("G1", Event.FAULT, 0, True) in actions
    outside.link_changed(DOWN, 6.0)
    inside.link_changed(UP, 7.0)
    assert states(inside, outside) == [State.FAULT, State.FAULT]
    actions = outside.link_changed(UP, 8.0)
    assert states(inside, outside) == [State.BACKUP, State.BACKUP]
    assert Notify("G1", Event.BACKUP, 0, True) in actions


def test_a_fault_at_start_holds_for_members_that_start_later():
    inside, outside, _ = pair()
    inside.start(0.0, DOWN)
    outside.start(0.1, UP)
    assert states(inside, outside) == [State.FAULT, State.FAULT]


def test_what_the_group_tracks_counts_for_every_member():
    inside, outside, group = masters(tracks=(Track(TrackKind.FILE, "load", weight=1),))
    group.track_changed(TrackKind.FILE, "load", -20, 9.0)
    assert [inside.effective_priority, outside.effective_priority] == [80, 80]
    group.track_changed(TrackKind.FILE, "load", -300, 10.0)
    assert states(inside, outside) == [State.FAULT, State.FAULT]


def test_a_restarted_group_of_masters_goes_on_as_masters():
    inside, outside, _ = pair()
    inside.start(0.0, UP, resume=True)
    outside.start(0.0, UP, resume=True)
    assert states(inside, outside) == [State.MASTER, State.MASTER]
