"""Stick tables: typed keys, expiry, the bound on entries, counters and sliding rates."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylb.backend.stick import StickTable
from pylb.backend.stick_entry import SlidingRate, parse_column
from pylb.config import model


def table(kind: str = "ip", **options: Any) -> StickTable:
    options.setdefault("size", 3)
    options.setdefault("store", ("gpc0", "http_req_rate(10s)"))
    return StickTable("t", model.StickTable(kind, **options))


A, B, C, D = (ip_address(f"10.0.0.{n}") for n in range(1, 5))


def test_an_entry_lives_as_long_as_it_is_touched() -> None:
    stick = table(expire=10.0)
    stick.track(A, 0.0)
    stick.track(A, 8.0)
    assert stick.lookup(A, 17.0) is not None, "expiry counts from the last touch"
    assert stick.lookup(A, 18.0) is None
    assert stick.expire(18.0) == 1 and len(stick) == 0


def test_looking_up_does_not_prolong() -> None:
    stick = table(expire=10.0)
    stick.track(A, 0.0)
    assert stick.lookup(A, 9.0) is not None
    assert stick.lookup(A, 11.0) is None


def test_a_full_table_drops_the_least_recently_touched() -> None:
    stick = table()
    for key, now in ((A, 1.0), (B, 2.0), (C, 3.0), (A, 4.0), (D, 5.0)):
        assert stick.track(key, now) is not None
    assert [entry.key for entry in stick.entries(5.0)] == [C, A, D]


def test_nopurge_refuses_new_keys_until_others_expire() -> None:
    stick = table(nopurge=True, expire=10.0)
    for key in (A, B, C):
        stick.track(key, 0.0)
    assert stick.track(D, 5.0) is None and stick.track(A, 5.0) is not None
    assert stick.track(D, 10.0) is not None


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0.0, 5.0)), max_size=80), st.booleans())
def test_there_are_never_more_entries_than_size(touches: list[tuple[int, float]], nopurge: bool) -> None:
    stick = table("integer", size=5, expire=7.0, nopurge=nopurge)
    now = 0.0
    for key, pause in touches:
        now += pause
        entry = stick.track(key, now)
        assert len(stick) <= 5
        assert entry is None or stick.lookup(key, now) is entry
        assert entry is not None or nopurge


def test_keys_are_typed_cut_and_padded() -> None:
    assert table("string", length=3).key(b"abcdef") == b"abc"
    assert table("string").key(b"x" * 40) == b"x" * 32
    assert table("binary", length=4).key(b"ab") == b"ab\0\0"
    assert table("integer").key(-1) == 0xFFFFFFFF
    assert table("ip").key(b"1.2.3.4") is None and table("ip").key(ip_address("::1")) is None
    assert table("ipv6").key(ip_address("::1")) == ip_address("::1")
    assert table("ip").track("no address", 0.0) is None


def test_counters_stop_at_32_bits_and_at_zero() -> None:
    entry = table(store=("gpc0", "bytes_in_cnt", "conn_cur")).track(A, 0.0)
    assert entry is not None
    entry.count("gpc0", 0.0, 1 << 40)
    entry.count("bytes_in_cnt", 0.0, 1 << 40)
    entry.count("conn_cur", 0.0, -1)
    entry.count("not stored", 0.0)
    assert entry.value("gpc0", 0.0) == 0xFFFFFFFF
    assert entry.value("bytes_in_cnt", 0.0) == 1 << 40
    assert (entry.value("conn_cur", 0.0), entry.value("not stored", 0.0)) == (0, None)


def test_a_rate_slides_over_its_period() -> None:
    rate = SlidingRate(10.0)
    for now in range(10):
        rate.add(float(now), 10)
    assert rate.value(9.9) == 100
    assert rate.value(15.0) == 50, "half of the previous period still counts"
    assert rate.value(25.0) == 0
    entry = table().track(A, 0.0)
    assert entry is not None
    entry.count("http_req_rate", 1.0, 5)
    assert entry.value("http_req_rate", 2.0) == 5


@pytest.mark.parametrize(
    "text", ["gpc0", "http_req_rate(24h)", "gpc0_rate(30s)", "gpc(4)", "gpc_rate(2,1m)", "server_id"]
)
def test_what_haproxy_stores_is_understood(text: str) -> None:
    assert parse_column(text).name == text.partition("(")[0]


@pytest.mark.parametrize(
    "text", ["gpc9", "http_req_rate", "gpc0(3)", "gpc(0)", "gpc(101)", "gpc0_rate(0)", "gpc(x)", ""]
)
def test_what_cannot_be_stored_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot store|not a time"):
        parse_column(text)
    with pytest.raises(ValueError, match=r"cannot store|not a time"):
        table(store=(text,))


@pytest.mark.parametrize("pair", [("gpc0", "gpc(2)"), ("gpt(1)", "gpt0"), ("gpc1_rate(1s)", "gpc_rate(1,1s)")])
def test_an_array_takes_the_place_of_the_older_columns(pair: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="beside"):
        table(store=pair)


def test_what_is_stored_twice_is_stored_once() -> None:
    assert [(c.name, c.period) for c in table(store=("conn_rate(5s)", "gpc0", "conn_rate(9s)", "gpc0")).columns] == [
        ("conn_rate", 5.0), ("gpc0", 0.0),
    ]  # fmt: skip


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="float"):
        table("float")
