"""The configuration as plain, frozen data: what both languages, TOML and haproxy.cfg, are read into.

Nothing here has behaviour beyond small derived properties. Everything downstream (the check, the rule compiler, the
backends, the network side) reads these classes and never the text they came from, so a second language costs a reader
and nothing else. `defaults` sections are resolved by the readers: a section holds the values that apply to it.

Every node carries the `at` it came from. It takes no part in comparison, so the same configuration read from two
languages compares equal.

Times are float seconds, sizes are bytes. None means "not given": the default stands beside the field. The haproxy.cfg
keyword stands in the line under a field where its name differs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

# --------------------------------------------------------------------------------------------------- where it stands


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in a configuration file; line and column count from 1, column is that of the offending word."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file or "<built-in>"


NOWHERE = Origin()


# ----------------------------------------------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Call:
    """A sample fetch or converter with its arguments: `hdr(host)`, `lower`, `field(1,:)`."""

    name: str
    args: tuple[str, ...] = ()
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Sample:
    """A fetch and the converters behind it: `req.hdr(host),lower,field(1,:)`. Manual: 7.3 "Fetching data samples"."""

    fetch: Call
    converters: tuple[Call, ...] = ()
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Test:
    """The body of an ACL: a sample, how to match it, and the patterns. Manual: 7.1 "ACL basics".

    `sample.fetch.name` is as written, so it may carry a match in its name (`hdr_dom`, `path_beg`).
    """

    sample: Sample
    match: str | None = None
    """The method of `-m`; None: what the fetch's name or type implies."""
    ignore_case: bool = False
    """-i"""
    values: tuple[str, ...] = ()
    """Patterns as written, operators (`gt`, `eq`, …) of integer matches included, in order."""
    files: tuple[str, ...] = ()
    """-f: files of patterns, one a line."""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Acl:
    """A named test; several of one name are alternatives (manual: `acl`)."""

    name: str
    test: Test
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a condition: an ACL's name or an anonymous `{ test }`, maybe negated by `!`."""

    acl: str | Test
    negated: bool = False
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Condition:
    """`if a b || !c`: alternatives of conjunctions (manual: 7.2 "Using ACLs to form conditions")."""

    any_of: tuple[tuple[Term, ...], ...]
    unless: bool = False
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """One step of a rule set, words as written: `http-request set-header X-A %[src] if acl`.

    `action` is "set-header", `args` the words between it and the condition. What actions exist and what their words
    mean is decided by rules/actions.py when the rules are compiled.
    """

    action: str
    args: tuple[str, ...] = ()
    condition: Condition | None = None
    at: Origin = field(default=NOWHERE, compare=False, repr=False)
    written_as: str = field(default="", compare=False, repr=False)
    """The removed keyword it was written with, "reqadd" or "rspadd"; "" otherwise."""


@dataclass(frozen=True, slots=True)
class UseBackend:
    """`use_backend NAME if …`; the name may be a log-format string (`%[req.hdr(host),lower]`)."""

    backend: str
    condition: Condition | None = None
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


# -------------------------------------------------------------------------------------------------------- addresses


@dataclass(frozen=True, slots=True)
class Address:
    """Where to bind or connect. Manual: `bind`, `server`, "address formats".

    kind    fields        text
    inet    host, port    `1.2.3.4:80`, `*:80`, `:80`, `ipv4@…`, `ipv6@…`, `[::]:80`, `name:80`; host "" is any address
    unix    path          `/path`, `unix@path`
    abns    path          `abns@name` (Linux abstract socket)
    fd      fd            `fd@3`: an inherited listening socket
    """

    kind: Literal["inet", "unix", "abns", "fd"] = "inet"
    host: str = ""
    port: int | None = None
    """None on a server without a port: the port the client connected to."""
    port_end: int | None = None
    """The last port of a range `:80-89` on a bind."""
    path: str = ""
    fd: int = -1
    family: Literal["any", "ipv4", "ipv6"] = "any"
    """Forced by `ipv4@` and `ipv6@`."""
    port_offset: bool = False
    """A server's `+N` or `-N`: `port` is added to the port the client connected to."""


@dataclass(frozen=True, slots=True)
class BindTls:
    """`bind … ssl crt …`. Manual: 5.1 "Bind options"."""

    certificates: tuple[str, ...] = ()
    """crt: PEM files, or directories of them; the first is the default certificate."""
    crt_list: tuple[str, ...] = ()
    """crt-list: files of certificates with settings and names of their own."""
    crt_list_first: bool = False
    """The first crt-list stands before any crt: the default certificate is its first."""
    strict_sni: bool = False
    """strict-sni: no certificate for the name, no handshake."""
    alpn: tuple[str, ...] = ()
    min_version: str | None = None
    """ssl-min-ver: "TLSv1.0" … "TLSv1.3"; default TLSv1.2."""
    max_version: str | None = None
    """ssl-max-ver"""
    ciphers: str | None = None
    """ciphers: OpenSSL list, TLS 1.2 and below."""
    ciphersuites: str | None = None
    """ciphersuites: TLS 1.3."""
    ca_file: str | None = None
    verify: Literal["none", "optional", "required"] = "none"
    crl_file: str | None = None
    tickets: bool = True
    """no-tls-tickets turns session tickets off."""


@dataclass(frozen=True, slots=True)
class Bind:
    """One `bind` line and address (a line with several addresses gives several)."""

    address: Address
    tls: BindTls | None = None
    name: str | None = None
    maxconn: int | None = None
    backlog: int | None = None
    mode: int | None = None
    """Unix socket's permissions, for example 0o600."""
    user: str | None = None
    group: str | None = None
    uid: int | None = None
    gid: int | None = None
    v6only: bool = False
    v4v6: bool = False
    interface: str | None = None
    tfo: bool = False
    transparent: bool = False
    accept_proxy: bool = False
    """accept-proxy: a PROXY protocol header precedes every connection."""
    defer_accept: bool = False
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class StatsSocket:
    """`stats socket ADDRESS [level …]`, the admin socket (manual: 3.1 `stats socket`)."""

    bind: Bind
    level: Literal["user", "operator", "admin"] = "operator"
    expose_fd_listeners: bool = False
    """expose-fd listeners; of no meaning for the master socket"""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


# ------------------------------------------------------------------------------------------------------------- logs


@dataclass(frozen=True, slots=True)
class LogTarget:
    """`log ADDRESS [len N] [format F] [sample …] FACILITY [LEVEL [MINLEVEL]]` (manual: `log`)."""

    address: str
    """As written: `127.0.0.1:514`, `/dev/log`, `stdout`, `stderr`, `fd@N`, `ring@…` is refused."""
    facility: str
    level: str = "debug"
    """Messages less severe than this are not sent."""
    min_level: str = "emerg"
    """More severe ones are lowered to this."""
    length: int = 1024
    """len"""
    format: str = ""
    """rfc3164, rfc5424, local, priority, short, timed, raw, iso; "" for HAProxy's default: local, or rfc3164 with
    log-send-hostname"""
    sample: str = ""
    """`RANGES:SIZE` as written, "1,3-4:10": of every 10 lines these numbers are sent; "" for all."""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


NAMED_FORMATS = ("httplog", "httpslog", "tcplog", "clf", "json")
"""What `Frontend.log_format` may hold in place of a log-format string."""


@dataclass(frozen=True, slots=True)
class Capture:
    """`capture request|response header NAME len N`, `capture cookie NAME len N`, or a slot for rules to fill:
    `declare capture request|response len N`. Those of one kind are numbered from 0 in their order."""

    kind: Literal["request", "response", "cookie"]
    length: int
    name: str = ""
    """"" for a slot that only rules fill."""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


# ----------------------------------------------------------------------------------------------- sections' components


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
class Cookie:
    """`cookie NAME [rewrite|insert|prefix] …` (manual: `cookie`)."""

    name: str
    mode: Literal["passive", "rewrite", "insert", "prefix"] = "passive"
    """passive: HAProxy's form without a mode word: the server sets the cookie itself, we only read it."""
    indirect: bool = False
    nocache: bool = False
    postonly: bool = False
    preserve: bool = False
    httponly: bool = False
    secure: bool = False
    domains: tuple[str, ...] = ()
    maxidle: float | None = None
    maxlife: float | None = None
    attrs: tuple[str, ...] = ()
    dynamic: bool = False
    """Servers without a value of their own get one from their address and `dynamic-cookie-key`."""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Balance:
    """`balance ALGORITHM [ARG…]`, for example ("uri", ("depth", "3"))."""

    algorithm: str = "roundrobin"
    args: tuple[str, ...] = ()
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class HashType:
    """`hash-type METHOD FUNCTION [MODIFIER]`"""

    method: Literal["map-based", "consistent"] = "map-based"
    function: str = "sdbm"
    modifier: str | None = None


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


@dataclass(frozen=True, slots=True)
class StickTable:
    """`stick-table type T [len N] size S [expire T] [nopurge] [store …]`, declared here, used by track rules."""

    type: str
    length: int | None = None
    """len, of string and binary"""
    size: int = 0
    expire: float | None = None
    nopurge: bool = False
    store: tuple[str, ...] = ()
    """As written: "http_req_rate(24h)", "gpc0"."""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class StickRule:
    """`stick on|match|store-request|store-response PATTERN [table T] [if …]`"""

    kind: Literal["match", "on", "store-request", "store-response"]
    sample: Sample
    table: str | None = None
    """The section whose table it is; None: this one's."""
    condition: Condition | None = None
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


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


@dataclass(frozen=True, slots=True)
class Tune:
    """Performance limits of the global section (manual: 3.2)."""

    bufsize: int = 16384
    """tune.bufsize: the most bytes of one head, request or response."""
    maxrewrite: int = 1024
    """tune.maxrewrite: of these, kept free for headers that rules add."""
    max_headers: int = 101
    """tune.http.maxhdr"""
    idle_pool_shared: bool = True


@dataclass(frozen=True, slots=True)
class Global:
    """The `global` section."""

    maxconn: int | None = None
    log: tuple[LogTarget, ...] = ()
    log_tag: str = "haproxy"
    log_send_hostname: str | None = None
    """log-send-hostname [NAME]; "" for the machine's name"""
    chroot: str | None = None
    pidfile: str | None = None
    user: str | None = None
    group: str | None = None
    uid: int | None = None
    gid: int | None = None
    daemon: bool = False
    workers: int | None = None
    """nbthread: worker processes; None: 1, 0 (in TOML "auto"): one per CPU."""
    stats_sockets: tuple[StatsSocket, ...] = ()
    master_socket: StatsSocket | None = None
    """HAProxy's -S: the master's own socket, for all generations. Read at the start, not by a reload."""
    stats_timeout: float = 10.0
    stats_maxconn: int = 10
    node: str | None = None
    description: str | None = None
    hard_stop_after: float | None = None
    spread_checks: int = 0
    """Per cent by which check intervals vary."""
    max_rate: int | None = None
    """maxconnrate"""
    ca_base: str | None = None
    crt_base: str | None = None
    ssl_default_bind: BindTls = BindTls()
    """ssl-default-bind-options|ciphers|ciphersuites"""
    ssl_default_server: ServerTls = ServerTls()
    ssl_server_verify: Literal["none", "required"] = "required"
    server_state_file: str | None = None
    server_state_base: str | None = None
    tune: Tune = Tune()
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class UserList:
    """`userlist NAME` with its users, for http_auth() and stats."""

    name: str
    users: tuple[tuple[str, str, bool], ...] = ()
    """(name, password, insecure): insecure passwords are plain text, others crypt(3) strings."""
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration."""

    globals: Global = Global()
    frontends: tuple[Frontend, ...] = ()
    backends: tuple[Backend, ...] = ()
    userlists: tuple[UserList, ...] = ()

    def backend(self, name: str) -> Backend | None:
        """The backend of that name, or None."""
        return next((b for b in self.backends if b.name == name), None)

    def frontend(self, name: str) -> Frontend | None:
        """The frontend of that name, or None."""
        return next((f for f in self.frontends if f.name == name), None)


# --------------------------------------------------------------------------------------------------------- findings


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the readers or the check have to say about a configuration."""

    severity: Literal["error", "warning"]
    at: Origin
    message: str
    """One sentence, the offending word quoted."""
    advice: str = ""
    """What to write instead."""

    def __str__(self) -> str:
        advice = f" ({self.advice})" if self.advice else ""
        return f"{self.at}: {self.severity}: {self.message}{advice}"


class ConfigError(Exception):
    """A configuration that cannot be used; `findings` holds all that is wrong with it, not only the first."""

    def __init__(self, findings: tuple[Finding, ...], config: Config | None = None) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings
        self.config = config
        """What could be read of it, without the lines in error."""
