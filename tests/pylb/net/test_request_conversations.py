"""Requests on their way to a server: splits, order, early answers, clients and servers that leave, retries, limits."""

from __future__ import annotations

import errno
import itertools
import socket
from typing import Any

import pytest
from conversation import GET, OK, World, config, status_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import examples

from pylb.backend.operate import set_state
from pylb.config import model

POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
CHUNKED_POST = b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
OLD_GET = b"GET / HTTP/1.0\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = b"HTTP/1.0 200 OK\r\n\r\n"

STREAM = (
    b"\r\n"
    + GET
    + POST
    + b"0123456789"
    + CHUNKED_POST
    + b"5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n"
    + b"HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n"
)
RESPONSES = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecond\r\n0\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nthird",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
)


def converse(world: World, cuts: set[int], server_piece: int | None) -> tuple[bytes, list[bytes]]:
    """The stream in pieces through one client; what it gets, and what the server gets for each request."""
    client = world.client()
    bounds = [0, *sorted(cuts), len(STREAM)]
    server = None
    pending = list(RESPONSES)
    requests: list[bytes] = []
    for start, end in itertools.pairwise(bounds):
        client.sends(STREAM[start:end])
        while pending and (world.connecting or (server is not None and server.received)):
            if world.connecting:
                server = world.server()
            assert server is not None
            complete = (GET, b"0123456789", b"X-Trailer: 1\r\n\r\n", b"HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n")
            if not bytes(server.received).endswith(complete[len(requests)]):
                break
            requests.append(server.gets())
            server.sends(pending.pop(0), server_piece)
    return client.gets(), requests


@pytest.fixture(scope="module")
def whole() -> tuple[bytes, list[bytes]]:
    """The conversation in one piece."""
    world = World()
    try:
        return converse(world, set(), None)
    finally:
        world.end()


def test_every_cut_of_the_clients_bytes_gives_the_same_conversation(whole: tuple[bytes, list[bytes]]) -> None:
    assert b"first" in whole[0] and b"second" in whole[0] and b"third" in whole[0] and len(whole[1]) == 4
    for cut in range(1, len(STREAM)):
        world = World()
        assert converse(world, {cut}, None) == whole, f"cut at {cut}"
        world.end()


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(1, len(STREAM) - 1), max_size=30), piece=st.integers(1, 60))
def test_any_cuts_on_both_sides_give_the_same_conversation(
    whole: tuple[bytes, list[bytes]], cuts: set[int], piece: int
) -> None:
    world = World()
    assert converse(world, cuts, piece) == whole
    world.end()


def test_byte_by_byte_in_both_directions(whole: tuple[bytes, list[bytes]]) -> None:
    world = World()
    assert converse(world, set(range(1, len(STREAM))), 1) == whole
    world.end()


# --------------------------------------------------------------------------------------------------------- pipelining


def test_pipelined_requests_are_answered_in_order(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(b"".join(GET.replace(b"/", b"/%d" % n, 1) for n in range(5)))
    server = world.server()
    for n in range(5):
        assert server.gets().startswith(b"GET /%d " % n)
        server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % n)
    assert [part[-1:] for part in client.gets().split(b"HTTP/1.1 200 OK\r\n")[1:]] == [b"0", b"1", b"2", b"3", b"4"]


def test_pipelined_requests_are_answered_although_the_client_has_ended(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(GET * 3)
    client.ends()
    server = world.server()
    for _ in range(3):
        assert server.gets().startswith(b"GET")
        server.sends(OK)
    assert client.gets().count(b"hi") == 3
    assert client.closed


def test_thousands_of_pipelined_requests_answered_here_need_no_recursion(begin) -> None:
    world = begin(config("http-request return status 200 content-type text/plain string x"))
    client = world.client()
    client.sends(GET * 3000)
    assert client.gets().count(b"HTTP/1.1 200 OK") == 3000


def test_a_client_that_pipelines_and_never_reads_is_not_served_without_bound(begin) -> None:
    world = begin(config("http-request return status 200 content-type text/plain string " + "x" * 500))
    client = world.client()
    client.takes(0)
    client.sends(GET * 10_000)
    assert len(client.transport.buffer) < 1_000_000
    client.takes(None)
    assert client.gets().count(b"HTTP/1.1 200 OK") == 10_000


def test_a_client_that_never_reads_does_not_get_a_second_big_response_buffered(begin) -> None:
    world = begin()
    client = world.client()
    client.takes(0)
    client.sends(GET * 2)
    server = world.server()
    server.gets()
    server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"a" * 300_000)
    if server.gets():
        server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"a" * 9_000_000)
    assert len(client.transport.buffer) < 1_000_000
    client.takes(None)
    if b"GET" in server.gets():
        server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n" + b"a" * 9_000_000)
    assert len(client.gets()) > 9_300_000


def test_a_client_that_never_reads_is_let_go_after_timeout_client(begin) -> None:
    world = begin()
    client = world.client()
    client.takes(0)
    client.sends(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    world.server().sends(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"a" * 100_000)
    world.passes(29)
    assert not client.closed
    world.passes(2)
    assert client.closed and client.was_cut


# ------------------------------------------------------------------------------------------------ early, late, expected


def test_a_response_before_the_requests_end_closes_the_clients_connection(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(POST + b"012")
    server = world.server()
    server.sends(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
    answer = client.gets()
    assert status_of(answer) == 413 and answer.endswith(b"big") and b"connection: close" in answer.lower()
    assert client.saw_end and not client.closed  # read on for a moment, so that no reset takes the answer away
    client.sends(b"3456789")
    assert server.closed and not client.was_cut
    world.passes(3)
    assert client.closed


def test_a_long_response_goes_on_while_the_client_still_sends(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(POST + b"012")
    server = world.server()
    server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
    client.sends(b"3456789")
    assert server.gets().endswith(b"0123456789")
    server.sends(b"def")
    assert client.gets().endswith(b"abcdef")


def test_expect_and_100_continue_pass(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
    server = world.server()
    assert b"100-continue" in server.gets()
    server.sends(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.gets() == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sends(b"0123456789")
    assert server.gets() == b"0123456789"
    server.sends(OK)
    assert client.gets().endswith(b"hi")
    client.sends(GET)
    assert server.gets()
    server.sends(OK)


def test_early_hints_pass_to_1_1_and_not_to_1_0(begin) -> None:
    world = begin()
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    for request, expected in ((GET, 2), (OLD_GET, 1)):
        client = world.client()
        client.sends(request)
        world.server().sends(hints + OK)
        assert client.gets().count(b"HTTP/1.1 ") == expected


# --------------------------------------------------------------------------------------------------------- body forms


@pytest.mark.parametrize("reuse", [False, True])
def test_a_body_that_ends_with_the_connection_gets_chunks_for_a_1_1_client(begin, reuse: bool) -> None:
    world = begin()
    client = world.client()
    client.sends(GET)
    server = world.server()
    server.sends(UNTIL_CLOSE + b"one")
    server.sends(b"two")
    server.ends()
    answer = client.gets()
    assert b"transfer-encoding: chunked" in answer.lower()
    assert answer.endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    assert not client.closed
    if reuse:
        client.sends(GET)
        world.server().sends(OK)
        assert client.gets().endswith(b"hi")


@pytest.mark.parametrize("piece", [1, 3, 1000])
def test_chunks_become_a_plain_body_for_a_1_0_client(begin, piece: int) -> None:
    world = begin()
    client = world.client()
    client.sends(OLD_GET.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"))
    server = world.server()
    server.sends(CHUNKED + b"3\r\none\r\n3;x=y\r\ntwo\r\n0\r\nT: 1\r\n\r\n", piece)
    head, body = client.gets().split(b"\r\n\r\n", 1)
    assert body == b"onetwo" and b"chunked" not in head.lower() and b"connection: close" in head.lower()
    assert client.closed and not client.was_cut


def test_a_1_0_client_may_keep_its_connection_when_the_length_is_known(begin) -> None:
    world = begin()
    client = world.client()
    for _ in range(2):
        client.sends(OLD_GET.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"))
        if world.connecting:
            server = world.server()
        server.sends(OK)
        assert b"connection: keep-alive" in client.gets().lower()


CUTS = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", True),
    "chunked": (CHUNKED + b"a\r\nabc", True),
    "chunked between chunks": (CHUNKED + b"3\r\nabc\r\n", True),
    "no last line": (CHUNKED + b"3\r\nabc\r\n0\r\n", True),
}


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("kind", CUTS)
@pytest.mark.parametrize("how", ["ends", "resets"])
def test_a_response_cut_short_never_looks_complete(begin, kind: str, old: bool, how: str) -> None:
    world = begin()
    client = world.client()
    client.sends(OLD_GET if old else GET)
    server = world.server()
    server.sends(CUTS[kind][0])
    getattr(server, how)()
    assert client.knows_it_is_cut
    assert not client.gets().endswith(b"0\r\n\r\n")
    assert world.termination == "SD--"
    assert world.backend().counters.srv_abrt == 1


def test_a_reset_is_not_the_end_of_a_body_that_ends_with_the_connection(begin) -> None:
    for request in (GET, OLD_GET):
        world = begin()
        client = world.client()
        client.sends(request)
        server = world.server()
        server.sends(UNTIL_CLOSE + b"abc")
        server.resets()
        assert client.knows_it_is_cut
        assert world.termination == "SD--"


@pytest.mark.parametrize(
    "junk",
    [b"HTTP/1.1 2000 OK\r\n\r\n", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", b"x" * 20_000],
)
def test_junk_from_a_server_is_502(begin, junk: bytes) -> None:
    world = begin()
    client = world.client()
    client.sends(GET)
    server = world.server()
    server.sends(junk)
    assert status_of(client.gets()) == 502
    assert world.termination == "PH--" and server.closed
    client.sends(GET)  # the client's connection is still good
    world.server().sends(OK)
    assert status_of(client.gets()) == 200


def test_junk_in_a_chunk_cuts_the_response(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(GET)
    world.server().sends(CHUNKED + b"3\r\nabc\r\nzz\r\n")
    assert client.knows_it_is_cut


def test_bytes_behind_a_response_are_never_taken_for_the_next_one(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(GET)
    server = world.server()
    server.sends(OK + OK)
    assert client.gets().count(b"hi") == 1 and server.closed
    client.sends(GET)
    assert world.server() is not server


# ----------------------------------------------------------------------------------------------------- who is not there


def test_a_server_that_closes_before_it_answers_is_502(begin) -> None:
    for how in ("ends", "resets"):
        world = begin()
        client = world.client()
        client.sends(GET)
        getattr(world.server(), how)()
        assert status_of(client.gets()) == 502 and world.termination == "SH--"
        assert not client.closed


def test_a_client_that_leaves_while_a_connection_is_made(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(GET)
    client.resets()
    assert world.termination == "CC--" and not world.connecting


def test_a_client_that_leaves_while_the_server_thinks(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(GET)
    server = world.server()
    client.resets()
    assert world.termination == "CH--" and server.closed
    assert world.backend().counters.cli_abrt == 1


def test_a_client_that_leaves_in_the_middle_of_the_response(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(GET)
    server = world.server()
    server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    client.resets()
    assert world.termination == "CD--" and server.closed


@pytest.mark.parametrize("stage", ["connecting", "sent", "response"])
@pytest.mark.parametrize("how", ["ends", "resets"])
def test_a_client_that_leaves_in_the_middle_of_its_body(begin, stage: str, how: str) -> None:
    world = begin()
    client = world.client()
    client.sends(POST + b"012")
    server = None
    if stage != "connecting":
        server = world.server()
    if stage == "response":
        server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    getattr(client, how)()
    if stage == "connecting" and how == "ends" and world.connecting:
        server = world.server()
        world.passes(0)
    if stage == "connecting" and how == "ends":  # unread as long as there is nobody to send the body to
        stage = "sent"
    assert world.termination == {"connecting": "CC--", "sent": "CH--", "response": "CD--"}[stage]
    assert server is None or server.closed


def test_a_client_that_ends_its_side_still_gets_the_answer(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(GET)
    client.ends()
    server = world.server()
    server.sends(OK)
    assert client.gets().endswith(b"hi") and client.closed and not client.was_cut


def test_with_abortonclose_a_client_that_ends_its_side_gives_its_turn_away(begin) -> None:
    world = begin(config(backend="option abortonclose", servers="server s1 127.0.0.1:2 maxconn 1"))
    first, second = world.client(), world.client()
    first.sends(GET)
    second.sends(GET)
    second.ends()
    assert world.termination == "CQ--"
    world.server().sends(OK)
    assert first.gets().endswith(b"hi")


def test_half_a_request_and_gone_is_logged(begin) -> None:
    for how in ("ends", "resets"):
        world = begin()
        client = world.client()
        client.sends(b"GET / HT")
        getattr(client, how)()
        assert "<BADREQ>" in world.line and world.termination == "CR--"


def test_a_connection_without_a_byte_is_silent_with_dontlognull(begin) -> None:
    world = begin(config(defaults=" option dontlognull\n"))
    world.client().ends()
    assert world.lines == []
    world.frontend().counters.req_tot = 0  # HAProxy counts no request either; see below


# ------------------------------------------------------------------------------------------------ reused connections


def reused(world: World, frontend: str = "f"):
    """A client whose second request will go over the connection of its first one."""
    client = world.client(frontend)
    client.sends(GET)
    server = world.server()
    server.sends(OK)
    client.gets()
    server.gets()
    return client, server


def test_a_connection_is_used_again(begin) -> None:
    world = begin()
    client, server = reused(world)
    client.sends(GET)
    assert server.gets() == GET and not world.connecting
    server.sends(OK)
    assert world.backend().counters.reuse == 1 and world.backend().counters.connect == 1


@pytest.mark.parametrize("how", ["ends", "resets"])
def test_a_reused_connection_that_dies_is_replaced_once(begin, how: str) -> None:
    world = begin()
    client, server = reused(world)
    client.sends(GET)
    getattr(server, how)()
    fresh = world.server()
    assert fresh.gets() == GET
    fresh.sends(OK)
    assert client.gets().endswith(b"hi")
    assert world.line.split(' "')[0].split()[-2].endswith("/0")  # no retry is counted


def test_a_fresh_one_that_dies_too_is_an_error(begin) -> None:
    world = begin()
    client, server = reused(world)
    client.sends(GET)
    server.ends()
    world.server().ends()
    assert status_of(client.gets()) == 502 and not world.connecting


def test_what_may_not_be_repeated_is_not(begin) -> None:
    world = begin()
    client, server = reused(world)
    client.sends(POST + b"0123456789")
    server.ends()
    assert not world.connecting and world.termination == "SH--"


def test_a_body_that_is_gone_is_not_repeated(begin) -> None:
    world = begin()
    client, server = reused(world)
    client.sends(b"PUT" + POST[4:] + b"0123456789")
    server.ends()
    assert not world.connecting and world.termination == "SH--"


def test_a_started_response_is_not_asked_for_again(begin) -> None:
    world = begin()
    client, server = reused(world)
    client.sends(GET)
    server.sends(b"HTTP/1.1 200")
    server.ends()
    assert not world.connecting and status_of(client.gets()) == 502


def test_an_idle_connection_that_ends_or_speaks_leaves_the_pool(begin) -> None:
    for how in ("ends", "resets", "speaks"):
        world = begin()
        client, server = reused(world)
        server.sends(b"HTTP/1.1 408 Timeout\r\n\r\n") if how == "speaks" else getattr(server, how)()
        assert not world.backend().servers[0].idle
        client.sends(GET)
        world.server().sends(OK)
        assert client.gets().endswith(b"hi")


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    ],
)
@pytest.mark.parametrize("piece", [None, 10])
def test_a_server_that_announces_its_end_is_not_used_again(begin, response: bytes, piece: int | None) -> None:
    world = begin()
    client = world.client()
    client.sends(GET)
    server = world.server()
    server.sends(response, piece)
    assert not world.backend().servers[0].idle and server.closed
    assert not client.closed


@pytest.mark.parametrize(
    ("policy", "first", "second"),
    [("never", False, True), ("safe", False, True), ("aggressive", False, True), ("always", True, True)],
)
def test_reuse_policies(begin, policy: str, first: bool, second: bool) -> None:
    """Whether another client's first and second request go over a connection that has carried one exchange: with never
    the second does over the connection of the first."""
    world = begin(config(backend=f"http-reuse {policy}"))
    _, server = reused(world)
    other = world.client()
    other.sends(GET)
    assert world.connecting is not first
    (server if first else world.server()).sends(OK)
    other.sends(GET)
    assert world.connecting is not second


def test_aggressive_reuse_takes_a_connection_that_has_proved_itself(begin) -> None:
    world = begin(config(backend="http-reuse aggressive"))
    client, server = reused(world)
    client.sends(GET)
    server.sends(OK)
    other = world.client()
    other.sends(GET)
    assert not world.connecting


def test_close_modes(begin) -> None:
    for option, server_closes, client_closes in (
        ("option http-keep-alive", False, False),
        ("option http-server-close", True, False),
        ("option httpclose", True, True),
    ):
        world = begin(config(defaults=f" {option}\n"))
        client = world.client()
        client.sends(GET)
        server = world.server()
        assert (b"connection: close" in server.gets().lower()) is server_closes
        server.sends(OK)
        assert (b"connection: close" in client.gets().lower()) is client_closes
        assert client.closed is client_closes and server.closed is server_closes


def test_idle_connections_are_purged(begin) -> None:
    world = begin(config(servers="server s1 127.0.0.1:2 pool-purge-delay 2s"))
    _, server = reused(world)
    world.passes(1.9)
    assert not server.closed
    world.passes(0.2)
    assert server.closed


def test_idle_connections_of_a_server_that_went_down_are_closed(begin) -> None:
    world = begin(config(servers="server s1 127.0.0.1:2 check\n server s2 127.0.0.1:3 check"))
    _, server = reused(world)
    name = next(s.name for s in world.backend().servers if s.idle)
    world.mark(name, up=False)
    assert server.closed


def test_no_socket_for_a_server_and_a_client_that_goes_before_it_is_told(begin, monkeypatch) -> None:
    world = begin(config(backend="option abortonclose"))

    def none_left(*_: object) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("pylb.net.upstream.connect", world._connect)
    monkeypatch.setattr("pylb.net.upstream.socket.socket", none_left)
    client = world.client()
    client._out = [GET, None]
    client.deliver()  # and the loop has no turn in between
    monkeypatch.undo()
    world.passes(0.1)
    assert world.termination[:2] == "CC" and client.closed


@pytest.mark.parametrize(
    ("request_", "status"), [(b"HEAD / HTTP/1.0\r\n", b"200 OK"), (b"GET / HTTP/1.0\r\n", b"304 Not Modified")]
)
def test_no_old_client_is_told_of_chunks_that_do_not_come(begin, request_: bytes, status: bytes) -> None:
    world = begin()
    client = world.client()
    for _ in range(2):
        client.sends(request_ + b"Connection: keep-alive\r\n\r\n")
        server = world.server()
        server.sends(b"HTTP/1.1 %b\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\nETag: 1\r\n\r\n" % status)
        assert client.gets() == b"HTTP/1.1 %b\r\nETag: 1\r\nConnection: keep-alive\r\n\r\n" % status
        server.resets()


@pytest.mark.parametrize("options", [{"send_proxy": "v1"}, {"tls": model.ServerTls(sni="req.hdr(host)")}])
def test_a_server_that_is_added_shares_its_connections_by_its_own_rules(begin, options: dict[str, Any]) -> None:
    """One that was introduced as another client's, or leads to another name, does not serve who comes by chance."""
    world = begin()
    client = world.client()
    client.sends(GET)
    world.server().sends(OK)
    backend = world.backend()
    added = world.balancer.add_server(backend, model.Server("new", model.Address(host="127.0.0.1", port=3), **options))
    set_state(added, "ready", world.loop.now)
    set_state(backend.servers[0], "maint", world.loop.now)
    client.sends(GET)
    world.server().sends(OK)
    assert len(added.idle) == 1
    added.idle[0].preface, added.idle[0].sni = b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "other.example"
    client.sends(GET)
    world.server().sends(OK)
    assert client.gets().count(b"200 OK") == 3 and len(added.idle) == 2
