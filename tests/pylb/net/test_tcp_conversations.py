"""Mode tcp: bytes, half-closed connections, failures, queues, rules that wait for bytes."""

from __future__ import annotations

import pytest

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
