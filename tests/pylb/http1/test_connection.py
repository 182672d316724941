"""What belongs to one hop: Connection and the fields it lists, Upgrade, TE, Expect, Max-Forwards, Via."""

from __future__ import annotations

import pytest
from http1_support import get, refusal, response

from pylb.http1.connection import add_via, interim_may_pass, spend_forward, switches, trace_body

WS = [b"Connection: Upgrade", b"Upgrade: WebSocket", b"Sec-WebSocket-Key: x"]


def names_after(*lines, keep_upgrade=False, **kwargs):
    head = get(*lines, **kwargs)
    head.remove_hop_by_hop(keep_upgrade)
    return head.names()


@pytest.mark.parametrize(
    ("version", "value", "closes"),
    [
        (b"HTTP/1.1", None, False),
        (b"HTTP/1.1", b"close", True),
        (b"HTTP/1.1", b"Foo , CLOSE", True),
        (b"HTTP/1.1", b"keep-alive", False),
        (b"HTTP/1.1", b"keep-alive, close", True),
        (b"HTTP/1.1", b"closed", False),
        (b"HTTP/1.0", None, True),
        (b"HTTP/1.0", b"Keep-Alive", False),
        (b"HTTP/1.0", b"close", True),
        (b"HTTP/1.0", b"keep-alive, close", True),
        (b"HTTP/1.0", b"foo", True),
    ],
)
def test_who_closes(version, value, closes):
    lines = [] if value is None else [b"Connection: " + value]
    for head in (get(*lines, version=version), response(*lines, status=version + b" 200 OK")):
        assert head.wants_close() is closes
        assert head.wants_keep_alive() is not closes


def test_connection_in_several_fields_counts_as_one():
    head = get(b"Connection: a", b"X: y", b"connection:\tClose ")
    assert head.wants_close()
    assert names_after(b"Connection: a", b"A: 1", b"Connection: b", b"B: 2", b"C: 3") == [b"host", b"c"]


@pytest.mark.parametrize("value", [b"close", b"keep-alive", b"Keep-Alive, X-A", b"x-a , ,X-B", b"", b"a b", b"\xff"])
def test_connection_and_what_it_lists_is_not_passed_on(value):
    assert names_after(b"Connection: " + value, b"X: 1") == [b"host", b"x"]
    listed = b"x-a" in value.lower()
    assert (b"x-a" in names_after(b"Connection: " + value, b"X-A: 1")) is not listed


def test_host_and_framing_stay_whatever_connection_says():
    lines = [b"Connection: Host, content-length, Transfer-Encoding, cookie", b"Content-Length: 3", b"Cookie: a"]
    assert names_after(*lines) == [b"host", b"content-length"]
    head = response(b"Connection: transfer-encoding", b"Transfer-Encoding: chunked")
    head.remove_hop_by_hop()
    assert head.names() == [b"transfer-encoding"]


def test_fields_of_our_own_are_added_behind_the_removal():
    head = get(b"Connection: X-Forwarded-For", b"X-Forwarded-For: forged")
    head.remove_hop_by_hop()
    head.add(b"X-Forwarded-For", b"10.0.0.1")
    assert head.get_all(b"x-forwarded-for") == [b"10.0.0.1"]


@pytest.mark.parametrize(
    "field", [b"Keep-Alive: 5", b"Proxy-Connection: close", b"Upgrade: x", b"TE: gzip", b"HTTP2-Settings: x"]
)
def test_hop_by_hop_fields_go_even_when_not_listed(field):
    assert names_after(field) == [b"host"]
    assert names_after(field, b"Connection: close", version=b"HTTP/1.0") == [b"host"]


def test_te_is_reduced_to_trailers_and_listed_again():
    head = get(b"Connection: TE, close", b"TE: gzip;q=0.5, Trailers")
    head.remove_hop_by_hop()
    assert head.fields()[1:] == [(b"Connection", b"TE"), (b"TE", b"trailers")]
    assert names_after(b"TE: trailers") == [b"host"]  # not listed: not meant for us


# ---------------------------------------------------------------------------------------------------------- upgrade


def test_an_intact_upgrade_is_kept_when_a_tunnel_can_be_made():
    head = get(*WS)
    assert head.upgrade == b"websocket"
    head.remove_hop_by_hop(keep_upgrade=True)
    assert head.get(b"upgrade") == b"websocket"
    assert head.get_all(b"connection") == [b"upgrade"]
    assert head.has(b"sec-websocket-key")
    assert names_after(*WS) == [b"host", b"sec-websocket-key"]


@pytest.mark.parametrize(
    "kwargs",
    [
        {"lines": [b"Upgrade: websocket"]},
        {"lines": [b"Connection: upgrade"]},
        {"lines": WS, "version": b"HTTP/1.0"},
        {"lines": [b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQ"]},
        {"lines": [b"Connection: upgrade", b"Upgrade:"]},
        {"lines": [b"Connection: upgrade", b"Upgrade: H2C, h2"]},
    ],
)
def test_an_upgrade_that_is_not_intact_or_is_h2c_goes(kwargs):
    head = get(*kwargs.pop("lines"), **kwargs)
    assert head.upgrade is None
    head.remove_hop_by_hop(keep_upgrade=True)
    assert not {b"upgrade", b"connection", b"http2-settings"} & set(head.names())


def test_h2c_is_taken_out_of_a_list():
    head = get(b"Connection: upgrade, te", b"Upgrade: h2c, WebSocket", b"Upgrade: foo/1", b"TE: trailers")
    assert head.upgrade == b"websocket, foo/1"
    head.remove_hop_by_hop(keep_upgrade=True)
    assert (head.get(b"upgrade"), head.get_all(b"connection")) == (b"websocket, foo/1", [b"upgrade, TE"])


def switching(*lines):
    return response(*lines, status=b"HTTP/1.1 101 Switching Protocols")


def test_a_101_must_answer_what_was_offered():
    ws = switching(*WS[:2])
    assert switches(get(*WS), ws)
    assert not switches(get(), ws)
    assert not switches(get(b"Connection: upgrade", b"Upgrade: foo"), ws)
    assert not switches(get(*WS), switching(b"Connection: upgrade"))
    assert not switches(get(*WS), switching(b"Upgrade: websocket"))
    assert not switches(get(*WS, version=b"HTTP/1.0"), ws)


def test_interim_responses_do_not_go_to_http_1_0():
    early = response(status=b"HTTP/1.1 103 Early Hints")
    assert interim_may_pass(get(), early)
    assert not interim_may_pass(get(version=b"HTTP/1.0"), early)
    assert interim_may_pass(get(*WS), switching(*WS[:2]))
    assert not interim_may_pass(get(), switching(*WS[:2]))


def test_upgrade_in_responses_stays_only_where_it_has_a_meaning():
    for status, kept in ((b"101 x", True), (b"426 x", True), (b"200 OK", False)):
        head = response(
            b"Upgrade: h2c, WebSocket", b"Connection: Upgrade, X", b"X: 1", b"A: b", status=b"HTTP/1.1 " + status
        )
        head.remove_hop_by_hop()
        assert head.get(b"upgrade") == (b"WebSocket" if kept else None)
        assert head.get_all(b"connection") == ([b"upgrade"] if kept else [])
        assert head.has(b"a") and not head.has(b"x")


def test_an_http_1_0_request_is_forwarded_as_a_valid_1_1_one():
    head = get(b"Expect: 100-continue", host=None, version=b"HTTP/1.0")
    head.remove_hop_by_hop()
    assert head.serialise() == b"GET / HTTP/1.1\r\nHost: \r\n\r\n"
    head = get(version=b"HTTP/1.0")
    head.remove_hop_by_hop()
    assert head.get_all(b"host") == [b"a"]


# --------------------------------------------------------------------------------------------------- the other hops


@pytest.mark.parametrize(
    ("lines", "version", "expected"),
    [
        ([b"Expect: 100-Continue "], b"HTTP/1.1", True),
        ([b"Expect: 100-continue"], b"HTTP/1.0", False),
        ([b"Expect: 200-ok"], b"HTTP/1.1", False),
        ([], b"HTTP/1.1", False),
    ],
)
def test_who_expects_a_100(lines, version, expected):
    assert get(*lines, version=version).expects_continue is expected


@pytest.mark.parametrize("method", [b"TRACE", b"OPTIONS"])
def test_max_forwards_is_counted_down_and_ends_here_at_zero(method):
    head = get(b"Max-Forwards: 010", method=method)
    assert spend_forward(head)
    assert head.get_all(b"max-forwards") == [b"9"]
    assert not spend_forward(get(b"Max-Forwards: 0", method=method))
    assert spend_forward(get(method=method))
    for value in (b"", b"x", b"-1", b"+1", b"1, 1", b"9" * 30):
        assert refusal(spend_forward, get(b"Max-Forwards: " + value, method=method)) == 400
    assert refusal(spend_forward, get(b"Max-Forwards: 1", b"Max-Forwards: 1", method=method)) == 400


def test_max_forwards_means_nothing_for_other_methods():
    head = get(b"Max-Forwards: 0")
    assert spend_forward(head) and head.get(b"max-forwards") == b"0"


def test_a_trace_that_ends_here_is_reflected_without_credentials():
    head = get(b"Cookie: s=1", b"A: b", b"Authorization: Basic x", target=b"/t", method=b"TRACE")
    assert trace_body(head) == b"TRACE /t HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n"
    assert head.has(b"cookie")


def test_via_names_the_version_that_was_received():
    head = get(b"Via: 1.1 other", version=b"HTTP/1.0")
    add_via(head, b"pylb")
    assert head.values(b"via") == [b"1.1 other", b"1.0 pylb"]
    back = response()
    add_via(back, b"pylb")
    assert back.get(b"via") == b"1.1 pylb"
