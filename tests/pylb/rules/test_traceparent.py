"""W3C Trace Context level 1: what is valid stays, what is not is a new trace."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules_world import exchange

from pylb.rules.traceparent import parse, trace_context

TRACE, PARENT = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"
GOOD = b"00-" + TRACE + b"-" + PARENT + b"-01"


def sent(mode, *fields: bytes):
    """(traceparent fields, tracestate fields, variables) of a request after the step."""
    lines = b"".join(b"\r\n" + field for field in fields)
    x = exchange(b"GET / HTTP/1.1\r\nHost: a" + lines)
    assert trace_context(mode)(x) is None
    return x.request.get_all(b"traceparent"), x.request.get_all(b"tracestate"), x.variables


def test_a_valid_trace_is_passed_on_as_it_came():
    fields, state, variables = sent("start", b"Traceparent: " + GOOD, b"tracestate: a=1", b"tracestate: b=2")
    assert (fields, state) == ([GOOD], [b"a=1", b"b=2"])
    assert variables == {"txn.trace_id": TRACE, "txn.parent_id": PARENT}


def test_a_span_of_our_own_is_put_into_it():
    fields, state, variables = sent("span", b"traceparent: " + GOOD, b"tracestate: a=1")
    span = variables["txn.span_id"]
    assert fields == [b"00-" + TRACE + b"-" + span + b"-01"] and span != PARENT and re.fullmatch(rb"[0-9a-f]{16}", span)
    assert state == [b"a=1"]
    assert (variables["txn.trace_id"], variables["txn.parent_id"]) == (TRACE, PARENT)


@pytest.mark.parametrize("mode", ["start", "span"])
def test_a_trace_is_started_without_one(mode):
    (field,), _, variables = sent(mode)
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01", field)
    assert parse([field]) == (variables["txn.trace_id"], variables["txn.span_id"], 1)
    assert "txn.parent_id" not in variables
    assert sent(mode)[0] != [field]


INVALID = {
    "empty": b"",
    "version ff": b"ff" + GOOD[2:],
    "no trace": b"00-" + b"0" * 32 + b"-" + PARENT + b"-01",
    "no parent": b"00-" + TRACE + b"-" + b"0" * 16 + b"-01",
    "upper case": GOOD.upper(),
    "more than version 00 has": GOOD + b"-00",
    "one digit short": GOOD[:-1],
    "later version, joined on": b"01" + GOOD[2:] + b"00",
    "letters": GOOD.replace(b"4b", b"xy"),
}


@pytest.mark.parametrize("value", INVALID.values(), ids=INVALID)
@pytest.mark.parametrize("mode", ["start", "span"])
def test_what_is_no_trace_is_replaced_and_its_state_dropped(mode, value):
    (field,), state, variables = sent(mode, b"traceparent: " + value, b"tracestate: a=1")
    assert parse([field]) is not None and field != value and TRACE not in field
    assert (state, "txn.parent_id" in variables) == ([], False)


def test_two_fields_are_none():
    fields, state, _ = sent("start", b"traceparent: " + GOOD, b"traceparent: " + GOOD, b"tracestate: a=1")
    assert len(fields) == 1 and fields != [GOOD] and state == []


@pytest.mark.parametrize("value", [b"cc" + GOOD[2:], b"cc" + GOOD[2:] + b"-what-comes"])
def test_later_versions_are_read_as_far_as_they_are_known(value):
    assert sent("start", b"traceparent: " + value)[0] == [value]
    (field,), _, _ = sent("span", b"traceparent: " + value)
    assert field.startswith(b"00-" + TRACE) and field.endswith(b"-01")


def test_flags_that_level_1_does_not_know_are_not_sent_with_our_span():
    assert sent("span", b"traceparent: " + GOOD[:-2] + b"ff")[0][0][-2:] == b"01"
    assert sent("span", b"traceparent: " + GOOD[:-2] + b"02")[0][0][-2:] == b"00"


@given(st.binary(max_size=70) | st.from_regex(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True))
def test_whatever_comes_what_goes_on_is_valid(value):
    clean = bytes(byte for byte in value if 0x20 < byte < 0x7F)
    for mode in ("start", "span"):
        fields, _, variables = sent(mode, b"traceparent: " + clean)
        found = parse(fields)
        assert found is not None and variables["txn.trace_id"] == found[0]
