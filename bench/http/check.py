"""Whether a scenario's path is right, before anything is measured: a broken one can be very fast.

For all programs: answers are 200 with exactly the bytes that the server gives directly; the server is told who asks;
visitors get a cookie and stay with its server; connections end, on the side and as often as the scenario says; and each
request is logged, or none. What a program omits by its row in programs.py is not asked of it.
"""

from __future__ import annotations

import http.client
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.http.programs import CHOICE, COOKIE, FORWARDED, LOG, SCHEME, Program
from bench.http.scenarios import Scenario
from bench.http.world import World

SITE = "apple.prod.viettq.com"
OTHER_SITE = "rancher.monitor.viettq.com"
TIMEOUT = 10.0


class WrongAnswer(Exception):
    """What is wrong, as a sentence."""


@dataclass(frozen=True)
class Echo:
    """What a server says that it received: nginx.conf, /echo."""

    port: int
    requests: int
    """Requests on this server connection so far."""
    method: str
    length: str
    forwarded: str
    scheme: str
    cookie: str

    @classmethod
    def parse(cls, body: bytes) -> Echo:
        port, requests, *others = body.decode().split("|")[:7]
        return cls(int(port), int(requests), *others)


def check(scenario: Scenario, program: Program, world: World) -> None:
    """Raise WrongAnswer when `program` does not do what `scenario` is about."""
    before = quiet_lines(program)
    sent = check_bodies(scenario, program, world)
    sent += check_echo(scenario, program, world)
    wanted = sent if scenario.site and does(program, LOG) else 0
    logged = settled_lines(program, before + wanted) - before
    expect(logged == wanted, f"{logged} lines logged for {sent} requests")


def does(program: Program, work: str) -> bool:
    """Whether it is asked of this program."""
    return work not in program.contender.omits


def check_bodies(scenario: Scenario, program: Program, world: World) -> int:
    """Answers equal to the servers' own; the number of requests sent."""
    bodies = [b"order=%d" % n + b"&" * (scenario.body - 7) if scenario.body else None for n in range(3)]
    with client(scenario, program) as through:
        for number, body in enumerate(bodies):
            path = f"{scenario.path}{number}?page={number}"
            direct = http.client.HTTPConnection("127.0.0.1", world.servers["WORKER1"], timeout=TIMEOUT)
            wanted = ask(direct, scenario.method, path, {"Host": SITE}, body)
            direct.close()
            got = ask(through, scenario.method, path, headers_for(scenario), body)
            expect(got.status == 200, f"{path}: status {got.status}")
            expect(got.body == wanted.body, f"{path}: {len(got.body)} bytes, the server has {len(wanted.body)} others")
            expect(got.chunked == (scenario.path == "/parts/"), f"{path}: chunked is {got.chunked}")
            expect(got.closes == scenario.client_ends, f"{path}: the client connection ends: {got.closes}")
    return len(bodies)


def check_echo(scenario: Scenario, program: Program, world: World) -> int:
    """What the servers see; the number of requests sent."""
    body = b"x" * scenario.body or None
    sticky = scenario.site and does(program, COOKIE)
    seen: list[Echo] = []
    with client(scenario, program) as through:
        cookie: dict[str, str] = {}
        for _ in range(4):
            got = ask(through, scenario.method, "/echo", headers_for(scenario) | cookie, body)
            seen.append(Echo.parse(got.body))
            if sticky and not cookie:
                match = re.fullmatch(r"SRVNAME=(p\d); path=/", got.cookie, re.IGNORECASE)
                expect(match is not None, f"no cookie for a new visitor: {got.cookie!r}")
                cookie = {"Cookie": f"theme=dark; {got.cookie.partition(';')[0]}"}
    check_servers(scenario, program, world, seen, sticky)
    if scenario.site:
        check_site(scenario, program, seen)
    if not scenario.site or not does(program, CHOICE):
        return len(seen)
    with client(scenario, program) as through:
        got = ask(through, scenario.method, "/echo", headers_for(scenario) | {"Host": OTHER_SITE}, body)
    expect(Echo.parse(got.body).port == world.servers["RANCHER"], "the other host is not served by rancher")
    return len(seen) + 1


def check_servers(scenario: Scenario, program: Program, world: World, seen: list[Echo], sticky: bool) -> None:
    """Which servers were asked, over which connections."""
    workers = {port for name, port in world.servers.items() if name != "RANCHER"}
    expect({echo.port for echo in seen} <= workers, "not a worker's answer")
    ends = scenario.server_ends(program.contender.reuse_safe)
    if ends:
        expect({echo.requests for echo in seen} == {1}, "server connections are used again")
    if sticky:
        expect(len({echo.port for echo in seen}) == 1, "a visitor with a cookie changes servers")
    else:
        expect(len({echo.port for echo in seen}) == len(workers), "not in turn")
    if not ends and scenario.site:
        expect(seen[-1].requests > 1, "server connections are not used again")


def check_site(scenario: Scenario, program: Program, seen: list[Echo]) -> None:
    """What the servers are told."""
    expect({echo.method for echo in seen} == {scenario.method}, f"methods {[echo.method for echo in seen]}")
    length = str(scenario.body or "")
    expect({echo.length.replace("0", "", echo.length == "0") for echo in seen} == {length},
           f"lengths {[echo.length for echo in seen]}")  # fmt: skip
    if does(program, FORWARDED):
        expect({echo.forwarded for echo in seen} == {"127.0.0.1"}, "X-Forwarded-For is missing")
    if does(program, COOKIE):
        expect({echo.cookie for echo in seen} == {""}, "the server sees the balancer's cookie")
    if does(program, SCHEME):
        expect({echo.scheme for echo in seen} == {"https" if scenario.tls else ""}, "X-Forwarded-Proto is wrong")


def quiet_lines(program: Program) -> int:
    """Lines logged so far, once no more come: the clients of the scenario before may just have left."""
    lines = -1
    for _ in range(50):
        before, lines = lines, program.log.lines()
        if lines == before:
            break
        time.sleep(0.1)
    return lines


def settled_lines(program: Program, wanted: int) -> int:
    """Lines logged so far, once `wanted` are there or it is clear that they do not come."""
    deadline = time.monotonic() + TIMEOUT
    while (lines := program.log.lines()) < wanted and time.monotonic() < deadline:
        time.sleep(0.02)
    return lines


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise WrongAnswer(otherwise)


# ------------------------------------------------------------------------------------------------------------ a client


@dataclass(frozen=True)
class Answer:
    """What http.client read."""

    status: int
    body: bytes
    cookie: str
    chunked: bool
    closes: bool


@contextmanager
def client(scenario: Scenario, program: Program) -> Iterator[http.client.HTTPConnection]:
    """A connection to the scenario's frontend; opened again by http.client whenever the other side closed it."""
    port = program.ports[scenario.frontend]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    if scenario.tls:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT, context=context)
    try:
        yield connection
    finally:
        connection.close()


def headers_for(scenario: Scenario) -> dict[str, str]:
    """Of every request of the check."""
    return {"Host": SITE} | ({"Connection": "close"} if scenario.close else {})


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str], body: bytes | None
) -> Answer:
    """One request; its answer, read to the end."""
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    closes = response.will_close
    chunked = response.headers.get("Transfer-Encoding") == "chunked"
    return Answer(response.status, response.read(), response.headers.get("Set-Cookie", ""), chunked, closes)
