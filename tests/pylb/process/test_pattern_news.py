"""Maps and ACLs that rules of several workers change, without processes: however messages cross, all agree."""

from __future__ import annotations

import json
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylb.config.expression import parse_acl_text, parse_sample
from pylb.config.model import NOWHERE
from pylb.config.words import Report
from pylb.process import pattern_news
from pylb.rules.acl import compile_test
from pylb.rules.compile import compile_sample
from pylb.rules.pattern_edits import Order
from pylb.rules.registry import BadArgument
from pylb.rules.scope import Scope, World

WORKERS = range(3)
KEYS = ("a", "ab", "b", "10.0.0.1", "10.0.0.1/32", "10.0.0.0/8", "1")
LOOKS = ("map(f)", "map_beg(f)", "map_sub(f)", "map_reg(f)")
TESTS = ("path -f f", "path -i -f f more", "path -m beg -f f", "path -m sub -f f -f g")
FILE = b"a one\nab two\na three\n10.0.0.0/8 net\n"


class Process:
    """Every kind of map and test over one file, as one process has them."""

    def __init__(self) -> None:
        report = Report()
        scope = Scope(report, World(read_file=lambda path: FILE if path == "f" else b"ab\n"))
        self.lists = scope.world.patterns
        samples = [parse_sample(f"path,{look}", NOWHERE, report) for look in LOOKS]
        tests = [parse_acl_text(text, NOWHERE, report) for text in TESTS]
        self._ask = [compile_sample(sample, scope) for sample in samples if sample]
        self._ask += [compile_test(test, scope) for test in tests if test]
        assert not report.findings and len(self._ask) == len(LOOKS) + len(TESTS) and all(self._ask)

    def found(self) -> list[Any]:
        """What requests find."""
        texts = (*KEYS, "xabx", "abc", "A", "more")
        requests = [SimpleNamespace(request=SimpleNamespace(path=text.encode())) for text in texts]
        return [ask(x) for x in requests for ask in self._ask]  # type: ignore[misc]

    def held(self) -> list[tuple[int, str, str | None, int]]:
        """The entries."""
        edits = self.lists.edits("f")
        assert edits is not None
        return [(e.number, e.pattern, e.value, e.version) for e in edits.list.entries]

    def order(self, order: Order, key: str, value: str) -> None:
        edits = self.lists.edits("f")
        assert edits is not None
        edits.order(order, key, value if order is Order.SET else None)

    def rebuilt(self) -> list[Any]:
        """What requests would find if everything were built of the entries that there are."""
        edits = self.lists.edits("f")
        assert edits is not None
        edits.list.replace(edits.list.entries)
        return self.found()


class Together:
    """A steward and its workers; messages wait until they are delivered, in order on each way."""

    def __init__(self) -> None:
        self.steward = Process()
        self.workers = [Process() for _ in WORKERS]
        self.up: list[deque[str]] = [deque() for _ in WORKERS]
        self.down: list[deque[str]] = [deque() for _ in WORKERS]

    def tell(self, worker: int) -> None:
        for batch in pattern_news.collect(self.workers[worker].lists):
            self.up[worker].append(json.dumps(batch))

    def deliver_up(self, worker: int) -> None:
        if self.up[worker]:
            told = pattern_news.merge(self.steward.lists, json.loads(self.up[worker].popleft()))
            for other in WORKERS:
                self.down[other].append(json.dumps([worker, told]))

    def deliver_down(self, worker: int) -> None:
        if self.down[worker]:
            teller, records = json.loads(self.down[worker].popleft())
            pattern_news.apply(self.workers[worker].lists, records, teller == worker)

    def settle(self) -> None:
        for worker in WORKERS:
            self.tell(worker)
        while any(self.up) or any(self.down):
            for worker in WORKERS:
                self.deliver_up(worker)
                self.deliver_down(worker)


ORDERS = st.tuples(st.sampled_from(list(Order)), st.sampled_from(KEYS), st.sampled_from(("1", "2", "3")))
STEPS = st.lists(
    st.tuples(st.sampled_from(WORKERS), st.one_of(ORDERS, st.sampled_from(("tell", "up", "down", "look")))), max_size=40
)


@given(STEPS)
def test_all_agree_in_the_end_and_find_what_the_entries_say(steps):
    it = Together()
    for worker, what in steps:
        if isinstance(what, tuple):
            it.workers[worker].order(*what)
        elif what == "look":
            it.workers[worker].found()
        else:
            {"tell": it.tell, "up": it.deliver_up, "down": it.deliver_down}[what](worker)
    it.settle()
    entries = it.steward.held()
    assert all(0 < number < 1000 for number, *_ in entries)
    for process in it.workers:
        assert process.held() == entries
        assert process.found() == process.rebuilt()
    assert it.steward.found() == it.steward.rebuilt() == it.workers[0].found()


@given(st.lists(ORDERS, max_size=20))
def test_an_order_holds_at_once_for_who_gave_it(orders):
    process = Process()
    process.found()
    for order in orders:
        process.order(*order)
        edits = process.lists.edits("f")
        assert edits is not None and bool(edits.held(order[1])) == (order[0] is not Order.DELETE)
        assert process.found() == process.rebuilt()


def test_a_value_just_given_is_not_taken_back_by_one_that_crosses_it():
    it = Together()
    first, second = it.workers[:2]
    second.order(Order.SET, "b", "2")
    it.tell(1)
    it.deliver_up(1)
    first.order(Order.SET, "b", "1")
    it.deliver_down(0)
    assert [value for _, key, value, _ in first.held() if key == "b"] == ["1"]
    it.settle()
    assert [value for _, key, value, _ in second.held() if key == "b"] == ["1"]


def test_a_worker_s_numbers_are_those_of_commands():
    it = Together()
    it.workers[0].order(Order.SET, "new", "x")
    it.settle()
    for process in (it.steward, *it.workers):
        edits = process.lists.edits("f")
        assert edits is not None
        edits.list.add([("later", "y")])
    entries = it.steward.held()
    assert [process.held() for process in it.workers] == [entries] * len(WORKERS)


def test_what_does_not_fit_changes_nothing_and_is_not_told():
    report = Report()
    scope = Scope(report, World(read_file=lambda _path: b"a 1\n"))
    sample = parse_sample("path,map_str_int(f)", NOWHERE, report)
    assert sample is not None and compile_sample(sample, scope) is not None
    edits = scope.world.patterns.edits("f")
    assert edits is not None
    with pytest.raises(BadArgument):
        edits.order(Order.SET, "a", "many")
    edits.order(Order.ADD, "a")
    edits.order(Order.DELETE, "b")
    assert edits.untold == {} and [entry.value for entry in edits.list.entries] == ["1"]
