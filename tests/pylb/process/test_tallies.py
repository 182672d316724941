"""What workers count in stick tables, without processes: however messages cross, all come to the same sums."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from ipaddress import IPv4Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pylb.backend.stick import StickTable
from pylb.backend.stick_entry import HOT
from pylb.config import model
from pylb.process.sums import StewardsTally
from pylb.process.tallies import WorkersTally

WORKERS = (1, 2, 3)
KEYS = [IPv4Address("10.0.0.1"), IPv4Address("10.0.0.2")]
STORE = ("gpc0", "http_req_cnt", "http_req_rate(10s)", "conn_cur", "gpt0")


def table(size: int = 10, expire: float | None = 60.0) -> StickTable:
    return StickTable("t", model.StickTable("ip", size=size, expire=expire, store=STORE))


class Together:
    """A steward and its workers; messages wait until they are delivered, in order on each way."""

    def __init__(self, size: int = 10) -> None:
        self.now = 100.0
        self.size = size
        self.up: dict[int, deque[bytes]] = {}
        self.down: dict[int, deque[bytes]] = {}
        self.tables: dict[int, StickTable] = {0: table(size)}
        self.later: list[Callable[[], None]] = []
        self.hot: dict[int, list[Callable[[], None]]] = {}
        self.workers: dict[int, WorkersTally] = {}
        self.steward = StewardsTally(
            {"t": self.tables[0]}, lambda slot, data: self.down[slot].append(data), lambda: list(self.workers),
            lambda _seconds, call: self.later.append(call), lambda: self.now,
        )  # fmt: skip
        for slot in WORKERS:
            self.hire(slot)

    def hire(self, slot: int) -> None:
        """A worker with what the steward knows, as a fork has it."""
        made = self.tables[slot] = table(self.size)
        for entry in self.tables[0].entries(self.now):
            copy = made.entry(entry.key, self.now)
            assert copy is not None
            copy.expires, copy.told = entry.expires, entry.told
            for cell, value in entry.data.items():
                copy.data[cell] = type(value).of(value.period, value.record()) if hasattr(value, "of") else value
        self.up[slot], self.down[slot] = deque(), deque()
        later = self.hot[slot] = []
        self.workers[slot] = WorkersTally({"t": made}, self.up[slot].append, lambda _, call: later.append(call))

    def lose(self, slot: int) -> None:
        """It dies without a word, and another takes its place."""
        del self.workers[slot]
        self.steward.gone(slot)
        self.hire(slot)

    def count(self, slot: int, key: Any, cells: tuple[str, ...], n: int = 1) -> None:
        entry = self.tables[slot].entry(key, self.now)
        assert entry is not None
        entry.add(cells, self.now, n)

    def deliver_up(self, slot: int) -> None:
        if self.up[slot]:
            self.steward.heard(slot, self.up[slot].popleft(), self.now)

    def deliver_down(self, slot: int) -> None:
        if self.down[slot]:
            self.workers[slot].take(self.down[slot].popleft(), self.now)

    def hurry(self, slot: int) -> None:
        calls, self.hot[slot][:] = self.hot[slot][:], []
        for call in calls:
            call()

    def tell(self) -> None:
        calls, self.later = self.later, []
        for call in calls:
            call()

    def settle(self) -> None:
        for _ in range(3):
            for slot, worker in self.workers.items():
                worker.tell(most=None)
                while self.up[slot]:
                    self.deliver_up(slot)
            self.steward.look()
            self.tell()
            for slot in self.workers:
                while self.down[slot]:
                    self.deliver_down(slot)

    def all(self, cell: str, key: Any = KEYS[0]) -> list[int | None]:
        """A cell's number in the steward and each worker."""
        found = [self.tables[slot].lookup(key, self.now) for slot in (0, *self.workers)]
        return [None if entry is None else entry.value(cell, self.now) for entry in found]


workers = st.sampled_from(WORKERS)
steps = st.one_of(
    st.tuples(st.just("count"), workers, st.sampled_from(KEYS), st.integers(1, 50)),
    st.tuples(st.sampled_from(["say", "hurry", "deliver_up", "deliver_down"]), workers),
    st.tuples(st.sampled_from(["tell"])),
)


@given(st.lists(steps, max_size=60))
def test_whatever_crosses_all_come_to_the_sum(given_steps: list[tuple[Any, ...]]) -> None:
    it = Together()
    sums = dict.fromkeys(KEYS, 0)
    for what, *args in given_steps:
        it.now += 0.01
        if what == "count":
            slot, key, n = args
            it.count(slot, key, ("http_req_cnt", "http_req_rate"), n)
            sums[key] += n
            entry = it.tables[slot].lookup(key, it.now)
            assert entry is not None
            seen = entry.value("http_req_cnt", it.now)
            assert seen is not None and seen <= sums[key], "nothing is counted twice, not for a moment"
        elif what == "say":
            it.workers[args[0]].tell()
        elif what == "tell":
            it.tell()
        else:
            getattr(it, what)(*args)
    it.settle()
    for key, total in sums.items():
        if total:
            assert it.all("http_req_cnt", key) == [total] * 4
            assert it.all("http_req_rate", key) == [total] * 4, "less than a period has passed"


def test_a_worker_sees_its_own_at_once_and_others_soon() -> None:
    it = Together()
    it.count(1, KEYS[0], ("http_req_cnt",), 3)
    assert it.all("http_req_cnt") == [None, 3, None, None]
    it.workers[1].tell()
    it.deliver_up(1)
    it.count(1, KEYS[0], ("http_req_cnt",), 4)
    it.tell()
    for slot in WORKERS:
        it.deliver_down(slot)
    assert it.all("http_req_cnt") == [3, 7, 3, 3]


def test_what_is_counted_often_is_told_at_once() -> None:
    it = Together()
    for number in range(1, 3 * HOT):
        it.count(1, KEYS[0], ("http_req_cnt",))
        it.count(1, KEYS[1], ("http_req_cnt",), 1000) if number == 1 else None
        assert bool(it.hot[1]) == (number >= HOT), "once, however much follows"
    it.hurry(1)
    it.deliver_up(1)
    it.tell()
    it.deliver_down(2)
    assert it.all("http_req_cnt")[:3] == [3 * HOT - 1, 3 * HOT - 1, 3 * HOT - 1]
    assert it.all("http_req_cnt", KEYS[1])[0] is None, "a single addition waits, however large"
    it.workers[1].tell()
    it.hurry(1)
    assert len(it.up[1]) == 1, "what was told is not told again"
    it.settle()
    assert it.all("http_req_cnt") == [3 * HOT - 1] * 4 and it.all("http_req_cnt", KEYS[1]) == [1000] * 4


def test_what_dies_with_a_worker() -> None:
    it = Together()
    for slot in WORKERS:
        it.count(slot, KEYS[0], ("use", "conn_cur", "http_req_cnt"), slot)
    it.settle()
    assert it.all("conn_cur") == [6] * 4 == it.all("use")
    it.count(2, KEYS[0], ("conn_cur", "http_req_cnt"))  # not told any more
    it.lose(2)
    it.settle()
    assert it.all("conn_cur") == [4] * 4 == it.all("use"), "its clients have gone with it"
    assert it.all("http_req_cnt") == [6] * 4, "what it told stays"
    it.count(2, KEYS[0], ("http_req_cnt",))
    it.settle()
    assert it.all("http_req_cnt") == [7] * 4, "its successor counts on"
    it.count(1, KEYS[0], ("use", "conn_cur"), -1)
    it.count(3, KEYS[0], ("use", "conn_cur"), -3)
    it.settle()
    assert it.all("conn_cur") == [0] * 4


def test_operators_set_and_clear_everywhere() -> None:
    it = Together()
    column = next(column for column in it.tables[0].columns if column.name == "gpc0")
    it.count(1, KEYS[0], ("gpc0",), 5)
    it.settle()
    it.count(1, KEYS[0], ("gpc0",), 2)
    it.workers[1].tell()  # on its way
    for slot in (0, *WORKERS):
        entry = it.tables[slot].track(KEYS[0], it.now)
        assert entry is not None
        entry.set(column, 100, it.now)
    it.settle()
    assert len(set(it.all("gpc0"))) == 1 and it.all("gpc0")[0] in (100, 102)
    it.count(2, KEYS[0], ("gpc0",), 1)
    it.workers[2].tell()
    for slot in (0, *WORKERS):
        it.tables[slot].remove(KEYS[0])
    it.count(3, KEYS[1], ("gpc0",), 1)
    it.settle()
    assert it.all("gpc0") == [None] * 4 and it.all("gpc0", KEYS[1]) == [1] * 4
    it.count(2, KEYS[0], ("gpc0",), 1)
    it.settle()
    assert it.all("gpc0") == [1] * 4, "it begins anew"


def test_the_last_tag_holds() -> None:
    it = Together()
    for slot, tag in ((1, 5), (2, 6)):
        entry = it.tables[slot].entry(KEYS[0], it.now)
        assert entry is not None
        entry.put("gpt0", tag)
        it.workers[slot].tell()
    it.deliver_up(2)
    it.deliver_up(1)
    it.settle()
    assert it.all("gpt0") == [5] * 4
    entry = it.tables[3].lookup(KEYS[0], it.now)
    assert entry is not None
    entry.put("gpc0", 0)
    entry.add(("gpc0",), it.now, 3)
    it.settle()
    assert it.all("gpc0") == [3] * 4


def test_an_old_generation_counts_on_for_the_next() -> None:
    old, new = Together(), Together()
    for it in (old, new):
        it.count(1, KEYS[0], ("http_req_cnt", "http_req_rate"), 3)
        it.settle()
    assert old.steward.carried() == [], "nobody wants it"
    old.steward.begin_to_carry()
    for slot in WORKERS:
        old.count(slot, KEYS[0], ("use", "conn_cur", "http_req_cnt", "http_req_rate"), slot)
        old.settle()
    entry = old.tables[1].lookup(KEYS[0], old.now)
    assert entry is not None
    entry.put("gpt0", 7)
    old.count(2, KEYS[1], ("conn_cur",))
    old.settle()
    new.steward.inherit(json.loads(json.dumps(old.steward.carried())))
    new.settle()
    for cell, number in {"http_req_cnt": 9, "http_req_rate": 9, "gpt0": 7, "conn_cur": 0, "use": 0}.items():
        assert new.all(cell) == [number] * 4, cell
    assert new.all("conn_cur", KEYS[1]) == [None] * 4 and old.steward.carried() == []


def test_a_flood_of_keys_is_told_in_portions_and_tables_stay_bounded() -> None:
    it = Together(size=50)
    for number in range(120):
        it.count(1, IPv4Address(number), ("http_req_cnt",))
    it.workers[1].tell(most=20)
    assert len(it.up[1]) <= 1
    it.settle()
    assert all(len(stick) <= 50 for stick in it.tables.values())
    assert it.all("http_req_cnt", IPv4Address(119)) == [1] * 4
