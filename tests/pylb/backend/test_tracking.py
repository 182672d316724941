"""What is counted of those whom rules track, with the time as an argument."""

from __future__ import annotations

from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylb.backend import tracking
from pylb.backend.stick import StickTable
from pylb.backend.stick_entry import SlidingRate
from pylb.config import model

A, B, C, D = (ip_address(f"10.0.0.{n}") for n in range(1, 5))
STORE = (
    "conn_cnt", "conn_cur", "conn_rate(10s)", "sess_cnt", "http_req_cnt", "http_req_rate(10s)", "http_err_cnt",
    "http_fail_cnt", "bytes_in_cnt", "bytes_out_cnt", "bytes_out_rate(10s)", "gpc(2)", "gpt(2)", "gpc_rate(2,10s)",
)  # fmt: skip


def table(*store: str, **options: Any) -> StickTable:
    options.setdefault("size", 3)
    return StickTable("t", model.StickTable("ip", store=store or STORE, **options))


def holder() -> Any:
    session = SimpleNamespace(tracked=None, loop=SimpleNamespace(time=lambda: 5.0))
    return SimpleNamespace(
        tracked=None,
        session=session,
        request_line=b"GET / HTTP/1.1",
        bytes_uploaded=100,
        bytes_read=2000,
        responded=4.0,
    )


def numbers(stick: StickTable, key: Any = A, now: float = 5.0) -> dict[str, int]:
    """What is not 0 in an entry."""
    entry = stick.lookup(key, now)
    return {} if entry is None else {cell: n for cell in stick.cells if (n := entry.value(cell, now))}


def test_a_request_is_counted_from_its_rule_to_its_end() -> None:
    stick, x = table(), holder()
    tracking.track(x, 0, stick, A, 1.0, requests=True)
    begun = {"conn_cnt": 1, "conn_rate": 1, "http_req_cnt": 1, "http_req_rate": 1}
    assert numbers(stick) == {**begun, "use": 1, "conn_cur": 1}
    tracking.ended(x, 5.0)
    tracking.leave(x.tracked, None, 5.0)
    assert numbers(stick) == {**begun, "bytes_in_cnt": 100, "bytes_out_cnt": 2000, "bytes_out_rate": 2000}


def test_a_session_s_entries_outlive_its_requests() -> None:
    stick, x = table(), holder()
    tracking.track(x.session, 0, stick, A, 1.0, requests=False)
    x.tracked = x.session.tracked.copy()
    tracking.track(x, 1, stick, B, 1.0, requests=True)
    tracking.leave(x.tracked, x.session.tracked, 2.0)
    assert numbers(stick, A)["use"] == 1 and "use" not in numbers(stick, B)
    tracking.leave(x.session.tracked, None, 3.0)
    assert "use" not in numbers(stick, A) and numbers(stick, A)["conn_cnt"] == 1


def test_what_was_no_request_counts_as_one_and_as_an_error() -> None:
    stick, x = table(), holder()
    tracking.track(x.session, 0, stick, A, 1.0, requests=False)
    x.request_line = tracking.UNREAD
    tracking.ended(x, 5.0)
    assert (numbers(stick)["http_req_cnt"], numbers(stick)["http_err_cnt"]) == (1, 1)


@pytest.mark.parametrize(
    ("status", "counted"),
    [(200, ""), (302, ""), (404, "http_err_cnt"), (500, "http_fail_cnt"), (501, ""), (505, ""), (503, "http_fail_cnt")],
)
def test_statuses_blame_the_client_the_server_or_nobody(status: int, counted: str) -> None:
    stick, x = table("http_err_cnt", "http_fail_cnt"), holder()
    tracking.track(x, 0, stick, A, 1.0, requests=True)
    tracking.responded(x.tracked, status, 4.0)
    assert numbers(stick) == {"use": 1} | ({counted: 1} if counted else {})


def test_who_is_tracked_neither_expires_nor_makes_room() -> None:
    stick, x = table(expire=10.0), holder()
    tracking.track(x, 0, stick, A, 0.0, requests=True)
    stick.track(B, 1.0)
    assert [entry.key for entry in stick.entries(60.0)] == [A]
    assert stick.expire(60.0) == 1 and len(stick) == 1
    for key in (B, C, D):
        assert stick.track(key, 61.0) is not None
    assert [entry.key for entry in stick.entries(61.0)] == [A, C, D] or A in [e.key for e in stick.entries(61.0)]
    tracking.leave(x.tracked, None, 62.0)
    assert stick.lookup(A, 71.0) is not None and stick.lookup(A, 72.0) is None, "it expires after it was left"


def test_a_table_full_of_tracked_entries_takes_nobody() -> None:
    stick, x = table(size=2), holder()
    tracking.track(x, 0, stick, A, 0.0, requests=True)
    tracking.track(x, 1, stick, B, 0.0, requests=True)
    assert tracking.track(x, 2, stick, C, 0.0, requests=True) is None and x.tracked[2] is None


def test_a_cleared_entry_that_is_still_tracked_does_not_count_for_its_successor() -> None:
    stick, x = table(), holder()
    tracking.track(x, 0, stick, A, 0.0, requests=True)
    stick.remove(A)
    stick.track(A, 1.0)
    tracking.leave(x.tracked, None, 2.0)
    assert numbers(stick) == {}


def test_elements_of_arrays_have_the_older_names() -> None:
    stick = table("gpc(2)", "gpc_rate(1,10s)", "gpt(1)")
    assert set(stick.cells) == {"use", "gpc0", "gpc1", "gpc0_rate", "gpt0"}
    assert stick.arrays == {"gpc", "gpc_rate", "gpt"}


class OfHAProxy:
    """The same rate, by whole milliseconds and whole events: what the manual calls a frequency counter."""

    def __init__(self, period: int) -> None:
        self.period, self.start, self.current, self.previous = period, 0, 0, 0

    def add(self, now: int) -> None:
        if now - self.start >= self.period:
            self.previous, self.current, self.start = self.current, 0, self.start + self.period
            if now - self.start >= self.period:
                self.previous, self.start = 0, now
        self.current += 1

    def value(self, now: int) -> int:
        left, current, previous = self.start + self.period - now, self.current, self.previous
        if left < 0:
            left += self.period
            current, previous = 0, current if left >= 0 else 0
        if not current and previous <= 1:
            return previous
        return current + previous * left // self.period


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=40), st.integers(0, 3500))
def test_rates_slide_as_haproxy_s(pauses: list[int], later: int) -> None:
    ours, theirs, now = SlidingRate(1.0), OfHAProxy(1000), 100_000
    for pause in pauses:
        now += pause
        ours.add(now / 1000)
        theirs.add(now)
    # Exactly at the end of a period both descriptions hold; in between rounding may be one event.
    assert abs(ours.value((now + later) / 1000) - theirs.value(now + later)) <= 1
