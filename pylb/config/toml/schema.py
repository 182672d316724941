"""Which key of which table holds what: derived from the model's classes, with the exceptions listed here.

A key is HAProxy's keyword where there is one, else the model's field name with hyphens. Whatever the model gains can
be written in TOML without a change here, unless it is of a new kind.
"""

from __future__ import annotations

import types
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pylb.config import model as m
from pylb.config.haproxy.bind import TLS_VERSIONS
from pylb.config.haproxy.proxy_keywords import RETRY_CONDITIONS
from pylb.config.toml import phrases as p
from pylb.config.toml.forms import (
    Choice,
    Field,
    Form,
    Groups,
    Logs,
    Many,
    Named,
    Redispatch,
    Scalar,
    Step,
    Table,
    Text,
    Users,
)

# Fields that are no keys: places, names (the table's own key), what is said by the kind of section, and what the
# readers note for the check alone.
HIDDEN = {"at", "name", "listen", "accept_invalid", "auth_at", "default_backend_at", "format_places"}
NAME_IS_A_KEY = (m.Bind, m.Cookie, m.Capture)

# Fields whose keyword is not their name: of one class, or of all.
KEYS: dict[tuple[type | None, str], str] = {
    (None, "acls"): "acl",
    (None, "binds"): "bind",
    (None, "captures"): "capture",
    (None, "error_files"): "errorfile",
    (None, "max_version"): "ssl-max-ver",
    (None, "min_version"): "ssl-min-ver",
    (None, "servers"): "server",
    (None, "stats_sockets"): "stats-socket",
    (None, "timeouts"): "timeout",
    (None, "tls"): "ssl",
    (None, "via"): "http-via",
    (m.Backend, "check"): "health-check",
    (m.BindTls, "certificates"): "crt",
    (m.Capture, "length"): "len",
    (m.Cookie, "attrs"): "attr",
    (m.Cookie, "domains"): "domain",
    (m.ForwardFor, "except_network"): "except",
    (m.Global, "max_rate"): "maxconnrate",
    (m.HealthCheck, "kind"): "type",
    (m.LogTarget, "length"): "len",
    (m.Server, "redirect_prefix"): "redir",
    (m.ServerAgent, "address"): "addr",
    (m.ServerCheck, "address"): "addr",
    (m.ServerTls, "certificate"): "crt",
    (m.ServerTls, "reuse"): "ssl-reuse",
    (m.ServerTls, "verify_host"): "verifyhost",
    (m.StickTable, "length"): "len",
    (m.Tune, "max_headers"): "maxhdr",
}

# Kinds of value that stay strings.
PHRASES: dict[type, p.Phrase] = {
    float: p.TIME,
    m.Acl: p.ACL,
    m.Address: p.ADDRESS,
    m.Balance: p.BALANCE,
    m.Condition: p.CONDITION,
    m.HashType: p.HASH_TYPE,
    m.Rule: p.RULE,
    m.StickRule: p.STICK,
    m.UseBackend: p.USE_BACKEND,
}

TABLE_TYPES = ("ip", "ipv6", "integer", "string", "binary")

SPECIAL: dict[tuple[type, str], Form] = {
    (m.Backend, "redispatch"): Redispatch(),
    (m.Bind, "address"): Text(p.BIND_ADDRESS),
    (m.Bind, "mode"): Text(p.PERMISSIONS),
    (m.HealthCheck, "steps"): Many(Step(m.CheckStep)),
    (m.StatsPage, "auth"): Many(Text(p.LOGIN)),
    (m.Backend, "retry_on"): Many(Choice(RETRY_CONDITIONS)),
    (m.Global, "workers"): Text(p.WORKERS, True, 1, 64),
    (m.StickTable, "size"): Text(p.SIZE, or_number=True),
    (m.StickTable, "store"): Many(Text(p.STORED)),
    (m.StickTable, "type"): Choice(TABLE_TYPES),
    (m.Tune, "bufsize"): Text(p.SIZE, or_number=True),
    (m.Tune, "maxrewrite"): Text(p.SIZE, or_number=True),
    (m.UserList, "groups"): Groups(),
    (m.UserList, "users"): Users(),
}

# Limits of numbers; others begin at 0. Manual: 3, 4.2 and 5.2 under the keyword.
RANGES = {
    "weight": (0, 256),
    "port": (1, 65535),
    "rise": (1, None),
    "fall": (1, None),
    "error_limit": (1, None),
    "status": (200, 599),
    "spread_checks": (0, 50),
    "id": (1, None),
    "length": (1, None),
    "bufsize": (1024, None),
}

MAIN = {m.Bind: "address", m.Server: "address", m.StatsSocket: "address"}


@cache
def table(cls: type) -> Table:
    """The table of a model class."""
    hints = get_type_hints(cls)
    keys = {
        key_of(cls, f.name): Field(f.name, _form(cls, f.name, hints[f.name]), _optional(hints[f.name]), _default(f))
        for f in fields(cls)
        if f.name not in HIDDEN or (f.name == "name" and cls in NAME_IS_A_KEY)
    }
    inlined = ("bind", table(m.Bind)) if cls is m.StatsSocket else None
    if inlined:
        del keys["bind"]
    return Table(cls, keys, MAIN.get(cls), inlined)


def key_of(cls: type, name: str) -> str:
    """The TOML key of a field."""
    return KEYS.get((cls, name)) or KEYS.get((None, name)) or name.replace("_", "-")


def _default(f: Any) -> Any:
    return f.default if f.default is not MISSING or f.default_factory is MISSING else f.default_factory()


def _optional(hint: Any) -> bool:
    return type(None) in get_args(hint)


def _form(cls: type, name: str, hint: Any) -> Form:
    special = SPECIAL.get((cls, name))
    if special is not None:
        return special
    if name == "tcp_request":
        return Many(Text(p.TCP_RULE))
    if name in ("min_version", "max_version"):
        return Choice(TLS_VERSIONS)
    return _form_of(name, hint)


def _form_of(name: str, hint: Any) -> Form:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _form_of(name, next(a for a in args if a is not type(None)))
    if origin is Literal:
        return Choice(args)
    if origin is tuple:
        return _array(name, args[0])
    if hint in PHRASES:
        return Text(PHRASES[hint])
    if is_dataclass(hint) and isinstance(hint, type):
        return table(hint)
    if hint is int:
        return Scalar(int, *RANGES.get(name, (0, None)))
    return Scalar(hint)


def _array(name: str, item: Any) -> Form:
    if item is m.LogTarget:
        return Logs()
    if item is m.Server:
        return Named(table(item))
    return Many(_form_of(name, item))


# ---------------------------------------------------------------------------------------------------------- sections

# Keys of a `[listen.NAME]` that only one side takes; every other key of both sides goes to both.
LISTEN_FRONTEND = {"http-request", "http-response", "http-after-response", "tcp-request"}
LISTEN_BACKEND = {"cookie", "stick-table"}

# What a section must say itself.
OWN_KEYS = {
    "acl",
    "bind",
    "server",
    "use-backend",
    "use-server",
    "description",
    "id",
    "stick",
    "stick-table",
    "capture",
}

# Tables whose keys are inherited one by one; any other table is taken whole or not at all.
MERGED = {"timeout"}
SERVER_MERGED = {"check", "ssl"}


@cache
def listen_keys() -> dict[str, Field]:
    """Keys of `[listen.NAME]`."""
    return {**table(m.Backend).fields, **table(m.Frontend).fields, "cookie": table(m.Backend).fields["cookie"]}


@cache
def defaults_keys() -> dict[str, Field]:
    """Keys of `[defaults]`."""
    return {key: f for key, f in listen_keys().items() if key not in OWN_KEYS}


@cache
def server_defaults() -> Table:
    """The table `default-server`: a server without what makes it this one."""
    server = table(m.Server)
    own = {"address", "id", "cookie", "track", "disabled"}
    return Table(m.Server, {key: f for key, f in server.fields.items() if key not in own})
