"""What workers tell each other of their stick rules' entries, without processes: however messages cross, all agree."""

from __future__ import annotations

import json
from collections import deque
from ipaddress import IPv4Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pylb.backend.stick import StickTable
from pylb.backend.sticking import name_server
from pylb.config import model
from pylb.process import sticks

WORKERS = range(3)
KEYS = [IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")]


def table(size: int = 10, expire: float | None = 60.0) -> StickTable:
    made = StickTable("t", model.StickTable("ip", size=size, expire=expire, store=("gpc0",)))
    made.keep("server_id")
    made.keep("server_key")
    return made


def store(stick: StickTable, key: Any, server: int, now: float) -> None:
    """What a stick rule does when a server has answered."""
    entry = stick.track(key, now)
    assert entry is not None
    if not name_server(entry, server, f"s{server}", stick.claims):
        stick.touched[key] = None


def held(stick: StickTable, now: float) -> dict[Any, tuple[int, str, float]]:
    return {e.key: (e.data["server_id"], e.data["server_key"], e.expires) for e in stick.entries(now)}


class Together:
    """A steward and its workers; messages wait until they are delivered, in order on each way."""

    def __init__(self) -> None:
        self.steward = table()
        self.workers = [table() for _ in WORKERS]
        self.up: list[deque[str]] = [deque() for _ in WORKERS]
        self.down: list[deque[str]] = [deque() for _ in WORKERS]

    def tell(self, worker: int, now: float) -> None:
        for batch in sticks.batches(sticks.collect([self.workers[worker]], now)):
            self.up[worker].append(json.dumps(batch))

    def deliver_up(self, worker: int, now: float) -> None:
        if not self.up[worker]:
            return
        others, teller = sticks.merge({"t": self.steward}, json.loads(self.up[worker].popleft()), now)
        for other in WORKERS:
            self.down[other].append(json.dumps(teller if other == worker else others))

    def deliver_down(self, worker: int, now: float) -> None:
        if self.down[worker]:
            sticks.apply({"t": self.workers[worker]}, json.loads(self.down[worker].popleft()), now)

    def settle(self, now: float) -> None:
        for _ in range(3):
            for worker in WORKERS:
                self.tell(worker, now)
            while any(self.up) or any(self.down):
                for worker in WORKERS:
                    self.deliver_up(worker, now)
                    self.deliver_down(worker, now)


workers = st.sampled_from(WORKERS)
steps = st.one_of(
    st.tuples(st.just("store"), workers, st.sampled_from(KEYS), st.integers(1, 4)),
    st.tuples(st.sampled_from(["tell", "deliver_up", "deliver_down"]), workers),
)


@given(st.lists(steps, max_size=60))
def test_however_messages_cross_all_agree(story: list[tuple[Any, ...]]) -> None:
    it = Together()
    now = 100.0
    for what, worker, *more in story:
        now += 0.01
        if what == "store":
            store(it.workers[worker], *more, now)
        else:
            getattr(it, what)(worker, now)
    it.settle(now)
    for worker in WORKERS:
        assert held(it.workers[worker], now) == held(it.steward, now)
        assert not it.workers[worker].claims and not it.workers[worker].touched


def test_of_two_that_meet_a_new_client_the_first_holds() -> None:
    it = Together()
    store(it.workers[0], KEYS[0], 1, 100.0)
    store(it.workers[1], KEYS[0], 2, 100.1)
    it.settle(100.2)
    assert {held(each, 100.2)[KEYS[0]][:2] for each in it.workers} == {(1, "s1")}
    store(it.workers[2], KEYS[0], 3, 101.0)  # s1 has gone down: the client has another one from now on
    it.settle(101.0)
    assert {held(each, 101.0)[KEYS[0]] for each in it.workers} == {(3, "s3", 161.0)}


def test_what_is_touched_lives_on_everywhere_and_keeps_its_data() -> None:
    it = Together()
    store(it.workers[0], KEYS[0], 1, 100.0)
    it.settle(100.0)
    for each in (it.steward, *it.workers):
        entry = each.lookup(KEYS[0], 100.0)
        assert entry is not None
        entry.count("gpc0", 100.0, 7)
    store(it.workers[1], KEYS[0], 1, 150.0)
    it.settle(150.0)
    for each in (it.steward, *it.workers):
        assert held(each, 200.0)[KEYS[0]][2] == 210.0
        assert each.entries(200.0)[0].value("gpc0", 200.0) == 7


def test_what_an_order_has_removed_is_not_brought_back_by_a_touch() -> None:
    it = Together()
    store(it.workers[0], KEYS[0], 1, 100.0)
    it.settle(100.0)
    store(it.workers[0], KEYS[0], 1, 101.0)
    it.tell(0, 101.0)
    it.steward.remove(KEYS[0])  # the order goes through here first
    it.deliver_up(0, 101.0)
    assert held(it.steward, 101.0) == {} and not any(json.loads(each) for way in it.down for each in way)
    store(it.workers[1], KEYS[0], 1, 101.0)
    it.workers[1].remove(KEYS[0])
    assert sticks.collect([it.workers[1]], 101.0) == []


def test_tables_that_never_expire_or_are_unknown() -> None:
    stick, other = table(expire=None), table(expire=None)
    store(stick, KEYS[0], 1, 100.0)
    (record,) = sticks.collect([stick], 100.0)
    assert record[2] is None
    sticks.apply({}, [record], 100.0)
    assert sticks.merge({}, [record], 100.0) == ([], [])
    sticks.apply({"t": other}, json.loads(json.dumps([record])), 1e9)
    assert held(other, 1e9) == {KEYS[0]: (1, "s1", float("inf"))}
