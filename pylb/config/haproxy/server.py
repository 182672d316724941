"""`server` and `default-server` lines (manual: 5.2 "Server and default-server options").

A draft holds what the options gave, split as the model is: `values` for Server, `check` for ServerCheck, `tls` for
ServerTls. A default-server draft is copied and goes on collecting, so a server's own options win.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pylb.config.haproxy.bind import (
    ignored,
    put_tls,
    read_alpn,
    read_options,
    read_proto,
    tls_constant,
    tls_fields,
    tls_version_keywords,
    unsupported,
)
from pylb.config.haproxy.keywords import Keyword, Line, Refusal, Table
from pylb.config.haproxy.scalars import (
    Draft,
    address,
    choice,
    comma_list,
    constant,
    duration,
    integer,
    put,
    text,
)
from pylb.config.model import Address, Origin, Server, ServerAgent, ServerCheck, ServerTls
from pylb.config.words import Report, Word

_NAME = re.compile(r"[A-Za-z0-9_.:-]+")


class ServerDraft(Draft):
    """The options of a server or of default-server."""

    def __init__(self) -> None:
        super().__init__()
        self.check: dict[str, Any] = {}
        self.agent: dict[str, Any] = {}
        self.tls: dict[str, Any] = {}
        self.checked = self.asked = False
        self.ssl = False
        self.banned: set[str] = set()

    def copy(self) -> ServerDraft:
        """A draft that starts from this one's options."""
        other = ServerDraft()
        other.values, other.check, other.tls = dict(self.values), dict(self.check), dict(self.tls)
        other.agent, other.asked = dict(self.agent), self.asked
        other.checked, other.ssl, other.banned = self.checked, self.ssl, set(self.banned)
        return other


def _put_check(field: str, parse: Callable[[Word], object]) -> Callable[[ServerDraft, Line], None]:
    def read(draft: ServerDraft, line: Line) -> None:
        draft.check[field] = line.value(parse)

    return read


def _put_agent(field: str, parse: Callable[[Word], object]) -> Callable[[ServerDraft, Line], None]:
    def read(draft: ServerDraft, line: Line) -> None:
        draft.agent[field] = line.value(parse)

    return read


def _check_constant(field: str, value: object) -> Callable[[ServerDraft, Line], None]:
    def read(draft: ServerDraft, line: Line) -> None:
        draft.check[field] = value

    return read


def _attribute(name: str, value: bool) -> Callable[[ServerDraft, Line], None]:
    def read(draft: ServerDraft, line: Line) -> None:
        setattr(draft, name, value)

    return read


def _nothing(draft: ServerDraft, line: Line) -> None:
    """What is asked for is how things are."""


def _read_observe(draft: ServerDraft, line: Line) -> None:
    mode = line.value(choice("none", "layer4", "layer7"))
    draft.values["observe"] = None if mode == "none" else mode


def _read_pool_max_conn(draft: ServerDraft, line: Line) -> None:
    most = line.value(integer(-1))
    draft.values["pool_max_conn"] = None if most == -1 else most


def _read_source(draft: ServerDraft, line: Line) -> None:
    draft.values["source"] = read_source(line)


def read_source(line: Line) -> str | None:
    """`source ADDRESS[:PORT]`, the same on servers and in backends; "*" and 0.0.0.0 are any address."""
    word = line.next("an address").as_address
    where = address(word)
    if line.peek() in ("usesrc", "interface"):
        raise Refusal(line.next().at, '"source … usesrc|interface" is not supported by pylb', "the address alone is")
    return None if where.host in ("", "0.0.0.0") and where.port is None else word.text


def _read_init_addr(draft: ServerDraft, line: Line) -> None:
    draft.values["init_addr"] = ",".join(line.value(comma_list))


_CONSTANT: dict[str, tuple[str, object]] = {
    "backup": ("backup", True),
    "no-backup": ("backup", False),
    "non-stick": ("non_stick", True),
    "stick": ("non_stick", False),
    "disabled": ("disabled", True),
    "enabled": ("disabled", False),
    "send-proxy": ("send_proxy", "v1"),
    "no-send-proxy": ("send_proxy", None),
    "send-proxy-v2": ("send_proxy", "v2"),
    "no-send-proxy-v2": ("send_proxy", None),
}

SERVER_OPTIONS: Table[ServerDraft] = Table(
    [
        *(Keyword(name, constant(*field)) for name, field in _CONSTANT.items()),
        Keyword("agent-addr", _put_agent("address", text)),
        Keyword("agent-check", _attribute("asked", True)),
        Keyword("no-agent-check", _attribute("asked", False)),
        Keyword("agent-inter", _put_agent("inter", duration(least=0.001))),
        Keyword("agent-port", _put_agent("port", integer(1, 65535))),
        Keyword("agent-send", _put_agent("send", text)),
        Keyword("addr", _put_check("address", lambda word: text(word.as_address))),
        Keyword("alpn", read_alpn, note="h2 in TCP mode only"),
        Keyword("ca-file", put_tls("ca_file", text)),
        Keyword("check", _attribute("checked", True)),
        Keyword("no-check", _attribute("checked", False)),
        Keyword("check-alpn", _put_check("alpn", comma_list)),
        Keyword("check-proto", read_proto, note="h1 and none alone"),
        Keyword("check-send-proxy", _check_constant("send_proxy", True)),
        Keyword("no-check-send-proxy", _check_constant("send_proxy", False)),
        Keyword("check-sni", _put_check("sni", text)),
        Keyword("check-ssl", _check_constant("tls", True)),
        Keyword("no-check-ssl", _check_constant("tls", False)),
        Keyword("ciphers", put_tls("ciphers", text)),
        Keyword("ciphersuites", put_tls("ciphersuites", text)),
        Keyword("cookie", put("cookie", text)),
        Keyword("crl-file", put_tls("crl_file", text)),
        Keyword("crt", put_tls("certificate", text)),
        Keyword("downinter", _put_check("downinter", duration(least=0.001))),
        Keyword("error-limit", put("error_limit", integer(1))),
        Keyword("fall", _put_check("fall", integer(1))),
        Keyword("fastinter", _put_check("fastinter", duration(least=0.001))),
        Keyword("id", put("id", integer(1))),
        Keyword("init-addr", _read_init_addr),
        Keyword("inter", _put_check("inter", duration(least=0.001))),
        Keyword("maxconn", put("maxconn", integer(0))),
        Keyword("maxqueue", put("maxqueue", integer(0))),
        Keyword("minconn", put("minconn", integer(0))),
        Keyword("no-ssl", _attribute("ssl", False)),
        Keyword("no-tfo", _nothing),
        Keyword("no-verifyhost", put_tls("verify_host", lambda word: None)),
        Keyword("observe", _read_observe),
        Keyword("on-error", put("on_error", choice("fastinter", "fail-check", "sudden-death", "mark-down"))),
        Keyword("on-marked-down", put("on_marked_down", choice("shutdown-sessions"))),
        Keyword("on-marked-up", put("on_marked_up", choice("shutdown-backup-sessions"))),
        Keyword("pool-max-conn", _read_pool_max_conn),
        Keyword("pool-purge-delay", put("pool_purge_delay", duration())),
        Keyword("port", _put_check("port", integer(0, 65535))),
        Keyword("proto", read_proto, note="h1 and none alone"),
        Keyword("redir", put("redirect_prefix", text)),
        Keyword("rise", _put_check("rise", integer(1))),
        Keyword("slowstart", put("slowstart", duration())),
        Keyword("sni", put_tls("sni", text)),
        Keyword("source", _read_source, note="an address; no usesrc, no interface"),
        Keyword("ssl", _attribute("ssl", True)),
        Keyword("ssl-reuse", tls_constant("reuse", True)),
        Keyword("no-ssl-reuse", tls_constant("reuse", False)),
        Keyword("tls-tickets", tls_constant("tickets", True)),
        Keyword("no-tls-tickets", tls_constant("tickets", False)),
        Keyword("track", put("track", text)),
        Keyword("verify", put_tls("verify", choice("none", "required"))),
        Keyword("verifyhost", put_tls("verify_host", text)),
        Keyword("weight", put("weight", integer(0, 256))),
        *tls_version_keywords(),
        ignored("max-reuse", "a connection is reused as often as it is usable", 1),
        ignored("no-send-proxy-v2-ssl", "it is never sent"),
        ignored("no-send-proxy-v2-ssl-cn", "it is never sent"),
        ignored("npn", "NPN gave way to ALPN in 2014", 1),
        ignored("pool-low-conn", "workers share no idle connections", 1),
        ignored("tcp-ut", "the kernel's default is used", 1),
        ignored("tfo", "connections start as usual"),
        ignored("ws", "WebSocket runs over HTTP/1.1", 1),
        *unsupported("allow-0rtt", "early data can be replayed"),
        *unsupported("check-via-socks4 socks4", "servers are connected to directly"),
        *unsupported("log-proto", "for servers of a ring"),
        *unsupported("namespace", "start pylb inside the network namespace"),
        *unsupported("resolvers resolve-opts resolve-prefer resolve-net", "names are looked up once, at the start"),
        *unsupported("send-proxy-v2-ssl send-proxy-v2-ssl-cn proxy-v2-options", "send-proxy-v2 is"),
    ]
)


def read_default_server(line: Line, draft: ServerDraft) -> None:
    """`default-server OPTION…`: adds to what is there already."""
    if not line.more:
        line.next("server options")
    read_options(SERVER_OPTIONS, draft, line, "server option")


def read_server(line: Line, defaults: ServerDraft) -> tuple[Server, bool]:
    """`server NAME ADDRESS[:PORT] OPTION…`, and whether it says itself how to verify.

    Raises Refusal; bad options have been reported.
    """
    name = line.next("a name and an address")
    check_name(name, "server")
    where = _server_address(line)
    draft = defaults.copy()
    read_options(SERVER_OPTIONS, draft, line, "server option")
    return build_server(name.text, where, draft, line.at), "verify" in draft.tls


def check_name(name: Word, kind: str) -> None:
    """Raises Refusal for characters that HAProxy takes in no name."""
    if _NAME.fullmatch(name.text) is None:
        odd = next((c for c in name.text if not _NAME.fullmatch(c)), "")
        raise Refusal(
            name.at,
            f'{f"character {odd!r} is" if odd else "an empty name is"} not permitted in {kind} name "{name.text}"',
            "letters, digits and - _ . : are",
        )


def _server_address(line: Line) -> Address:
    word = line.next("an address").as_address
    where = address(word)
    if where.kind == "fd":
        raise Refusal(word.at, f'"{word.text}" cannot be a server', "fd@ is for bind")
    if where.port_end is not None:
        raise Refusal(word.at, f'port range not permitted in "{word.text}"', "one port, or +N")
    return where


def build_server(name: str, where: Address, draft: ServerDraft, at: Origin) -> Server:
    """The Server of a draft."""
    check = ServerCheck(**draft.check) if draft.checked else None
    if check is not None and not draft.ssl and (check.tls or draft.tls):
        check = replace(check, tls_options=server_tls(draft, at))
    agent = ServerAgent(**draft.agent) if draft.asked and "port" in draft.agent else None
    if draft.asked and agent is None:
        raise Refusal(at, '"agent-check" says nothing of where the agent is', "add agent-port PORT")
    return Server(
        name, where, check=check, agent=agent, tls=server_tls(draft, at) if draft.ssl else None, at=at, **draft.values
    )


def with_verification(server: Server, explicit: bool, by_default: str, report: Report) -> Server:
    """The server with `verify` decided: its own, or that of ssl-server-verify. Verifying needs authorities to trust."""
    tls = server.tls or (server.check.tls_options if server.check is not None else None)
    if tls is None:
        return server
    verify = tls.verify if explicit else by_default
    checks_by_tls = server.check is not None and server.check.tls
    if verify == "required" and tls.ca_file is None and (server.tls is not None or checks_by_tls):
        report(
            server.at,
            f'server "{server.name}" is to be verified and no "ca-file" says by whom',
            "ca-file FILE, ca-file @system-ca, or verify none",
        )
    if verify == tls.verify:
        return server
    tls = replace(tls, verify=verify)  # type: ignore[arg-type]
    if server.tls is not None:
        return replace(server, tls=tls)
    assert server.check is not None
    return replace(server, check=replace(server.check, tls_options=tls))


def server_tls(draft: ServerDraft, at: Origin) -> ServerTls:
    """The TLS options of a draft. Raises Refusal when the versions left make no range."""
    return ServerTls(**tls_fields(draft.tls, draft.banned, at))
