"""Servers added and deleted while a backend serves, beside the real HAProxy."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest
from admin_pair import Program, both, listening, pylb
from support import free_port, wait_for

from pylb.process.books import SPARE

pytestmark = pytest.mark.interop

CONFIG = """
global
    stats socket {dir}/admin.sock mode 600 level admin
{defaults}    timeout queue 1s
    retries 0
frontend web
    bind 127.0.0.1:{port}
    default_backend app
backend app
    balance roundrobin
    option httpchk
    server up 127.0.0.1:{dead}
    server off 127.0.0.1:{live} check disabled id 4
    server led 127.0.0.1:{live} track off
backend static
    balance static-rr
    server up 127.0.0.1:{live}
"""


@pytest.fixture
def pair(tmp_path) -> Iterator[tuple[Program, Program]]:
    with listening() as live, both(tmp_path, CONFIG, shared={"live": live, "dead": free_port()}) as found:
        yield found


def said(pair: tuple[Program, Program], command: str) -> str:
    command = command.replace("LIVE", str(pair[0].ports["live"]))
    ours, real = (each.ask(command).strip() for each in pair)
    assert ours == real, command
    return ours


def states(program: Program) -> list[list[str]]:
    """`show servers state`, but for the seconds since the last change and checks under way."""
    rows = [line.split() for line in program.ask("show servers state app").splitlines()[2:] if line]
    for row in rows:
        row[9] = "-"
        if not int(row[13]) & 4:  # nobody checks: what the count was left at has no meaning
            row[12] = "-"
    return rows


def status(program: Program) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=5)
    connection.request("GET", "/")
    code = connection.getresponse().status
    connection.close()
    return code


ORDERS = """\
add server
add server app
add server nope/x 127.0.0.1:80
add server app/up 127.0.0.1:80
add server app/new
add server static/new 127.0.0.1:80
add server app/new 127.0.0.1:80 nonsense
add server app/new 127.0.0.1:80 cookie x
add server app/new 127.0.0.1:80 redir /
add server app/new 127.0.0.1:80 weight 5 maxconn 3 id 12
add server app/new 127.0.0.1:80
add server app/second 127.0.0.1:81 backup
add server app/third 127.0.0.1:82 slowstart 3s
add server app/fourth 127.0.0.1:83 ssl verify none
add server app/x 127.0.0.1:80 track app/nope
add server app/x 127.0.0.1:80 track nope/up
add server app/x 127.0.0.1:80 track app/up
add server app/x 127.0.0.1:80 track app/new
add server app/x 127.0.0.1:80 track app/x
add server app/x 127.0.0.1:80 track app/off check
enable health app/new
del server
del server app
del server app/nope
del server app/up
enable server app/new
del server app/new
disable server app/new
del server app/new
del server app/off
"""


def test_orders_are_answered_as_haproxy_answers_them(pair):
    for order in ORDERS.splitlines():
        said(pair, order)
        ours, real = map(states, pair)
        assert ours == real, order


def test_an_added_server_serves_once_it_is_enabled(pair):
    assert [status(each) for each in pair] == [503, 503]
    said(pair, "add server app/new 127.0.0.1:LIVE weight 10")
    assert [status(each) for each in pair] == [503, 503]
    said(pair, "set server app/new state ready")
    said(pair, "disable server app/up")
    assert [status(each) for each in pair] == [200, 200]
    rows = [each.ask("show stat app 4 -1").splitlines()[-2].split(",") for each in pair]
    assert [row[:2] + row[17:19] for row in rows] == [["app", "new", "no check", "10"]] * 2
    said(pair, "set server app/new state maint")
    assert [status(each) for each in pair] == [503, 503]
    said(pair, "del server app/new")
    assert "app,new" not in pair[0].ask("show stat")
    assert [status(each) for each in pair] == [503, 503]


def test_an_added_server_is_checked_once_that_is_enabled(pair):
    said(pair, "add server app/new 127.0.0.1:LIVE check inter 100ms")
    said(pair, "enable server app/new")
    said(pair, "enable health app/new")
    for each in pair:
        wait_for(lambda each=each: ",L7OK," in each.ask("show stat app 4 -1"), 10, "a check")
    said(pair, "disable server app/new")
    said(pair, "disable health app/new")
    said(pair, "del server app/new")


def test_an_added_server_follows_the_one_that_it_tracks(pair):
    for order in (
        "set server app/off state ready",
        "enable health app/off",
        "add server app/new 127.0.0.1:LIVE track app/off weight 5",
        "enable health app/new",
        "enable server app/new",
        "set server app/off state maint",
        "set server app/new state ready",
        "set server app/off state drain",
        "set server app/off state ready",
        "del server app/off",
        "set server app/new state maint",
        "del server app/new",
    ):
        said(pair, order)
        for each in pair:
            wait_for(lambda each=each: ",INI," not in each.ask("show stat app 4 -1"), 10, "no first check")
        ours, real = ([row[:7] for row in states(each)] for each in pair)
        assert ours == real, order


def test_a_server_in_use_is_not_deleted(pair):
    ours, _ = pair
    ours.ask("set server app/off state ready")
    assert ours.ask("set server app/off state maint").strip() == ""
    assert "other configuration elements" in ours.ask("del server app/off")
    assert "no IP address" in ours.ask("add server app/named localhost:80")


MANY = """
global
    stats socket {dir}/admin.sock mode 600 level admin
{defaults}frontend web
    bind 127.0.0.1:{port}
    default_backend b0
""" + "".join(f"backend b{number}\n" for number in range(16))  # fmt: skip


def test_one_server_more_than_there_are_rows_is_refused_until_one_goes(tmp_path):
    """Over one connection; of several backends, because adding to a large one takes longer."""
    with pylb(tmp_path, MANY) as program, socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(program.socket))
        client.sendall(b"prompt\n")
        heard = client.recv(100)
        for number in range(16):
            orders = [f"add server b{number}/s{each} 127.0.0.1:80" for each in range(SPARE // 16)]
            client.sendall(";".join(orders).encode() + b"\n")
            while heard.count(b"\n> ") <= SPARE // 16 * (number + 1):
                heard += client.recv(65536)
        assert heard.count(b"New server registered.") == SPARE
        refusal = f"No room for another server until a reload: {SPARE} have been added."
        assert program.ask("add server b3/more 127.0.0.1:80").strip() == refusal
        assert program.ask("del server b5/s7").strip() == "Server deleted."
        assert program.ask("add server b3/more 127.0.0.1:80").strip() == "New server registered."
        assert program.ask("add server b3/most 127.0.0.1:80").strip() == refusal
        assert program.ask("show servers state").count(" 127.0.0.1 ") == SPARE
