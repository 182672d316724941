"""Limits that several workers share: never exceeded by as many as there are, all of them of use to one, first come
first served. All workers live in this one process here, and everything happens in the order that the test says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from backend_tools import Exchange, declared_server, make_backend
from hypothesis import given, settings
from hypothesis import strategies as st

from pylb.backend.backend import FULL, QUEUED, Backend
from pylb.backend.queue import Ticket
from pylb.config import model
from pylb.net.door import Throttle
from pylb.process import sharing as sharing_module
from pylb.process import usage as usage_module
from pylb.process.sharing import Sharing
from pylb.process.usage import RateShare, Share, Usage, order


@contextmanager
def shared_memory(workers: int, rows: int = 1) -> Iterator[Usage]:
    """The memory, its bells closed in the end."""
    made = Usage(workers, rows)
    try:
        yield made
    finally:
        for bell in made.bells:
            os.close(bell)
        for chute in made.chutes:
            for end in chute:
                end.close()


def rung(usage: Usage, slot: int) -> bool:
    """Whether that worker's bell has been rung; it is silent afterwards."""
    try:
        return os.eventfd_read(usage.bells[slot - 1]) > 0
    except BlockingIOError:
        return False


ACTIONS = ["go on"] * 6 + ["release", "wait", "stop"]
STEPS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(ACTIONS)), min_size=30, max_size=80)


@settings(max_examples=200, deadline=None)
@given(workers=st.integers(2, 4), limit=st.integers(1, 9), steps=STEPS)
def test_a_limit_is_never_exceeded_by_as_many_as_there_are_workers(workers: int, limit: int, steps: Any) -> None:
    """However slow a worker is between the look at a limit and the taking of a unit."""
    with shared_memory(workers) as usage:
        shares = [Share(usage, 0, slot) for slot in range(1, workers + 1)]
        held, allowed = [0] * workers, [False] * workers
        for number, (worker, step) in enumerate(steps):
            place = worker % workers
            share = shares[place]
            if step == "go on" and not allowed[place]:
                allowed[place] = held[place] < share.room(limit, held[place])
            elif step == "go on":
                held[place], allowed[place] = held[place] + 1, False
                share.use(held[place])
            elif step == "release" and held[place]:
                held[place] -= 1
                share.use(held[place])
            elif step in ("wait", "stop"):
                share.wait(step == "wait", number + 1 if step == "wait" else 0)
            assert sum(held) < limit + workers
        for place in range(1, workers):
            shares[place].use(0)
            shares[place].wait(0, 0)
        assert shares[0].room(limit, held[0]) == limit, "one worker alone may use all of it"


def test_who_has_waited_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(usage_module.time, "monotonic", lambda: clock[0])
    with shared_memory(2) as usage:
        one, two = Share(usage, 0, 1), Share(usage, 0, 2)
        one.use(4)
        two.wait(1, 50)
        one.use(3)
        assert one.room(4, 3) == 3 and rung(usage, 2), "it is left to the one who waits"
        assert two.room(4, 0) == 1
        one.wait(1, 40)
        assert one.room(4, 3) == 4 and not rung(usage, 2), "who has waited longer takes it"
        one.wait(0, 0)
        one.use(1)
        two.use(2)
        assert one.room(4, 1) == 2, "nobody is asked for the even part"
        one.use(2)
        two.use(0)
        assert one.room(4, 2) == 2
        clock[0] += 2 * usage_module.GRACE
        assert one.room(4, 2) == 4, "who does not take what is left to him is not waited for"
        assert two.room(4, 0) == 2


def test_what_is_not_needed_here_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    with shared_memory(3) as usage:
        one, two, three = (Share(usage, 0, slot) for slot in (1, 2, 3))
        one.pass_on()
        assert not any(rung(usage, slot) for slot in (1, 2, 3))
        two.wait(3, 70)
        three.wait(1, 60)
        one.pass_on()
        assert [rung(usage, slot) for slot in (1, 2, 3)] == [False, False, True]
        usage.leave(3, 1)
        one.pass_on()
        assert [rung(usage, slot) for slot in (1, 2, 3)] == [False, True, False]
        assert one.queued_elsewhere() == 3 and two.queued_elsewhere() == 0


@given(
    st.tuples(st.integers(-2047, 2047), st.integers(-524287 * 1000, 1 << 50)),
    st.tuples(st.integers(-2047, 2047), st.integers(-524287 * 1000, 1 << 50)),
)
def test_priority_comes_before_the_moment(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (order(Ticket(*one)) < order(Ticket(*other))) == (one < other)
    assert 0 < order(Ticket(*one)) < 1 << 63


@settings(max_examples=100, deadline=None)
@given(
    workers=st.integers(2, 4),
    limit=st.integers(1, 20),
    asks=st.lists(st.tuples(st.integers(0, 3), st.floats(0, 0.3)), max_size=200),
)
def test_a_rate_holds_for_all_workers(workers: int, limit: int, asks: Any) -> None:
    with shared_memory(workers) as usage:
        throttles = [Throttle(limit, RateShare(usage, 1, slot)) for slot in range(1, workers + 1)]
        alone, now = Throttle(limit), 1000.0
        for worker, pause in asks:
            now += pause
            throttle = throttles[worker % workers]
            expected = alone.room(now)
            assert throttle.room(now) == expected
            if expected:
                throttle.count()
                alone.count()


# ------------------------------------------------------------------------------------------------ several live backends


class Loop:
    """Bells and times in the test's hand."""

    def __init__(self) -> None:
        self.readers: dict[int, Callable[[], None]] = {}
        self.later: list[tuple[float, Callable[[], None]]] = []

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self.readers[fd] = callback

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.later.append((delay, callback))

    def time(self) -> float:
        return 0.0

    def passes(self) -> None:
        """All that was to be done later."""
        later, self.later = self.later, []
        for _, callback in later:
            callback()


class Workers:
    """As many processes as there may be, each with the same backend."""

    def __init__(self, usage: Usage, count: int, make: Callable[[], Backend], monkeypatch: Any = None) -> None:
        self.usage = usage
        self.loops = [Loop() for _ in range(count)]
        self.backends: list[Backend] = []
        for slot, loop in enumerate(self.loops, 1):
            backend = make()
            for row, live in enumerate((backend, *backend.servers)):
                live.counters.row = row
            Sharing(usage, slot, loop).add_backend(backend)  # type: ignore[arg-type]
            self.backends.append(backend)

    def ring(self) -> None:
        """Until no bell rings any more."""
        for _ in range(1000):
            heard = [slot for slot in range(1, len(self.loops) + 1) if rung(self.usage, slot)]
            if not heard:
                return
            for slot in heard:
                self.loops[slot - 1].readers[self.usage.bells[slot - 1]]()
        raise AssertionError("bells ring for ever")

    def look(self) -> None:
        """A moment passes."""
        for loop in self.loops:
            loop.passes()

    def held(self) -> int:
        return sum(server.counters.scur for backend in self.backends for server in backend.servers)


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every waiter draws a higher number."""
    number = iter(range(1, 1 << 30))
    monkeypatch.setattr(sharing_module, "microseconds", lambda: next(number))


MOVES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=60)


@settings(max_examples=150, deadline=None)
@given(count=st.integers(2, 3), limit=st.integers(1, 5), servers=st.integers(1, 2), moves=MOVES,
       algorithm=st.sampled_from(["roundrobin", "leastconn", "random", "first", "source"]))  # fmt: skip
def test_nobody_waits_while_there_is_a_slot(count: int, limit: int, servers: int, moves: Any, algorithm: str) -> None:
    def make() -> Backend:
        declared = [declared_server(name, maxconn=limit) for name in "ab"[:servers]]
        return make_backend(*declared, balance=model.Balance(algorithm))

    with shared_memory(count, 3) as usage:
        workers = Workers(usage, count, make)
        alive: list[tuple[Backend, Exchange]] = []
        for worker, what in moves:
            backend = workers.backends[worker % count]
            serving = [pair for pair in alive if pair[1].slot_server is not None]
            if what < 6 or not serving:
                x = Exchange()
                assert backend.assign(x, 0.0) is QUEUED or x.slot_server is not None
                alive.append((backend, x))
            else:
                pair = serving[worker % len(serving)]
                alive.remove(pair)
                pair[0].release(pair[1], 0.0)
            workers.ring()
            for server in zip(*(backend.servers for backend in workers.backends), strict=True):
                used = sum(one.counters.scur for one in server)
                assert used <= limit
                if any(one.queue.length for one in server):
                    assert used == limit
            if any(backend.queue.length for backend in workers.backends):
                assert workers.held() == limit * servers
            assert sum(x.slot_server is not None for _, x in alive) == workers.held()
            assert all(len(x.grants) <= 1 and None not in x.grants for _, x in alive)


@pytest.mark.usefixtures("ticking")
def test_one_slot_goes_round_all_workers_in_the_order_of_coming() -> None:
    with shared_memory(3, 2) as usage:
        workers = Workers(usage, 3, lambda: make_backend(declared_server("a", maxconn=1)))
        order_of_coming = [(workers.backends[number % 3], Exchange()) for number in (0, 1, 1, 2, 0, 2, 1)]
        for backend, x in order_of_coming:
            backend.assign(x, 0.0)
        for number, (backend, x) in enumerate(order_of_coming):
            assert [other.slot_server is not None for _, other in order_of_coming].index(True) == number
            backend.release(x, 0.0)
            workers.ring()
        assert workers.held() == 0


def test_a_waiter_is_served_though_no_bell_has_rung() -> None:
    with shared_memory(2, 2) as usage:
        workers = Workers(usage, 2, lambda: make_backend(declared_server("a", maxconn=1)))
        (one, two), first, second = workers.backends, Exchange(), Exchange()
        one.assign(first, 0.0)
        assert two.assign(second, 0.0) is QUEUED
        one.release(first, 0.0)
        assert rung(usage, 2) and not second.grants, "the ring that nobody heard"
        workers.look()
        assert second.slot_server is two.servers[0]


def test_a_bounded_queue_is_one_queue() -> None:
    with shared_memory(2, 2) as usage:
        workers = Workers(
            usage, 2, lambda: make_backend(declared_server("a", maxconn=2, maxqueue=3), balance=model.Balance("source"))
        )
        got = [workers.backends[number % 2].assign(Exchange(), 0.0) for number in range(10)]
        assert sum(one is QUEUED for one in got) == 3 and sum(one is FULL for one in got) == 5


def test_leastconn_sees_what_other_workers_have() -> None:
    with shared_memory(2, 4) as usage:
        workers = Workers(usage, 2, lambda: make_backend(*"abc", balance=model.Balance("leastconn")))
        one, two = workers.backends
        for _ in range(6):
            x = Exchange()
            x.persist_server = one.by_name["a"]
            one.assign(x, 0.0)
        workers.look()
        assert two.by_name["a"].inflight == 6
        chosen = [two.assign(Exchange(), 0.0).name for _ in range(12)]
        assert "a" not in chosen and chosen.count("b") == chosen.count("c") == 6
        workers.look()
        assert [one.assign(Exchange(), 0.0).name for _ in range(3)].count("a") == 1


@pytest.mark.parametrize("algorithm", ["roundrobin", "static-rr"])
def test_processes_that_take_turns_begin_with_different_servers(algorithm: str) -> None:
    chosen = []
    for slot in (1, 2, 3):
        backend = make_backend(*"abcdef", balance=model.Balance(algorithm))
        backend.skip((slot - 1) * 6 // 3)
        chosen.append("".join(backend.assign(Exchange(), 0.0).name for _ in range(6)))
    assert chosen == ["abcdef", "cdefab", "efabcd"]
    backend.skip(1 << 40)
    backend = make_backend(declared_server("a", disabled=True))
    backend.skip(3)


def test_a_backend_that_asks_for_nothing_takes_no_part() -> None:
    with shared_memory(2, 4) as usage:
        workers = Workers(usage, 2, lambda: make_backend(*"abc"))
        assert all(backend._moved is None and backend.shared is None for backend in workers.backends)
        assert not any(loop.later for loop in workers.loops)


def test_dynamic_limits_follow_the_load_of_all_workers() -> None:
    with shared_memory(2, 2) as usage:
        workers = Workers(usage, 2, lambda: make_backend(declared_server("a", maxconn=10, minconn=2), fullconn=10))
        one, two = workers.backends
        assert one.servers[0].limit() == 2
        two.counters.scur = 5
        workers.look()
        workers.look()
        assert one.servers[0].limit() == 5
