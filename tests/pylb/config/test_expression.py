"""Text to model and back: words, samples, tests, conditions, rules; and what is said about wrong ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylb.config.expression import (
    parse_acl_text,
    parse_condition,
    parse_condition_text,
    parse_rule_text,
    parse_sample,
    parse_sample_prefix,
    split_condition,
    str_condition,
    str_rule,
    str_sample,
    str_test,
)  # fmt: skip
from pylb.config.model import NOWHERE, Call, Condition, Origin, Rule, Sample, Term
from pylb.config.model import Test as AclTest
from pylb.config.words import Report, Word, join_words, nearest, quote_word, split_words

AT = Origin("f", 3, 10)
TRICKY = st.text(st.sampled_from(" \t\n\r\"'#$\\,()]axnrt0A{}|!-") | st.characters(codec="latin-1"), max_size=12)
NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True)


def calls() -> st.SearchStrategy[Call]:
    # Nothing in the parentheses and one empty argument are written alike only as name() and name("").
    return st.builds(Call, NAMES, st.lists(TRICKY, max_size=3).map(tuple))


SAMPLES = st.builds(Sample, calls(), st.lists(calls(), max_size=3).map(tuple))
PATTERNS = TRICKY.filter(lambda text: text != "}")
TESTS = st.builds(
    AclTest,
    SAMPLES,
    st.none() | st.sampled_from(["str", "beg", "reg", "found"]),
    st.booleans(),
    st.lists(PATTERNS, max_size=3).map(tuple),
    st.lists(PATTERNS.filter(lambda text: not text.startswith("-")), max_size=2).map(tuple),
)
ACL_NAMES = st.from_regex(r"[A-Za-z0-9_.:]{1,8}", fullmatch=True).filter(lambda n: n not in ("or", "and"))
TERMS = st.builds(Term, ACL_NAMES | TESTS, st.booleans())
CONDITIONS = st.builds(
    Condition,
    st.lists(st.lists(TERMS, min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple),
    st.booleans(),
)  # fmt: skip


@given(st.lists(TRICKY))
def test_words_survive_being_joined_and_split(words):
    report = Report()
    assert [word.text for word in split_words(join_words(words), NOWHERE, report)] == words
    assert not report.findings


@given(SAMPLES)
def test_a_sample_survives_being_written_and_read(sample):
    report = Report()
    assert parse_sample(str_sample(sample), NOWHERE, report) == sample
    assert not report.findings


@given(CONDITIONS)
def test_a_condition_survives_being_written_and_read(condition):
    report = Report()
    assert parse_condition_text(str_condition(condition), NOWHERE, report) == condition
    assert not report.findings


@given(st.text(max_size=40))
def test_any_text_is_read_or_reported(text):
    for parse in (parse_sample, parse_acl_text, parse_condition_text, parse_rule_text):
        report = Report()
        assert parse(text, AT, report) is not None or report.findings


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r"a\ b 'c d' \"e", ["a b", "c d", '"e']),
        (r'"a\"b" "\x41\n" a\#b', ['a"b', "A\n", "a#b"]),
        ("'a\\b' \"a\\b\"", ["a\\b", "a\\b"]),
        ('a"b c"d', ["ab cd"]),
        ("''", [""]),
    ],
)
def test_quotes_and_escapes_are_those_of_the_manual(text, words):
    assert [word.text for word in split_words(text, NOWHERE, Report())] == words


def test_words_know_their_columns():
    assert [word.at.column for word in split_words("ab  'c d' e", AT, Report())] == [10, 14, 20]


def test_an_open_quote_is_reported_where_it_stands():
    report = Report()
    split_words("a 'b", AT, report)
    assert [(finding.at.column, "not closed" in finding.message) for finding in report.findings] == [(12, True)]


def test_arguments_have_quotes_of_their_own():
    sample = parse_sample(r'path,regsub("^/(here)(/|$)","my/\1",g)', NOWHERE, Report())
    assert sample == Sample(Call("path"), (Call("regsub", ("^/(here)(/|$)", "my/\\1", "g")),))
    assert parse_sample('str("")', NOWHERE, Report()) == Sample(Call("str", ("",)))
    assert parse_sample("str()", NOWHERE, Report()) == Sample(Call("str"))
    assert parse_sample("concat(,x,)", NOWHERE, Report()) == Sample(Call("concat", ("", "x", "")))


def test_a_bracket_ends_a_sample_in_a_format():
    sample, end = parse_sample_prefix("src,field(1,])] rest", 0, NOWHERE, Report())
    assert sample == Sample(Call("src"), (Call("field", ("1", "]")),)) and end == 14


def test_flags_stand_before_patterns():
    test = parse_acl_text("hdr(host) -i -m end -f /f.lst -- -1 .com", NOWHERE, Report())
    assert test == AclTest(Sample(Call("hdr", ("host",))), "end", True, ("-1", ".com"), ("/f.lst",))
    assert str_test(test) == "hdr(host) -i -m end -f /f.lst -- -1 .com"


def test_conditions_are_alternatives_of_conjunctions():
    condition = parse_condition_text("if a !b or ! { src 10.0.0.0/8 } || c", NOWHERE, Report())
    src = AclTest(Sample(Call("src")), values=("10.0.0.0/8",))
    assert condition == Condition(((Term("a"), Term("b", True)), (Term(src, True),), (Term("c"),)))
    assert str_condition(condition) == "if a !b || !{ src 10.0.0.0/8 } || c"
    assert parse_condition([Word("unless"), Word("a")], AT, Report()) == Condition(((Term("a"),),), True)


def test_a_rule_is_an_action_its_words_and_a_condition():
    rule = parse_rule_text("set-header X-A '%[src] x' if a", NOWHERE, Report())
    assert rule == Rule("set-header", ("X-A", "%[src] x"), Condition(((Term("a"),),)))
    assert str_rule(rule) == "set-header X-A '%[src] x' if a"
    assert [w.text for w in split_condition([Word("a"), Word("unless"), Word("b")])[0]] == ["a"]


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("if a or", 15, 'nothing stands after "or"'),
        ("if || a", 13, 'nothing stands before "||"'),
        ("if { path /x", 13, "is not closed"),
        ("if a and b", 15, 'unexpected "and"'),
        ("if { path -q x }", 20, 'unknown flag "-q"'),
        ("if { path -m }", 20, '"-m" needs a match method'),
        ("if {path /x}", 13, 'unexpected "{path"'),
        ("if { }", 13, "a test needs a sample"),
        ("if !", 13, 'nothing stands after "!"'),
        ("if a }", 15, 'unexpected "}"'),
        ("when a", 10, 'expected "if" or "unless"'),
        ("if { str(a }", 18, "is not closed"),
        ("if { path -M x }", 20, "not supported by pylb yet"),
        ("if { path,,lower x }", 20, "expected the name of a fetch or converter"),
        ("if { path(a)b x }", 22, 'unexpected "b"'),
    ],
)
def test_mistakes_are_reported_with_their_column(text, column, message):
    report = Report()
    assert parse_condition_text(text, AT, report) is None
    assert [(f.at.file, f.at.line, f.at.column) for f in report.findings] == [("f", 3, column)]
    assert message in report.findings[0].message


def test_several_mistakes_come_out_together():
    report = Report()
    parse_condition_text("if { path -q x } { hdr( } and", AT, report)
    assert len(report.errors) == 3


@pytest.mark.parametrize(
    ("word", "near"), [("roundrobbin", "roundrobin"), ("SRC", "src"), ("xyzzy", None), ("hdr_don", "hdr_dom")]
)
def test_the_nearest_word_is_suggested(word, near):
    assert nearest(word, ["roundrobin", "src", "hdr_dom", "path"]) == near


def test_a_plain_word_is_not_quoted():
    assert [quote_word(word) for word in ("a", "", "a b", "it's $")] == ["a", "''", "'a b'", '"it\'s \\$"']


def test_a_report_raises_all_its_findings_at_once():
    from pylb.config.model import ConfigError

    report = Report()
    report.warning(AT, "odd")
    report.raise_errors()
    report.unknown(AT, "keyword", "pth", ["path"])
    with pytest.raises(ConfigError) as raised:
        report.raise_errors()
    assert [str(finding) for finding in raised.value.findings] == [
        "f:3:10: warning: odd",
        'f:3:10: error: unknown keyword "pth" (did you mean "path"?)',
    ]
