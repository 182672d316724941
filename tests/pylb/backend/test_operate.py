"""Operators' orders: the log lines, states and refusals are those of the real HAProxy given the same orders."""

from __future__ import annotations

from pathlib import Path

import pytest
from backend_tools import declared_server, make_backend
from haproxy_rig import Origin, named, running_haproxy
from support import wait_for

from pylb.backend import agent, operate
from pylb.backend.backend import Backend
from pylb.backend.operate import LARGEST, Refused
from pylb.backend.server import Server
from pylb.backend.state import link_tracking
from pylb.config import model

CHECK = model.ServerCheck(inter=600.0)
ORDERS = """
disable server b/s1
enable server b/s1
set server b/s1 state drain
set server b/s1 state ready
set server b/s1 weight 0
set server b/s1 weight 50%
set server b/s1 weight 300
set server b/s1 weight -1
set server b/s1 weight abc
set server b/s1 weight 1000%
set server b/s1 weight 100%
set server b/s2 state maint
set server b/s2 state ready
set server b/s1 health down
set server b/s1 state maint
set server b/s1 state ready
set server b/s1 health stopping
set server b/s1 health up
set server b/s1 health nonsense
set server b/s1 state nonsense
set server b/s3 state ready
set server b/s1 state drain
set server b/s1 state maint
set server b/s1 state drain
set server b/s1 state ready
set server b/t1 state maint
set server b/s1 state maint
set server b/s1 state maint
set server b/t1 state ready
set server b/s1 state ready
set server b/t1 health up
set server b/s1 health stopping
set server b/s1 health down
set server b/s1 health up
disable health b/s1
enable health b/s1
set server c/c1 weight 1
set server c/c1 weight 0
set server c/c1 weight 2
set server c/c1 health down
set server c/c1 state drain
set server c/c1 state maint
set server c/c1 state ready
set server c/c1 state drain
set server c/c1 state ready
set server b/s1 addr 127.0.0.2
set server b/s1 addr 127.0.0.2 port 99
set server b/s1 addr 127.0.0.2 port 99
""".strip().splitlines()


def obey(backends: dict[str, Backend], order: str) -> str:
    """Carry out one admin socket command of the list above."""
    words = order.split()
    place = words[1] if words[0] != "set" and "/" in words[1] else words[2]
    server = backends[place.split("/")[0]].by_name[place.split("/")[1]]
    try:
        return apply(server, words)
    except operate.Refused as refusal:
        return str(refusal)


def apply(server: Server, words: list[str]) -> str:
    match words:
        case ["disable", "server", _]:
            operate.disable(server, 0.0)
        case ["enable", "server", _]:
            operate.enable(server, 0.0)
        case ["disable", "health", _]:
            operate.disable_check(server)
        case ["enable", "health", _]:
            operate.enable_check(server)
        case ["set", "server", _, "state", wanted]:
            operate.set_state(server, wanted, 0.0)
        case ["set", "server", _, "health", wanted]:
            operate.set_health(server, wanted, 0.0)
        case ["set", "server", _, "weight", weight]:
            operate.set_weight(server, weight, 0.0)
        case ["set", "server", _, "addr", host, *rest]:
            return operate.set_address(server, host, int(rest[1]) if rest else None, "ipv4", 0.0)
    return ""


def statuses(backends: dict[str, Backend]) -> list[tuple[str, ...]]:
    return [
        (backend.name, server.name, server.status, str(server.effective_weight))
        for backend in backends.values()
        for server in backend.servers
    ]


@pytest.mark.interop
def test_every_order_has_the_answer_the_log_lines_and_the_states_of_haproxy(tmp_path: Path) -> None:
    origin = Origin(named("s"))
    sections = f"""
defaults
 mode http
 log global
 timeout connect 1s
 timeout client 5s
 timeout server 5s
listen b
 bind unix@{tmp_path}/front
 server s1 127.0.0.1:{origin.port} check inter 600s weight 10
 server s2 127.0.0.1:{origin.port} backup
 server s3 127.0.0.1:{origin.port} disabled
 server t1 127.0.0.1:{origin.port} track s1
backend c
 balance source
 server c1 127.0.0.1:{origin.port} weight 2
"""
    lines: list[tuple[int, str]] = []
    at = model.Address(host="127.0.0.1", port=origin.port)
    servers = (
        model.Server("s1", at, weight=10, check=CHECK),
        declared_server("s2", backup=True),
        declared_server("s3", disabled=True),
        declared_server("t1", track="s1"),
    )
    b = make_backend(*servers, log=lines, listen=True)
    balance = model.Balance("source")
    c = make_backend(declared_server("c1", weight=2), log=lines, name="c", balance=balance)
    backends = {"b": b, "c": c}
    link_tracking(backends)
    with running_haproxy(tmp_path, sections) as haproxy:
        wait_for(lambda: ",L4OK," in haproxy.command("show stat"), what="the only check within 10 minutes")
        b.by_name["s1"].check.health = b.by_name["s1"].check.top
        for order in ORDERS:
            seen = len(haproxy.log)
            expected = haproxy.command(order)
            rows = [row.split(",") for row in haproxy.command("show stat").splitlines()[1:]]
            lines.clear()
            assert obey(backends, order) == expected, order
            assert lines == haproxy.lines_since(seen), order
            if "addr" not in order and order != "enable health b/s1":  # these make HAProxy check at once
                of_servers = [row for row in rows if row[1] not in ("FRONTEND", "BACKEND")]
                assert statuses(backends) == [(row[0], row[1], row[17], row[18]) for row in of_servers], order
    origin.close()


@pytest.mark.parametrize(
    ("line", "weight", "maxconn"),
    [
        ("9" * 5000 + "%", 256, 10),
        ("0" * 5000 + "50%", 5, 10),
        ("maxconn:" + "9" * 5000, 10, LARGEST),
        ("maxconn:" + "0" * 5000 + "7", 10, 7),
        ("maxconn:99999999999", 10, LARGEST),
    ],
)
def test_numbers_of_any_length_are_numbers(line, weight, maxconn) -> None:
    """Python refuses to read more than 4300 digits at once."""
    server = make_backend(declared_server("s", weight=10, maxconn=10)).servers[0]
    agent.said(server, line, 1, 0.0)
    assert (server.weight, server.maxconn) == (weight, maxconn)
    operate.set_weight(server, "0" * 5000 + "3", 0.0)
    assert server.weight == 3
    with pytest.raises(Refused, match="Absolute weight"):
        operate.set_weight(server, "9" * 5000, 0.0)
    with pytest.raises(Refused, match="Relative weight"):
        operate.set_weight(server, "-" + "9" * 5000 + "%", 0.0)
