"""Slots and queues: never above maxconn, every waiter is granted once or withdrawn, nobody waits beside a free slot."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

from backend_tools import Exchange, declared_server, make_backend
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support import examples

from pylb.backend import operate, state
from pylb.backend.backend import FULL, QUEUED, Backend
from pylb.backend.queue import Queue, Ticket
from pylb.backend.server import Server
from pylb.config import model


class SlotMachine(RuleBasedStateMachine):
    """Random traffic, retries, state changes and limits over three servers, one a backup."""

    def __init__(self) -> None:
        super().__init__()
        servers = (
            declared_server("a", maxconn=2),
            declared_server("b", maxconn=3, minconn=1, maxqueue=2),
            declared_server("c", maxconn=1, backup=True),
        )
        self.backend = make_backend(*servers, redispatch=1, fullconn=6, balance=model.Balance(self.algorithm))
        self.holding: list[Exchange] = []
        self.waiting: list[Exchange] = []
        self.now = 0.0
        self.held_before: dict[Server, int] = {}

    algorithm = "roundrobin"

    def settle(self, x: Exchange, result: Any) -> None:
        if isinstance(result, Server):
            assert x.slot_server is result
            self.holding.append(x)
        elif result is QUEUED:
            self.waiting.append(x)
        else:
            self.backend.counters.scur -= 1

    def collect(self) -> None:
        """Move those who were granted meanwhile."""
        for x in [x for x in self.waiting if x.grants]:
            self.waiting.remove(x)
            assert len(x.grants) == 1, "granted more than once"
            self.settle(x, x.grants.pop())

    @rule(sticky=st.sampled_from(["", "a", "b", "c"]), priority=st.integers(-2, 2), forced=st.booleans())
    def arrive(self, sticky: str, priority: int, forced: bool) -> None:
        x = Exchange(priority=priority)
        server = self.backend.by_name.get(sticky)
        if server is not None and (server.reachable or forced):
            x.persist_server = server
            x.force_persist = forced
        self.backend.counters.scur += 1
        self.settle(x, self.backend.assign(x, self.now))
        self.collect()

    @precondition(lambda self: self.holding)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        x = self.holding.pop(data.draw(st.integers(0, len(self.holding) - 1)))
        self.backend.counters.scur -= 1
        self.backend.release(x, self.now)
        self.backend.release(x, self.now)  # twice is once
        self.collect()

    @precondition(lambda self: self.holding)
    @rule(data=st.data(), redispatch=st.booleans())
    def fail(self, data: st.DataObject, redispatch: bool) -> None:
        x = self.holding.pop(data.draw(st.integers(0, len(self.holding) - 1)))
        self.settle(x, self.backend.reassign(x, self.now, redispatch))
        self.collect()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        x = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        self.backend.counters.scur -= 1
        assert self.backend.withdraw(x)
        assert not self.backend.withdraw(x)
        self.collect()
        assert not x.grants

    @rule(name=st.sampled_from("abc"), change=st.sampled_from(["stopped", "running", "stopping"]))
    def change_state(self, name: str, change: str) -> None:
        self.now += 1.0
        getattr(state, change)(self.backend.by_name[name], self.now)
        self.collect()

    @rule(name=st.sampled_from("abc"), order=st.sampled_from(["maint", "drain", "ready"]))
    def order(self, name: str, order: str) -> None:
        self.now += 1.0
        operate.set_state(self.backend.by_name[name], order, self.now)
        self.collect()

    @rule(name=st.sampled_from("abc"), maxconn=st.integers(0, 4))
    def limit(self, name: str, maxconn: int) -> None:
        operate.set_maxconn(self.backend.by_name[name], maxconn, self.now)
        self.collect()

    @rule(name=st.sampled_from("abc"), weight=st.sampled_from(["0", "1", "5"]))
    def weigh(self, name: str, weight: str) -> None:
        with suppress(operate.Refused):  # static algorithms take no weight but 0 and the configured one
            operate.set_weight(self.backend.by_name[name], weight, self.now)
        self.collect()

    @invariant()
    def slots_are_those_who_hold_them(self) -> None:
        for server in self.backend.servers:
            assert server.counters.scur == sum(x.slot_server is server for x in self.holding)

    @invariant()
    def nobody_is_added_above_maxconn(self) -> None:
        for server in self.backend.servers:
            if server.counters.scur > self.held_before.get(server, 0):
                assert not server.maxconn or server.counters.scur <= server.maxconn
            self.held_before[server] = server.counters.scur

    @invariant()
    def everyone_is_in_exactly_one_place(self) -> None:
        queues = [self.backend.queue, *(server.queue for server in self.backend.servers)]
        queued = [x for queue in queues for x in queue.all()]
        assert sorted(map(id, queued)) == sorted(map(id, self.waiting))
        assert sum(queue.length for queue in queues) == len(queued)

    @invariant()
    def nobody_waits_beside_a_free_slot(self) -> None:
        for server in self.backend.servers:
            free = not server.maxconn or server.counters.scur < min(server.maxconn, server.minconn)
            if server in self.backend.candidates and free:
                assert not self.backend.queue.length and not server.queue.length

    @invariant()
    def queues_keep_priority_and_order(self) -> None:
        for queue in (self.backend.queue, *(server.queue for server in self.backend.servers)):
            priorities = [x.priority_class for x in queue.all()]
            assert priorities == sorted(priorities)


class LeastconnSlots(SlotMachine):
    algorithm = "leastconn"


class SourceSlots(SlotMachine):
    algorithm = "source"


LEAN = settings(
    max_examples=examples(50), stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
TestRoundrobinSlots = SlotMachine.TestCase
TestRoundrobinSlots.settings = LEAN
TestLeastconnSlots = LeastconnSlots.TestCase
TestLeastconnSlots.settings = LEAN
TestSourceSlots = SourceSlots.TestCase
TestSourceSlots.settings = LEAN


def fill(backend: Backend, count: int) -> list[Exchange]:
    made = [Exchange() for _ in range(count)]
    for x in made:
        backend.counters.scur += 1
        backend.assign(x, 0.0)
    return made


def test_a_freed_slot_goes_to_the_first_who_waits() -> None:
    backend = make_backend(declared_server("a", maxconn=1))
    first, second, third = fill(backend, 3)
    backend.release(first, 1.0)
    assert second.grants == [backend.servers[0]] and not third.grants
    assert (second.backend_queue, third.backend_queue) == (1, 0)
    backend.release(second, 2.0)
    assert third.grants == [backend.servers[0]] and third.backend_queue == 2


def test_who_gives_up_is_logged_with_the_place_it_had_reached() -> None:
    """As HAProxy logs it: behind three that were served it was the fourth."""
    backend = make_backend(declared_server("a", maxconn=1))
    exchanges = fill(backend, 5)
    for x in exchanges[:3]:
        backend.release(x, 1.0)
    backend.withdraw(exchanges[4])
    assert [x.backend_queue for x in exchanges] == [0, 1, 2, 3, 4]


def test_servers_and_backends_waiters_take_turns_by_arrival_and_priority_goes_first() -> None:
    backend = make_backend(declared_server("a", maxconn=1))
    server = backend.servers[0]
    holder = fill(backend, 1)[0]
    arrivals = [Exchange(), Exchange(), Exchange(), Exchange(priority=-1)]
    arrivals[1].persist_server = server
    for x in arrivals:
        assert backend.assign(x, 0.0) is QUEUED
    served = []
    for x in (holder, arrivals[3], arrivals[0], arrivals[1]):
        backend.release(x, 1.0)
        served.append(next(a for a in arrivals if a.slot_server))
    assert served == [arrivals[3], arrivals[0], arrivals[1], arrivals[2]]


def test_an_offset_counts_within_a_class_and_in_either_queue() -> None:
    backend = make_backend(declared_server("a", maxconn=1))
    server = backend.servers[0]
    holder = fill(backend, 1)[0]
    plain, later, sooner, first = Exchange(), Exchange(offset=60_000), Exchange(offset=-60_000), Exchange(priority=-1)
    sooner.persist_server = server
    first.priority_offset = 524_287
    for x in (later, plain, sooner, first):
        assert backend.assign(x, 0.0) is QUEUED
    served = []
    for x in (holder, first, sooner, plain):
        backend.release(x, 1.0)
        served.append(next(a for a in (plain, later, sooner, first) if a.slot_server))
    assert served == [first, sooner, plain, later]


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 20)), max_size=300), st.randoms(use_true_random=False))
def test_a_queue_is_its_tickets_in_order_whoever_leaves(tickets: list[tuple[int, int]], chance: random.Random) -> None:
    queue, waiting = Queue(), []
    for number, (priority, moment) in enumerate(tickets):
        waiting.append((Ticket(priority, moment), number))
        queue.join(number, waiting[-1][0])
        if chance.random() < 0.6:
            waiting.remove(gone := chance.choice(waiting))
            queue.leave(gone[1])
        assert queue.all() == [x for _, x in sorted(waiting)]
        assert queue.first() == (min(waiting) if waiting else None) and len(queue) == len(waiting)
    for _, x in waiting:
        queue.leave(x)
    assert queue.first() is None and len(queue) == 0


def test_a_full_queue_sends_persistent_traffic_elsewhere_only_with_redispatch() -> None:
    for redispatch, expected in ((-1, "b"), (0, FULL)):
        backend = make_backend(declared_server("a", maxconn=1, maxqueue=1), "b", redispatch=redispatch)
        results = []
        for _ in range(3):
            x = Exchange()
            x.persist_server, x.cookie_state = backend.by_name["a"], b"VN"
            results.append(backend.assign(x, 0.0))
        assert results[1] is QUEUED
        if redispatch:
            assert results[2].name == expected and x.redispatched and x.cookie_state == b"DN"
            assert backend.by_name["a"].counters.wredis == backend.counters.wredis == 1
        else:
            assert results[2] is FULL


def test_waiters_of_a_server_that_goes_down_choose_again_only_with_redispatch() -> None:
    for redispatch in (-1, 0):
        log: list[tuple[int, str]] = []
        backend = make_backend(declared_server("a", maxconn=1), "b", redispatch=redispatch, log=log)
        waiting = []
        for _ in range(3):
            x = Exchange()
            x.persist_server = backend.by_name["a"]
            backend.assign(x, 0.0)
            waiting.append(x)
        state.stopped(backend.by_name["a"], 1.0)
        if redispatch:
            assert [x.grants for x in waiting[1:]] == [[backend.by_name["b"]]] * 2
            assert "1 sessions active, 2 requeued, 0 remaining in queue" in log[0][1]
        else:
            assert not any(x.grants for x in waiting)
            assert "1 sessions active, 0 requeued, 2 remaining in queue" in log[0][1]


def test_waiters_are_told_when_nothing_is_left() -> None:
    backend = make_backend(declared_server("a", maxconn=1), redispatch=-1)
    x, y = Exchange(), Exchange()
    x.persist_server = y.persist_server = backend.servers[0]
    backend.assign(x, 0.0)
    backend.assign(y, 0.0)
    state.stopped(backend.servers[0], 1.0)
    assert y.grants == [None]


def test_a_server_that_returns_serves_those_who_waited_for_any() -> None:
    backend = make_backend(declared_server("a", maxconn=1), declared_server("b", maxconn=1))
    state.stopped(backend.by_name["b"], 0.0)
    x, y, z = fill(backend, 3)
    state.running(backend.by_name["b"], 1.0)
    assert y.grants == [backend.by_name["b"]] and not z.grants and not x.grants


def test_a_waiter_that_fails_at_once_does_not_lose_the_slot() -> None:
    """Granting may call back into release; the next waiter then gets the same slot, without deep recursion."""
    backend = make_backend(declared_server("a", maxconn=1))

    class Failing(Exchange):
        def granted(self, server: Any) -> None:
            super().granted(server)
            backend.release(self, 1.0)

    holder = fill(backend, 1)[0]
    failing = [Failing() for _ in range(5000)]
    for x in failing:
        backend.assign(x, 0.0)
    backend.release(holder, 1.0)
    assert all(len(x.grants) == 1 for x in failing)
    assert backend.servers[0].counters.scur == 0 and not backend.queue.length


def test_minconn_ramps_up_with_the_backends_load() -> None:
    backend = make_backend(declared_server("a", minconn=2, maxconn=10), fullconn=20)
    server = backend.servers[0]
    limits = []
    for load in (0, 4, 8, 16, 20, 30):
        backend.counters.scur = load
        limits.append(server.limit())
    assert limits == [2, 2, 4, 8, 10, 10]


def test_a_growing_limit_serves_those_who_waited_before_newcomers() -> None:
    backend = make_backend(declared_server("a", minconn=1, maxconn=2), fullconn=4)
    first, second, third, fourth = fill(backend, 4)
    assert first.slot_server and second.grants, "the fourth makes the limit 2, the second gets the slot"
    assert not third.grants and not fourth.grants and fourth.slot_server is None
