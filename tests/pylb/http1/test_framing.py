"""Where bodies end: RFC 9112 6.3, rule by rule."""

from __future__ import annotations

import pytest
from http1_support import get, refusal, response

from pylb.http1.framing import (
    CHUNKED,
    LENGTH,
    NONE,
    TUNNEL,
    UNTIL_CLOSE,
    Framing,
    request_framing,
    response_framing,
)


def of_request(*lines, method=b"POST", **kwargs):
    return request_framing(get(*lines, method=method, **kwargs))


def of_response(*lines, method=b"GET", status=b"HTTP/1.1 200 OK"):
    head = response(*lines, status=status)
    return response_framing(head, method, head.status)


@pytest.mark.parametrize(
    ("lines", "framing"),
    [
        ([], Framing(NONE)),
        ([b"Content-Length: 0"], Framing(LENGTH, 0)),
        ([b"Content-Length: 42"], Framing(LENGTH, 42)),
        ([b"Content-Length: 9223372036854775807"], Framing(LENGTH, 2**63 - 1)),
        ([b"Content-Length:\t42 "], Framing(LENGTH, 42)),
        ([b"Transfer-Encoding: chunked"], Framing(CHUNKED)),
        ([b"transfer-encoding:CHUNKED\t"], Framing(CHUNKED)),
    ],
)
def test_a_request_says_where_its_body_ends(lines, framing):
    assert of_request(*lines) == framing


@pytest.mark.parametrize(
    "lines",
    [[b"Content-Length: 42, 42"], [b"Content-Length: 42", b"A: b", b"content-length: 42"], [b"Content-Length: 0042"]],
)
def test_lengths_that_agree_are_forwarded_as_one_canonical_field(lines):
    head = get(*lines, method=b"POST")
    assert request_framing(head) == Framing(LENGTH, 42)
    assert head.get_all(b"content-length") == [b"42"]
    head = response(*lines)
    assert response_framing(head, b"GET", 200) == Framing(LENGTH, 42)
    assert head.get_all(b"content-length") == [b"42"]


BAD_LENGTHS = [
    b"", b"+5", b"-5", b"-0", b"0_5", b"5_0", b"\xb2", b"0x5", b"5a", b"5 5", b"5.0", b"5,", b",5", b"5,6",
    b"5, 05", b"'5'",
    b"9223372036854775808", b"18446744073709551615", b"18446744073709551616", b"18446744073709551621", b"9" * 500,
    b"0" * 30, b"1e3", b"\xef\xbc\x95",
]  # fmt: skip


@pytest.mark.parametrize("value", BAD_LENGTHS)
def test_anything_but_digits_below_2_63_is_refused_as_a_length(value):
    assert refusal(of_request, b"Content-Length: " + value) == 400
    assert refusal(of_response, b"Content-Length: " + value) == 502


def test_lengths_that_differ_are_refused():
    assert refusal(of_request, b"Content-Length: 5", b"Content-Length: 6") == 400
    assert refusal(of_response, b"Content-Length: 5", b"Content-Length: 6") == 502


def test_transfer_encoding_with_content_length_is_refused_from_clients():
    assert refusal(of_request, b"Transfer-Encoding: chunked", b"Content-Length: 5") == 400
    assert refusal(of_request, b"Content-Length: 0", b"Transfer-Encoding: chunked") == 400


def test_from_servers_transfer_encoding_wins_and_the_connection_is_not_used_again():
    head = response(b"Content-Length: 5", b"Transfer-Encoding: chunked")
    framing = response_framing(head, b"GET", 200)
    assert framing == Framing(CHUNKED)
    assert not framing.reusable
    assert head.fields() == [(b"Transfer-Encoding", b"chunked")]
    assert of_response(b"Transfer-Encoding: chunked").reusable
    head = response(b"Content-Length: 5, 5", b"Transfer-Encoding: Chunked")
    assert response_framing(head, b"GET", 200) == Framing(CHUNKED)
    assert head.fields() == [(b"Transfer-Encoding", b"chunked")]
    assert refusal(of_response, b"Transfer-Encoding: chunked", b"Content-Length: +5") == 502


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (501, [b"Transfer-Encoding: gzip, chunked"]),
        (501, [b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"]),
        (501, [b"Transfer-Encoding: xchunked, chunked"]),
        (400, [b"Transfer-Encoding: gzip"]),
        (400, [b"Transfer-Encoding: identity"]),
        (400, [b"Transfer-Encoding: chunked, gzip"]),
        (400, [b"Transfer-Encoding: chunked, identity"]),
        (400, [b"Transfer-Encoding: chunked, chunked"]),
        (400, [b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"]),
        (400, [b"Transfer-Encoding: chunked,"]),
        (400, [b"Transfer-Encoding: ,chunked,"]),
        (400, [b"Transfer-Encoding:"]),
        (400, [b"Transfer-Encoding: chunked;q=1"]),
        (400, [b"Transfer-Encoding: 'chunked'"]),
        (400, [b'Transfer-Encoding: "chunked"']),
        (400, [b"Transfer-Encoding: xchunked"]),
        (400, [b"Transfer-Encoding: chunked x"]),
        (400, [b"Transfer-Encoding: chun\xebked"]),
    ],
)
def test_chunked_is_the_only_and_last_coding(status, lines):
    assert refusal(of_request, *lines) == status
    assert refusal(of_response, *lines) == 502


def test_http_1_0_has_no_transfer_encoding():
    assert refusal(of_request, b"Transfer-Encoding: chunked", version=b"HTTP/1.0") == 400
    assert refusal(of_response, b"Transfer-Encoding: chunked", status=b"HTTP/1.0 200 OK") == 502


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE"])
def test_content_in_an_http_1_0_request_that_has_none_is_413(method):
    assert refusal(of_request, b"Content-Length: 5", method=method, version=b"HTTP/1.0") == 413
    assert of_request(b"Content-Length: 0", method=method, version=b"HTTP/1.0") == Framing(LENGTH, 0)
    assert of_request(b"Content-Length: 5", method=method) == Framing(LENGTH, 5)


def test_connect_has_no_content():
    assert refusal(of_request, b"Content-Length: 5", method=b"CONNECT", target=b"a:1") == 400
    assert refusal(of_request, b"Transfer-Encoding: chunked", method=b"CONNECT", target=b"a:1") == 400
    assert of_request(method=b"CONNECT", target=b"a:1") == Framing(NONE)


@pytest.mark.parametrize(
    ("method", "status", "lines", "framing"),
    [
        (b"GET", b"200", [], Framing(UNTIL_CLOSE)),
        (b"GET", b"200", [b"Content-Length: 5"], Framing(LENGTH, 5)),
        (b"GET", b"200", [b"Content-Length: 0"], Framing(LENGTH, 0)),
        (b"POST", b"500", [b"Content-Length: 0"], Framing(LENGTH, 0)),
        (b"GET", b"404", [b"Transfer-Encoding: Chunked "], Framing(CHUNKED)),
        (b"HEAD", b"200", [], Framing(NONE)),
        (b"HEAD", b"200", [b"Content-Length: 5"], Framing(NONE)),
        (b"HEAD", b"200", [b"Transfer-Encoding: chunked"], Framing(NONE)),
        (b"GET", b"304", [b"Content-Length: 5"], Framing(NONE)),
        (b"GET", b"304", [b"Transfer-Encoding: chunked"], Framing(NONE)),
        (b"GET", b"204", [], Framing(NONE)),
        (b"GET", b"100", [], Framing(NONE)),
        (b"GET", b"101", [], Framing(TUNNEL)),
        (b"CONNECT", b"200", [b"Content-Length: 5"], Framing(TUNNEL)),
        (b"CONNECT", b"407", [b"Content-Length: 5"], Framing(LENGTH, 5)),
        (b"GET", b"205", [], Framing(UNTIL_CLOSE)),
        (b"GET", b"999", [b"Content-Length: 5"], Framing(LENGTH, 5)),
    ],
)
def test_where_the_body_of_a_response_ends(method, status, lines, framing):
    assert of_response(*lines, method=method, status=b"HTTP/1.1 " + status) == framing


@pytest.mark.parametrize(
    ("method", "status"), [(b"GET", b"100"), (b"GET", b"204"), (b"CONNECT", b"200"), (b"GET", b"101")]
)
def test_framing_fields_are_removed_where_they_must_not_be_sent(method, status):
    head = response(b"Content-Length: 5", b"Transfer-Encoding: chunked", b"A: b", status=b"HTTP/1.1 " + status)
    response_framing(head, method, head.status)
    assert head.fields() == [(b"A", b"b")]


@pytest.mark.parametrize("status", [b"200", b"304"])
def test_lengths_are_kept_but_still_judged_without_a_body(status):
    head = response(b"Content-Length: 5, 5", status=b"HTTP/1.1 " + status)
    assert response_framing(head, b"HEAD", head.status) == Framing(NONE)
    assert head.get_all(b"content-length") == [b"5"]
    assert refusal(of_response, b"Content-Length: x", method=b"HEAD", status=b"HTTP/1.1 " + status) == 502


@pytest.mark.parametrize("status", [b"100", b"204", b"304"])
def test_malformed_framing_is_refused_even_where_it_has_no_meaning(status):
    assert refusal(of_response, b"Content-Length: 5, 6", status=b"HTTP/1.1 " + status) == 502
    assert refusal(of_response, b"Transfer-Encoding: gzip", status=b"HTTP/1.1 " + status) == 502


def test_a_close_delimited_connection_is_not_used_again():
    assert not of_response().reusable
    assert repr(Framing(LENGTH, 5)) == "Framing(LENGTH, 5)"
