"""Deadlines of many names behind one timer."""

from hypothesis import given
from hypothesis import strategies as st

from vrrpd.scheduler import NEVER, Deadlines


def test_the_earliest_is_next_and_a_changed_deadline_replaces_the_old_one():
    deadlines = Deadlines()
    deadlines.set("a", 5.0)
    deadlines.set("b", 3.0)
    assert deadlines.next() == 3.0
    deadlines.set("b", 9.0)
    assert deadlines.next() == 5.0
    deadlines.set("a", NEVER)
    assert deadlines.next() == 9.0
    deadlines.remove("b")
    assert deadlines.next() == NEVER


def test_what_is_due_comes_once_and_in_order():
    deadlines = Deadlines()
    for name, at in (("a", 2.0), ("b", 1.0), ("c", 7.0)):
        deadlines.set(name, at)
    assert deadlines.due(2.0) == [("b", 1.0), ("a", 2.0)]
    assert deadlines.due(2.0) == []
    deadlines.set("a", 2.0)
    assert deadlines.due(2.0) == [("a", 2.0)]


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 50)), max_size=300), st.integers(0, 60))
def test_it_agrees_with_a_plain_dictionary(changes, now):
    deadlines, plain = Deadlines(), {}
    for name, at in changes:
        deadlines.set(name, float(at))
        plain[name] = float(at)
    assert deadlines.next() == min(plain.values(), default=NEVER)
    assert {name for name, _ in deadlines.due(now)} == {name for name, at in plain.items() if at <= now}
    assert deadlines.next() == min((at for at in plain.values() if at > now), default=NEVER)
