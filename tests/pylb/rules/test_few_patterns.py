"""An operator's few patterns in a long list: nothing is built anew, whatever is looked at afterwards is right."""

from __future__ import annotations

from typing import Any

import pytest

from pylb.config.model import Origin
from pylb.rules.matches import METHODS, adjust
from pylb.rules.pattern_edits import Entry, PatternUse
from pylb.rules.pattern_lists import FEW, PatternList, PatternLists
from pylb.rules.registry import BadArgument


class Test:
    """What an ACL's test does with its list."""

    __test__ = False

    def __init__(self, patterns: PatternList, method: str) -> None:
        self.patterns, self.method, self.builds = patterns, method, 0
        self.matches = self.build()
        patterns.uses.append(PatternUse(self.build, self.put, self.matches, _same, _same, self.accept, self.adjust))

    def build(self) -> Any:
        self.builds += 1
        return METHODS[self.method].build([entry.pattern for entry in self.patterns.live()], False)

    def put(self, made: Any) -> None:
        self.matches = made

    def accept(self, pattern: str, _value: str | None) -> None:
        METHODS[self.method].build([pattern], False)

    def adjust(self, matches: Any, _list: PatternList, pattern: str, live: list[Entry], _is_new: bool) -> bool:
        return adjust(matches, pattern, bool(live))


def _same(made: Any) -> Any:
    return made


def names(count: int) -> list[tuple[str, str | None]]:
    return [(f"name{number}", None) for number in range(count)]


def test_one_pattern_more_or_less_builds_nothing_anew() -> None:
    patterns = PatternLists().file("f", Origin("c", 1), lambda: names(5000))
    test = Test(patterns, "str")
    patterns.add([("more", None)])
    assert patterns.remove_pattern("name7")
    assert not patterns.remove_pattern("name7")
    assert [test.matches(word) for word in (b"more", b"name7", b"name8")] == [True, False, True]
    assert test.builds == 1
    patterns.add([(f"many{number}", None) for number in range(FEW + 1)])
    assert test.builds == 2
    assert [test.matches(word) for word in (b"more", b"name7", b"many5")] == [True, False, True]
    assert [entry.pattern for entry in patterns.entries[-FEW - 2 :]] == ["more", *(f"many{n}" for n in range(FEW + 1))]


def test_a_pattern_that_cannot_be_used_changes_nothing() -> None:
    patterns = PatternLists().file("f", Origin("c", 1), lambda: [("10.0.0.0/8", None)])
    Test(patterns, "ip")
    with pytest.raises(BadArgument, match="nonsense"):
        patterns.add([("11.0.0.0/8", None), ("nonsense", None)])
    assert [entry.pattern for entry in patterns.entries] == ["10.0.0.0/8"]
    patterns.add([("12.0.0.0/8", None)])
    assert [entry.pattern for entry in patterns.entries] == ["10.0.0.0/8", "12.0.0.0/8"]


def test_what_waits_for_its_version_is_not_found() -> None:
    patterns = PatternLists().file("f", Origin("c", 1), lambda: names(3))
    test = Test(patterns, "str")
    patterns.next = 1
    patterns.add([("later", None)], version=1)
    patterns.add([("now", None)])
    assert [test.matches(word) for word in (b"later", b"now")] == [False, True]
    patterns.commit(1)
    assert [test.matches(word) for word in (b"later", b"now")] == [True, False]
