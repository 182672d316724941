"""Deadlines: never early, late by at most a grain, cheap to move later."""

from __future__ import annotations

import asyncio
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylb.net.clock import GRAIN, Clock, Timed


class Loop:
    """Only the parts of an event loop that the clock uses; time stands still until told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: list[tuple[float, object]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: object) -> asyncio.Handle:
        class Handle:
            cancel = staticmethod(lambda: None)

        self.calls.append((when, callback))
        return Handle()  # type: ignore[return-value]


class Alarm(Timed):
    __slots__ = ("bucket", "clock", "deadline", "fired")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.deadline = self.bucket = inf
        self.fired: list[float] = []

    def expired(self, now: float) -> None:
        self.fired.append(now)


def make() -> tuple[Loop, Clock]:
    loop = Loop()
    return loop, Clock(loop)  # type: ignore[arg-type]


def test_it_fires_after_the_deadline_and_within_a_grain() -> None:
    loop, clock = make()
    alarm = Alarm(clock)
    alarm.arm(loop.now + 1.0)
    clock.fire(loop.now + 0.99)
    assert alarm.fired == []
    clock.fire(loop.now + 1.0 + GRAIN + 1e-6)
    assert len(alarm.fired) == 1


def test_a_deadline_moved_later_by_assignment_is_followed() -> None:
    loop, clock = make()
    alarm = Alarm(clock)
    alarm.arm(loop.now + 1.0)
    alarm.deadline = loop.now + 5.0
    clock.fire(loop.now + 1.1)
    assert alarm.fired == []
    clock.fire(loop.now + 5.0 + 2 * GRAIN)
    assert len(alarm.fired) == 1


def test_a_deadline_moved_earlier_fires_earlier_and_once() -> None:
    loop, clock = make()
    alarm = Alarm(clock)
    alarm.arm(loop.now + 60.0)
    alarm.arm(loop.now + 1.0)
    clock.fire(loop.now + 1.1)
    clock.fire(loop.now + 61.0)
    assert len(alarm.fired) == 1


def test_a_disarmed_alarm_never_fires_and_is_not_kept_alive() -> None:
    loop, clock = make()
    alarm = Alarm(clock)
    alarm.arm(loop.now + 1.0)
    alarm.disarm()
    assert all(alarm not in members for members in clock._buckets.values())
    clock.fire(loop.now + 2.0)
    assert alarm.fired == []


def test_the_loop_timer_follows_the_earliest_bucket() -> None:
    loop, clock = make()
    Alarm(clock).arm(loop.now + 60.0)
    late = loop.calls[-1][0]
    Alarm(clock).arm(loop.now + 1.0)
    assert loop.calls[-1][0] < late


@given(st.lists(st.tuples(st.sampled_from(["arm", "later", "off", "pass"]), st.floats(0.001, 30.0)), max_size=60))
def test_whatever_the_order_of_moves_nothing_fires_early_or_more_than_a_grain_late(
    moves: list[tuple[str, float]],
) -> None:
    loop, clock = make()
    alarm = Alarm(clock)
    due = inf
    for move, amount in moves:
        if move == "arm":
            due = loop.now + amount
            alarm.arm(due)
        elif move == "later" and due != inf:
            due += amount
            alarm.deadline = due
        elif move == "off":
            due = inf
            alarm.disarm()
        else:
            loop.now += amount
            clock.fire(loop.now)
            if alarm.fired:
                assert alarm.fired == [loop.now]
                assert due <= loop.now
                alarm.fired.clear()
                due = inf
            else:
                assert loop.now < due + GRAIN + 1e-6


async def test_a_deadline_that_fails_costs_no_other_one(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    clock = Clock(loop)
    fired = asyncio.Event()

    class Bad(Timed):
        def __init__(self) -> None:
            self.clock, self.deadline, self.bucket = clock, inf, inf

        def expired(self, now: float) -> None:
            raise KeyError("a mistake of ours")

    class Good(Bad):
        def expired(self, now: float) -> None:
            fired.set()

    when = loop.time() + 0.02
    timed = [Bad(), Good()]
    for each in timed:
        each.arm(when)
    async with asyncio.timeout(20):
        await fired.wait()
    clock.close()
    assert "a mistake of ours" in caplog.text
