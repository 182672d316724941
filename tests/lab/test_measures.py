"""From requests to figures, and from figures to what was expected of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.lab.client import LANES, OUTCOMES, Request, outcome_of
from bench.lab.journal import Event
from bench.lab.measures import gap_span, measure, percentile
from bench.lab.perform import spans
from bench.lab.result import Result
from bench.lab.scenario import Expect, Takes
from bench.lab.topology import STACKS, parse_stack

RATE = 10.0


def request(due, outcome="ok", latency=0.01, **others):
    values = {"lane": "new", "server": "worker1" if outcome == "ok" else "", "sticky": "none", "retried": False}
    return Request(due, latency, outcome=outcome, certificate="", **{**values, **others})


def stream(*outcomes, **others):
    return [request(number / RATE, outcome, **others) for number, outcome in enumerate(outcomes)]


OUTAGE = [*["ok"] * 10, *["refused"] * 20, *["ok"] * 10]


def test_an_outage_is_measured_from_the_last_good_answer_to_the_next():
    found = measure(stream(*OUTAGE), [0.95], RATE)
    assert (found.sent, found.answered, found.failed) == (40, 20, {"refused": 20})
    assert found.longest_gap == pytest.approx(2.0)
    assert found.back_after == pytest.approx(3.0 - 0.95)


def test_the_event_may_come_a_moment_after_the_first_request_that_it_hits_was_due():
    assert measure(stream(*OUTAGE), [1.05], RATE).back_after == pytest.approx(3.0 - 1.05)
    assert measure(stream(*OUTAGE), [2.5], RATE).back_after is None


def test_an_answer_that_hung_through_the_outage_does_not_shorten_it():
    requests = stream(*OUTAGE)
    requests[20] = request(2.0, latency=1.5)
    assert measure(requests, [], RATE).longest_gap == pytest.approx(2.0)


def test_rancher_answers_when_the_workers_do_not_and_does_not_shorten_the_gap():
    requests = stream(*OUTAGE)
    requests[20] = request(2.0, lane="rancher")
    assert measure(requests, [], RATE).longest_gap == pytest.approx(2.0)


def test_without_an_outage_there_is_no_gap_and_nothing_to_come_back():
    found = measure(stream(*["ok"] * 30), [0.5], RATE)
    assert found.longest_gap == pytest.approx(0) and found.back_after is None
    assert measure([], [], RATE).longest_gap == 0


def test_stickiness_and_servers_are_counted_from_answers_only():
    requests = [
        request(0.0, sticky="kept"), request(0.1, sticky="lost", server="worker2"), request(0.2, "refused"),
    ]  # fmt: skip
    found = measure(requests, [], RATE)
    assert (found.kept, found.lost, found.by_server) == (1, 1, {"worker1": 1, "worker2": 1})


@given(st.lists(st.sampled_from(["ok", "refused", "timeout"]), min_size=1, max_size=60))
def test_a_gap_never_has_a_prompt_answer_in_it(outcomes):
    requests = stream(*outcomes)
    start, end = gap_span(requests)
    assert not [one for one in requests if one.ok and start < one.due < end]


def test_percentiles():
    assert [percentile(range(100), share) for share in (0, 0.5, 0.99, 1)] == [0, 50, 99, 99]
    assert percentile([], 0.5) == 0


requests = st.builds(
    Request,
    due=st.floats(0, 1e6).map(lambda x: round(x, 6)), latency=st.floats(0, 10).map(lambda x: round(x, 6)),
    lane=st.sampled_from(LANES), outcome=st.sampled_from(OUTCOMES), server=st.sampled_from(["", "worker1", "rancher"]),
    sticky=st.sampled_from(["kept", "lost", "none"]), retried=st.booleans(),
    certificate=st.sampled_from(["", "0123456789ab"]),
)  # fmt: skip


@given(requests)
def test_a_request_is_read_from_the_line_that_it_was_written_to(one):
    assert Request.parse(one.line()) == one


def test_how_connections_fail():
    errors = [
        ConnectionRefusedError(),
        TimeoutError(),
        OSError(113, "no route"),
        ConnectionResetError(),
        OSError(5, ""),
    ]
    assert [outcome_of(error) for error in errors] == ["refused", "timeout", "unreachable", "reset", "closed"]


def test_each_bound_that_is_broken_is_named():
    good = measure(stream(*["ok"] * 30), [], RATE)
    expect = Expect(gap=1.0)
    assert expect.broken(good, RATE) == []
    broken = expect.broken(measure(stream(*OUTAGE), [], RATE), RATE)
    assert broken == ["2.00 s without service, expected at most 1.00", "20 requests failed, expected at most 15"]
    assert expect.broken(replace(good, failed={"wrong": 1}), RATE) == [
        "failures of a kind that was not expected: 1 wrong"
    ]
    assert expect.broken(replace(good, lost=2), RATE) == ["2 times a user met another server than before"]
    assert replace(expect, loses_stickiness=True).broken(replace(good, lost=2), RATE) == []
    assert replace(expect, failed=0.0).broken(replace(good, failed={"refused": 1}), RATE) == [
        "1 requests failed, expected at most 0"
    ]
    assert expect.broken(replace(good, answered=0), RATE) == ["nothing was answered"]


def test_only_vrrpd_with_its_own_file_abdicates():
    assert Takes(STACKS["pylb+vrrpd"]).sink < 1
    for stack in ("haproxy+keepalived", "mixed", "same-files"):
        assert Takes(STACKS[stack]).sink == Takes(STACKS[stack]).down > 6


def test_ownership_is_cut_to_the_run():
    assert spans([(0.0, 2.0), (3.0, 4.0), (9.0, None)], 1.0, 10.0) == [(0.0, 1.0), (2.0, 3.0), (8.0, 9.0)]
    assert spans([(0.0, 1.0), (11.0, None)], 1.0, 10.0) == []


def test_a_result_survives_json():
    seen = stream(*OUTAGE)
    result = Result(
        "crash", "what happens", "mixed", {"master1": "pylb+vrrpd"}, RATE, 4.0, seen, {"master1": [(0.0, 1.5)]},
        [Event(1.0, "master1", "step", "all processes killed")], measure(seen, [1.0], RATE), ["too long"],
    )  # fmt: skip
    assert Result.from_json(json.loads(result.dumps())) == result
    with pytest.raises(ValueError, match="version 9"):
        Result.from_json({"version": 9})


@pytest.mark.parametrize(
    "text", ["nginx+vrrpd", "pylb", "pylb+vrrpd,pylb+vrrpd", "pylb+vrrpd:files", "", "pylb+vrrpd," * 3]
)
def test_what_is_no_stack(text):
    with pytest.raises(ValueError, match=r"pylb or haproxy|is none of"):
        parse_stack(text)


def test_a_stack_names_the_programs_of_each_master():
    _, stack = parse_stack("haproxy+vrrpd,pylb+keepalived,pylb+vrrpd:same-files")
    assert [str(one) for one in stack.values()] == ["haproxy+vrrpd", "pylb+keepalived", "pylb+vrrpd:same-files"]
