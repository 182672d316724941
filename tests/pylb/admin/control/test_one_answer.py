"""Several workers answer as one process, and as HAProxy's threads do: once, with sums and with what was last."""

from __future__ import annotations

import csv
import http.client
import io
import re
import socket
from collections.abc import Iterator

import pytest
from admin_pair import Program, both, listening

pytestmark = pytest.mark.interop

CONFIG = """
global
    stats socket {dir}/admin.sock mode 600 level admin
    nbthread 2
{defaults}frontend web
    bind 127.0.0.1:{port}
    default_backend app
frontend other
    bind 127.0.0.1:{second}
    default_backend app
backend app
    server up 127.0.0.1:{live} id 9
listen raw
    mode tcp
    bind 127.0.0.1:{raw}
    server up 127.0.0.1:{live}
"""

ONCE = """\
show sess 0x1234
shutdown session 0x1234
shutdown sessions server app/nope
shutdown sessions server nope/up
shutdown sessions server app
shutdown sessions server #3/#9
show errors nope
show errors 99
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> Iterator[tuple[Program, Program]]:
    with (
        listening() as live,
        both(tmp_path_factory.mktemp("one"), CONFIG, "second", "raw", shared={"live": live}) as found,
    ):
        yield found


def talk(port: int, said: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(said)
        return client.recv(65536)


@pytest.mark.parametrize("order", ONCE.splitlines())
def test_an_answer_is_given_once(pair, order: str):
    ours, real = (re.sub(r"\[.*?\]", "[]", each.ask(order)).strip() for each in pair)
    assert ours == real


def test_the_last_bad_message_of_each_frontend_is_shown_once(pair):
    for each in pair:
        for turn in range(8):
            for port in (each.port, each.ports["second"]):
                talk(port, b"GET /%d\x01 HTTP/1.1\r\nHost: a\r\nLong: %s\r\n\r\n" % (turn, b"y" * 100 + b"\xff" * 30))
    for words in ("", "web", "#2 request", "other"):
        ours, real = (each.ask(f"show errors {words}") for each in pair)
        for pattern in (
            r"captured on \[.*\] : (\d+)",
            r"^\[.*\] frontend (\w+) \((#\d+)\): invalid request",
            r"^  (\d{5}.*)",
        ):
            assert re.findall(pattern, ours, re.MULTILINE) == re.findall(pattern, real, re.MULTILINE), words
        assert max(map(len, ours.splitlines())) <= 79


def test_times_of_few_requests_are_in_the_backend_s_row_at_once(pair):
    for each in pair:
        each.ask("clear counters all")
        connection = http.client.HTTPConnection("127.0.0.1", each.port, timeout=5)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()
        talk(each.ports["raw"], b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    text = pair[0].ask("show stat").removeprefix("# ")
    rows = {(row["pxname"], row["svname"]): row for row in csv.DictReader(io.StringIO(text))}
    for name in ("app", "raw"):
        server, backend = rows[name, "up"], rows[name, "BACKEND"]
        assert server["stot"] == backend["stot"] == "1"
        for column in ("qtime_max", "ctime_max", "rtime_max", "ttime_max"):
            assert server[column] == backend[column], (name, column)
