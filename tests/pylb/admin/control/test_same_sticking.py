"""Stick rules in HAProxy and pylb: who goes where, and what the tables then hold."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest
from admin_pair import Program, both
from support import wait_for

CONFIG = """
global
    stats socket {dir}/admin.sock mode 600 level admin
    nbthread 1
{defaults}frontend web
    bind 127.0.0.1:{port}
    use_backend matching if {{ path /match }}
    use_backend twice if {{ path /twice }}
    use_backend cookies if {{ path /cookies }}
    use_backend failing if {{ path /failing }}
    default_backend on
frontend tcp
    mode tcp
    bind 127.0.0.1:{tcp}
    default_backend by_address
frontend a
    bind 127.0.0.1:{a}
    http-request return status 200 content-type text/plain string a
frontend b
    bind 127.0.0.1:{b}
    http-request return status 200 content-type text/plain string b
backend on
    stick-table type string len 8 size 1k expire 10m store gpc0
    stick on url_param(id) if !{{ url_param(unstuck) -m found }}
    ignore-persist if {{ url_param(forget) -m found }}
    force-persist if {{ url_param(force) -m found }}
    server a 127.0.0.1:{a}
    server b 127.0.0.1:{b}
backend matching
    stick match url_param(id) table on
    server first 127.0.0.1:{a}
    server b 127.0.0.1:{b}
backend twice
    stick store-request url_param(id) table numbers
    stick store-request url_param(other) table numbers
    stick on url_param(other) table on
    server a 127.0.0.1:{a}
    server b 127.0.0.1:{b}
backend cookies
    cookie S
    stick on url_param(id) table on
    server a 127.0.0.1:{a} cookie a
    server b 127.0.0.1:{b} cookie b
backend failing
    stick store-request url_param(id) table numbers
    server dead 127.0.0.1:{dead}
    retries 0
backend numbers
    stick-table type integer size 1k
backend by_address
    mode tcp
    stick-table type ip size 1k
    stick on src
    use-server b if {{ src 127.0.0.9 }}
    server a 127.0.0.1:{a}
    server b 127.0.0.1:{b}
"""

Pair = tuple[Program, Program]


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Iterator[Pair]:
    with both(tmp_path_factory.mktemp("sticking"), CONFIG, "port", "tcp", "a", "b", "dead") as programs:
        yield programs


def get(program: Program, path: str, *headers: str, port: str = "port", source: str = "127.0.0.1") -> str:
    """The body of the answer, or its status if that is not 200."""
    with socket.create_connection(("127.0.0.1", program.ports[port]), 5, (source, 0)) as sock:
        sock.sendall("\r\n".join((f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", "")).encode())
        answer = b""
        while block := sock.recv(4096):
            answer += block
    head, _, body = answer.decode().partition("\r\n\r\n")
    return body if head.split()[1] == "200" else head.split()[1]


def table(program: Program, name: str) -> list[str]:
    """The entries, without addresses in memory and the time that is left."""
    lines = program.ask(f"show table {name}").strip().splitlines()
    return [lines[0], *sorted(re.sub(r"0x\w+: | exp=\d+| shard=\d+", "", line) for line in lines[1:])]


STEPS: tuple[tuple[str, ...], ...] = (
    ("/?id=1", "/?id=2", "/?id=1", "/?id=2", "/?id=3", "/?id=1", "/?id=3"),
    ("/?id=quitelongname", "/?id=quitelongone", "/?id=", "/?id=", "/", "/?id=longlongx", "/?id=longlongy"),
    ("/?id=4&unstuck=1", "/?id=1&unstuck=1", "/?id=1&unstuck=1", "/?id=1"),
    ("/match?id=1", "/match?id=2", "/match?id=2", "/match?id=none", "/match?id=none", "/match?id=1"),
    ("/twice?id=5&other=6", "/twice?other=7", "/twice?other=7", "/twice?id=x&other=8", "/twice?id=9"),
    ("/failing?id=77",),
    ("/?id=1&forget=1", "/?id=1&forget=1", "/?id=1&forget=1", "/?id=1", "/?id=2", "/?id=2&force=1"),
)


def test_requests_and_tables(pair: Pair) -> None:
    seen = [[], []]
    for step in STEPS:
        for program, story in zip(pair, seen, strict=True):
            story.append([(path, get(program, path)) for path in step])
            wait_for(lambda program=program: "used" in program.ask("show table on"), 5, "the table")
            story += [table(program, name) for name in ("on", "numbers")]
    assert seen[1] == seen[0]


def test_the_cookie_comes_first(pair: Pair) -> None:
    for program in pair:
        program.ask("clear table on")
    seen = [
        [get(p, "/cookies?id=c"), get(p, "/cookies?id=c", "Cookie: S=b"), get(p, "/cookies?id=c"), *table(p, "on")]
        for p in pair
    ]
    assert seen[1] == seen[0]


def test_what_an_operator_sets_is_followed(pair: Pair) -> None:
    for program in pair:
        program.ask("clear table on")
        for key, sid in (("x", 2), ("y", 1), ("z", 9)):
            program.ask(f"set table on key {key} data.server_id {sid}")
    seen = [[*(get(p, f"/?id={key}") for key in "xyxy"), *table(p, "on")] for p in pair]
    assert seen[1] == seen[0]


def test_a_server_that_is_down_is_left(pair: Pair) -> None:
    seen: list[list[str]] = []
    for program in pair:
        program.ask("clear table on")
        story = [get(program, "/?id=1"), get(program, "/?id=2")]
        program.ask(f"disable server on/{story[0]}")
        story += [get(program, "/?id=1"), get(program, "/?id=2")]
        for name in "ab":
            program.ask(f"enable server on/{name}")
        story += [get(program, "/?id=1"), get(program, "/?id=2")]
        seen.append(
            [str(name == story[0]) for name in story] + [re.sub("[ab12]", "", each) for each in table(program, "on")]
        )
    assert seen[1] == seen[0]


def test_tcp(pair: Pair) -> None:
    seen = []
    for program in pair:
        sources = ("127.0.0.1", "127.0.0.2", "127.0.0.3") * 3 + ("127.0.0.9",) * 3
        story = [get(program, "/", port="tcp", source=source) for source in sources]
        seen.append([*story, *table(program, "by_address")])
    assert seen[1] == seen[0]
    assert seen[1][:3] == seen[1][3:6] == seen[1][6:9] and len(set(seen[1][:3])) == 2
