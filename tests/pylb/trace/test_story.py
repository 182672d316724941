"""What is told: in which order, with which reasons, and where the configuration says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conversation import GET, OK, config

Begin = Callable[..., Any]


def texts(world: Any, number: str) -> list[str]:
    """The lines of one request, without number, time and place."""
    lines = [line for line in world.out.getvalue().splitlines() if line.split(" ", 1)[0] == number]
    return [line[17:].split("  t.cfg", 1)[0].strip() for line in lines]


def test_a_request_from_its_first_byte_to_its_log_line(begin: Begin) -> None:
    world = begin(
        config(frontend="option forwardfor", backend="cookie S insert", servers="server s1 127.0.0.1:2 cookie a")
    )
    client = world.client()
    client.sends(GET)
    world.passes(0.25)
    world.server().sends(OK)
    assert client.gets().endswith(b"hi")
    steps = [
        "← 27 bytes from the client",
        "request GET / HTTP/1.1: 1 fields, 27 bytes, no body",
        "default_backend b",
        "cookie S: the client brought none",
        "balance roundrobin: due s1 (weight 1) now",
        "server s1, now 1 in service",
        "new connection to server s1 at 127.0.0.1:2: none is idle",
        "timer, server s1: timeout connect 5 s",
        "connected to server s1 after 250.0 ms",
        "option forwardfor: + X-Forwarded-For: 127.0.0.1",
        "timer, server s1: timeout server 20 s",
        "→ 55 bytes to server s1",
        "← 40 bytes from server s1",
        "response 200 from server s1 after 0.0 ms: 1 fields, a body of known length",
        "cookie S: + Set-Cookie: S=a; path=/",
        "connection to server s1 kept: 1 idle there",
        "done: 200, 27 bytes in, 65 out, termination --NI, 250.0 ms",
        "client connection kept: waits for the next request",
        "→ 65 bytes to the client",
    ]
    told = texts(world, "1.1")
    assert [text for text in told if text in steps] == steps, "\n".join(told)
    assert world.tells(f"log: {world.line[:40]}")


def test_requests_are_numbered_by_connection(begin: Begin) -> None:
    world = begin()
    one, two = world.client(), world.client()
    one.sends(GET)
    world.server().sends(OK)
    two.sends(GET)
    one.sends(GET)
    assert world.tells("idle connection to server s1 taken: its request number 2, 0 more idle")
    assert [number for number in ("1.1", "2.1", "1.2", "2.2") if texts(world, number)] == ["1.1", "2.1", "1.2"]
    world.server().sends(OK)


def test_each_rule_says_where_it_stands_what_it_saw_and_what_it_did(begin: Begin) -> None:
    world = begin(
        config(
            frontend="acl api path_beg /api\n acl api hdr(host) api.lab\n http-request deny if api !{ src 10.0.0.0/8 }"
            "\n http-request set-header X-A %[path] if TRUE\n http-request set-var(txn.v) str(x)\n use_backend b if api"
        )
    )
    world.client().sends(b"GET /api/1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert texts(world, "1.1")[2:7] == [
        "http-request deny if api !{ src 10.0.0.0/8 }",
        'acl api path_beg /api: yes, path is "/api/1"',
        "{ src 10.0.0.0/8 }: no, src is 127.0.0.1",
        "applies: answers 403",
        "answer of our own: 403 Forbidden",
    ]
    world.client().sends(GET)
    told = texts(world, "2.1")
    assert told[2:6] == [
        "http-request deny if api !{ src 10.0.0.0/8 }",
        'acl api path_beg /api: no, path is "/"',
        'acl api hdr(host) api.lab: no, req.hdr(host) is "x"',
        "does not apply",
    ]
    assert "applies: + X-A: /" in told and "applies: txn.v = x" in told
    assert "use_backend b if api" in told and "default_backend b" in told
    numbers = {line.split()[2]: line.rsplit("t.cfg:", 1)[1] for line in world.told if "t.cfg:" in line}
    text = world.text.splitlines()
    assert text[int(numbers["use_backend"]) - 1].strip() == "use_backend b if api"


@pytest.mark.parametrize(
    ("balance", "reason"),
    [
        ("roundrobin", "balance roundrobin: due s1 (weight 2) now, s2 (weight 1) in"),
        ("static-rr", "balance static-rr: turn 1 of s1 s1 s2"),
        ("leastconn", "balance leastconn: in service or queued: s1 0 by weight 2, s2 0 by weight 1"),
        ("first", "balance first: the first of s1 (now 0 in service), s2 (now 0 in service) with a slot"),
        ("random(3)", "balance random(3): 3 drawn from s1 (weight 2, now 0 in service), s2 (weight 1, now 0 in"),
        ("source", "balance source: hash 0x7f000001, place"),
        ("uri\n hash-type consistent", "the nearest of 48 points on the ring (consistent)"),
        ("url_param u", "balance url_param u: the request has no such key: turns"),
        ("hdr(host)", "balance hdr(host): hash 0x00000078, place 1 of 3 (map-based)"),
    ],
)
def test_each_algorithm_says_what_it_looked_at(begin: Begin, balance: str, reason: str) -> None:
    world = begin(
        config(
            backend=f"balance {balance}",
            servers="server s1 127.0.0.1:2 weight 2\n server s2 127.0.0.1:3\n server s3 127.0.0.1:4 backup",
        )
    )
    world.client().sends(GET)
    assert world.tells(reason), "\n".join(world.told)
    assert world.tells("s3 is not asked: a backup, and an active server is there")
    world.server().sends(OK)


def test_who_was_skipped_and_why(begin: Begin) -> None:
    world = begin(
        config(
            backend="cookie S insert indirect",
            servers="server s1 127.0.0.1:2 check cookie a\n server s2 127.0.0.1:3 check cookie b\n"
            " server s3 127.0.0.1:4 disabled\n server s4 127.0.0.1:5 weight 0",
        )
    )
    world.mark("s1", up=False)
    world.client().sends(b"GET / HTTP/1.1\r\nHost: x\r\nCookie: S=a\r\n\r\n")
    told = texts(world, "1.1")
    assert "cookie S: its server is down" in told and "- Cookie: S=a" in told
    assert any(text.startswith("s1 is not asked: down") for text in told)
    assert "s3 is not asked: in maintenance" in told and "s4 is not asked: its weight is 0" in told
    world.server().sends(OK)
    world.client().sends(b"GET / HTTP/1.1\r\nHost: x\r\nCookie: S=b\r\n\r\n")
    assert "server s2: the client belongs there; no balancing" in texts(world, "2.1")
    world.server().sends(OK)


def test_a_queue_and_its_end(begin: Begin) -> None:
    world = begin(config(defaults=" timeout queue 6s", servers="server s1 127.0.0.1:2 maxconn 1"))
    first, second, third = (world.client() for _ in range(3))
    for client in (first, second, third):
        client.sends(GET)
    assert "no free slot: waits in a queue for any server" in texts(world, "2.1")
    world.server().sends(OK)
    assert "queue: a slot of server s1 came free" in texts(world, "2.1")
    world.passes(7)
    told = texts(world, "3.1")
    assert "timer, client: timeout queue 6 s" in told
    assert "timer, client: timeout queue has passed" in told and "failure sQ: timeout queue" in told


def test_failures_and_retries(begin: Begin) -> None:
    world = begin(
        config(backend="retries 1\n option redispatch 1", servers="server s1 127.0.0.1:2\n server s2 127.0.0.1:3")
    )
    world.client().sends(GET)
    world.refuses()
    world.refuses()
    told = texts(world, "1.1")
    assert "no connection to server s1: Connection refused" in told
    assert "retry 1 of 1, redispatch: chosen anew: s2" in told
    assert "no retry: 1 of 1 used" in told and "failure SC: Connection refused" in told
    assert any(text.startswith("done: 503,") and "termination SC--" in text for text in told)


def test_a_server_that_is_silent_and_a_client_that_is(begin: Begin) -> None:
    world = begin(config(defaults=" timeout http-request 3s"))
    world.client().sends(GET)
    world.server()
    world.passes(21)
    assert "timer, server s1: timeout server has passed" in texts(world, "1.1")
    world.client().sends(b"GET / HT")
    world.passes(4)
    assert "timer, client: timeout http-request has passed" in texts(world, "2.1")


def test_a_request_that_is_none(begin: Begin) -> None:
    world = begin()
    world.client().sends(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
    told = texts(world, "1.1")
    assert any(text.startswith("failure PR: ") for text in told) and "answer of our own: 400 Bad Request" in told


def test_plain_tcp(begin: Begin) -> None:
    world = begin(config(frontend="mode tcp", backend="mode tcp").replace("option httplog", "option tcplog"))
    client = world.client()
    server = world.server()
    client.sends(b"hello")
    server.sends(b"world!")
    assert client.gets() == b"world!"
    told = texts(world, "1")
    for text in ("default_backend b", "the connections are one pipe from here on", "→ 5 bytes to server s1",
                 "← 6 bytes from server s1", "→ 6 bytes to the client"):  # fmt: skip
        assert text in told, "\n".join(told)


def test_a_server_that_comes_and_goes_is_told_between(begin: Begin) -> None:
    world = begin(config(servers="server s1 127.0.0.1:2 check"))
    world.mark("s1", up=False)
    assert world.tells("health Server b/s1 is DOWN")
