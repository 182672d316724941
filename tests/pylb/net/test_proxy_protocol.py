"""PROXY protocol headers, both versions, both directions."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylb.http1.errors import ProtocolError
from pylb.net.proxy_protocol import binary, line, parse

ports = st.integers(0, 65535)
v4 = st.ip_addresses(v=4).map(str)
v6 = st.ip_addresses(v=6).filter(lambda address: address.ipv4_mapped is None).map(str)


@given(src=v4, sport=ports, dst=v4, dport=ports, rest=st.binary(max_size=20))
def test_ipv4_headers_come_back_as_they_were_made(src: str, sport: int, dst: str, dport: int, rest: bytes) -> None:
    for header in (line(src, sport, dst, dport), binary(src, sport, dst, dport)):
        assert parse(header + rest) == ((src, sport), (dst, dport), len(header))


@given(src=v6, sport=ports, dst=v6, dport=ports)
def test_ipv6_headers_come_back_as_they_were_made(src: str, sport: int, dst: str, dport: int) -> None:
    for header in (line(src, sport, dst, dport), binary(src, sport, dst, dport)):
        assert parse(header) == ((src, sport), (dst, dport), len(header))


@given(src=v4, dst=v4, cut=st.integers(1, 200))
def test_a_header_that_is_not_complete_is_waited_for(src: str, dst: str, cut: int) -> None:
    for header in (line(src, 1, dst, 2), binary(src, 1, dst, 2)):
        if cut < len(header):
            assert parse(header[:cut]) is None


@pytest.mark.parametrize("make", [line, binary])
def test_mapped_addresses_are_the_ipv4_addresses_that_they_stand_for(make) -> None:
    """A sender that reached us by IPv6 and has a client of IPv4 has to write one of them in the other's form."""
    header = make("1.2.3.4", 5, "2001:db8::1", 80)
    assert parse(header) == (("1.2.3.4", 5), ("2001:db8::1", 80), len(header))
    header = make("::ffff:1.2.3.4", 5, "::ffff:0:1", 80)
    assert parse(header) == (("1.2.3.4", 5), ("0.0.0.1", 80), len(header))


def test_what_stands_behind_the_addresses_may_be_long() -> None:
    header = binary("1.2.3.4", 5, "1.2.3.5", 80)
    extended = header[:14] + (12 + 4000).to_bytes(2, "big") + header[16:] + b"\x05\x0f\x9d" + b"x" * 3997
    assert parse(extended + b"GET") == (("1.2.3.4", 5), ("1.2.3.5", 80), len(extended))
    assert parse(extended[:-1]) is None


def test_a_health_check_of_the_sender_keeps_the_connections_own_addresses() -> None:
    assert parse(b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00") == (None, None, 16)
    assert parse(b"PROXY UNKNOWN\r\nGET /") == (None, None, 15)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        b"PROXY TCP4 1.2.3.444 1.2.3.4 1 2\r\n",
        b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 99999 2\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        b"PROXY TCP4 ::1 ::1 1 2\r\n",
        b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        b"PROXY TCP6 fe80::1%\x1b[31m ::1 1 2\r\n",
        b"PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n",
        b"PROXY " + b"x" * 120,
        b"\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c" + bytes(12),
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x04" + bytes(4),
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff",
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse(data)


@given(st.binary(max_size=64))
def test_random_bytes_raise_nothing_but_the_one_error(data: bytes) -> None:
    for candidate in (data, b"\r\n\r\n\x00\r\nQUIT\n" + data, b"PROXY TCP4 " + data):
        with contextlib.suppress(ProtocolError):
            parse(candidate)
