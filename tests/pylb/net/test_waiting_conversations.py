"""Who has to wait and who is tried again: queues, retries, maxconn."""

from __future__ import annotations

import errno

import pytest
from conversation import GET, OK, config, status_of

POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
TWO = "server s1 127.0.0.1:2\n server s2 127.0.0.1:3"
FULL = "server s1 127.0.0.1:2 maxconn 1"


# --------------------------------------------------------------------------------------------------------------- queues


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


# -------------------------------------------------------------------------------------------------------------- retries


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


# -------------------------------------------------------------------------------------------------------------- maxconn


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


def test_a_body_that_came_while_it_waited_in_vain_leaves_the_next_request_readable(begin) -> None:
    world = begin(config(backend="timeout queue 2s", servers="server s1 127.0.0.1:2 maxconn 1"))
    first, client = world.client(), world.client()
    first.sends(GET)
    server = world.server()
    client.sends(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n")
    client.sends(b"abcdef")
    world.passes(2.1)
    assert status_of(client.gets()) == 503 and not client.closed
    server.sends(OK)
    client.sends(GET)
    server.sends(OK)
    assert status_of(client.gets()) == 200


def test_a_server_that_answers_without_having_read_all_leaves_the_next_request_readable(begin) -> None:
    world = begin()
    client = world.client()
    client.sends(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n")
    server = world.server()
    server.takes(0)
    client.sends(b"x" * 300_000)
    assert not client.transport.reading
    server.sends(OK)
    assert status_of(client.gets()) == 200 and not client.closed
    client.sends(GET)
    world.server().sends(OK)
    assert status_of(client.gets()) == 200


@pytest.mark.parametrize("disabled", [True, False])
def test_a_frontend_that_is_disabled_stays_so_when_there_are_descriptors_again(begin, disabled: bool) -> None:
    world = begin(config().replace("bind 127.0.0.1:1", "bind 127.0.0.1:1 accept-proxy"))

    class Full:
        def accept(self) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

    listener = world.listeners["f"]
    opened: list[bool] = []
    listener.resume = lambda: opened.append(True)
    listener._accepting = True
    listener._accept(Full())
    assert not listener._accepting
    if disabled:
        listener.door.disable()
    world.passes(1.1)
    assert bool(opened) is not disabled
