"""Times, sizes and addresses: what they mean, what is refused, and that each text gives its value back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_strategies import bind_addresses, server_addresses

from pylb.config.model import Address
from pylb.config.values import parse_address, parse_size, parse_time, str_address, str_size, str_time


@pytest.mark.parametrize(
    ("text", "seconds", "shortest"),
    [
        ("10s", 10.0, "10s"),
        ("2000", 2.0, "2s"),
        ("1500ms", 1.5, "1500ms"),
        ("60s", 60.0, "1m"),
        ("24h", 86400.0, "1d"),
        ("90m", 5400.0, "90m"),
        ("250us", 0.00025, "250us"),
        ("0", 0.0, "0s"),
    ],
)
def test_times_are_seconds_and_are_written_in_their_largest_unit(text, seconds, shortest):
    assert parse_time(text) == seconds
    assert str_time(seconds) == shortest
    assert parse_time(shortest) == seconds


@pytest.mark.parametrize("text", ["", "10 s", "1.5s", "-1s", "10x", "s", "1m30s", "99999999999", "٣s"])
def test_times_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match=f'"{text}"'):
        parse_time(text)


def test_a_unit_can_be_demanded():
    with pytest.raises(ValueError, match='"10" has no unit: write "10ms" or "10s"'):
        parse_time("10", default_unit=None)


@given(st.integers(0, 2_147_483_647_000))
def test_every_time_to_the_microsecond_comes_back(microseconds):
    assert parse_time(str_time(microseconds / 1_000_000)) == microseconds / 1_000_000


@given(st.integers(0, 1 << 50))
def test_every_size_comes_back(size):
    assert parse_size(str_size(size)) == size


def test_sizes_count_in_powers_of_1024():
    assert [parse_size(text) for text in ("16k", "1m", "2G", "7")] == [16384, 1 << 20, 2 << 30, 7]
    with pytest.raises(ValueError, match='"16kb" is not a size'):
        parse_size("16kb")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (":80", Address(port=80)),
        ("*:80", Address(port=80)),
        ("1.2.3.4:80", Address(host="1.2.3.4", port=80)),
        ("[::]:80", Address(host="::", port=80)),
        (":::80", Address(host="::", port=80)),
        ("ipv4@:80", Address(port=80, family="ipv4")),
        ("ipv6@[::1]:80", Address(host="::1", port=80, family="ipv6")),
        ("www.example:80-89", Address(host="www.example", port=80, port_end=89)),
        ("/run/x.sock", Address(kind="unix", path="/run/x.sock")),
        ("unix@x.sock", Address(kind="unix", path="x.sock")),
        ("abns@name", Address(kind="abns", path="name")),
        ("fd@3", Address(kind="fd", fd=3)),
    ],
)
def test_addresses_to_bind(text, address):
    assert parse_address(text, bind=True) == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1.2.3.4", Address(host="1.2.3.4")),
        ("[::1]", Address(host="::1")),
        ("1.2.3.4:+5", Address(host="1.2.3.4", port=5, port_offset=True)),
        ("1.2.3.4:-5", Address(host="1.2.3.4", port=-5, port_offset=True)),
        ("1.2.3.4:0", Address(host="1.2.3.4", port=0)),
    ],
)
def test_addresses_of_servers(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["1.2.3.4", ":0", ":99999", ":80-79", ":+5", "1.2.3:80", "[::g]:80", "a b:80", "ipv4@[::1]:80", "ipv6@1.2.3.4:80"]
    + ["fd@x", "unix@", "quic@:443", ":80x", ""],
)  # fmt: skip
def test_addresses_that_cannot_be_bound_are_refused_with_the_word(text):
    with pytest.raises(ValueError) as caught:
        parse_address(text, bind=True)
    assert f'"{text}"' in str(caught.value)


@given(bind_addresses)
def test_every_address_to_bind_comes_back(address):
    assert parse_address(str_address(address), bind=True) == address


@given(server_addresses)
def test_every_address_of_a_server_comes_back(address):
    assert parse_address(str_address(address)) == address
