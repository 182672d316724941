"""Connections that change their protocol: what passes, who ends them and when."""

from __future__ import annotations

import pytest
from conversation import GET, OK, World, config, status_of

UPGRADE = b"GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


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
