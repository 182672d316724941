"""Counters of workers as the steward sees them: sums, and rates that rest while nothing happens."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from pylb.counters import ProxyCounters
from pylb.process.books import SETTLED, SPARE, StewardsBook, WorkersBook
from pylb.process.counters import FIELDS, SharedCounters


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


@contextmanager
def three_processes(spare: int) -> Iterator[tuple[StewardsBook, list[WorkersBook]]]:
    """A steward and two workers with one row in use and so many free ones."""
    shared = SharedCounters(3, 1 + spare)
    steward = StewardsBook(shared, [live()])
    try:
        yield steward, [WorkersBook(shared, [live()], slot) for slot in (1, 2)]
    finally:
        assert shared.usage is not None
        for bell in shared.usage.bells:
            os.close(bell)
        for chute in shared.usage.chutes:
            for end in chute:
                end.close()


def live() -> Any:
    return SimpleNamespace(counters=ProxyCounters(), backend=None)


def test_rows_of_deleted_servers_are_used_again_and_hold_nothing_of_them() -> None:
    with three_processes(SPARE) as (steward, workers):
        books = [steward, *workers]
        former = [[live() for _ in range(100)] for _ in books]
        for book, servers in zip(books, former, strict=True):
            for server in servers:
                book.add(server)
        assert [server.counters.row for server in former[1]] == list(range(1, 101))
        for worker, servers in zip(workers, former[1:], strict=True):
            servers[70].counters.lbtot = servers[70].counters.stot = 5
            worker.settle()
        assert steward.totals(former[0][70]).stot == 10
        second = [live() for _ in books]
        for book, servers, server in zip(books, former, second, strict=True):
            book.remove(servers[70])
            book.add(server)
            assert server.counters.row == 71
            assert len(book.entries) == 101, "only rows that were in use are gone through"
        assert [book.totals(server).stot for book, server in zip(books, second, strict=True)] == [0, 0, 0]
        second[2].counters.stot = 3
        workers[1].settle()
        steward.settle()
        assert second[0].counters.stot == workers[0].totals(second[1]).stot == 3


def test_a_row_that_a_dead_worker_has_left_is_empty_for_its_successor() -> None:
    with three_processes(1) as (steward, (worker, _)):
        old = [live(), live()]
        steward.add(old[0])
        worker.add(old[1])
        old[1].counters.stot = 9
        worker.settle()
        steward.remove(old[0])  # the worker dies before it hears of it
        new = live()
        steward.add(new)
        successor = WorkersBook(steward.shared, [live(), live()], 1)
        assert list(successor.beginning()) and successor.totals(successor.entries[1]).stot == 0  # type: ignore[arg-type]
        assert steward.totals(new).stot == 0


def test_there_is_no_room_beyond_the_rows() -> None:
    with three_processes(2) as (steward, _):
        added = [live(), live()]
        for server in added:
            assert not steward.full
            steward.add(server)
        assert steward.full
        steward.remove(added[0])
        assert not steward.full


def test_a_row_is_never_read_half_written() -> None:
    steward, *_, busy = pair()
    for name in FIELDS:
        setattr(busy.counters, name, 7)
    busy.counters.responses.add([0.01] * 7)
    times = list(busy.counters.responses.counts)
    shared = steward.shared
    shared.write(1, 0, busy.counters)
    writer = os.fork()
    if not writer:
        while True:  # until it is killed
            shared.write(1, 0, busy.counters)
    try:
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            assert set(shared.values(1, 0)) == {7.0}
            assert list(shared.latencies(0).counts) == times
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
