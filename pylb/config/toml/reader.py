"""lb.toml to the model: the document's tree, judged for its shape, decoded section by section.

`[defaults]` and `default-server` are merged as trees, before anything is decoded, so that an inherited value keeps the
place where it was written. Sections come in the order of the file, across the three kinds.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pylb.config import model as m
from pylb.config.toml import schema
from pylb.config.toml.document import Node, parse
from pylb.config.toml.forms import Field, Named, Reading, Table
from pylb.config.toml.shape import judge
from pylb.config.toml.slots import with_slots
from pylb.config.words import Report


def read(text: str, file: str = "", env: Mapping[str, str] | None = None, report: Report | None = None) -> m.Config:
    """The configuration that `text` is.

    `file` is what findings name. `env` are the environment variables for `${NAME}`, the process's own by default.
    Without `report` every error is raised at once, as ConfigError; with one they are left in it, and what could be
    read is returned.
    """
    findings = Report()
    root = parse(text, file, os.environ if env is None else env, findings)
    config = m.Config() if root is None else _config(judge(root, findings), findings)
    # An inherited value is decoded, and so reported, once for each heir.
    once = dict.fromkeys(findings.findings)
    findings.findings = sorted(once, key=lambda finding: (finding.at.line, finding.at.column))
    if report is None:
        findings.raise_errors()
    else:
        report.findings += findings.findings
    return config


def _config(root: Node, report: Report) -> m.Config:
    sections = root.table
    reading = Reading(report)
    everything = sections.get("global", Node({}))
    global_ = schema.table(m.Global).build(everything, reading)
    reading.global_log = global_.log
    proxies = _Proxies(sections.get("defaults", Node({})), reading)
    for kind, name, node in _in_file_order(root, report):
        proxies.add(kind, name, node)
    lists = sections.get("userlist", Node({}))
    userlists = Named(schema.table(m.UserList)).decode(lists, reading)
    return m.Config(global_, tuple(proxies.frontends), tuple(proxies.backends), userlists)


def _in_file_order(root: Node, report: Report) -> list[tuple[str, str, Node]]:
    found = [
        (kind, name, node)
        for kind in ("frontend", "backend", "listen")
        for name, node in root.table.get(kind, Node({})).table.items()
    ]
    for _, name, node in found:
        if not re.fullmatch(r"[A-Za-z0-9_.:-]+", name):
            report(node.key_at, f'"{name}" cannot be a name', "names are of letters, digits, and . _ - :")
    return sorted(found, key=lambda item: (item[2].key_at.line, item[2].key_at.column))


class _Proxies:
    """Collects the frontends and backends, each under the defaults."""

    def __init__(self, defaults: Node, reading: Reading) -> None:
        self.frontends: list[m.Frontend] = []
        self.backends: list[m.Backend] = []
        self._defaults = defaults
        self._reading = reading

    def add(self, kind: str, name: str, node: Node) -> None:
        node = _merged(self._defaults, node, schema.MERGED)
        listen = kind == "listen"
        if kind != "backend":
            self.frontends.append(with_slots(self._frontend(name, node, listen), self._reading.report))
        if kind != "frontend":
            self.backends.append(self._backend(name, node, listen))

    def _frontend(self, name: str, node: Node, listen: bool) -> m.Frontend:
        table = schema.table(m.Frontend)
        if not listen:
            frontend: m.Frontend = table.build(node, self._reading, name=name)
            return frontend
        side = _side(table, schema.LISTEN_BACKEND)
        given: dict[str, Any] = {"name": name, "listen": True, "default_backend": name}
        return side.build(node, self._reading, **given)  # type: ignore[no-any-return]

    def _backend(self, name: str, node: Node, listen: bool) -> m.Backend:
        table = schema.table(m.Backend)
        node = _with_server_defaults(node)
        side = _side(table, schema.LISTEN_FRONTEND) if listen else table
        return side.build(node, self._reading, name=name, listen=listen)  # type: ignore[no-any-return]


def _side(table: Table, without: set[str]) -> Table:
    kept: dict[str, Field] = {key: f for key, f in table.fields.items() if key not in without}
    return replace(table, fields=kept)


def _merged(defaults: Node, own: Node, deep: set[str]) -> Node:
    """`own` over `defaults`; the tables named in `deep` key by key."""
    children = {**defaults.table, **own.table}
    for key in deep & defaults.table.keys() & own.table.keys():
        children[key] = replace(own.table[key], value={**defaults.table[key].table, **own.table[key].table})
    if "default-server" in defaults.table and "default-server" in own.table:
        children["default-server"] = _server(defaults.table["default-server"], own.table["default-server"])
    return replace(own, value=children)


def _with_server_defaults(backend: Node) -> Node:
    """Every server over the backend's `default-server`."""
    table = schema.table(m.Server)
    common = backend.table.get("default-server")
    servers = backend.table.get("server")
    if common is None or servers is None:
        return backend
    opened = {name: table.opened(node) for name, node in servers.table.items()}
    merged = {name: _server(common, node) for name, node in opened.items() if node is not None}
    return replace(backend, value={**backend.table, "server": replace(servers, value=merged)})


def _server(common: Node, own: Node) -> Node:
    """A server over its defaults: `check = true` or a table keeps the default's other words, `false` drops them."""
    children = {**common.table, **own.table}
    for key in schema.SERVER_MERGED & common.table.keys() & own.table.keys():
        value = own.table[key].value
        if value is not False:
            inherited = common.table[key].table
            children[key] = replace(own.table[key], value={**inherited, **own.table[key].table})
    return replace(own, value=children)
