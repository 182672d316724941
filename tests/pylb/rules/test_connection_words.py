"""Words about connections: what cannot be written, and what a request's hash is."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest
from rules_world import exchange, findings, run_rule, sample, scope

from pylb.config.model import Backend
from pylb.net.session import Session
from pylb.rules.actions.connection import restore_addresses
from pylb.rules.samples.transport import is_local
from pylb.rules.scope import Place


def test_hashes_of_absolute_targets_are_haproxy_s():
    x = exchange(b"GET http://www/abs?x HTTP/1.1\r\nHost: www\r\n\r\n")
    assert (sample("base32", x), sample("url32", x)) == (3631930827, 1268080887)
    assert sample("url32+src", x) == (1268080887).to_bytes(4, "big") + b"\x7f\0\0\1"
    x.session.src = "unix"
    assert sample("base32+src", x) == (3631930827).to_bytes(4, "big")


def test_an_exchange_s_addresses_are_its_own_and_a_connection_s_stay():
    session = Session.__new__(Session)
    session.src, session.src_port, session.dst, session.dst_port, session.original = "10.0.0.1", 7, "10.0.0.2", 80, None
    x = exchange(b"GET / HTTP/1.1\r\nHost: h\r\nX-A: 1.2.3.4\r\n\r\n", session=session)
    where = scope()
    run_rule("set-src req.hdr(x-a)", x, where)
    run_rule("set-dst-port int(99)", x, where)
    run_rule("set-src-port int(70000)", x, where)
    assert (session.src, session.src_port, session.dst_port) == ("1.2.3.4", 7, 99)
    assert (str(sample("src", x)), str(sample("fc_src", x)), sample("fc_dst_port", x)) == ("1.2.3.4", "10.0.0.1", 80)
    assert where.world.readdresses
    restore_addresses(x)
    assert (session.src, session.dst_port, session.original) == ("10.0.0.1", 80, None)
    lasting = scope(Place.CONNECTION)
    run_rule("set-src ipv4(5.6.7.8)", SimpleNamespace(session=session), lasting)
    restore_addresses(x)
    assert (session.src, lasting.world.readdresses) == ("5.6.7.8", False)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("set-src", '"set-src" is written set-src SAMPLE'),
        ("set-src-port method", "method, integer is needed here"),
        ("set-timeout connect 3s", '"set-timeout" sets server or tunnel, not "connect"'),
        ("set-timeout server 0", '"set-timeout" wants a time above 0'),
        ("set-timeout server path_beg(", "path_beg("),
        ("set-mark x", '"x" is no mark'),
        ("set-tos 256", '"256" is no type of service'),
        ("strict-mode maybe", '"strict-mode" is on or off, not "maybe"'),
        ("set-map /x a b", '"set-map" is written set-map(FILE) KEY VALUE'),
        ("add-acl(/x) a b", '"add-acl" is written add-acl(/x) KEY'),
    ],
)
def test_mistakes_are_explained(rule, message):
    found = findings(rule, scope(proxy=Backend("b", mode="http")))
    assert len(found) == 1 and message in found[0], found


def test_a_server_s_timeout_is_no_frontend_s_to_set():
    assert "it stands in a backend" in findings("set-timeout server 3s")[0]


def has_ipv6():
    """Many containers have none."""
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_the_machine_s_own_addresses_are_local():
    assert is_local("127.0.0.1") and is_local("::1") is has_ipv6()
    assert not is_local("203.0.113.9") and not is_local("unix")
