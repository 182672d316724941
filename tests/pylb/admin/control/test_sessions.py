"""Sessions that wait for a server that does not answer: shown and ended as HAProxy does it."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator

import pytest
from admin_pair import Program, both
from support import wait_for

pytestmark = pytest.mark.interop

CONFIG = """
global
    stats socket {dir}/admin.sock mode 600 level admin
    nbthread 3
defaults
    mode http
    timeout client 30s
    timeout server 30s
    timeout connect 5s
frontend web
    bind 127.0.0.1:{port}
    default_backend app
backend app
    server mute 127.0.0.1:{mute}
"""


@pytest.fixture
def pair(tmp_path) -> Iterator[tuple[Program, Program]]:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=100) as mute,
        both(tmp_path, CONFIG, shared={"mute": mute.getsockname()[1]}) as found,
    ):
        yield found


def asking(program: Program, number: int) -> list[socket.socket]:
    """Clients whose requests are at the server."""
    clients = []
    for _ in range(number):
        client = socket.create_connection(("127.0.0.1", program.port), timeout=10)
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        clients.append(client)
    wait_for(lambda: len(lines(program)) == number, 10, "the sessions")
    return clients


def lines(program: Program) -> list[str]:
    return [line for line in program.ask("show sess").splitlines() if " fe=web " in line and " srv=mute " in line]


def names(line: str) -> list[str]:
    """The fields of a line, those within brackets too."""
    return re.findall(r"(?<![\w.])([a-z_]+)=", line)


def test_a_session_s_line_has_haproxy_s_fields(pair):
    shown = []
    for each in pair:
        (client,) = asking(each, 1)
        (line,) = lines(each)
        assert f" src=127.0.0.1:{client.getsockname()[1]} fe=web be=app srv=mute " in line
        assert re.match(r"0x[0-9a-f]+: proto=tcpv4 ", line)
        assert re.search(r" rp\[[^]]*rx=(29|30)s,", line), "`timeout server` runs"
        shown.append(names(line))
        client.close()
    ours, real = shown
    assert ours == real


def test_one_session_is_ended_and_no_other(pair):
    for each in pair:
        clients = asking(each, 6)
        pointers = {line.split(":")[0] for line in lines(each)}
        assert len(pointers) == 6
        victim = next(line for line in lines(each) if f"src=127.0.0.1:{clients[2].getsockname()[1]} " in line)
        assert each.ask(f"shutdown session {victim.split(':')[0]}").strip() == ""
        clients[2].recv(1000)  # an error page, or nothing
        wait_for(lambda each=each: len(lines(each)) == 5, 10, "it to be gone")
        again = f"shutdown session {victim.split(':')[0]}"  # HAProxy may still know it for a moment
        wait_for(
            lambda each=each, again=again: "No such session (use 'show sess')." in each.ask(again), 10, "no session"
        )
        detailed = each.ask(f"show sess {sorted(pointers - {victim.split(':')[0]})[0]}")
        assert "frontend=web" in detailed
        assert "server=mute" in detailed
        assert each.ask("shutdown sessions server app/mute").strip() == ""
        wait_for(lambda each=each: lines(each) == [], 10, "all to be gone")
        for client in clients:
            client.close()
