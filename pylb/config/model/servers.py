"""`server` lines and the checks that servers are subjected to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pylb.config.model.binds import Address
from pylb.config.model.origin import NOWHERE, Origin


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One step of `http-check` / `tcp-check`: kind "connect", "send" or "expect" with its words.

    connect: options {"port": "80", "ssl": "", "sni": …, "addr": …, "alpn": …}
    send:    options {"meth": …, "uri": …, "ver": …, "body": …}, headers
    expect:  options {"negate": "", "match": "status|rstatus|string|rstring|hdr", "pattern": …,
             "min-recv": …, "comment": …, "error-status": …, "on-error": …}
    """

    kind: Literal["connect", "send", "expect"]
    options: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How a backend's servers are probed: `option tcp-check|httpchk`, `http-check …`, nothing: a TCP connect."""

    kind: Literal["tcp", "http"] = "tcp"
    steps: tuple[CheckStep, ...] = ()
    """Empty: connect only (tcp), or `OPTIONS / HTTP/1.0` expecting 2xx or 3xx (http)."""
    disable_on_404: bool = False
    """http-check disable-on-404"""
    send_state: bool = False
    """http-check send-state"""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """`server … ssl verify …`. Manual: 5.2."""

    verify: Literal["none", "required"] = "required"
    ca_file: str | None = None
    crl_file: str | None = None
    sni: str | None = None
    """A sample expression, as written: `str(www.example)`, `req.hdr(host)`."""
    verify_host: str | None = None
    """verifyhost"""
    certificate: str | None = None
    """crt: the client certificate to present."""
    alpn: tuple[str, ...] = ()
    min_version: str | None = None
    max_version: str | None = None
    ciphers: str | None = None
    ciphersuites: str | None = None
    reuse: bool = True
    """no-ssl-reuse: every connection is a full handshake."""
    tickets: bool = True
    """no-tls-tickets"""


@dataclass(frozen=True, slots=True)
class ServerCheck:
    """`check` and its companions on a `server` line."""

    inter: float = 2.0
    fastinter: float | None = None
    downinter: float | None = None
    rise: int = 2
    fall: int = 3
    port: int | None = None
    address: str | None = None
    """addr"""
    tls: bool | None = None
    """check-ssl; None: as the traffic unless port or addr is set."""
    sni: str | None = None
    """check-sni"""
    alpn: tuple[str, ...] = ()
    """check-alpn"""
    send_proxy: bool = False
    """check-send-proxy"""
    tls_options: ServerTls | None = None
    """ca-file, verify and the like on a server without `ssl`: TLS for its checks alone."""


@dataclass(frozen=True, slots=True)
class ServerAgent:
    """`agent-check` and its companions on a `server` line: a program beside the server that says how it is."""

    port: int
    address: str | None = None
    """agent-addr; None: the server's."""
    inter: float = 2.0
    send: str = ""
    """agent-send: said to the agent first."""


@dataclass(frozen=True, slots=True)
class Server:
    """One `server NAME ADDRESS …` line, `default-server` already applied."""

    name: str
    address: Address
    weight: int = 1
    backup: bool = False
    non_stick: bool = False
    """Stick rules never store it."""
    disabled: bool = False
    cookie: str | None = None
    check: ServerCheck | None = None
    agent: ServerAgent | None = None
    """agent-check"""
    maxconn: int | None = None
    minconn: int | None = None
    maxqueue: int | None = None
    slowstart: float | None = None
    tls: ServerTls | None = None
    observe: Literal["layer4", "layer7"] | None = None
    error_limit: int = 10
    on_error: Literal["fastinter", "fail-check", "sudden-death", "mark-down"] = "fail-check"
    on_marked_down: Literal["shutdown-sessions"] | None = None
    on_marked_up: Literal["shutdown-backup-sessions"] | None = None
    pool_max_conn: int | None = None
    """pool-max-conn; None: unlimited as in HAProxy (our pool is bounded by the connections made)."""
    pool_purge_delay: float = 5.0
    send_proxy: Literal["v1", "v2"] | None = None
    """send-proxy, send-proxy-v2"""
    source: str | None = None
    """source ADDRESS[:PORT]"""
    redirect_prefix: str | None = None
    """redir"""
    track: str | None = None
    """track [BACKEND/]SERVER"""
    init_addr: str | None = None
    id: int | None = None
    at: Origin = field(default=NOWHERE, compare=False, repr=False)
