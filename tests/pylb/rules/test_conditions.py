"""Conditions equal a naive evaluation, and what can be decided at load is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules_world import condition_holds, exchange, findings, messages, scope

from pylb.config.expression import parse_acl_text, parse_condition_text
from pylb.config.model import NOWHERE, Acl, Condition, Config, Frontend, Term
from pylb.config.model import Test as AclTest
from pylb.config.words import Report
from pylb.rules.acl import always, compile_condition, never
from pylb.rules.matches import METHODS, Networks, parse_network, parse_ranges
from pylb.rules.registry import BadArgument
from pylb.rules.scope import Place, World, scope_of

PARTS = [
    "path_beg /a",
    "path_end .html",
    "method POST",
    "always_true",
    "always_false",
    "hdr_cnt(host) 1",
    "path -m found",
]
TRUTH = [True, True, False, True, False, True, True]


def acl(text: str) -> AclTest:
    parsed = parse_acl_text(text, NOWHERE, Report())
    assert parsed is not None
    return parsed


TERMS = st.builds(
    lambda n, negated, named: (Term(f"n{n}" if named else acl(PARTS[n]), negated), TRUTH[n] != negated),
    st.integers(0, len(PARTS) - 1), st.booleans(), st.booleans(),
)  # fmt: skip
NAMED = tuple(Acl(f"n{number}", acl(text)) for number, text in enumerate(PARTS))


@given(st.lists(st.lists(TERMS, min_size=1, max_size=4), min_size=1, max_size=4), st.booleans())
def test_a_condition_equals_its_naive_evaluation(groups, unless):
    condition = Condition(tuple(tuple(term for term, _ in group) for group in groups), unless)
    where = scope_of(Frontend("fe", mode="http", acls=NAMED), World(), Report())
    check = compile_condition(condition, where)
    assert check is not None and not where.report.findings
    assert check(exchange()) is (any(all(truth for _, truth in group) for group in groups) != unless)


def test_tests_of_one_name_are_alternatives():
    acls = (Acl("a", acl("path_beg /x")), Acl("a", acl("path_beg /a")))
    where = scope_of(Frontend("fe", mode="http", acls=acls), World(), Report())
    assert condition_holds("if a", exchange(), where) and not condition_holds("if !a", exchange(), where)


def test_a_declared_acl_comes_before_a_predefined_one():
    acls = (Acl("METH_GET", acl("method PATCH")),)
    where = scope_of(Frontend("fe", mode="http", acls=acls), World(), Report())
    assert not condition_holds("if METH_GET", exchange(), where)
    assert condition_holds("if METH_GET", exchange())


@pytest.mark.parametrize(
    ("text", "folded"),
    [("if TRUE", None), ("unless FALSE", None), ("if { path }", never), ("unless { path }", always)],
)
def test_constants_are_folded_at_load(text, folded):
    condition = parse_condition_text(text, NOWHERE, Report())
    check = compile_condition(condition, scope())
    assert check is not None and (folded is None or check is folded)


def test_no_condition_always_holds():
    assert compile_condition(None, scope()) is always


def test_a_sample_that_cannot_exist_never_matches_and_warns():
    where = scope(Place.RESPONSE)
    assert condition_holds("if { path /a } || { hdr(host) -m found }", exchange(response=None), where) is False
    assert [finding.severity for finding in where.report.findings] == ["warning", "warning"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("if nope", 'unknown ACL "nope"'),
        ("if { pth_beg /a }", 'unknown criterion "pth_beg" (did you mean "path_beg"?)'),
        ("if { req.hdr_beg(x) a }", '"req.hdr_beg" is no criterion (write "req.hdr -m beg")'),
        ("if { path -m begin /a }", 'unknown match method "begin"'),
        ("if { path_reg ( }", 'the regular expression "(" is wrong'),
        ("if { src 1.2.3.4.5 }", '"1.2.3.4.5" is no address or network'),
        ("if { src example.org }", '"example.org" is no address or network'),
        ("if { hdr_cnt(x) 3.1 }", '"3.1" is no number'),
        ("if { always_true -m ip 1.2.3.4 }", '"-m ip" cannot match boolean'),
        ("if { distcc_body gt 5 }", '"distcc_body" is not supported by pylb yet'),
        ("if { path,json_query x }", 'the converter "json_query" is not supported by pylb yet'),
        ("if { path,lowr x }", 'unknown converter "lowr" (did you mean "lower"?)'),
        ("if { src,lower,ipmask(33) x }", '"33" is no mask of 32 bits'),
        ("if { bin(00),add(1) 1 }", '"add" takes integer, but gets binary'),
        ("if { hdr(host,0) x }", "there is no occurrence 0"),
        ("if { path(x) /a }", '"path" takes none argument(s)'),
        ("if { str a }", '"str" needs 1 argument'),
        ("if { int(x) 1 }", '"int" wants an integer, not "x"'),
        ("if { http_auth(nope) }", 'there is no userlist "nope"'),
        ("if { nbsrv(nope) 1 }", 'there is no backend "nope"'),
        ("if { srv_is_up(b/nope) }", 'there is no server "b/nope"'),
        ("if { path -f /nonexistent/file }", "cannot be read"),
        ("if RDP_COOKIE", "has no value in an http-request rule"),
    ],
)
def test_mistakes_are_explained(text, message):
    from pylb.config.model import Backend

    where = scope(config=Config(backends=(Backend("b"),)))
    reported = findings(f"deny {text}", where)
    assert len(reported) == 1 and message in reported[0], reported


def test_all_mistakes_of_a_condition_come_out_together():
    assert len(findings("deny if { pth /a } nope || { src x }")) == 3


def test_the_mistake_in_a_named_acl_is_reported_once():
    where = scope_of(Frontend("fe", mode="http", acls=(Acl("a", acl("src x")),)), World(), Report())
    condition = parse_condition_text("if a || a", NOWHERE, Report())
    assert compile_condition(condition, where) is None
    assert compile_condition(condition, where) is None
    assert len(messages(where)) == 1


# ------------------------------------------------------------------------------------------------------ match methods


@given(st.lists(st.binary(max_size=6)), st.binary(max_size=12), st.booleans())
def test_string_methods_equal_their_definitions(patterns, value, ignore_case):
    texts = [pattern.decode("latin-1") for pattern in patterns]
    encoded = [text.encode() for text in texts]
    low = (lambda data: data.lower()) if ignore_case else (lambda data: data)
    definitions = {
        "str": lambda p, v: v == p, "beg": lambda p, v: v.startswith(p), "end": lambda p, v: v.endswith(p),
        "sub": lambda p, v: p in v,
    }  # fmt: skip
    for name, definition in definitions.items():
        match = METHODS[name].build(texts, ignore_case)
        assert match(value) == any(definition(low(pattern), low(value)) for pattern in encoded), name


@given(st.text("ab./?:", max_size=5), st.text("ab./?:", max_size=9))
def test_domains_are_found_between_delimiters(pattern, value):
    import re

    words = re.split(r"([./:?])", value)
    wanted = pattern.strip("./:?")
    pieces = ["".join(words[i : j + 1]) for i in range(0, len(words), 2) for j in range(i, len(words), 2)]
    assert METHODS["dom"].build([pattern], False)(value.encode()) == (wanted != "" and wanted in pieces)


@given(
    st.lists(st.tuples(st.sampled_from(["eq", "ge", "gt", "le", "lt"]), st.integers(-5, 5)), max_size=4),
    st.integers(-6, 6),
)
def test_operators_hold_for_what_follows_them(pairs, value):
    import operator

    words = [word for name, number in pairs for word in (name, str(number))]
    expected = any(getattr(operator, name)(value, number) for name, number in pairs)
    assert METHODS["int"].build(words, False)(value) == expected


def test_an_operator_is_kept_until_the_next_one():
    assert parse_ranges(["1", "gt", "5", "7", "eq", "3:4"]) == [
        (1, 1), (6, 2**63 - 1), (8, 2**63 - 1), (3, 4),
    ]  # fmt: skip


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_networks_contain_what_ipaddress_says(base, length, client):
    network = parse_network(f"{base}/{length}")
    assert (client in Networks([network])) == (client in network)


@pytest.mark.parametrize(
    ("pattern", "same"),
    [("127.1", "127.0.0.1/32"), ("10.12/8", "10.0.0.0/8"), ("192.168.1/22", "192.168.0.0/22"), ("::1", "::1/128")],
)
def test_short_addresses_fill_in_zeros(pattern, same):
    assert str(parse_network(pattern)) == same


def test_names_are_not_looked_up():
    with pytest.raises(BadArgument):
        parse_network("localhost")


@pytest.mark.parametrize(
    ("text", "value", "matches"),
    [("^[[:alpha:]]+$", b"abc", True), ("^[[:alpha:][:digit:]]+$", b"a1", True), (r"^a\hb\z", b"a b", True)],
)
def test_regular_expressions_are_read_as_pcre(text, value, matches):
    assert METHODS["reg"].build([text], False)(value) is matches


def test_clients_are_remembered_by_their_address():
    where = scope()
    x = exchange()
    x.session = SimpleNamespace(src="::ffff:10.0.0.1")
    assert condition_holds("if { src 10.0.0.0/8 }", x, where)
    x.session = SimpleNamespace(src="unix")
    assert not condition_holds("if { src 0.0.0.0/0 }", x, where)
