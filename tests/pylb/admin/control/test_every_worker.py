"""What an operator changes holds in every worker, and in one that takes a dead worker's place."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from admin_pair import Program, listening, pylb, read_all
from cryptography import x509
from support import free_port, wait_for

from pylb.net.certificates import self_signed

CONFIG = """
global
    stats socket {dir}/admin.sock mode 600 level admin
    nbthread 3
{defaults}frontend web
    bind 127.0.0.1:{port}
    bind 127.0.0.1:{tls} ssl crt {dir}/one.pem
    acl blocked path_beg -f {dir}/paths
    http-request add-acl({dir}/paths) %[url_param(k)] if {{ path /add }}
    http-request del-acl({dir}/paths) %[url_param(k)] if {{ path /del }}
    http-request set-map({dir}/words) %[url_param(k)] %[url_param(v)] if {{ path /set }}
    http-request del-map({dir}/words) %[url_param(k)] if {{ path /unset }}
    http-request deny if blocked
    acl asks path_beg /map
    http-request return status 200 content-type text/plain lf-string %[path,map({dir}/words,none)] if asks
    default_backend app
backend app
    server one 127.0.0.1:{dead} disabled
"""

TURNS = 24
"""Connections after which all three workers have had some."""


@pytest.fixture
def balancer(tmp_path) -> Iterator[Program]:
    directory = tmp_path / "lb"
    directory.mkdir()
    (directory / "one.pem").write_bytes(self_signed(["one.lab"]))
    (directory / "paths").write_text("/private\n")
    (directory / "words").write_text("/map/a b\n")
    with (
        listening() as live,
        pylb(directory, CONFIG, live=live, dead=free_port(), tls=free_port()) as program,
    ):
        wait_for((directory / "admin.sock").exists, 10, "the admin socket")
        yield program


def get(program: Program, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", program.port, timeout=5)
    connection.request("GET", path)
    response = connection.getresponse()
    answer = response.status, response.read().decode()
    connection.close()
    return answer


def shown(program: Program) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", program.ports["tls"]), timeout=5) as raw,
        context.wrap_socket(raw) as client,
    ):
        return x509.load_der_x509_certificate(client.getpeercert(True)).subject.rfc4514_string()


def workers(program: Program) -> set[int]:
    """Those who have answered `show activity`."""
    lines = program.ask("show activity").splitlines()
    return {int(line.split()[1]) for line in lines if line.startswith("process_id")}


def order(program: Program) -> None:
    """Change an ACL, a map, the certificate and the servers; every answer must be one, not one a worker."""
    said = {
        f"add acl {program.directory}/paths /secret": "",
        f"add map {program.directory}/words /map/c d": "",
        f"set ssl cert {program.directory}/one.pem <<\n{self_signed(['two.lab']).decode()}": "Transaction created for"
        f" certificate {program.directory}/one.pem!",
        f"commit ssl cert {program.directory}/one.pem": f"Committing {program.directory}/one.pem.\nSuccess!",
        f"add server app/new 127.0.0.1:{program.ports['live']}": "New server registered.",
        "enable server app/new": "",
    }
    for command, answer in said.items():
        assert program.ask(command).strip() == answer


def all_is_changed(program: Program) -> None:
    for _ in range(TURNS):
        assert get(program, "/secret")[0] == 403
        assert get(program, "/map/c") == (200, "d")
        assert get(program, "/") == (200, "hello\n")
        assert shown(program) == "CN=two.lab"


def test_changes_hold_in_every_worker_and_in_its_successor(balancer: Program):
    assert get(balancer, "/")[0] == 503
    order(balancer)
    all_is_changed(balancer)
    before = workers(balancer)
    assert len(before) == 3
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(workers(balancer) - {victim}) == 3, 10, "the successor")
    assert not Path(f"/proc/{victim}/cmdline").exists() or victim not in workers(balancer)
    all_is_changed(balancer)


def test_what_a_rule_changes_holds_in_every_worker_soon(balancer: Program):
    def answers(path: str) -> set[tuple[int, str]]:
        return {get(balancer, path) for _ in range(TURNS)}

    get(balancer, "/add?k=/shut")
    get(balancer, "/set?k=/map/r&v=ruled")
    wait_for(lambda: {status for status, _ in answers("/shut")} == {403}, 5, "all to have heard of the ACL")
    wait_for(lambda: answers("/map/r") == {(200, "ruled")}, 5, "all to have heard of the map")
    assert "/map/r ruled" in balancer.ask(f"show map {balancer.directory}/words")
    for number in range(TURNS):  # each in another worker, one after another
        get(balancer, f"/set?k=/map/r&v=v{number}")
    get(balancer, "/del?k=/shut")
    shown = balancer.ask(f"show map {balancer.directory}/words").strip().splitlines()[-1]
    reference, key, value = shown.split()
    assert (
        key == "/map/r"
        and value.startswith("v")
        and "/shut" not in balancer.ask(f"show acl {balancer.directory}/paths")
    )
    wait_for(lambda: answers("/map/r") == {(200, value)}, 5, "all to agree")
    assert {status for status, _ in answers("/shut")} == {503}
    get(balancer, "/set?k=/map/s&v=mine")
    balancer.ask(f"set map {balancer.directory}/words #{reference} operator's")
    balancer.ask(f"set map {balancer.directory}/words /map/s theirs")
    assert answers("/map/r") == {(200, "operator's")} and answers("/map/s") == {(200, "theirs")}
    victim = min(workers(balancer))
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: len(workers(balancer) - {victim}) == 3, 10, "the successor")
    assert answers("/map/r") == {(200, "operator's")} and answers("/map/s") == {(200, "theirs")}


def test_counters_of_an_added_server_are_sums_and_go_with_it(balancer: Program):
    def requests(server: str) -> int:
        rows = [line.split(",") for line in balancer.ask("show stat app 4 -1").splitlines()]
        return next(int(row[7]) for row in rows if row[:2] == ["app", server])

    for name in ("new", "next"):
        balancer.ask(f"add server app/{name} 127.0.0.1:{balancer.ports['live']}")
        balancer.ask(f"enable server app/{name}")
        for _ in range(TURNS):
            assert get(balancer, "/") == (200, "hello\n")
        assert requests(name) == TURNS
        balancer.ask(f"set server app/{name} state maint")
        wait_for(lambda name=name: "deleted" in balancer.ask(f"del server app/{name}"), 10, "it to be deleted")
        assert f"app,{name}" not in balancer.ask("show stat")
    assert get(balancer, "/")[0] == 503


def test_hundreds_of_added_servers_are_counted_over_all_workers(balancer: Program):
    last = 300
    for first in range(0, last, 50):
        names = range(first + 1, first + 51)
        balancer.ask(";".join(f"add server app/s{number} 127.0.0.1:{balancer.ports['live']}" for number in names))
    balancer.ask(f"enable server app/s{last}")
    for _ in range(TURNS):
        assert get(balancer, "/") == (200, "hello\n")
    rows = [line.split(",") for line in balancer.ask("show stat app 4 -1").splitlines()]
    assert {row[1]: int(row[7]) for row in rows if len(row) > 7 and row[1] in ("s1", f"s{last}")} == {
        "s1": 0,
        f"s{last}": TURNS,
    }


@pytest.mark.parametrize("value", ["<<", "v\r", "a;b", "back\\slash", "\udcff\udcfe"])
def test_any_word_reaches_every_worker_as_it_came(balancer: Program, value: str):
    said = "".join(f"\\{letter}" if letter in "\\;<" else letter for letter in value)
    # A blank behind the last word keeps the line's end from being taken for it.
    said = f"set map {balancer.directory}/words /map/a {said} "
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(balancer.socket))
        client.sendall(said.encode("utf-8", "surrogateescape") + b"\n")
        assert client.recv(1000) == b"\n"
    heard = set()
    for _ in range(TURNS):
        with socket.create_connection(("127.0.0.1", balancer.port), timeout=5) as client:
            client.sendall(b"GET /map/a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            heard.add(read_all(client).partition(b"\r\n\r\n")[2])
    assert heard == {value.encode("utf-8", "surrogateescape").replace(b"\r", b"%0D")}  # as log formats write it
