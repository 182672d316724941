"""The model as lb.toml.

A section gets the keys whose values differ from the model's defaults. Then values that several sections share move to
`[defaults]`, and those that all servers of a backend share to its `default-server`: only where every section that would
inherit the value can say otherwise, so that reading gives the same model back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pylb.config import model as m
from pylb.config.toml import schema
from pylb.config.toml.forms import Logs, Table
from pylb.config.toml.layout import is_long, show_entries, show_section

# Keys that come first in a section, in this order; the others follow in the model's order.
FIRST = ("description", "disabled", "id", "mode", "bind", "maxconn", "log", "log-format")

# Keys that move to [defaults] when it makes the file shorter; "timeout" key by key.
SHARED = (
    "mode",
    "maxconn",
    "log",
    "log-format",
    "log-tag",
    "dontlognull",
    "dontlog-normal",
    "connection-mode",
    "forwardfor",
    "balance",
    "retries",
    "retry-on",
    "redispatch",
    "http-reuse",
    "errorfile",
    "default-backend",
    "monitor-uri",
    "fullconn",
    *(f"timeout.{key}" for key in schema.table(m.Timeouts).fields),
)

# What servers may share; the rest makes a server what it is.
SHARED_BY_SERVERS = tuple(schema.server_defaults().fields)


@dataclass(slots=True)
class _Section:
    """One table to be: its keys, and what it holds under each key that could be shared."""

    kind: str
    name: str
    keys: dict[str, Any]
    holds: dict[str, Any] = field(default_factory=dict)
    """Under the shared keys that this kind knows: the value written out, None where there is no way to write it."""


def write(config: m.Config) -> str:
    """The TOML that `reader.read` turns into an equal model."""
    sections = list(_sections(config))
    defaults = _factor(sections)
    texts = []
    if global_ := schema.table(m.Global).given(config.globals):
        texts.append(show_section(("global",), global_))
    if defaults:
        texts.append(show_section(("defaults",), _ordered(_nested(defaults)), frozenset({"timeout"})))
    for section in sections:
        texts.append(_show(section))
    for users in config.userlists:
        texts.append(_show_users(users))
    return "\n".join(texts)


def _show(section: _Section) -> str:
    path = (section.kind, section.name)
    servers = section.keys.pop("server", {})
    if common := _common(list(servers.values())):
        section.keys["default-server"] = common
        servers = {name: _less(server, common) for name, server in servers.items()}
    text = show_section(path, _ordered(_nested(section.keys)))
    if not servers:
        return text
    if any(map(is_long, servers, servers.values())):
        servers = {name: s if isinstance(s, dict) else {"address": s} for name, s in servers.items()}
    shown = show_entries((*path, "server"), servers)
    return f"{text}\n{shown}" if section.keys else shown


def _show_users(users: m.UserList) -> str:
    path = ("userlist", users.name)
    given = schema.table(m.UserList).given(users)
    parts = [show_entries((*path, key), entries) for key, entries in given.items()]
    return "\n".join(parts or [show_section(path, {})])


def _ordered(keys: dict[str, Any]) -> dict[str, Any]:
    order = dict.fromkeys((*FIRST, *schema.listen_keys(), "default-server"))
    rank = {key: number for number, key in enumerate(order)}
    return dict(sorted(keys.items(), key=lambda item: rank[item[0]]))


def _nested(keys: dict[str, Any]) -> dict[str, Any]:
    """`{"timeout.client": v}` as `{"timeout": {"client": v}}`."""
    out: dict[str, Any] = {}
    for key, value in keys.items():
        family, dot, word = key.partition(".")
        if dot:
            out.setdefault(family, {})[word] = value
        else:
            out[key] = value
    return out


# ---------------------------------------------------------------------------------------------------------- sections


def _sections(config: m.Config) -> Iterator[_Section]:
    """Frontends, backends and listens, in an order that keeps that of both kinds, and that of the file if known."""
    frontends, backends = list(config.frontends), list(config.backends)
    while frontends or backends:
        if frontends and frontends[0].listen and backends and backends[0].listen:
            yield _listen(frontends.pop(0), backends.pop(0), config)
        elif _backend_is_next(frontends, backends):
            yield _section("backend", (backends.pop(0),), config)
        else:
            yield _section("frontend", (frontends.pop(0),), config)


def _backend_is_next(frontends: list[m.Frontend], backends: list[m.Backend]) -> bool:
    if not frontends or frontends[0].listen:
        return True
    if not backends or backends[0].listen:
        return False
    first, second = frontends[0].at, backends[0].at
    return first.file == second.file and second.line < first.line


def _section(kind: str, sides: tuple[m.Proxy, ...], config: m.Config, without: tuple[set[str], ...] = ()) -> _Section:
    keys: dict[str, Any] = {}
    holds: dict[str, Any] = {}
    for number, side in enumerate(sides):
        kind_of_side: type = type(side)
        table = schema.table(kind_of_side)
        left_out = without[number] if without else set()
        given = {k: v for k, v in _flat(table.given(side)).items() if k.partition(".")[0] not in left_out}
        keys |= given
        holds |= {key: _held(table, side, key) for key in SHARED if _knows(table, key) and key not in left_out}
    section = _Section(kind, sides[0].name, keys, holds)
    _name_global_logs(section, config.globals.log)
    return section


def _listen(frontend: m.Frontend, backend: m.Backend, config: m.Config) -> _Section:
    section = _section("listen", (backend, frontend), config, (schema.LISTEN_FRONTEND, schema.LISTEN_BACKEND))
    if frontend.default_backend == frontend.name:
        section.keys.pop("default-backend", None)
    section.holds.pop("default-backend")
    return section


def _flat(keys: dict[str, Any]) -> dict[str, Any]:
    """The keys of a merged table on their own: `{"timeout": {"client": v}}` as `{"timeout.client": v}`."""
    out: dict[str, Any] = {}
    for key, value in keys.items():
        if key == "timeout":
            out |= {f"{key}.{word}": child for word, child in value.items()}
        else:
            out[key] = value
    return out


def _knows(table: Table, key: str) -> bool:
    return key.partition(".")[0] in table.fields


def _held(table: Table, side: Any, key: str) -> Any:
    """The plain value that a section would have to write for `key`; None where there is none to write."""
    family, _, word = key.partition(".")
    f = table.fields[family]
    value = getattr(side, f.name)
    if word:
        inner = f.form
        assert isinstance(inner, Table)
        return _held(inner, value, word)
    if value is None and not isinstance(f.form, Table):
        return None
    return f.form.encode(value)


def _name_global_logs(section: _Section, global_log: tuple[m.LogTarget, ...]) -> None:
    """Write "global" for the global section's targets where a section's begin with them."""
    targets = Logs().encode(global_log)
    for keys in (section.keys, section.holds):
        held = keys.get("log")
        if targets and held and held[: len(targets)] == targets:
            keys["log"] = ["global", *held[len(targets) :]]


# ---------------------------------------------------------------------------------------------------- what is shared


def _factor(sections: list[_Section]) -> dict[str, Any]:
    """The `[defaults]` that shortens the sections most; takes from them what it says."""
    defaults: dict[str, Any] = {}
    for key in SHARED:
        holders = [section for section in sections if key in section.holds]
        value = _most_common(section.holds[key] for section in holders)
        if value is None or any(section.holds[key] is None for section in holders):
            continue
        written = sum(key in section.keys for section in holders)
        others = [section for section in holders if not _same(section.holds[key], value)]
        if 1 + len(others) >= written:
            continue
        defaults[key] = value
        for section in holders:
            section.keys.pop(key, None)
        for section in others:
            section.keys[key] = section.holds[key]
    return defaults


def _most_common(values: Iterable[Any]) -> Any:
    best, count = None, 0
    seen = list(values)
    for value in seen:
        same = sum(_same(value, other) for other in seen)
        if same > count:
            best, count = value, same
    return best


def _same(one: Any, other: Any) -> bool:
    """Equal and of one type: True is not 1."""
    return type(one) is type(other) and bool(one == other)


def _common(servers: list[Any]) -> dict[str, Any]:
    """The keys that all of two or more servers share."""
    if len(servers) < 2 or not all(isinstance(server, dict) for server in servers):
        return {}
    return {key: servers[0][key] for key in SHARED_BY_SERVERS if all(_shares(s, servers[0], key) for s in servers)}


def _shares(server: dict[str, Any], other: dict[str, Any], key: str) -> bool:
    return key in server and key in other and _same(server[key], other[key])


def _less(server: dict[str, Any], common: dict[str, Any]) -> Any:
    own = {key: value for key, value in server.items() if key not in common}
    return own["address"] if set(own) == {"address"} else own
