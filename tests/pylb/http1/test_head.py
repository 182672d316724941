"""Request and response heads: what RFC 9110 and 9112 allow and refuse, case by case."""

from __future__ import annotations

import pytest
from http1_support import get, refusal, request, response

from pylb.http1.errors import ProtocolError
from pylb.http1.head import Limits, parse_request, parse_response, reject_early

GOOD_LINES = [
    (b"GET / HTTP/1.1", (b"GET", b"/", 1)),
    (b"GET /a?b=c&d=%20 HTTP/1.1", (b"GET", b"/a?b=c&d=%20", 1)),
    (b"GET / HTTP/1.0", (b"GET", b"/", 0)),
    (b"GET / HTTP/1.7", (b"GET", b"/", 1)),
    (b"M-SEARCH /x HTTP/1.1", (b"M-SEARCH", b"/x", 1)),
    (b"get / HTTP/1.1", (b"get", b"/", 1)),
    (b'GET /{a}|"b"^`<>\\ HTTP/1.1', (b"GET", b'/{a}|"b"^`<>\\', 1)),
    (b"OPTIONS * HTTP/1.1", (b"OPTIONS", b"*", 1)),
    (b"CONNECT h:443 HTTP/1.1", (b"CONNECT", b"h:443", 1)),
]


@pytest.mark.parametrize(("line", "expected"), GOOD_LINES)
def test_valid_request_lines_are_read(line, expected):
    head = request(line + b"\r\nHost: a\r\n\r\n")
    assert (head.method, head.target, head.version) == expected


BAD_LINES = [
    (400, b"GET /"),
    (400, b"GET / HTTP/0.9"),
    (505, b"GET / HTTP/2.0"),
    (505, b"PRI * HTTP/2.0"),
    (505, b"GET / HTTP/3.1"),
    (400, b"GET / HTTP/1"),
    (400, b"GET / HTTP/1."),
    (400, b"GET / HTTP/1.10"),
    (400, b"GET / HTTP/11.1"),
    (400, b"GET / HTTP/2.0x"),
    (400, b"GET / http/1.1"),
    (400, b"GET / HTTPS/1.1"),
    (400, b"GET / HTTP/1,1"),
    (400, b"GET  / HTTP/1.1"),
    (400, b"GET /  HTTP/1.1"),
    (400, b"GET / HTTP/1.1 "),
    (400, b" GET / HTTP/1.1"),
    (400, b"GET\t/ HTTP/1.1"),
    (400, b"GET /a b HTTP/1.1"),
    (400, b"GET /\xe9 HTTP/1.1"),
    (400, b"GET /a#b HTTP/1.1"),
    (400, b"GET /\0 HTTP/1.1"),
    (400, b"GET /\x7f HTTP/1.1"),
    (400, b"G(T / HTTP/1.1"),
    (400, b"G\xcbT / HTTP/1.1"),
    (400, b" / HTTP/1.1"),
    (400, b"GET HTTP/1.1"),
    (400, b"GET / HTTP/1.1\rX: y"),
    (400, b"GET / HTTP/1.1\nX: y"),
    (400, b"GET a HTTP/1.1"),
    (400, b"GET * HTTP/1.1"),
    (400, b"GET a:80 HTTP/1.1"),
    (400, b"CONNECT / HTTP/1.1"),
    (400, b"CONNECT a HTTP/1.1"),
    (400, b"CONNECT a: HTTP/1.1"),
    (400, b"CONNECT :443 HTTP/1.1"),
    (400, b"CONNECT a:0 HTTP/1.1"),
    (400, b"CONNECT a:65536 HTTP/1.1"),
    (400, b"CONNECT * HTTP/1.1"),
    (400, b"CONNECT http://a/ HTTP/1.1"),
    (400, b"GET ftp://a/ HTTP/1.1"),
    (400, b"GET http:///x HTTP/1.1"),
    (400, b"GET http://user@a/ HTTP/1.1"),
    (400, b"GET http://a:x/ HTTP/1.1"),
    (400, b"GET http://[::1/ HTTP/1.1"),
    (400, b"GET http:/a HTTP/1.1"),
]


@pytest.mark.parametrize(("status", "line"), BAD_LINES)
def test_invalid_request_lines_are_refused(status, line):
    assert refusal(request, line + b"\r\nHost: a\r\n\r\n") == status


@pytest.mark.parametrize(
    "line",
    [
        b"A : b", b"A\t: b", b": b", b"A", b" A: b", b"\tA: b", b"A b: c", b"A: b\0", b"A: \x01", b"A: b\x7f",
        b"A: b\x0bc",
        b"A: b\rc", b"A: b\nc", b"A: b\n C: d", b"A: b\r\n c", b"A: b\r\n\tc", b"A\xe9: b", b"A(: b", b'"A": b',
        b"A\0: b",
        b"A: b\r", b"\rA: b", b"\nA: b", b"[A]: b", b"A/B: c", b"A: b\n", b"A\r\n: b",
    ],
)  # fmt: skip
def test_malformed_fields_are_refused(line):
    assert refusal(get, line) == 400
    assert refusal(response, line) == 502


def test_field_values_may_hold_what_the_grammar_has():
    head = get(b"A:b", b"B:  \t b c\t ", b"C:", b"D: \xe9\xff", b"!#$%&'*+-.^_`|~09aZ: x")
    assert head.get(b"a") == b"b"
    assert head.get(b"b") == b"b c"
    assert head.get(b"c") == b""
    assert head.get(b"d") == b"\xe9\xff"
    assert head.get(b"!#$%&'*+-.^_`|~09az") == b"x"


def test_one_empty_line_before_a_request_is_tolerated():
    assert request(b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").method == b"GET"
    assert refusal(request, b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") == 400
    assert refusal(request, b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n") == 400


def test_pipelined_requests_are_read_by_offset_from_bytes_and_bytearray():
    one = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
    for kind in (bytes, bytearray):
        data = kind(one % 1 + one % 2)
        end = data.index(b"\r\n\r\n")
        start = end + 4
        assert parse_request(data, 0, end, Limits()).uri == b"/1"
        second = parse_request(data, start, data.index(b"\r\n\r\n", start), Limits())
        assert (second.uri, type(second.uri), type(second.block)) == (b"/2", bytes, bytes)


# ------------------------------------------------------------------------------------------------------------- host


def test_http_1_1_needs_exactly_one_host():
    assert refusal(get, host=None) == 400
    assert refusal(get, b"Host: b") == 400
    assert refusal(get, b"host: a") == 400  # identical: RFC 9112 3.2 refuses any second one
    assert refusal(get, b"Host: a", version=b"HTTP/1.0") == 400
    assert get(host=None, version=b"HTTP/1.0").authority == b""


GOOD_HOSTS = [
    (b"a.Example", b"a.example", None),
    (b"a:8080", b"a", 8080),
    (b"a:", b"a", None),
    (b"127.0.0.1:80", b"127.0.0.1", 80),
    (b"[::1]", b"[::1]", None),
    (b"[2001:DB8::1]:443", b"[2001:db8::1]", 443),
    (b"[::ffff:1.2.3.4]:1", b"[::ffff:1.2.3.4]", 1),
    (b"[v1.a:b]", b"[v1.a:b]", None),
    (b"a_b-c.d~e", b"a_b-c.d~e", None),
    (b"%41b", b"%41b", None),
    (b"", b"", None),
]


@pytest.mark.parametrize(("value", "host", "port"), GOOD_HOSTS)
def test_valid_hosts(value, host, port):
    head = get(host=b"Host: " + value)
    assert (head.authority, head.host, head.port) == (value, host, port)


@pytest.mark.parametrize(
    "value",
    [
        b"a b", b"a/b", b"u@a", b"a:b", b"a:1:2", b"a:-1", b"a:+1", b"a:70000", b"a:123456", b"[::1", b"::1", b"[:::1]",
        b"[a]", b"[::1]a", b"[::1%25eth0]", b"[]", b"[1.2.3.4]", b"a?b", b"a#b", b"%4", b"%zz", b"\xe9", b'"a"', b"<a>",
        b"a\\b", b"http://a", b"a:\xb2", b"[::12345]", b"{a}",
    ],
)  # fmt: skip
def test_invalid_hosts_are_refused(value):
    assert refusal(get, host=b"Host: " + value) == 400
    assert refusal(get, host=b"Host: " + value, version=b"HTTP/1.0") == 400


def test_an_absolute_target_replaces_host_and_is_forwarded_in_origin_form():
    head = get(target=b"http://B.example:81/x?y", host=b"Host: a.example")
    assert (head.target, head.uri, head.authority) == (b"http://B.example:81/x?y", b"/x?y", b"B.example:81")
    assert head.count(b"host") == 1
    assert head.serialise() == b"GET /x?y HTTP/1.1\r\nHost: B.example:81\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "target", "uri"),
    [
        (b"GET", b"http://a", b"/"),
        (b"GET", b"HTTPS://a", b"/"),
        (b"GET", b"http://a?x", b"/?x"),
        (b"OPTIONS", b"http://a", b"*"),
        (b"OPTIONS", b"http://a/", b"/"),
        (b"OPTIONS", b"http://a:80?x", b"/?x"),
        (b"GET", b"//a/b", b"//a/b"),
    ],
)
def test_forwarded_forms_of_the_target(method, target, uri):
    assert get(method=method, target=target).uri == uri


def test_host_is_still_demanded_beside_an_absolute_target():
    assert refusal(get, target=b"http://b/", host=None) == 400
    assert refusal(get, target=b"http://b/", host=b"Host: a b") == 400
    assert get(target=b"http://b/", host=None, version=b"HTTP/1.0").authority == b"b"


def test_connect_takes_its_host_from_the_target():
    head = get(method=b"CONNECT", target=b"b:443", host=b"Host: c")
    assert head.serialise() == b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n"


# ----------------------------------------------------------------------------------------------------------- limits


def test_a_head_may_fill_the_buffer_but_for_the_reserve():
    limits = Limits(bufsize=200, maxrewrite=100)
    bare = b"GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n"
    fits = bare.replace(b"X: ", b"X: " + b"x" * (100 - len(bare)))
    assert len(fits) == 100
    assert request(fits, limits).has(b"x")
    assert refusal(request, fits.replace(b"X:", b"X: "), limits) == 431


def test_a_request_line_too_long_is_414_and_fields_too_large_431():
    limits = Limits(bufsize=200, maxrewrite=100)
    assert refusal(request, b"GET /" + b"a" * 100 + b" HTTP/1.1\r\nHost: a\r\n\r\n", limits) == 414
    assert refusal(request, b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 100 + b"\r\n\r\n", limits) == 431
    assert refusal(reject_early, b"GET /" + b"a" * 95, 0, limits) == 414
    assert refusal(reject_early, b"GET / HTTP/1.1\r\nA: " + b"a" * 95, 0, limits) == 431


def test_too_many_fields_are_431_and_502():
    limits = Limits(max_headers=3)
    good = b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\nC: d\r\n"
    assert len(request(good + b"\r\n", limits).fields()) == 3
    assert refusal(request, good + b"E: f\r\n\r\n", limits) == 431
    assert refusal(reject_early, good + b"E:", 0, limits) == 431
    assert refusal(response, *[b"A: b"] * 4, limits=limits) == 502


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (400, b"\x16"),
        (400, b"GET / HTTP/1.1\r\nA: b\n"),
        (400, b"GET / HTTP/1.1\n"),
        (400, b"GET /\r"),
        (400, b"GET / HTTX"),
        (505, b"GET / HTTP/2.0\r\n"),
        (400, b"GET / HTTP/1.1\r\nA "),
        (400, b"GET / HTTP/1.1\r\n "),
        (400, b"GET / HTTP/1.1\r\nA: b\r\n "),
        (400, b"GET / HTTP/1.1\rX"),
        (400, b"\n"),
    ],
)
def test_a_head_that_can_no_longer_become_valid_is_refused_before_its_end(status, data):
    assert refusal(reject_early, data, 0, Limits()) == status
    reject_early(data[:-1], 0, Limits())  # one byte earlier it still could


def test_every_prefix_of_a_valid_head_may_go_on():
    head = b"GET http://a/b HTTP/1.1\r\nHost: a\r\nA:\r\nB: c\r\n\r\n"
    for n in range(len(head)):
        reject_early(head[:n], 0, Limits())


# -------------------------------------------------------------------------------------------------------- responses


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"HTTP/1.1 200 OK", (1, 200, b"OK")),
        (b"HTTP/1.1 200 ", (1, 200, b"")),
        (b"HTTP/1.1 200", (1, 200, b"")),
        (b"HTTP/1.0 404 Not  Found\xe9\t", (0, 404, b"Not  Found\xe9\t")),
        (b"HTTP/1.5 999 x", (1, 999, b"x")),
    ],
)
def test_valid_status_lines(line, expected):
    head = response(status=line)
    assert (head.version, head.status, head.reason) == expected
    assert head.serialise() == b"HTTP/1.1 %d %b\r\n\r\n" % expected[1:]


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/2.0 200 OK", b"HTTP/0.9 200 OK", b"ICY 200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1  200 OK", b"HTTP/1.1 200OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1 200 a\0", b"HTTP/1.1 200 a\x01",
        b"http/1.1 200 OK",
        b"HTTP/1.1", b"", b"HTTP/1.1 \xb2\xb2\xb2 OK", b" HTTP/1.1 200 OK", b"HTTP/1.1 200 a\rb", b"HTTP/1.1\t200 OK",
    ],
)  # fmt: skip
def test_malformed_status_lines_are_502(line):
    assert refusal(response, status=line) == 502


def test_a_response_head_too_large_is_502():
    assert refusal(response, b"A: " + b"a" * 16384) == 502


def test_interim_responses_are_told_apart():
    assert response(status=b"HTTP/1.1 100 Continue").interim
    assert response(status=b"HTTP/1.1 103 Early Hints").interim
    assert not response(status=b"HTTP/1.1 101 Switching Protocols").interim
    assert not response().interim


def test_an_error_tells_its_status_and_holds_no_byte_of_the_peer():
    with pytest.raises(ProtocolError) as caught:
        get(b"secret\0: 1")
    assert str(caught.value) == "400: malformed header field"
    data = b"HTTP/1.1 200 OK\r\n\r\n"
    assert parse_response(data, 0, len(data) - 4, Limits()).block == b""
