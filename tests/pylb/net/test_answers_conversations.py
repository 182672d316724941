"""Answers of our own: denials, tarpits, the forms of the statistics page."""

from __future__ import annotations

import pytest
from conversation import GET, OK, config, status_of

POST = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"


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
