"""Timers, priorities, floods and numbers, each alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrpd.config.model import Track, TrackKind
from vrrpd.core.floods import QUIET, REPEAT, Floods
from vrrpd.core.priority import Priority
from vrrpd.core.sequence import SequenceCounter
from vrrpd.core.timers import SLOTS, master_down_interval, skew_time, slotted
from vrrpd.packet.refusal import Reason


def test_intervals_are_those_of_the_standards():
    assert skew_time(100, 5.0, version=2) == 156 / 256
    assert skew_time(100, 0.1, version=3) == pytest.approx(0.1 * 156 / 256)
    assert master_down_interval(100, 1.0, 2) == 3.609375
    assert master_down_interval(100, 1.0, 2, adverts=5) == 5.609375


@given(st.floats(0, 1e6), st.sampled_from((0.01, 0.02, 0.1, 1.0, 40.95)), st.integers(0, SLOTS - 1))
def test_a_slot_comes_once_an_interval_at_the_same_place_for_all(now, interval, slot):
    due = slotted(now, interval, slot)
    assert now - 1e-6 <= due <= now + interval + 1e-6
    assert slotted(due + interval / 2, interval, slot) == pytest.approx(due + interval, abs=1e-6)
    place = (due / interval * SLOTS) % SLOTS
    assert min(abs(place - slot), SLOTS - abs(place - slot)) < 1e-2


@pytest.mark.parametrize(
    ("weight", "reverse", "up", "down"),
    [(10, False, 110, 100), (-10, False, 100, 90), (10, True, 90, 100), (-10, True, 100, 110), (200, False, 254, 100)],
)
def test_a_weight_counts_as_in_keepalived(weight, reverse, up, down):
    priority = Priority(100, [Track(TrackKind.SCRIPT, "s", weight, reverse)])
    assert priority.effective == 100
    priority.update(TrackKind.SCRIPT, "s", True)
    assert priority.effective == up
    priority.update(TrackKind.SCRIPT, "s", False)
    assert (priority.effective, priority.faults) == (down, ())


def test_no_weight_means_fault_and_reverse_turns_it():
    for reverse in (False, True):
        priority = Priority(100, [Track(TrackKind.INTERFACE, "eth1", 0, reverse)])
        assert priority.waiting and not priority.faults
        priority.update(TrackKind.INTERFACE, "eth1", reverse)
        assert priority.faults == ("interface eth1",)
        priority.update(TrackKind.INTERFACE, "eth1", not reverse)
        assert not priority.faults


def test_a_files_number_is_added_and_can_be_fault():
    priority = Priority(100, [Track(TrackKind.FILE, "f", 2)])
    for number, effective, fault in ((5, 110, False), (-126, 1, False), (-127, 100, True), (500, 254, False)):
        priority.update(TrackKind.FILE, "f", number)
        assert (priority.effective, bool(priority.faults)) == (effective, fault)
    unweighted = Priority(100, [Track(TrackKind.FILE, "f", 0)])
    unweighted.update(TrackKind.FILE, "f", 3)
    assert unweighted.faults


@given(
    st.integers(1, 255),
    st.lists(st.tuples(st.integers(-253, 253), st.booleans(), st.sampled_from([True, False, None])), max_size=8),
)
def test_the_effective_priority_stays_in_its_range(base, tracked):
    tracks = [Track(TrackKind.SCRIPT, str(n), weight, rev) for n, (weight, rev, _) in enumerate(tracked)]
    priority = Priority(base, tracks)
    for track, (_, _, result) in zip(tracks, tracked, strict=True):
        priority.update(TrackKind.SCRIPT, track.name, result)
    assert priority.effective == 255 if base == 255 else 1 <= priority.effective <= 254


def test_a_flood_is_told_once_and_then_now_and_then():
    floods = Floods()
    assert floods.hit(Reason.TTL, 0.0) == 0
    assert all(floods.hit(Reason.TTL, second) is None for second in range(1, 60))
    assert floods.hit(Reason.CHECKSUM, 5.0) == 0
    assert floods.hit(Reason.TTL, REPEAT) == 59
    assert floods.hit(Reason.TTL, REPEAT + QUIET) == 0, "a new flood"


def test_the_number_stays_at_the_largest_one():
    counter = SequenceCounter(0xFFFFFFFE)
    assert [counter.next(), counter.next()] == [0xFFFFFFFF, 0xFFFFFFFF]
    counter.accepted(5)
    assert counter.value == 0xFFFFFFFF
