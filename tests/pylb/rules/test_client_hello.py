"""Reading a ClientHello that arrives in any pieces, from OpenSSL and from nobody who means well."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylb.rules.client_hello import Hello, TooShort, read_hello


def hello(name: str | None, *alpn: str) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(list(alpn))
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


WHOLE = hello("www.example", "h2", "http/1.1")


def test_what_openssl_says():
    found = read_hello(WHOLE)
    assert found is not None
    assert (found.kind, found.version, found.server_name) == (1, (3, 3), b"www.example")
    assert found.protocols == [b"h2", b"http/1.1"]
    nameless = read_hello(hello(None))
    assert nameless is not None and nameless.server_name is None


@given(st.integers(0, len(WHOLE) - 1))
def test_a_part_of_it_is_too_short(end):
    with pytest.raises(TooShort):
        read_hello(WHOLE[:end])


@given(st.integers(1, 60))
def test_it_may_come_in_several_records(size):
    body = WHOLE[5:]
    cut = [body[at : at + max(size, len(body) // 60)] for at in range(0, len(body), max(size, len(body) // 60))]
    if len(cut[0]) < 4:
        return
    records = b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in cut)
    assert read_hello(records) == read_hello(WHOLE)
    with pytest.raises(TooShort):
        read_hello(records[:-1])


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=8), st.integers(0, 40))
def test_whatever_it_says_is_read_or_refused(changes, more):
    data = bytearray(WHOLE)
    for place, value in changes:
        data[place] = value
    try:
        found = read_hello(bytes(data) + bytes(more))
    except TooShort:
        return
    if isinstance(found, Hello):
        assert found.server_name is None or len(found.server_name) <= len(data)
        assert sum(map(len, found.protocols)) <= len(data)


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"\x16\x02", b"\x80\x2e\x01", b"\x16\x03\x01\x00\x03\x01\x00\x00"]
)
def test_what_is_no_tls_is_known_at_once(data):
    assert read_hello(data) is None
