"""Which tests share a list of patterns."""

from __future__ import annotations

from pylb.config.expression import parse_acl_text
from pylb.config.model import NOWHERE, Origin
from pylb.config.words import Report
from pylb.rules.pattern_lists import PatternList, PatternLists


def words(lists: PatternLists, text: str, at: Origin = NOWHERE) -> PatternList:
    """The list of a test that nobody else keeps."""
    test = parse_acl_text(text, at, Report())
    assert test is not None
    return lists.words(test)


def patterns(made: PatternList) -> list[str]:
    return [entry.pattern for entry in made.live()]


def test_predefined_acls_that_come_and_go_keep_their_own_patterns() -> None:
    """A test that is gone may leave its address in memory to the next one."""
    lists = PatternLists()
    for number in range(200):
        assert patterns(words(lists, f"method M{number}")) == [f"M{number}"]
    assert words(lists, "method M7") is words(lists, "method M7")
    assert words(lists, "method -i M7") is not words(lists, "method M7")


def test_tests_of_a_file_have_a_list_each() -> None:
    lists = PatternLists()
    here, there = Origin("f", 1, 5), Origin("f", 1, 20)
    assert words(lists, "path /a", here) is not words(lists, "path /a", there)
    assert words(lists, "path /a", here) is words(lists, "path /a", here)
