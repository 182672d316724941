"""Looking fields up and editing them; no edit can split a message."""

from __future__ import annotations

import h11
import pytest
from http1_support import get, refusal, request, response
from hypothesis import given
from hypothesis import strategies as st

FIELDS = [b"A: 1", b'x-b: 2, "3,4" ,,5', b"a:  6\t", b"AA: 7", b"X: a: 1", b"A:"]


def test_lookups_ignore_case_and_find_whole_names_only():
    head = response(*FIELDS)
    assert head.get(b"a") == head.get(b"A") == b"1"
    assert head.get_all(b"a") == [b"1", b"6", b""]
    assert head.last(b"a") == b""
    assert (head.count(b"a"), head.count(b"aa"), head.count(b"b")) == (3, 1, 0)
    assert head.has(b"X-B") and not head.has(b"b")
    assert (head.get(b"none"), head.last(b"none"), head.get_all(b"none"), head.values(b"none")) == (None, None, [], [])
    assert head.values(b"x-b") == [b"2", b'"3,4"', b"5"]
    assert head.values(b"a") == [b"1", b"6"]
    assert head.fields()[:3] == [(b"A", b"1"), (b"x-b", b'2, "3,4" ,,5'), (b"a", b"6")]
    assert head.names() == [b"a", b"x-b", b"a", b"aa", b"x", b"a"]


def test_a_quote_that_never_ends_takes_the_rest_of_its_own_field_only():
    assert response(b'A: b, "c, d', b"A: e").values(b"a") == [b"b", b'"c, d', b"e"]
    assert response(b"A: " + b'"\\' * 7000).values(b"a") == [b'"\\' * 7000]  # and linear time


def test_add_appends_and_set_replaces_in_place():
    head = response(*FIELDS)
    head.add(b"New", b"v")
    assert (head.get(b"new"), head.fields()[-1]) == (b"v", (b"New", b"v"))
    head.set(b"A", b"9")
    assert head.names() == [b"a", b"x-b", b"aa", b"x", b"new"]
    assert head.get_all(b"a") == [b"9"]
    head.set(b"X-B", b"8")
    assert head.block == b"\r\nA: 9\r\nX-B: 8\r\nAA: 7\r\nX: a: 1\r\nNew: v"
    head.set(b"Last", b"l")
    assert head.block.endswith(b"\r\nNew: v\r\nLast: l")
    head.set(b"Last", b"m")
    assert head.block.endswith(b"\r\nNew: v\r\nLast: m")


def test_remove_tells_how_many_there_were():
    head = response(*FIELDS)
    assert (head.remove(b"a"), head.remove(b"a"), head.remove(b"none")) == (3, 0, 0)
    assert head.names() == [b"x-b", b"aa", b"x"]
    assert (head.remove(b"x"), head.remove(b"x-b"), head.remove(b"aa")) == (1, 1, 1)
    assert head.block == b""
    assert head.serialise() == b"HTTP/1.1 200 OK\r\n\r\n"


def test_replace_gives_each_field_its_new_value_in_its_place():
    head = response(*FIELDS)
    head.replace(b"a", [b"x", b"y\r\n", b"z"])
    assert head.get_all(b"a") == [b"x", b"y", b"z"]
    assert head.names() == [b"a", b"x-b", b"a", b"aa", b"x", b"a"]
    with pytest.raises(ValueError):
        head.replace(b"a", [b"x"])


def test_a_value_cannot_split_the_message():
    head = response(b"Content-Length: 0")
    for edit in (head.add, head.set):
        edit(b"Location", b"/a\r\nSet-Cookie: evil=1\r\n\r\n<html>\0\x7f\x0b\n")
        assert head.names().count(b"location") == 1
        assert not head.has(b"set-cookie")
        assert head.get(b"location") == b"/a  Set-Cookie: evil=1    <html>"
        head.remove(b"location")


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"a\0", b"\xe9", b"(a)"])
def test_a_name_that_is_no_token_is_refused(name):
    head = response()
    assert refusal(head.add, name, b"v") == 500
    assert refusal(head.set, name, b"v") == 500
    assert head.block == b""


def test_rules_cannot_touch_what_decides_the_end_of_the_body():
    head = response(b"Content-Length: 5", b"Transfer-Encoding: chunked")
    before = head.block
    for name in (b"Content-Length", b"TRANSFER-ENCODING"):
        head.add(name, b"7")
        head.set(name, b"7")
        head.replace(name, [b"7"])
        assert head.remove(name) == 0
    assert head.block == before


def test_framing_is_changed_by_its_own_methods():
    head = response(b"Content-Length: 5", b"A: b", b"Content-Length: 5")
    head.set_chunked()
    assert head.fields() == [(b"A", b"b"), (b"Transfer-Encoding", b"chunked")]
    head.set_length(7)
    assert head.fields() == [(b"A", b"b"), (b"Content-Length", b"7")]
    head.drop_framing()
    assert head.fields() == [(b"A", b"b")]


def test_there_is_never_a_second_host():
    head = get()
    head.add(b"HOST", b"b:1")
    assert head.get_all(b"host") == [b"b:1"]
    assert (head.host, head.port) == (b"b", 1)
    head.set(b"Host", b"Not A Host")
    assert (head.host, head.port) == (b"not a host", None)


# -------------------------------------------------------------------------------------------------------- the target


def test_path_and_query_are_read_and_edited_apart():
    head = get(target=b"/a/b?c=d?e")
    assert (head.path, head.query) == (b"/a/b", b"c=d?e")
    head.set_path(b"/x")
    assert head.uri == b"/x?c=d?e"
    head.set_query(b"y=1")
    assert head.uri == b"/x?y=1"
    head.set_query(b"")
    assert (head.uri, head.query, head.target) == (b"/x", None, b"/a/b?c=d?e")
    head.set_uri(b"/p?q")
    assert head.serialise() == b"GET /p?q HTTP/1.1\r\nHost: a\r\n\r\n"
    assert (get(target=b"/a?").query, get(target=b"/a").query) == (b"", None)


@pytest.mark.parametrize(
    ("given_uri", "sent"),
    [
        (b"/a b\r\nX: y", b"/a%20b%0D%0AX:%20y"),
        (b"/a#b\0\x7f\xe9", b"/a%23b%00%7F%E9"),
        (b"a", b"/a"),
        (b"", b"/"),
        (b"*", b"/*"),
        (b"http://b/c?d", b"/c?d"),
        (b"ftp://b/c", b"/ftp://b/c"),
    ],
)
def test_a_rule_cannot_break_out_of_the_request_line(given_uri, sent):
    head = get()
    head.set_uri(given_uri)
    assert head.uri == sent


def test_connect_and_asterisk_keep_their_forms():
    head = get(method=b"CONNECT", target=b"b:1")
    head.set_path(b"/x")
    assert head.uri == b"b:1"
    head = get(method=b"OPTIONS", target=b"*")
    assert (head.path, head.query) == (b"*", None)
    head.set_uri(b"*")
    assert head.uri == b"*"


def test_set_method_leaves_alone_what_decides_the_end_of_the_response():
    head = get()
    assert head.set_method(b"POST") and head.method == b"POST"
    for method in (b"HEAD", b"CONNECT", b"A B", b"", b"GET / HTTP/1.1\r\n"):
        assert not head.set_method(method)
    assert head.method == b"POST"
    assert not get(method=b"HEAD").set_method(b"GET")


def test_set_status_leaves_alone_what_decides_the_end_of_the_response():
    head = response()
    assert head.set_status(503, b"Busy\r\nX: y")
    assert head.serialise().startswith(b"HTTP/1.1 503 Busy  X: y\r\n")
    for status in (100, 101, 204, 304, 99, 1000):
        assert not head.set_status(status, b"")
    assert not response(status=b"HTTP/1.1 304 x").set_status(200, b"")
    assert head.status == 503


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["add", "set", "remove"]),
        st.sampled_from([b"Host", b"X-A", b"x-a", b"Cookie", b"Content-Length", b"Transfer-Encoding", b"B"]),
        st.binary(max_size=12),
    ),
    max_size=12,
)


@given(EDITS, st.binary(max_size=20), st.binary(max_size=20))
def test_whatever_rules_do_h11_reads_one_message_with_the_fields_that_we_see(edits, path, query):
    head = request(b"POST /p?q HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nContent-Length: 2\r\nB: c\r\nX-A: 3\r\n\r\n")
    head.set_path(b"/" + path)
    head.set_query(query)
    for action, name, value in edits:
        if action == "remove":
            if name != b"Host":
                head.remove(name)
        else:
            getattr(head, action)(name, value)
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head.serialise() + b"ok")
    event = connection.next_event()
    assert (event.method, event.target) == (head.method, head.uri)
    assert list(event.headers) == [(name.lower(), value) for name, value in head.fields()]
    assert [head.get(name) for name in head.names()] == [dict(reversed(event.headers))[n] for n in head.names()]
    assert connection.next_event().data == b"ok"
    assert isinstance(connection.next_event(), h11.EndOfMessage)
    assert connection.trailing_data == (b"", False)
