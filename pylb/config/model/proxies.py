"""The sections that carry traffic: frontend, backend, listen, and what only they have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pylb.config.model.binds import Bind
from pylb.config.model.choice import Balance, Cookie, HashType, StickRule, StickTable
from pylb.config.model.logs import Capture, LogTarget
from pylb.config.model.origin import NOWHERE, Origin
from pylb.config.model.rules import Acl, Condition, Rule, UseBackend
from pylb.config.model.servers import HealthCheck, Server


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; None is no limit, as in HAProxy (manual: `timeout …`). http_request falls back to client's value,
    http_keep_alive to http_request's, check to min(connect, inter), queue to connect, client_fin to client,
    server_fin to server, tunnel to client and server."""

    http_request: float | None = None
    http_keep_alive: float | None = None
    client: float | None = None
    client_fin: float | None = None
    server: float | None = None
    server_fin: float | None = None
    connect: float | None = None
    queue: float | None = None
    check: float | None = None
    tunnel: float | None = None
    tarpit: float | None = None


@dataclass(frozen=True, slots=True)
class ForwardFor:
    """`option forwardfor [except NET] [header NAME] [if-none]`."""

    except_network: str | None = None
    header: str = "X-Forwarded-For"
    if_none: bool = False


@dataclass(frozen=True, slots=True)
class StatsPage:
    """`stats enable|uri|realm|auth|admin|refresh|hide-version|…` of one proxy."""

    uri: str = "/haproxy?stats"
    """stats uri: a prefix of the request's target."""
    realm: str = "HAProxy Statistics"
    auth: tuple[tuple[str, str], ...] = ()
    """(user, password) pairs"""
    auth_at: tuple[Origin, ...] = field(default=(), compare=False, repr=False)
    """Where each pair stands, if that is known."""
    admin: tuple[Condition, ...] = ()
    """stats admin if …: who may change servers; empty: nobody."""
    refresh: float | None = None
    hide_version: bool = False
    show_legends: bool = False
    show_node: str | None = None
    """"" with the node's own name"""
    show_desc: str | None = None
    scope: tuple[str, ...] = ()
    http_request: tuple[Rule, ...] = ()
    """stats http-request: allow, deny, auth"""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ErrorFile:
    """`errorfile CODE FILE`, or `http-error status CODE …` (rule with HAProxy's words in `reply`)."""

    status: int
    path: str = ""
    reply: Rule | None = None
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Proxy:
    """What frontends and backends share; a `listen` section is a Frontend and a Backend of one name."""

    name: str
    mode: Literal["http", "tcp"] = "tcp"
    disabled: bool = False
    description: str | None = None
    id: int | None = None
    timeouts: Timeouts = Timeouts()
    connection_mode: Literal["keep-alive", "server-close", "close"] = "keep-alive"
    """option http-keep-alive | http-server-close | httpclose; the last one written wins, over the proxies of an
    exchange the strongest: close over server-close over keep-alive."""
    http_buffer_request: bool = False
    """option http-buffer-request: rules begin when the body is here, or fills a buffer."""
    forwardfor: ForwardFor | None = None
    log: tuple[LogTarget, ...] = ()
    """`log global` is resolved to the global section's targets."""
    log_tag: str | None = None
    acls: tuple[Acl, ...] = ()
    http_request: tuple[Rule, ...] = ()
    http_response: tuple[Rule, ...] = ()
    http_after_response: tuple[Rule, ...] = ()
    tcp_request: tuple[Rule, ...] = ()
    """`tcp-request connection|session|content …`: `action` starts with the phase: "connection reject"."""
    stats: StatsPage | None = None
    error_files: tuple[ErrorFile, ...] = ()
    stick_table: StickTable | None = None
    via: str | None = None
    """option http-via NAME (ours: HAProxy has none): adds Via, RFC 9110 7.6.3."""
    accept_invalid: bool = False
    """option accept-invalid-http-request / -response: recognised, refused by the check; always False today."""
    listen: bool = False
    """Written as one `listen` section."""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Frontend(Proxy):
    """`frontend NAME`, or the client side of a `listen`."""

    binds: tuple[Bind, ...] = ()
    maxconn: int | None = None
    backlog: int | None = None
    use_backend: tuple[UseBackend, ...] = ()
    default_backend: str | None = None
    default_backend_at: Origin = field(default=NOWHERE, compare=False, repr=False)
    log_format: str | None = None
    """One of NAMED_FORMATS or a log-format string; None: HAProxy's short connection line."""
    log_format_sd: str | None = None
    """log-format-sd: the structured data of RFC 5424 lines, as a log-format string."""
    error_log_format: str | None = None
    """error-log-format: for connections that came to no request, in place of the usual lines."""
    format_places: tuple[tuple[str, Origin], ...] = field(default=(), compare=False, repr=False)
    """Where each format's text stands, by field, if that is known."""
    dontlognull: bool = False
    dontlog_normal: bool = False
    logasap: bool = False
    log_separate_errors: bool = False
    """option log-separate-errors: failures at level err"""
    captures: tuple[Capture, ...] = ()
    monitor_uri: str | None = None
    monitor_fail: tuple[Condition, ...] = ()
    cookie: Cookie | None = None
    """`cookie` in a frontend: kept for the check to explain; it has no effect."""
    unique_id_format: str | None = None
    unique_id_header: str | None = None
    traceparent: Literal["start", "span"] | None = None
    """Ours, HAProxy has none. W3C Trace Context: start a trace where a request brings none; span: put a span of our own
    into those that come, too."""


@dataclass(frozen=True, slots=True)
class Backend(Proxy):
    """`backend NAME`, or the server side of a `listen`."""

    servers: tuple[Server, ...] = ()
    balance: Balance = Balance()
    hash_type: HashType = HashType()
    cookie: Cookie | None = None
    dynamic_cookie_key: str | None = None
    check: HealthCheck = HealthCheck()
    retries: int = 3
    retry_on: tuple[str, ...] = ("conn-failure",)
    redispatch: int = 0
    """option redispatch [INTERVAL]: 0 off; 1 every retry; N every Nth; -N (default -1): the Nth from the last."""
    http_reuse: Literal["never", "safe", "aggressive", "always"] = "safe"
    fullconn: int | None = None
    allbackups: bool = False
    use_server: tuple[UseBackend, ...] = ()
    """`use-server NAME if …`"""
    stick: tuple[StickRule, ...] = ()
    force_persist: tuple[Condition, ...] = ()
    ignore_persist: tuple[Condition, ...] = ()
    persist: bool = False
    """option persist"""
    abortonclose: bool = False
    log_health_checks: bool = False
    source: str | None = None
    load_server_state: Literal["global", "local"] | None = None
    """load-server-state-from-file"""
    server_state_file_name: str | None = None
    """server-state-file-name: the file of `load-server-state-from-file local`; None: one with the backend's name"""
