"""Servers that come and go: add server, del server (backend/additions.py)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address

from pylb.admin.control.names import place_of, the_server
from pylb.admin.control.registry import Kind, command
from pylb.admin.control.session import Level, Session, Severity
from pylb.admin.world import Running
from pylb.backend import additions
from pylb.backend.operate import Refused
from pylb.config.haproxy.keywords import Line, Refusal
from pylb.config.haproxy.server import SERVER_OPTIONS, ServerDraft, read_server, with_verification
from pylb.config.model import NOWHERE, ConfigError, Server
from pylb.config.words import Report, Word

_ALLOWED = """
agent-addr agent-check agent-inter agent-port agent-send allow-0rtt alpn addr backup ca-file check check-alpn
check-proto check-send-proxy check-sni check-ssl check-via-socks4 ciphers ciphersuites crl-file crt disabled
downinter enabled error-limit fall fastinter force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 id
inter maxconn maxqueue minconn no-ssl-reuse no-sslv3 no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13 no-tls-tickets npn
observe on-error on-marked-down on-marked-up pool-low-conn pool-max-conn pool-purge-delay port proto
proxy-v2-options rise send-proxy send-proxy-v2 send-proxy-v2-ssl send-proxy-v2-ssl-cn slowstart sni source ssl
ssl-max-ver ssl-min-ver tfo tls-tickets track usesrc verify verifyhost weight ws
"""
ALLOWED = frozenset(_ALLOWED.split())
"""Options of an added server (management manual, `add server`)."""


@command("add server", "<bk>/<srv>", help="create a new server", kind=Kind.CHANGE, level=Level.ADMIN)
def add_server(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """`add server BACKEND/SERVER ADDRESS [OPTION…]`: in maintenance, until it is enabled."""
    backend, name = place_of(world, words)
    additions.check_addable(backend)
    if name in backend.by_name:
        raise Refused("Already exists a server with the same name in backend.")
    if len(words) < 2:
        raise Refused("'server' expects <name> and <addr>[:<port>] as arguments.")
    try:
        world.add_server(backend, _read(world, name, words[1:]))
    except ConfigError as error:
        raise Refused(error.findings[0].message) from None
    except (ValueError, OSError) as error:
        raise Refused(str(error)) from None
    return session.feedback(Severity.NOTICE, "New server registered.")


def _read(world: Running, name: str, words: Sequence[str]) -> Server:
    """The words as the configuration's reader understands them, without anything of `default-server`."""
    for word in words[1:]:
        if word in SERVER_OPTIONS and word not in ALLOWED:
            raise Refused(f"'{word}' option is not accepted for dynamic server")
    report = Report()
    line = Line("server", NOWHERE, [Word(word) for word in (name, *words)], report)
    try:
        server, explicit = read_server(line, ServerDraft())
    except Refusal as refusal:
        raise Refused(str(refusal) or _first(report)) from None
    server = with_verification(server, explicit, world.config.globals.ssl_server_verify, report)
    if report.errors:
        raise Refused(_first(report))
    if server.address.kind == "inet":
        try:
            ip_address(server.address.host)
        except ValueError:
            raise Refused(f"'{server.address.host}' is no IP address; names are not looked up here.") from None
    return server


def _first(report: Report) -> str:
    """The first finding, an unknown option in HAProxy's words."""
    text = report.errors[0].message
    found = re.match(r'unknown server option "(.*)"', text)
    return f"unknown keyword '{found[1]}'." if found else text


@command("del server", "<bk>/<srv>", help="remove a dynamically added server", kind=Kind.CHANGE, level=Level.ADMIN)
def del_server(session: Session, world: Running, words: Sequence[str], payload: str) -> bytes:
    """Only one in maintenance that nobody uses any more."""
    world.remove_server(the_server(world, words))
    return session.feedback(Severity.NOTICE, "Server deleted.")
