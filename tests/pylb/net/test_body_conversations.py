"""Rules that wait for a request's body: every split, clients that leave or stop, what is kept and for how long."""

from __future__ import annotations

import itertools

import pytest
from conversation import GET, OK, World, config, status_of
from hypothesis import given, settings
from hypothesis import strategies as st

BUFFERED = config(
    "option http-buffer-request\n timeout http-request 4s\n http-request set-header X-Body %[req.body]\n"
    " http-request deny if { req.body -m sub bad }\n http-request return status 200 if { path /own }\n"
    " unique-id-format id-%[req.body_len]\n unique-id-header X-Id"
)
PAUSED = config(
    "http-request wait-for-body time 4s at-least 3 if { path /p }",
    "option http-buffer-request\n http-request set-header X-Back %[req.body]",
)
LENGTH = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabcdef"
CHUNKS = b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([BUFFERED, PAUSED]), st.sampled_from([LENGTH, CHUNKS]), st.sets(st.integers(1, 90), max_size=6))
def test_however_a_body_is_cut_rules_see_all_of_it_and_the_server_gets_it_once(text, request, cuts):
    world = World(text)
    try:
        client = world.client()
        stream = request + GET
        bounds = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
        for start, end in itertools.pairwise(bounds):
            client.sends(stream[start:end])
        server = world.server()
        first = server.gets()
        head, _, body = first.partition(b"\r\n\r\n")
        assert body == request.partition(b"\r\n\r\n")[2]
        assert b"\r\nX-Body: abcdef" in head or b"\r\nX-Back: abcdef" in head
        assert (b"X-Id: id-6" in head) == (text is BUFFERED)
        server.sends(OK)
        assert server.gets().startswith(b"GET / ")
        server.sends(OK)
        assert client.gets().count(b"200 OK") == 2
        world.end()
    finally:
        world.close()


@pytest.mark.parametrize("text", [BUFFERED, PAUSED])
def test_a_body_that_stops_is_a_408_and_a_client_that_leaves_nobody_s_request(text):
    world = World(text)
    try:
        client, other = world.client(), world.client()
        client.sends(LENGTH[:-4])
        other.sends(LENGTH[:-4])
        other.resets()
        world.passes(3.9)
        assert client.gets() == b"" and not world.connecting
        world.passes(0.3)
        assert status_of(client.gets()) == 408 and world.termination == "cR--"
        world.end()
    finally:
        world.close()


def test_dripping_does_not_extend_the_time():
    world = World(BUFFERED)
    try:
        client = world.client()
        client.sends(LENGTH[:-6])
        for byte in b"abcd":
            world.passes(0.9)
            client.sends(bytes([byte]))
        world.passes(0.6)
        assert status_of(client.gets()) == 408
        world.end()
    finally:
        world.close()


def test_more_than_a_buffer_is_not_waited_for_and_not_kept():
    world = World(BUFFERED.replace("X-Body %[req.body]", "X-Body %[req.body_len]"))
    try:
        client = world.client()
        client.sends(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(20):
            client.sends(b"x" * 1000)
        assert world.connecting and not client.transport.reading
        server = world.server()
        client.sends(b"x" * 80_000)
        head, _, body = server.gets().partition(b"\r\n\r\n")
        assert len(body) == 100_000 and 15_000 < int(head.partition(b"X-Body: ")[2].split(b"\r\n")[0]) < 15_360
        server.sends(OK)
        assert status_of(client.gets()) == 200
        world.end()
    finally:
        world.close()


def test_who_asks_before_sending_is_told_to_go_on_once():
    world = World(BUFFERED)
    try:
        client = world.client()
        client.sends(LENGTH[:-6].replace(b"Host: x", b"Host: x\r\nExpect: 100-continue"))
        assert client.gets() == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sends(b"abcdef")
        server = world.server()
        assert b"xpect" not in server.gets()
        server.sends(OK)
        assert status_of(client.gets()) == 200
        world.end()
    finally:
        world.close()


@pytest.mark.parametrize(("piece", "status"), [(b"is bad", 403), (b"fine!!", 200)])
def test_a_verdict_on_the_body_and_the_next_request(piece, status):
    world = World(BUFFERED)
    try:
        client = world.client()
        client.sends(LENGTH[:-6].replace(b"/p", b"/own" if status == 200 else b"/p"))
        client.sends(piece + GET)
        assert status_of(client.gets()) == status
        server = world.server()
        server.sends(OK)
        assert status_of(client.gets()) == 200
        world.end()
    finally:
        world.close()


def test_who_buffers_nothing_streams():
    world = World(config("http-request wait-for-body time 4s if { path /other }"))
    try:
        client = world.client()
        client.sends(LENGTH[:-3])
        server = world.server()
        assert server.gets().endswith(b"abc")
        client.sends(b"def")
        assert server.gets() == b"def"
        server.sends(OK)
        world.end()
    finally:
        world.close()


@pytest.mark.parametrize("text", [BUFFERED, PAUSED])
def test_the_time_of_waiting_is_the_requests_and_not_the_queues_or_the_servers(text):
    times = " timeout connect 1s\n timeout server 1s\n timeout queue 1s"
    text = text.replace("backend b\n", f"backend b\n{times}\n").replace(":2\n", ":2 maxconn 1\n")
    world = World(text)
    try:
        other, client = world.client(), world.client()
        client.sends(LENGTH[:-6])
        world.passes(3)
        other.sends(LENGTH)
        server = world.server()
        client.sends(b"abcdef")
        world.passes(0.8)
        server.sends(OK)
        server = world.server()
        world.passes(0.8)
        server.sends(OK)
        assert status_of(client.gets()) == 200
        assert " b/s1 3000/799/0/800/4599 200 " in world.line
        world.end()
    finally:
        world.close()


@pytest.mark.parametrize("head", ["Content-Length: 34", "Transfer-Encoding: chunked"])
def test_the_statistics_form_that_rules_have_waited_for_the_beginning_of(head):
    """The rest is read, within timeout client, and none of it is lost."""
    world = World(
        config("http-request wait-for-body time 4s at-least 5\n stats enable\n stats uri /stats\n stats admin if TRUE")
    )
    try:
        client, silent = world.client(), world.client()
        form = b"s=s1&action=drain&b=b&other=nothing"[:34]
        body = form if "Length" in head else b"22\r\n" + form + b"\r\n0\r\n\r\n"
        for each in (client, silent):
            each.sends(f"POST /stats HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode() + body[:12])
        client.sends(body[12:])
        assert status_of(client.gets()) == 303
        assert world.backend().by_name["s1"].admin
        client.sends(GET.replace(b"/", b"/stats", 1))
        assert status_of(client.gets()) == 200
        world.passes(31)
        assert status_of(silent.gets()) == 408
        world.end()
    finally:
        world.close()
