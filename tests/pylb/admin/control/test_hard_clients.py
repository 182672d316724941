"""Clients of the admin socket that are many, slow, silent, or say too much: the others are answered all the while."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from admin_pair import Program, listening, pylb, read_all

CONFIG = """
global
    stats socket {dir}/admin.sock mode 600 level admin
    stats socket {dir}/user.sock level user
    stats timeout 1s
    stats maxconn 12
{defaults}frontend web
    bind 127.0.0.1:{port}
    acl listed req.hdr_ip(x-from) -f {dir}/networks
    http-request deny if listed
    default_backend app
backend app
    server one 127.0.0.1:{live} weight 10
    server two 127.0.0.1:{live} weight 10
backend many
    server-template s 400 127.0.0.1:{live} disabled
"""


@pytest.fixture(scope="module")
def balancer(tmp_path_factory) -> Iterator[Program]:
    directory = tmp_path_factory.mktemp("hard")
    (directory / "networks").write_text("".join(f"10.{n >> 8}.{n & 255}.0/24\n" for n in range(30_000)))
    with listening() as live, pylb(directory, CONFIG, live=live) as program:
        yield program


def connect(program: Program) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(str(program.socket))
    return client


def resident(program: Program) -> int:
    """Bytes of memory of the process that answers, the master's only child."""
    master = program.process.pid
    (steward,) = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return int(Path(f"/proc/{steward}/statm").read_text().split()[1]) * 4096


def test_eight_clients_at_once_each_get_their_own_answers(balancer: Program):
    wrong: list[str] = []

    def talk(number: int) -> None:
        with connect(balancer) as client:
            client.sendall(b"prompt\nset timeout cli 60s\n")  # eight may be slow where there is much to do
            heard = b""
            for turn in range(20):
                weight = number * 20 + turn + 1
                client.sendall(
                    b"set server app/one weight %d; show env NOBODY%d; get weight app/two\n" % (weight, weight)
                )
                while heard.count(b"> ") < 3 * turn + 5 and (block := client.recv(65536)):
                    heard += block
            client.sendall(b"quit\n")
            read_all(client)
        if heard.count(b"Variable not found") != 20 or heard.count(b"10 (initial 10)") != 20:
            wrong.append(heard.decode())

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert wrong == []


def test_a_client_that_does_not_read_is_closed_and_costs_no_memory(balancer: Program):
    before = resident(balancer)
    with connect(balancer) as client:
        client.setblocking(False)
        sent = 0
        deadline = time.monotonic() + 15
        broken = False
        while time.monotonic() < deadline and not broken:
            try:
                sent += client.send(b"show stat;show info;help\n" * 100)
            except BlockingIOError:
                assert "app,one" in balancer.ask("show stat")
                time.sleep(0.05)
            except (BrokenPipeError, ConnectionResetError):
                broken = True
        assert broken, "it was never closed"
        assert sent < 4 << 20
    assert resident(balancer) - before < 20 << 20


@pytest.mark.parametrize(
    "said", [b"x" * 1_000_000, b"set ssl cert a <<\n" + b"abc\n" * 300_000, b"a\\;" * 500_000 + b"\n"]
)
def test_too_much_is_refused_and_costs_no_memory(balancer: Program, said: bytes):
    before = resident(balancer)
    with connect(balancer) as client:
        threading.Thread(target=_send, args=(client, said)).start()
        heard = bytearray()
        try:
            while block := client.recv(65536):
                heard += block
                if len(heard) > 1 << 20:
                    break
        except ConnectionResetError:
            pass
    assert b"too big" in heard
    assert resident(balancer) - before < 20 << 20
    assert "app,one" in balancer.ask("show stat")


def test_thousands_of_commands_at_once_leave_others_their_turns(balancer: Program):
    before = resident(balancer)
    with connect(balancer) as client:
        threads = [
            threading.Thread(target=_send, args=(client, b"a;" * 30_000)),
            threading.Thread(target=_drain, args=(client,)),
        ]
        for thread in threads:
            thread.start()
        for _ in range(10):
            began = time.monotonic()
            assert "admin" in balancer.ask("show cli level")
            assert time.monotonic() - began < 2
        client.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
    assert resident(balancer) - before < 20 << 20


def _drain(client: socket.socket) -> None:
    with suppress(OSError):
        while client.recv(1 << 20):
            pass


def _send(client: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        client.sendall(data)


def test_a_slow_reader_gets_everything(balancer: Program):
    """For longer than `stats timeout`, and longer than what the kernel holds for it."""
    whole = json.loads(balancer.ask("show stat json"))
    with connect(balancer) as client:
        client.sendall(b"show stat json\n")
        heard = bytearray()
        began = time.monotonic()
        while block := client.recv(32768):
            heard += block
            if time.monotonic() - began < 3:
                time.sleep(0.2)
    assert len(heard) > 1 << 20
    assert [len(row) for row in json.loads(heard)] == [len(row) for row in whole]


def test_long_answers_are_made_as_they_are_read(balancer: Program):
    before = resident(balancer)
    with ExitStack() as waiting:
        for _ in range(8):
            client = waiting.enter_context(connect(balancer))
            client.sendall(b"show stat json\n")
            client.recv(1)
        assert resident(balancer) - before < 8 << 20  # each has 4 MB to come
        assert "app,one" in balancer.ask("show stat")


def test_who_looks_for_what_is_nowhere_in_a_long_list_keeps_nobody_waiting(balancer: Program):
    with connect(balancer) as patient:
        began = time.monotonic()
        patient.sendall(b"get acl #0 192.168.1.1\n")
        longest = 0.0
        patient.setblocking(False)
        while True:
            with suppress(BlockingIOError):
                found = patient.recv(1000)
                break
            asked = time.monotonic()
            assert "app,one" in balancer.ask("show stat")
            longest = max(longest, time.monotonic() - asked)
        whole = time.monotonic() - began
    assert found == b"type=ip, case=sensitive, match=no\n\n"
    assert longest < whole / 3
    assert "match=yes" in balancer.ask("get acl #0 10.7.7.7")


def test_silent_clients_are_closed_and_those_who_wait_come_in(balancer: Program):
    began = time.monotonic()
    silent = [connect(balancer) for _ in range(12)]  # all that `stats maxconn` lets in
    assert "app,one" in balancer.ask("show stat")
    assert 0.3 < time.monotonic() - began < 8
    for client in silent:
        assert read_all(client) == b""
        client.close()


def test_a_user_is_refused_in_haproxy_s_words(balancer: Program):
    assert balancer.ask("set server app/one state maint", "user.sock") == "Permission denied\n\n"
    assert balancer.ask("show stat", "user.sock").startswith("# pxname")
    assert "set server" not in balancer.ask("help", "user.sock")


NUMBERS = """\
get weight #{n}/#{n}
set weight app/one {n}
set weight app/one -{n}%
set maxconn server app/one {n}
set maxconn frontend web {n}
set rate-limit sessions global -{n}
set server app/one addr 127.0.0.1 port {n}
set timeout cli {n}
show stat {n} {n} {n}
show errors {n}
show acl @{n} x
show map #{n}
add server app/three 127.0.0.1:{n}
add server app/three 127.0.0.1:80 id {n}
"""


@pytest.mark.parametrize("order", NUMBERS.splitlines())
def test_a_number_of_any_length_has_an_answer(balancer: Program, order: str):
    assert balancer.ask(order.format(n="9" * 5000)).endswith("\n")
