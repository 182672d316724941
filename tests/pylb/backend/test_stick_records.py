"""What a reload carries over of stick tables: everything that both declarations have, as JSON."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylb.admin.control.tables import line
from pylb.backend.stick import StickTable
from pylb.backend.stick_records import key_text, records_of, restore
from pylb.config import model

STORE = ("gpc0", "bytes_in_cnt", "server_id", "http_req_rate(10s)", "gpt(3)", "gpc_rate(2,1m)")
KEYS: dict[str, st.SearchStrategy[Any]] = {
    "ip": st.builds(IPv4Address, st.integers(0, 2**32 - 1)),
    "ipv6": st.builds(IPv6Address, st.integers(0, 2**128 - 1)),
    "integer": st.integers(0, 2**32 - 1),
    "string": st.binary(max_size=40),
    "binary": st.binary(max_size=40),
}


def table(kind: str = "integer", **options: Any) -> StickTable:
    options.setdefault("size", 100)
    options.setdefault("store", STORE)
    options.setdefault("expire", 60.0)
    return StickTable("t", model.StickTable(kind, **options))


def carried(old: StickTable, new: StickTable, now: float, **most: int) -> StickTable:
    restore([new], json.loads(json.dumps(list(records_of([old], now, **most)))), now)
    return new


def shown(stick: StickTable, now: float) -> list[str]:
    """The entries as `show table` has them, without the address in memory."""
    return [line(stick, entry, now).partition(" ")[2] for entry in stick.entries(now)]


@pytest.mark.parametrize("kind", KEYS)
@given(data=st.data())
def test_the_same_declaration_gets_the_same_entries(kind: str, data: st.DataObject) -> None:
    old = table(kind, expire=data.draw(st.sampled_from([None, 60.0])))
    now = 1000.0
    for key, number in data.draw(st.lists(st.tuples(KEYS[kind], st.integers(0, 2**32 - 1)), max_size=12)):
        now += 1.0
        entry = old.track(key, now)
        assert entry is not None
        for column in old.columns:
            entry.set(column, number, now)
    new = carried(old, table(kind, expire=old.model.expire), now)
    for later in (now, now + 5.0, now + 15.0, now + 58.5, now + 61.0):
        assert shown(new, later) == shown(old, later)


def filled(**options: Any) -> StickTable:
    stick = table(**options)
    for number in range(10):
        entry = stick.track(number, 100.0 + number)
        assert entry is not None
        entry.count("gpc0", 100.0, number)
        entry.count("http_req_rate", 100.0, 7)
    return stick


def keys(stick: StickTable, now: float = 110.0) -> list[Any]:
    return [entry.key for entry in stick.entries(now)]


@pytest.mark.parametrize("nopurge", [False, True])
def test_a_smaller_table_keeps_the_last_touched(nopurge: bool) -> None:
    assert keys(carried(filled(), table(size=3, nopurge=nopurge), 110.0)) == [7, 8, 9]


def test_of_many_entries_the_last_touched_are_carried() -> None:
    assert keys(carried(filled(), table(), 110.0, most=4)) == [6, 7, 8, 9]
    assert keys(carried(filled(), table(), 110.0, most=0)) == []


def test_a_shorter_expiry_holds_at_once_and_a_longer_one_from_the_next_touch() -> None:
    now = 110.0
    shorter = carried(filled(), table(expire=5.0), now)
    assert len(shorter.entries(now + 4.9)) == 10 and not shorter.entries(now + 5.0)
    longer = carried(filled(), table(expire=600.0), now)
    assert [entry.key for entry in longer.entries(now + 55.0)] == [6, 7, 8, 9], "60 s after their last touch"
    assert len(carried(filled(expire=None), table(expire=5.0), now).entries(now + 4.9)) == 10
    assert len(carried(filled(), table(expire=None), now).entries(now + 1e9)) == 10


def test_what_both_store_is_kept() -> None:
    new = carried(filled(), table(store=("gpc1", "http_req_rate(20s)", "gpc0")), 110.0)
    entry = new.lookup(4, 110.0)
    assert entry is not None
    assert (entry.value("gpc0", 110.0), entry.value("gpc1", 110.0), entry.value("http_req_rate", 110.0)) == (4, 0, 0)


def test_another_kind_of_key_begins_anew() -> None:
    assert keys(carried(filled(), table("string"), 110.0)) == []
    old = table("string", length=8)
    assert old.track(b"abc", 100.0) is not None
    assert keys(carried(old, table("string", length=9), 110.0)) == []
    assert keys(carried(old, table("string", length=8), 110.0)) == [b"abc"]


def test_a_table_that_is_new_or_gone_is_no_matter() -> None:
    new = table()
    restore([new], [], 1.0)
    restore([], records_of([filled()], 110.0), 110.0)
    assert len(new) == 0
    assert list(records_of([], 1.0)) == []


@pytest.mark.parametrize(
    ("key", "kind", "text"),
    [
        (b"abc def", "string", "abc\\ def"),
        (b"a=b\\c", "string", "a\\=b\\\\c"),
        (b"tab\tx\n\x1b\0", "string", "tab\\tx\\n\\e\\x00"),
        (b"caf\xc3\xa9", "string", "caf\\xC3\\xA9"),
        (b"abcd", "binary", "61626364"),
        (IPv6Address("2001:db8::1"), "ipv6", "2001:db8::1"),
        (5, "integer", "5"),
    ],
)
def test_a_key_is_one_word_that_can_be_printed(key: Any, kind: str, text: str) -> None:
    assert key_text(key, kind) == text
