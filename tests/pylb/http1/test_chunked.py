"""The chunked coding: what is read, what is refused, what bounds it."""

from __future__ import annotations

import pytest
from http1_support import refusal

from pylb.http1.chunked import FORBIDDEN_TRAILERS, MAX_EXTENSIONS, MAX_LINE, MAX_TRAILER, ChunkedReader


def decode(data: bytes) -> tuple[bytes, int]:
    reader = ChunkedReader()
    payload, end = reader.decode(data, 0)
    assert reader.done, "incomplete"
    return payload, end


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"a\r\n0123456789\r\nA\r\nabcdefghij\r\n00000\r\n\r\n", b"0123456789abcdefghij"),
        (b"0000000000000001\r\nx\r\n0\r\n\r\n", b"x"),
        (b'1;a\r\nx\r\n1;a=b;c="d\\";e"\r\ny\r\n0;z\r\n\r\n', b"xy"),
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
        (b"1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\n", b"x"),
    ],
)
def test_bodies_are_read_to_their_end_and_no_further(data, payload):
    assert decode(data + b"GET / HTTP/1.1") == (payload, len(data))
    reader = ChunkedReader()
    assert reader.feed(b"##" + data + b"0\r\n", 2) == len(data) + 2
    assert reader.done
    assert reader.feed(b"more", 0) == 0  # nothing behind the end is taken


def test_trailers_are_kept_for_the_caller():
    reader = ChunkedReader()
    reader.feed(b"0\r\nX-Sum: 1\r\nY: 2\r\n\r\n", 0)
    assert reader.trailer == b"\r\nX-Sum: 1\r\nY: 2"


@pytest.mark.parametrize(
    "data",
    [
        b"x", b"\r\n", b"-1\r\n", b"+1\r\n", b"0x1\r\n", b"1_0\r\n", b" 1\r\n", b"\xb2\r\n", b"1 \r\n", b"1\t\r\n",
        b"\n1\r\n",
        b"1\n", b"1\rx", b"1\r\nx0\r\n", b"1\r\nx\n0\r\n", b"1\r\nx\rx", b"1\r\nxx\r\n", b"1\r\nx0\r\n\r\n",
        b"1\r\nx\r\n\r\n",
        b"00000000000000001\r\n", b"8000000000000000\r\n", b"ffffffffffffffff\r\n", b"10000000000000000\r\n",
        b"1;\r\n", b"1 ;a\r\n", b"1; a\r\n", b"1;a =b\r\n", b"1;a= b\r\n", b"1;a \r\n",
         b"1;a\n", b"1;a\0\r\n", b"1;a=\r\n", b"1;a=b c\r\n", b'1;a="\r\n', b"1;=a\r\n", b"1,a\r\n",
        b"1;a\x0b\r\n",
        b"0\r\nA : b\r\n\r\n", b"0\r\n A: b\r\n\r\n", b"0\r\nA\r\n\r\n", b"0\r\nA: b\0\r\n\r\n",
        b"0\r\nA: b\nC: d\r\n\r\n",
        b"0\r\nA: b\r\n c\r\n\r\n", b"0\r\nA: b\n\n", b"0\r\n\n", b"0\r\n\rX", b"0\n\n", b"0\r\n: b\r\n\r\n",
        b"0\r\n" + b"A: b\r\n" * 65 + b"\r\n",
    ],
)  # fmt: skip
def test_malformed_bodies_are_refused(data):
    assert refusal(ChunkedReader().feed, data, 0) == 400
    assert refusal(ChunkedReader(502).feed, data, 0) == 502
    assert refusal(ChunkedReader().decode, data, 0) == 400


@pytest.mark.parametrize("name", sorted(FORBIDDEN_TRAILERS))
def test_fields_that_frame_route_or_authenticate_are_refused_in_trailers(name):
    assert refusal(ChunkedReader().feed, b"0\r\n" + name.title() + b": 1\r\n\r\n", 0) == 400


def test_a_line_may_be_long_but_not_endless():
    fits = b"1;" + b"a" * (MAX_LINE - 4) + b"\r\n"
    assert len(fits) == MAX_LINE
    assert decode(fits + b"x\r\n0\r\n\r\n")[0] == b"x"
    assert refusal(ChunkedReader().feed, fits.replace(b"1;", b"1;b"), 0) == 400
    assert refusal(ChunkedReader().feed, b"1;" + b"a" * MAX_LINE, 0) == 400


def test_a_flood_of_extensions_is_refused():
    chunk = b"1;" + b"a" * 500 + b"\r\nx\r\n"
    decode(chunk * (MAX_EXTENSIONS // 501) + b"0\r\n\r\n")
    assert refusal(ChunkedReader().feed, chunk * (MAX_EXTENSIONS // 501 + 1), 0) == 400


def test_trailers_are_bounded():
    line = b"A: " + b"a" * (MAX_TRAILER - 5)
    decode(b"0\r\n" + line + b"\r\n\r\n")
    assert refusal(ChunkedReader().feed, b"0\r\n" + line + b"a\r\n\r\n", 0) == 400
    reader = ChunkedReader()
    with pytest.raises(Exception, match="trailer too large"):
        for piece in [b"0\r\nA: "] + [b"a" * 100] * 100:
            reader.feed(piece, 0)


def test_byte_by_byte_at_every_limit_is_the_same_as_at_once():
    for body in (
        b"1;" + b"a" * (MAX_LINE - 4) + b"\r\nx\r\n0\r\n\r\n",
        b"0\r\nA: " + b"a" * (MAX_TRAILER - 5) + b"\r\n\r\n",
    ):
        reader = ChunkedReader()
        for i in range(len(body)):
            assert not reader.done
            assert reader.feed(body[i : i + 1], 0) == 1
        assert reader.done


def test_nothing_but_a_cut_line_is_copied():
    reader = ChunkedReader()
    reader.feed(b"100000\r\n", 0)
    for _ in range(16):
        assert reader.feed(b"x" * 65536, 0) == 65536
    assert (reader._left, reader._held, reader.done) == (0, b"", False)
    assert reader.feed(b"\r\n0\r\n\r\n", 0) == 7
    assert reader.done
