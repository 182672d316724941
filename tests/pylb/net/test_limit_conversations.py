"""Time and limits: every timeout with its status and letters, queues, retries, tarpits, maxconn, forms, tunnels."""

from __future__ import annotations

import pytest
from conversation import GET, OK, World, config, status_of

POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
UPGRADE = b"GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
TWO = "server s1 127.0.0.1:2\n server s2 127.0.0.1:3"
FULL = "server s1 127.0.0.1:2 maxconn 1"


# ----------------------------------------------------------------------------------------------------------- timeouts


def test_a_request_that_drips_in_is_given_up_at_its_deadline(begin) -> None:
    world = begin(config(defaults=" timeout http-request 10s\n"))
    client = world.client()
    for byte in GET[:20]:
        client.sends(bytes((byte,)))
        world.passes(0.6)
        if client.closed or client.saw_end:
            break
    world.passes(0.1)
    assert status_of(client.gets()) == 408 and world.termination == "cR--"
    assert world.loop.now < 1000 + 13


def test_without_timeout_http_request_the_clients_counts(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(b"GET / HTTP/1.1\r\n")
    world.passes(29)
    assert not client.received
    world.passes(2)
    assert status_of(client.gets()) == 408


def test_the_head_of_a_second_request_has_its_own_deadline(begin) -> None:
    world = begin(config(defaults=" timeout http-request 10s\n timeout http-keep-alive 60s\n"))
    client = world.client()
    client.sends(GET)
    world.server().sends(OK)
    client.gets()
    world.passes(50)
    client.sends(b"GET / ")
    world.passes(9.9)
    assert not client.received
    world.passes(0.2)
    assert status_of(client.gets()) == 408


def test_a_kept_connection_that_stays_silent_ends_silently(begin) -> None:
    world = begin(config(defaults=" timeout http-keep-alive 3s\n"))
    client = world.client()
    client.sends(GET)
    world.server().sends(OK)
    client.gets()
    world.passes(2.9)
    assert not client.closed
    world.passes(0.2)
    assert client.closed and client.gets() == b"" and len(world.lines) == 1


def test_an_upload_that_stops_is_given_up_after_timeout_client(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(POST + b"012")
    world.server()
    world.passes(29)
    client.sends(b"3")  # every piece restarts it
    world.passes(29)
    assert not client.received
    world.passes(2)
    assert status_of(client.gets()) == 408 and world.termination == "cH--"


def test_a_server_that_does_not_answer_is_504(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(GET)
    server = world.server()
    world.passes(19.9)
    assert not client.received
    world.passes(0.2)
    assert status_of(client.gets()) == 504 and world.termination == "sH--" and server.closed
    assert not client.closed


def test_a_server_that_stops_in_its_response_cuts_it(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(GET)
    server = world.server()
    server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    world.passes(19)
    server.sends(b"d")
    world.passes(19)
    assert not client.closed
    world.passes(2)
    assert client.knows_it_is_cut and world.termination == "sD--"


def test_the_server_is_not_waited_for_while_the_request_still_comes(begin) -> None:
    world = begin(config(defaults=" timeout client 100s\n"))
    client = world.client()
    client.sends(POST + b"01234")
    server = world.server()
    world.passes(50)
    client.sends(b"56789")
    world.passes(19)
    server.sends(OK)
    assert status_of(client.gets()) == 200


def test_a_connection_that_is_not_made_in_time_is_503_after_its_retries(begin) -> None:
    world = begin(config(backend="retries 2"))
    client = world.client()
    client.sends(GET)
    world.passes(14.9)
    assert not client.received
    world.passes(0.5)
    assert status_of(client.gets()) == 503 and world.termination == "sC--"
    assert world.line.split(' "')[0].split()[-2].split("/")[4] in {"2", "+2"}


def test_a_slow_client_is_not_a_dead_one(begin) -> None:
    """It takes 10 kB a second: less than one buffer per timeout, but it moves."""
    world = begin(config(defaults=" timeout client 5s\n"))
    client = world.client()
    client.takes(0)
    client.sends(GET)
    server = world.server()
    server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n\r\n" + b"a" * 600_000)
    for _ in range(62):
        client.takes(10_000)
        world.passes(1)
    assert len(client.gets()) > 600_000 and world.termination == "----"


def test_a_client_that_stops_taking_its_response_is_cut(begin) -> None:
    world = begin(config(defaults=" timeout client 5s\n"))
    client = world.client()
    client.takes(0)
    client.sends(GET)
    server = world.server()
    server.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n\r\n" + b"a" * 500_000)
    assert not server.transport.reading
    world.passes(6)
    assert client.was_cut and world.termination == "cD--" and server.closed


def test_a_slow_server_does_not_run_out_the_clients_time(begin) -> None:
    """The upload waits for the server, so the client is not to blame; timeout server is what ends it."""
    world = begin(config(defaults=" timeout client 5s\n timeout server 60s\n"))
    client = world.client()
    client.sends(POST.replace(b"10", b"900000"))
    server = world.server()
    server.takes(0)
    client.sends(b"u" * 800_000)
    assert not client.transport.reading
    world.passes(50)
    assert not client.received and not client.closed
    server.takes(None)
    client.sends(b"u" * 100_000)
    server.sends(OK)
    assert status_of(client.gets()) == 200


def test_a_server_that_takes_nothing_is_given_up_after_timeout_server(begin) -> None:
    world = begin(config(defaults=" timeout client 5s\n"))
    client = world.client()
    client.sends(POST.replace(b"10", b"900000"))
    world.server().takes(0)
    client.sends(b"u" * 800_000)
    world.passes(19)
    assert not client.received
    world.passes(2)
    assert status_of(client.gets()) == 504


def test_a_slow_connection_does_not_run_out_the_clients_time(begin) -> None:
    world = begin(config(defaults=" timeout client 2s\n timeout connect 10s\n"))
    client = world.client()
    client.sends(POST + b"01234")
    world.passes(8)
    server = world.server()
    client.sends(b"56789")
    server.sends(OK)
    assert status_of(client.gets()) == 200


# ------------------------------------------------------------------------------------------------------------- queues


def test_the_queue_is_left_in_order_of_arrival(begin) -> None:
    world = begin(config(servers=FULL))
    clients = [world.client() for _ in range(4)]
    for client in clients:
        client.sends(GET)
    server = world.server()
    assert not world.connecting
    for client in clients:
        if not server.received:  # a first request goes over a connection of its own
            server = world.server()
        assert b"GET" in server.gets()
        server.sends(OK)
        assert client.gets().endswith(b"hi")


@pytest.mark.parametrize("request_", [GET, POST + b"012"])
def test_timeout_queue_is_503(begin, request_: bytes) -> None:
    world = begin(config(backend="timeout queue 3s", servers=FULL))
    first, second = world.client(), world.client()
    first.sends(GET)
    server = world.server()
    second.sends(request_)
    world.passes(2.9)
    assert not second.received
    world.passes(0.2)
    assert status_of(second.gets()) == 503 and world.termination == "sQ--"
    server.sends(OK)
    assert first.gets().endswith(b"hi")


def test_a_body_that_comes_while_its_request_waits_is_sent_whole(begin) -> None:
    world = begin(config(servers=FULL))
    first, second = world.client(), world.client()
    first.sends(GET)
    server = world.server()
    second.sends(POST)
    for byte in b"0123456789":
        second.sends(bytes((byte,)))
    server.gets()
    server.sends(OK)
    if world.connecting:
        server = world.server()
    assert server.gets().endswith(b"\r\n\r\n0123456789")
    server.sends(OK)
    assert second.gets().endswith(b"hi")


def test_a_client_that_leaves_the_queue_takes_no_slot(begin) -> None:
    world = begin(config(servers=FULL))
    first, second, third = (world.client() for _ in range(3))
    for client in (first, second, third):
        client.sends(GET)
    server = world.server()
    second.resets()
    assert world.termination == "CQ--"
    server.sends(OK)
    server.gets()
    (server if not world.connecting else world.server()).sends(OK)
    assert third.gets().endswith(b"hi")


def test_waiters_are_told_when_the_last_server_goes_down(begin) -> None:
    world = begin(config(backend="option redispatch", servers=FULL + " check"))
    first, second = world.client(), world.client()
    first.sends(GET)
    server = world.server()
    second.sends(GET)
    world.mark("s1", up=False)
    world.passes(31)
    assert status_of(second.gets()) == 503
    del server


def test_sessions_end_with_their_server_if_wanted(begin) -> None:
    world = begin(config(servers="server s1 127.0.0.1:2 check on-marked-down shutdown-sessions"))
    waiting, receiving = world.client(), world.client()
    waiting.sends(GET)
    one = world.server()
    receiving.sends(GET)
    two = world.server()
    two.sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    world.mark("s1", up=False)
    assert one.closed and two.closed
    assert status_of(waiting.gets()) == 503 and receiving.knows_it_is_cut
    assert {line.split(' "')[0].split()[-4] for line in world.lines} == {"DH--", "DD--"} or world.lines


# ------------------------------------------------------------------------------------------------------------ retries


def test_a_refused_connection_is_tried_again_on_the_next_server(begin) -> None:
    world = begin(config(backend="option redispatch 1", servers=TWO))
    client = world.client()
    client.sends(GET)
    world.refuses()
    world.passes(1.1)
    server = world.server()
    server.sends(OK)
    assert client.gets().endswith(b"hi")
    assert {server.name: server.counters.scur for server in world.backend().servers} == {"s1": 0, "s2": 0}
    assert world.backend().counters.wredis == 1


def test_the_same_server_gets_a_second_to_recover(begin) -> None:
    world = begin(config(backend="retries 1"))
    client = world.client()
    client.sends(GET)
    world.refuses()
    world.passes(0.9)
    assert not world.connecting
    world.passes(0.2)
    world.refuses()
    assert status_of(client.gets()) == 503 and world.termination == "SC--"
    assert world.backend().counters.econ == 1 and world.backend().counters.wretr == 1


def test_a_client_that_leaves_during_the_turn_around(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(GET)
    world.refuses()
    client.resets()
    world.passes(2)
    assert not world.connecting and world.termination == "CC--"


@pytest.mark.parametrize("piece", [None, 1])
def test_retry_on_a_status_hides_it(begin, piece: int | None) -> None:
    world = begin(config(backend="retry-on 503 empty-response\n retries 3"))
    client = world.client()
    client.sends(POST + b"0123456789")
    server = world.server()
    server.sends(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", piece)
    server = world.server()
    assert server.gets().endswith(b"0123456789")
    server.ends()
    server = world.server()
    assert server.gets().endswith(b"0123456789")
    server.sends(OK)
    assert status_of(client.gets()) == 200


@pytest.mark.parametrize("piece", [None, 30])
def test_the_last_attempts_response_is_passed_on_whole(begin, piece: int | None) -> None:
    world = begin(config(backend="retry-on 503\n retries 1"))
    client = world.client()
    client.sends(GET)
    busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 40\r\n\r\n" + b"b" * 40
    world.server().sends(busy, piece)
    world.server().sends(busy, piece)
    assert client.gets().endswith(b"b" * 40) and world.termination == "----"


def test_retry_on_response_timeout_keeps_its_letters_in_the_end(begin) -> None:
    world = begin(config(backend="retry-on response-timeout\n retries 1"))
    client = world.client()
    client.sends(GET)
    world.server()
    world.passes(20.1)
    world.server()
    world.passes(20.1)
    assert status_of(client.gets()) == 504 and world.termination == "sH--"


def test_retry_on_junk_and_empty_keep_their_letters_in_the_end(begin) -> None:
    for how, letters in (("junk", "PH--"), ("empty", "SH--")):
        world = begin(config(backend="retry-on junk-response empty-response\n retries 1"))
        client = world.client()
        client.sends(GET)
        for _ in range(2):
            server = world.server()
            server.sends(b"junk\r\n\r\n") if how == "junk" else server.ends()
        assert status_of(client.gets()) == 502 and world.termination == letters


def test_a_body_too_large_to_keep_is_not_repeated(begin) -> None:
    world = begin(config(backend="retry-on 503\n retries 3"))
    client = world.client()
    client.sends(POST.replace(b"10", b"40000") + b"x" * 40_000)
    server = world.server()
    server.sends(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
    assert client.gets().endswith(b"busy") and not world.connecting
    assert server.gets().endswith(b"x" * 40_000)


def test_no_server_at_all_is_503(begin) -> None:
    world = begin(config(servers="server s1 127.0.0.1:2 disabled"))
    client = world.client()
    client.sends(GET)
    assert status_of(client.gets()) == 503 and world.termination == "SC--"
    assert not client.closed


# ------------------------------------------------------------------------------------------------- answers of our own


def test_a_denied_request_with_its_body_outstanding(begin) -> None:
    world = begin(config(frontend="http-request deny deny_status 403"))
    client = world.client()
    client.sends(POST + b"012")
    answer = client.gets()
    assert status_of(answer) == 403 and b"connection: close" in answer.lower()
    assert client.saw_end and not client.closed
    client.sends(b"3456789" + GET)
    assert client.gets() == b"" and world.termination == "PR--"
    assert world.frontend().counters.dreq == 1


def test_a_denied_request_keeps_the_connection(begin) -> None:
    world = begin(config(frontend="http-request deny if { path /no }"))
    client = world.client()
    client.sends(GET.replace(b"/", b"/no", 1) + GET)
    world.server().sends(OK)
    assert client.gets().count(b"HTTP/1.1") == 2


@pytest.mark.parametrize("request_", [GET, POST + b"0123456789", POST, POST + b"01"])
def test_a_tarpit_holds_its_answer_back(begin, request_: bytes) -> None:
    world = begin(config(frontend="http-request tarpit", defaults=" timeout tarpit 4s\n"))
    client = world.client()
    client.sends(request_)
    world.passes(2)
    if request_.startswith(b"POST"):
        client.sends(b"89")
    world.passes(1.9)
    assert client.gets() == b""
    world.passes(0.2)
    assert status_of(client.gets()) == 500 and world.termination == "PT--"


def test_a_client_that_leaves_a_tarpit(begin) -> None:
    world = begin(config(frontend="http-request tarpit", defaults=" timeout tarpit 4s\n"))
    client = world.client()
    client.sends(GET)
    client.resets()
    world.passes(5)
    assert len(world.lines) == 1


STATS = "stats enable\n stats uri /stats\n stats admin if TRUE"


@pytest.mark.parametrize("piece", [None, 1, 7])
def test_the_statistics_page_collects_a_posted_form(begin, piece: int | None) -> None:
    world = begin(config(frontend=STATS))
    client = world.client()
    form = b"s=s1&action=maint&b=b"
    client.sends(b"POST /stats HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(form) + form, piece)
    assert status_of(client.gets()) == 303
    assert not world.backend().servers[0].usable
    client.sends(GET.replace(b"/", b"/stats;csv", 1))
    assert b"# pxname" in client.gets()


def test_a_chunked_form_works_as_well(begin) -> None:
    world = begin(config(frontend=STATS))
    client = world.client()
    client.sends(
        b"POST /stats HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"15\r\ns=s1&action=maint&b=b\r\n0\r\n\r\n",
        3,
    )
    assert status_of(client.gets()) == 303
    assert not world.backend().servers[0].usable


def test_a_form_without_end_is_refused(begin) -> None:
    world = begin(config(frontend=STATS))
    client = world.client()
    client.sends(b"POST /stats HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + b"a" * 50_000)
    answer = client.gets()
    assert status_of(answer) == 303 and b"st=EXCD" in answer


def test_a_client_that_leaves_in_its_form(begin) -> None:
    for how in ("ends", "resets"):
        world = begin(config(frontend=STATS))
        client = world.client()
        client.sends(b"POST /stats HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\na=b")
        getattr(client, how)()
        assert len(world.lines) == 1


# ------------------------------------------------------------------------------------------------------------ maxconn


def test_beyond_maxconn_clients_wait_unread_in_order(begin) -> None:
    world = begin(config(frontend="maxconn 2"))
    clients = [world.client() for _ in range(4)]
    for client in clients:
        client.sends(GET)
    assert world.frontend().counters.scur == 2
    world.server().sends(OK)
    world.server().sends(OK)
    assert not world.connecting
    clients[0].leaves()
    assert world.frontend().counters.scur == 2
    assert b"hi" in clients[0].gets()
    clients[3].resets()  # leaves without ever having been inside
    clients[1].leaves()
    while world.connecting:
        world.server().sends(OK)
    for peer in world.peers:
        if peer not in clients and peer.gets().count(b"GET") > 1:
            peer.sends(OK)
    assert world.frontend().counters.scur == 1


def test_the_whole_process_has_a_limit_as_well(begin) -> None:
    world = begin("global\n maxconn 1\n" + config())
    first, second = world.client(), world.client()
    first.sends(GET)
    second.sends(GET)
    assert world.balancer.figures.actconn == 1
    server = world.server()
    server.sends(OK)
    first.leaves()
    assert world.balancer.figures.actconn == 1
    (world.server() if world.connecting else server).sends(OK)
    assert second.gets().endswith(b"hi")


def test_clients_wait_for_descriptors(begin) -> None:
    world = begin(config())
    assert world.balancer.listeners.fit(100_000) is None
    for_two = world.balancer.listeners.spare_descriptors + 5
    assert f"only {for_two} file descriptors for maxconn" in world.balancer.listeners.fit(for_two)
    clients = [world.client() for _ in range(3)]
    for client in clients:
        client.sends(GET)
    for server in (world.server(), world.server()):
        server.sends(OK)
    assert [bool(client.gets()) for client in clients] == [True, True, False] and not clients[2].closed
    clients[0].ends()
    world.server().sends(OK)
    assert clients[2].gets().endswith(b"hi")
    world.balancer.set_maxconn(50)
    assert world.balancer.house.full


# ------------------------------------------------------------------------------------------------------------ tunnels


def tunnelled(world: World):
    client = world.client()
    client.sends(UPGRADE)
    server = world.server()
    request = server.gets().lower()
    assert b"upgrade: websocket" in request and b"connection: upgrade" in request
    server.sends(SWITCHED + b"early")
    head, rest = client.gets().split(b"\r\n\r\n")
    assert status_of(head) == 101 and b"connection: upgrade" in head.lower() and rest == b"early"
    return client, server


def test_an_upgraded_connection_passes_bytes_both_ways(begin) -> None:
    world = begin()
    client, server = tunnelled(world)
    client.sends(b"\x00ping")
    server.sends(b"\x01pong")
    assert server.gets() == b"\x00ping" and client.gets() == b"\x01pong"
    server.ends()
    assert client.closed and not client.was_cut and server.closed and world.termination == "----"


def test_a_client_may_end_its_direction_first(begin) -> None:
    world = begin()
    client, server = tunnelled(world)
    client.ends()
    assert server.saw_end and not server.closed
    server.sends(b"last words")
    assert client.gets() == b"last words"
    server.ends()
    assert client.closed and server.closed and world.termination == "----"


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_ends_a_tunnel_for_both(begin, who: str) -> None:
    world = begin()
    client, server = tunnelled(world)
    (client if who == "client" else server).resets()
    assert client.closed and server.closed
    assert world.termination == {"client": "CD--", "server": "SD--"}[who]


def test_a_tunnel_has_its_own_timeout(begin) -> None:
    world = begin(config(backend="timeout tunnel 300s"))
    client, server = tunnelled(world)
    world.passes(299)
    server.sends(b"x")
    world.passes(299)
    assert not client.closed
    world.passes(2)
    assert client.closed and server.closed


def test_backpressure_in_a_tunnel_does_not_shorten_its_timeout(begin) -> None:
    world = begin(config(backend="timeout tunnel 300s"))
    client, server = tunnelled(world)
    client.takes(0)
    server.sends(b"x" * 600_000)
    assert not server.transport.reading
    world.passes(40)
    client.takes(None)
    world.passes(200)
    assert not client.closed
    server.takes(0)
    client.sends(b"x" * 600_000)
    world.passes(40)
    server.takes(None)
    world.passes(200)
    assert not client.closed and len(server.gets()) == 600_000


def test_bytes_sent_with_the_upgrade_reach_the_server_after_it(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(UPGRADE + b"eager")
    server = world.server()
    server.gets()
    server.sends(SWITCHED)
    assert server.gets() == b"eager"


def test_a_refused_upgrade_is_an_ordinary_response(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(UPGRADE)
    server = world.server()
    server.sends(OK)
    assert client.gets().endswith(b"hi")
    client.sends(GET)
    (world.server() if world.connecting else server).sends(OK)
    assert client.gets().endswith(b"hi")


def test_a_101_that_nobody_asked_for_is_502(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(GET)
    world.server().sends(SWITCHED)
    assert status_of(client.gets()) == 502


# ----------------------------------------------------------------------------------------------------------- mode tcp

TCP = "defaults\n mode tcp\n log 127.0.0.1:9 local0\n option tcplog\n"
TCP += " timeout client 30s\n timeout server 20s\n timeout connect 5s\n"
TCP += "frontend f\n bind 127.0.0.1:1\n default_backend b\nbackend b\n retries 0\n server s1 127.0.0.1:2 maxconn 1\n"


def test_tcp_passes_bytes_and_half_closes(begin) -> None:
    world = begin(TCP)
    client = world.client()
    client.sends(b"hello")
    client.sends(b" there")
    server = world.server()
    assert server.gets() == b"hello there"
    client.ends()
    assert server.saw_end
    server.sends(b"answer")
    assert client.gets() == b"answer"
    server.ends()
    assert client.closed and server.closed and len(world.lines) == 1 and " -- " in world.line


@pytest.mark.parametrize(("who", "letters"), [("client", " sD "), ("server", " cD ")])
def test_tcp_half_closed_waits_for_the_other_side_only(begin, who: str, letters: str) -> None:
    """30 s are the client's, 20 the server's; each byte that still comes starts them again."""
    world = begin(TCP)
    client = world.client()
    client.sends(b"x")
    server = world.server()
    ending, going = (client, server) if who == "client" else (server, client)
    ending.ends()
    limit = 20 if who == "client" else 30
    for _ in range(2):
        world.passes(limit - 2)
        going.sends(b"y")
    assert not going.closed
    world.passes(limit + 2)
    assert going.closed and letters in world.line


def test_tcp_a_client_may_end_before_the_server_is_there(begin) -> None:
    world = begin(TCP)
    client = world.client()
    client.sends(b"all")
    server_gone = world.connecting
    client.ends()
    server = world.server()
    assert server.gets() == b"all" and server.saw_end and server_gone
    server.sends(b"x")
    server.ends()
    assert client.gets() == b"x" and client.closed


@pytest.mark.parametrize(
    ("how", "letters"), [("client", " CD "), ("server", " SD "), ("refused", " SC "), ("time", "D ")]
)
def test_tcp_failures(begin, how: str, letters: str) -> None:
    world = begin(TCP)
    client = world.client()
    if how == "refused":
        world.refuses()
    else:
        server = world.server()
        if how == "client":
            client.resets()
            assert server.closed
        elif how == "server":
            server.resets()
        else:
            world.passes(21)
    assert client.closed and letters in world.line


def test_tcp_queues(begin) -> None:
    world = begin(TCP)
    first, second, third = (world.client() for _ in range(3))
    server = world.server()
    second.sends(b"two")
    third.resets()
    assert not world.connecting and " CQ " in world.line
    server.ends()
    first.ends()
    assert world.server().gets() == b"two"


PEEKING = TCP.replace(
    "frontend f\n",
    """frontend f
 tcp-request inspect-delay 2s
 tcp-request content reject if { req.payload(0,1) -m str X }
 tcp-request content accept if { req.payload(0,20000) -m found }
""",
)


def test_tcp_rules_wait_for_what_they_look_at_and_no_longer(begin) -> None:
    world = begin(PEEKING)
    client = world.client()
    client.sends(b"abc")
    assert not world.connecting
    world.passes(1.9)
    assert not world.connecting
    world.passes(0.2)
    assert world.server().gets() == b"abc"


def test_tcp_rules_wait_for_one_buffer_at_most(begin) -> None:
    world = begin(PEEKING)
    client = world.client()
    for _ in range(15):
        client.sends(b"a" * 1024)
    assert world.server().gets() == b"a" * 15 * 1024


def test_tcp_rules_decide_when_the_client_has_ended(begin) -> None:
    world = begin(PEEKING)
    client = world.client()
    client.sends(b"abc")
    client.ends()
    server = world.server()
    assert server.gets() == b"abc" and server.saw_end


def test_tcp_rules_reject_by_the_first_byte(begin) -> None:
    world = begin(PEEKING)
    client = world.client()
    client.sends(b"X")
    assert client.closed and not world.connecting and " PR " in world.line


def test_tcp_a_client_that_leaves_while_rules_wait(begin) -> None:
    world = begin(PEEKING)
    client = world.client()
    client.sends(b"a")
    client.resets()
    assert not world.connecting and len(world.lines) == 1
