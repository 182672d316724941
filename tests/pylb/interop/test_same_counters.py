"""What each event adds to the counters of frontend, backend and server (`show stat`), beside the real program."""

from __future__ import annotations

import csv
import io
import socket
import time
from contextlib import suppress

import differences as differ
import pytest
from haproxy_pair import Answer, Side, normal_line, running_pair
from same_cases import get, judge

pytestmark = pytest.mark.interop

CONFIG = r"""
global
    nbthread 1
    log "127.0.0.1:${LOG}" local0
    stats socket "${DIR}/admin.sock" level admin

defaults
    mode http
    log global
    option httplog
    retries 1
    timeout connect 500ms
    timeout client 900ms
    timeout server 400ms
    timeout queue 200ms

frontend web
    bind "127.0.0.1:${FE_web}"
    http-request deny if { path /deny }
    http-request return status 204 if { path /return }
    http-request wait-for-body time 100ms if { path /body }
    http-request tarpit if { path /tarpit }
    timeout tarpit 700ms
    use_backend %[path,field(2,/)]

backend app
    http-request return status 204 if { path_end /returned }
    http-request redirect location / if { path_end /redirected }
    stats enable
    stats uri /app/stats
    http-response deny if { path_end /denied }
    server s "127.0.0.1:${SRV_s}"

listen leaves
    bind "127.0.0.1:${FE_leaves}"
    http-request return status 204 if { path /returned }
    stats enable
    stats uri /stats
    option abortonclose
    server s "127.0.0.1:${SRV_s}" maxconn 1

backend elsewhere
    server s "127.0.0.1:${SRV_s}" redir http://else.where

frontend no_connections
    bind "127.0.0.1:${FE_no_connections}"
    tcp-request connection reject

frontend no_sessions
    bind "127.0.0.1:${FE_no_sessions}"
    tcp-request session reject

frontend proxied
    bind "127.0.0.1:${FE_proxied}" accept-proxy

backend refused
    server s "127.0.0.1:${DEAD}"

backend none

backend one
    retries 0
    cookie K insert
    server s "127.0.0.1:${SRV_s}" maxconn 1 maxqueue 1 cookie s

backend shared
    server s "127.0.0.1:${SRV_s}" maxconn 1

frontend tcp
    bind "127.0.0.1:${FE_tcp}"
    mode tcp
    option tcplog
    default_backend tcp

backend tcp
    mode tcp
    server s "127.0.0.1:${SRV_s}"

listen tcp_none
    bind "127.0.0.1:${FE_tcp_none}"
    mode tcp
    option tcplog
"""

TEN = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"


def status(code: int) -> Answer:
    return Answer(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % code)


ANSWERS = {
    **{str(code): status(code) for code in (301, 404, 500)},
    "late": Answer([b"", b""], pause=0.6),
    "nothing": Answer(b"", "close"),
    "reset": Answer(b"", "reset"),
    "no HTTP": Answer(b"220 ready\r\n\r\n", "close"),
    "half a head": Answer(b"HTTP/1.1 200 OK\r\nContent-", "close"),
    "cut": Answer(TEN, "close"),
    "chunks cut": Answer(CHUNKED, "close"),
    "chunks garbled": Answer([CHUNKED, b"zz\r\nhello\r\n0\r\n\r\n"], "close", pause=0.05),
    "stops": Answer([TEN, b""], pause=0.7),
    "upgrade": Answer([UPGRADED, b""], pause=0.01),
}
COUNTERS = (
    "stot", "dreq", "dresp", "ereq", "econ", "eresp", "wretr", "wredis", "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx",
    "hrsp_5xx", "hrsp_other", "req_tot", "cli_abrt", "srv_abrt", "intercepted", "dcon", "dses", "wrew", "eint",
    "connect", "reuse", "conn_tot", "lbtot",
)  # fmt: skip


def counted(side: Side) -> dict[tuple[str, str, str], int]:
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(side.directory / "admin.sock"))
        control.sendall(b"show stat\n")
        data = b"".join(iter(lambda: control.recv(65536), b"")).decode()
    rows = csv.DictReader(io.StringIO(data.removeprefix("# ")))
    return {(row["pxname"], row["svname"], name): int(row[name] or 0) for row in rows for name in COUNTERS}


def settled(side: Side) -> dict[tuple[str, str, str], int]:
    """Counters that two looks agree about: something may be counted a moment after its line is logged."""
    before = counted(side)
    while True:
        time.sleep(0.03)
        if (now := counted(side)) == before:
            return now
        before = now


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with running_pair(tmp_path_factory.mktemp("counters"), CONFIG, ANSWERS) as pair:
        yield pair


def request(path: str, do: str = "", *more: str, frontend: str = "web"):
    def play(side: Side) -> list[str]:
        with side.talk(frontend) as talk:
            talk.send(get(path, f"Do: {do}", "Connection: close", *more))
            talk.rest()
            return side.logged(1, client=talk.address)

    return play


def leaving(data: bytes, how: str, frontend: str = "web"):
    """A client that sends and goes."""

    def play(side: Side) -> list[str]:
        with side.talk(frontend) as talk:
            talk.send(data)
            time.sleep(0.15)
            getattr(talk, how)()
            return side.logged(1, client=talk.address)

    return play


def silent(data: bytes, frontend: str):
    """A client that sends and waits for the end."""

    def play(side: Side) -> list[str]:
        with side.talk(frontend) as talk:
            talk.send(data)
            talk.rest()
            return side.logged(1, client=talk.address)

    return play


def refused(frontend: str, data: bytes = b""):
    """A client that is turned away."""

    def play(side: Side) -> list[str]:
        with suppress(OSError), side.talk(frontend) as talk:
            talk.send(data)
            talk.rest()
        return []

    return play


def queued(path: str, number: int, *more: str, frontend: str = "web", leaves: bool = False):
    """Requests for a server that is busy with the first of them."""

    def play(side: Side) -> list[str]:
        talks = [side.talk(frontend) for _ in range(number)]
        for talk in talks:
            talk.send(get(path, "Do: late", "Connection: close", *more))
            time.sleep(0.03)
        if leaves:
            talks[-1].reset()
        lines = [line for talk in talks for line in side.logged(1, client=talk.address)]
        for talk in talks:
            talk.sock.close()
        return lines

    return play


UPGRADE = get("/app/", "Do: upgrade", "Connection: Upgrade", "Upgrade: x")
SCENARIOS = {
    **{f"answer: {do or 200}": request("/app/", do) for do in ("", *ANSWERS) if do != "upgrade"},
    "denied": request("/deny"),
    "returned": request("/return"),
    "returned by the backend": request("/app/returned"),
    "redirected by the backend": request("/app/redirected"),
    "statistics of the backend": request("/app/stats"),
    "returned by a listen": request("/returned", frontend="leaves"),
    "statistics of a listen": request("/stats", frontend="leaves"),
    "response denied": request("/app/denied"),
    "response denied, 404": request("/app/denied", "404"),
    "refused": request("/refused/"),
    "redirected to the server": request("/elsewhere/"),
    "a body that rules wait for in vain": silent(get("/body", "Content-Length: 9", method="POST") + b"1", "web"),
    "tarpit": request("/tarpit"),
    "client leaves a tarpit": leaving(get("/tarpit"), "reset"),
    "no connection": refused("no_connections"),
    "no session": refused("no_sessions"),
    "no PROXY header": refused("proxied", get("/")),
    "no server": request("/none/"),
    "no backend": request("/unknown/"),
    "queue timeout": queued("/shared/", 2),
    "queue of a server: timeout and full": queued("/one/", 3, "Cookie: K=s"),
    "client leaves the queue": queued("/", 2, frontend="leaves", leaves=True),
    "client leaves the server": leaving(get("/", "Do: late"), "finish", "leaves"),
    "client leaves in its body": leaving(get("/app/", "Content-Length: 9", method="POST") + b"1", "reset"),
    "client leaves in its head": leaving(b"GET / HTTP/1.1\r\nHo", "finish"),
    "client says nothing and leaves": leaving(b"", "finish"),
    "no request": leaving(b"hello\r\n\r\n", "finish"),
    "a head that stops": silent(b"GET / HTTP/1.1\r\nHo", "web"),
    "upgraded, then silence": silent(UPGRADE, "web"),
    "upgraded, then reset": leaving(UPGRADE, "reset"),
    "tcp": silent(get("/", "Do: nothing"), "tcp"),
    "tcp, silence of both": silent(get("/", "Do: stops"), "tcp"),
    "tcp, client reset": leaving(get("/", "Do: late"), "reset", "tcp"),
    "tcp, server reset": silent(get("/", "Do: reset"), "tcp"),
    "tcp, no server": silent(b"", "tcp_none"),
}


DIFFERS = {
    **dict.fromkeys(("no backend", "a body that rules wait for in vain", "tarpit"), (differ.request_time_is_known,)),
    "client leaves a tarpit": (differ.gives_up_for_who_left,),
    "answer: reset": (differ.a_reset_is_one_error,),
    "client leaves in its body": (differ.gone_before_the_answer,),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_events_are_counted_alike(pair, name):
    def scenario(side):
        before = settled(side)
        lines = SCENARIOS[name](side)
        after = settled(side)
        log = [normal_line(line) for line in lines]
        return {"counted": {key: after[key] - before[key] for key in after if after[key] != before[key]}, "log": log}

    judge(*pair.both(scenario), DIFFERS.get(name, ()))
