"""Counters of workers as the steward sees them: sums, and rates that rest while nothing happens."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from pylb.counters import ProxyCounters
from pylb.process.books import SETTLED, StewardsBook, WorkersBook
from pylb.process.counters import SharedCounters


def pair() -> tuple[StewardsBook, Any, WorkersBook, Any]:
    """A steward and a worker with one row: books and live objects."""
    shared = SharedCounters(2, 1)
    one, other = (SimpleNamespace(counters=ProxyCounters(), backend=None) for _ in range(2))
    return StewardsBook(shared, [one]), one, WorkersBook(shared, [other], 1), other  # type: ignore[list-item]


def second(steward: StewardsBook, now: float) -> None:
    """One look, in which rates are due."""
    steward._next_second = now
    steward.tick(now)


def test_a_rate_is_right_after_a_long_silence() -> None:
    steward, seen, worker, busy = pair()
    now = 1000.0
    for _ in range(100):
        now += 1.0
        second(steward, now)
    assert steward._still[0] > SETTLED
    for wanted in (30, 30, 12):
        busy.counters.stot += wanted
        worker.settle()
        now += 1.0
        second(steward, now)
        assert seen.counters.rate.value(now) == steward.shared.value("rate", 0) == wanted
    assert (seen.counters.stot, seen.counters.rate.max) == (72, 30)
    for _ in range(SETTLED + 3):
        now += 1.0
        second(steward, now)
    assert steward.shared.value("rate", 0) == 0 and steward._still[0] > SETTLED


def test_what_an_operator_s_question_has_read_counts_for_the_rate() -> None:
    steward, seen, worker, busy = pair()
    now = 1000.0
    for _ in range(20):
        now += 1.0
        second(steward, now)
    busy.counters.stot += 50
    worker.settle()
    steward.settle()
    assert seen.counters.stot == 50 and seen.counters.rate.value(now + 0.5) == 50
    second(steward, now + 1.0)
    assert seen.counters.rate.value(now + 1.0) == 50


def test_nothing_is_read_of_rows_in_which_nothing_was_counted() -> None:
    steward, _, _, _ = pair()
    published = []
    steward._publish = lambda row, counters: published.append(row)  # type: ignore[method-assign]
    steward.settle()
    second(steward, 1.0)
    assert published == []
