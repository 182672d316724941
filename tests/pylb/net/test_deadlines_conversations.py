"""Time runs out: every timeout of an HTTP exchange, with its status and letters."""

from __future__ import annotations

from conversation import GET, OK, config, status_of

POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


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


def test_interim_responses_start_timeout_server_again_and_half_a_head_does_not(begin) -> None:
    """As HAProxy (tests/pylb/interop/test_same_failures.py): a server that says 102 is at work."""
    world = begin()
    client = world.client()
    client.sends(GET)
    server = world.server()
    for _ in range(3):
        world.passes(15)
        server.sends(b"HTTP/1.1 102 Processing\r\n\r\n")
    server.sends(b"HTTP/1.1 200 OK\r\n")
    world.passes(15)
    server.sends(b"A: b\r\n")
    client.gets()
    world.passes(6)
    assert status_of(client.gets()) == 504 and world.termination == "sH--"


def test_interim_responses_do_not_hasten_a_request_that_still_comes(begin) -> None:
    world = begin(config(defaults=" timeout client 60s\n timeout server 5s\n"))
    client = world.client()
    client.sends(POST + b"01234")
    server = world.server()
    server.sends(b"HTTP/1.1 100 Continue\r\n\r\n")
    client.gets()
    world.passes(50)
    client.sends(b"56789")
    server.sends(OK)
    assert status_of(client.gets()) == 200
