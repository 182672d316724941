"""vrrpd.toml → `Config`.

The model's dataclasses are the schema: pydantic checks every table against them, ranges and choices included, and
tree-sitter tells where each value stands.  What a person would rather write is put into the model's form first: an
address as "10.0.0.99/24 dev eth0", a program as one string, a track as its name.

    [global]  [defaults]  [instance.NAME]  [group.NAME]  [script.NAME]  [file.NAME]  [process.NAME]
    [interface_delays.NAME]  [track_groups]  static_addresses  static_routes  static_rules

`[defaults]` holds keys of instances that all of them have unless they say otherwise. `[node.ID]` holds what is
different on one node, written as at the top level (`[node.lb2.instance.V] priority = 99`), so that all nodes of a
cluster have the same file; ID is the host name up to its first dot, or what `-i` says.
"""

from __future__ import annotations

import re
import shlex
import socket
import tomllib
import types
from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from vrrpd.config import words as net
from vrrpd.config.errors import ConfigError, ConfigErrors, Loaded, Report, did_you_mean
from vrrpd.config.keepalived_text import Word
from vrrpd.config.model import (
    Config,
    Global,
    InstanceSettings,
    InterfaceDelay,
    Origin,
    Route,
    Rule,
    SyncGroup,
    TrackFile,
    TrackKind,
    TrackProcess,
    TrackScript,
    UnicastPeer,
    VirtualAddress,
)
from vrrpd.config.toml_positions import Path as KeyPath
from vrrpd.config.toml_positions import Positions
from vrrpd.config.tracks import Reference, resolve

Table = dict[str, Any]

TRACK_KEYS = {
    "track_scripts": TrackKind.SCRIPT,
    "track_interfaces": TrackKind.INTERFACE,
    "track_files": TrackKind.FILE,
    "track_processes": TrackKind.PROCESS,
}
_TOP = (
    "global",
    "defaults",
    "instance",
    "group",
    "script",
    "file",
    "process",
    "interface_delays",
    "track_groups",
    "static_addresses",
    "static_routes",
    "static_rules",
)
NODE = "node"
_HIDDEN = ("at", "name", "tracks")


def load(path: str, config_id: str | None = None) -> Loaded:
    """Read a vrrpd.toml for one node (None: this host); ConfigErrors with every mistake in it."""
    try:
        source = Path(path).read_bytes()
    except OSError as error:
        raise ConfigErrors([ConfigError(Origin(path), f"cannot read the file: {error.strerror}")]) from None
    return loads(source, path, config_id)


def loads(source: bytes, file: str = "vrrpd.toml", config_id: str | None = None) -> Loaded:
    """Like `load`, from bytes."""
    try:
        document = tomllib.loads(source.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigErrors([_syntax_error(str(error), file)]) from None
    node = config_id or socket.gethostname().split(".")[0]
    report = Report()
    others = document.get(NODE)
    for other in others if isinstance(others, dict) else ():
        if other != node:  # mistakes of the other nodes' tables are mistakes of the file
            aside = Report()
            _read(source, file, document, other, aside)
            report.errors += aside.errors
    config = _read(source, file, document, node, report)
    report.raise_if_any()
    return Loaded(config, tuple(report.findings))


def _read(source: bytes, file: str, document: Table, node: str, report: Report) -> Config:
    """What the file means on one node."""
    positions = Positions(source, file)
    base = deepcopy({key: value for key, value in document.items() if key != NODE})  # reading puts places in
    nodes = document.get(NODE, {})
    if not isinstance(nodes, dict) or not all(isinstance(table, dict) for table in nodes.values()):
        report.error(
            positions.value((NODE,)), '"node" has to hold a table for each node', "write [node.NAME.instance.X]"
        )
    elif node in nodes:
        base = _merged(base, deepcopy(nodes[node]))
        positions.overlay((NODE, node))
    elif nodes:
        known = ", ".join(f'"{name}"' for name in nodes)
        text = f'no [node.NAME] is for "{node}", only for {known}: on the wrong host, or write -i NAME'
        report.warn(positions.key((NODE,)), "unknown-node", text)
    return _Reader(base, positions, report).config()


def _merged(base: Table, over: Table) -> Table:
    """Tables are merged, everything else is replaced."""
    both = dict(base)
    for key, value in over.items():
        old = both.get(key)
        both[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


def _syntax_error(text: str, file: str) -> ConfigError:
    match = re.search(r"\(at line (\d+), column (\d+)\)", text)
    line, column = (int(match[1]), int(match[2])) if match else (1, 1)
    return ConfigError(Origin(file, line, column), re.sub(r" \(at .*\)", "", text))


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


class _Reader:
    """One file while it is read."""

    def __init__(self, document: Table, positions: Positions, report: Report) -> None:
        self.document = document
        self.positions = positions
        self.report = report

    def config(self) -> Config:
        for key in self.document:
            if key not in _TOP:
                self._unknown((key,), "a key of the top level", _TOP)
        base = Config(
            globals=self._global(),
            scripts=self._named("script", TrackScript, self._script),
            files=self._named("file", TrackFile),
            processes=self._named("process", TrackProcess, self._process),
            interface_delays=self._delays(),
            static_addresses=self._each((), "static_addresses", self._address),
            static_routes=self._each((), "static_routes", self._route),
            static_rules=self._each((), "static_rules", self._rule),
            track_groups=tuple((name, tuple(members)) for name, members in self._table(("track_groups",)).items()),
        )
        instances, groups = [], []
        for name in self._table(("instance",)):
            settings, references = self._instance(name)
            if settings is not None:
                instances.append((settings, references))
        for name in self._table(("group",)):
            group, references = self._group(name)
            if group is not None:
                groups.append((group, references))
        return resolve(base, instances, groups, self.report)

    # Tables

    def _get(self, path: KeyPath) -> Any:
        value: Any = self.document
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def _table(self, path: KeyPath) -> Table:
        value = self._get(path)
        if isinstance(value, dict):
            return dict(value)
        if value is not None:
            self._error(path, f'"{path[-1]}" has to be a table', f"write [{'.'.join(map(str, path))}]")
        return {}

    def _named(
        self, section: str, kind: type[Any], shape: Callable[[KeyPath, Table], None] | None = None
    ) -> tuple[Any, ...]:
        found = []
        for name in self._table((section,)):
            path: KeyPath = (section, name)
            table = self._table(path)
            if shape is not None:
                shape(path, table)
            found.append(self._build(kind, path, table, name=name))
        return tuple(one for one in found if one is not None)

    def _build(self, kind: type[Any], path: KeyPath, table: Table, **given: object) -> Any:
        """A dataclass from a table; None, with every mistake reported, if it does not fit."""
        names = {field.name for field in fields(kind)}
        for key in [key for key in table if key in _HIDDEN or key not in names]:
            known = (names - set(_HIDDEN)) | (set(TRACK_KEYS) if "tracks" in names else set())
            known |= {"user", "group"} if kind is TrackScript else set()
            self._unknown((*path, key), f"a key of [{'.'.join(map(str, path))}]", tuple(known))
            del table[key]
        self._check_types(kind, path, table)
        if "at" in names:
            given["at"] = self.positions.key(path)
        try:
            return _adapter(kind).validate_python({**table, **given})
        except ValidationError as error:
            self._invalid(error, path)
            return None

    def _check_types(self, kind: type[Any], path: KeyPath, table: Table) -> None:
        """pydantic takes "100" and true for numbers; a file that says so is rather mistaken."""
        hints = get_type_hints(kind)
        for key in list(table):
            wanted, value = _plain_types(hints[key]), table[key]
            if not isinstance(value, str | bool) or type(value) in wanted or not wanted <= {int, float, bool}:
                continue
            what = "true or false" if wanted == {bool} else "a number"
            self._error((*path, key), f'"{key}" has to be {what}, not {_written(value)}')
            del table[key]

    def _invalid(self, error: ValidationError, path: KeyPath) -> None:
        for one in error.errors(include_url=False):
            inner: KeyPath = tuple(part for part in one["loc"] if not _is_branch(part))
            where = (*path, *inner)
            if one["type"] == "unexpected_keyword_argument":
                self._unknown(where, "a key that is known here", ())
            elif one["type"] == "missing":
                self.report.error(self.positions.key(path), f'{".".join(map(str, path))} has no "{inner[-1]}"')
            else:
                self._error(where, f'"{where[-1]}": {_sentence(one)}')

    def _unknown(self, path: KeyPath, what: str, known: tuple[str, ...]) -> None:
        self.report.error(self.positions.key(path), f'"{path[-1]}" is not {what}', did_you_mean(str(path[-1]), known))

    def _error(self, path: KeyPath, text: str, hint: str = "") -> None:
        self.report.error(self.positions.value(path), text, hint)

    # Shapes that people write

    def _each(self, base: KeyPath, key: str, parse: Callable[[KeyPath, Any], Any]) -> tuple[Any, ...]:
        path = (*base, key)
        value = self._get(path)
        if value is None:
            return ()
        if not isinstance(value, list):
            self._error(path, f'"{key}" has to be a list', f"write {key} = [ ... ]")
            return ()
        parsed = [parse((*path, index), one) for index, one in enumerate(value)]
        return tuple(one for one in parsed if one is not None)

    def _words(self, path: KeyPath, text: str) -> list[Word]:
        at = self.positions.value(path)
        return [
            Word(match[0], Origin(at.file, at.line, at.column + 1 + match.start()))
            for match in re.finditer(r"\S+", text)
        ]

    def _line(self, kind: type[Any], parse: Callable[[list[Word], Report], Any]) -> Callable[[KeyPath, Any], Any]:
        def one(path: KeyPath, value: Any) -> Any:
            if isinstance(value, str):
                words = self._words(path, value)
                if words:
                    return parse(words, self.report)
                self._error(path, "this is empty")
                return None
            if isinstance(value, dict):
                return self._build(kind, path, dict(value))
            self._error(path, "this has to be a string or a table")
            return None

        return one

    def _address(self, path: KeyPath, value: Any) -> Any:
        return self._line(VirtualAddress, net.address)(path, value)

    def _route(self, path: KeyPath, value: Any) -> Any:
        return self._line(Route, net.route)(path, value)

    def _rule(self, path: KeyPath, value: Any) -> Any:
        return self._line(Rule, net.rule)(path, value)

    def _peer(self, path: KeyPath, value: Any) -> Any:
        return self._build(UnicastPeer, path, dict(value) if isinstance(value, dict) else {"address": value})

    def _command(self, path: KeyPath, value: Any) -> Table:
        """A program: "prog arg", ["prog", "arg"], or {command = ..., user = ..., group = ...}."""
        table: Table = {"at": self.positions.value(path)}
        if isinstance(value, dict):
            table |= {key: one for key, one in value.items() if key != "command"}
            value = value.get("command", ())
        if isinstance(value, str):
            try:
                value = shlex.split(value)
            except ValueError as error:
                self._error(path, f"cannot split the command into words: {error}")
        if not value:
            self._error(path, "the command is empty")
        return table | {"argv": value if isinstance(value, str) else tuple(value)}

    def _script(self, path: KeyPath, table: Table) -> None:
        if "command" in table:
            command = self._command((*path, "command"), table["command"])
            table["command"] = command | {key: table.pop(key) for key in ("user", "group") if key in table}

    def _process(self, path: KeyPath, table: Table) -> None:
        if isinstance(table.get("command"), str):
            table["command"] = tuple(table["command"].split())
        if len(table.get("command", ())) > 1:
            table.setdefault("match_parameters", "exact")

    def _notify(self, path: KeyPath, table: Table) -> None:
        notify = table.get("notify")
        if isinstance(notify, dict):
            table["notify"] = {
                key: value if isinstance(value, bool) else self._command((*path, "notify", key), value)
                for key, value in notify.items()
            }

    def _references(self, path: KeyPath, table: Table) -> list[Reference]:
        found = []
        for key, kind in TRACK_KEYS.items():
            value = table.pop(key, [])
            if not isinstance(value, list):
                self._error((*path, key), f'"{key}" has to be a list')
                continue
            for index, one in enumerate(value):
                where: KeyPath = (*path, key, index)
                entry = one if isinstance(one, dict) else {"name": one}
                for word in set(entry) - {"name", "weight", "reverse"}:
                    self._unknown((*where, word), "a key of a track", ("name", "weight", "reverse"))
                name, weight, reverse = entry.get("name"), entry.get("weight"), entry.get("reverse")
                if not isinstance(name, str) or not isinstance(weight, int | None):
                    self._error(where, "a track is a name, or {name = ..., weight = ..., reverse = ...}")
                    continue
                if weight is not None and not -254 <= weight <= 254:
                    self._error((*where, "weight"), f"{weight} is outside -254 to 254")
                found.append(Reference(kind, name, weight, reverse, self.positions.value(where)))
        return found

    # Sections

    def _global(self) -> Any:
        table = self._table(("global",))
        for key in ("startup_script", "shutdown_script"):
            if key in table:
                table[key] = self._command(("global", key), table[key])
        fifos = table.get("fifos", [])
        for index, fifo in enumerate(fifos if isinstance(fifos, list) else []):
            if isinstance(fifo, dict):
                fifo["at"] = self.positions.key(("global", "fifos", index))
                if "reader" in fifo:
                    fifo["reader"] = self._command(("global", "fifos", index, "reader"), fifo["reader"])
        return self._build(Global, ("global",), table) or Global()

    def _delays(self) -> tuple[InterfaceDelay, ...]:
        found = []
        for name in self._table(("interface_delays",)):
            path: KeyPath = ("interface_delays", name)
            found.append(self._build(InterfaceDelay, path, self._table(path), interface=name))
        return tuple(one for one in found if one is not None)

    def _instance(self, name: str) -> tuple[InstanceSettings | None, list[Reference]]:
        path: KeyPath = ("instance", name)
        own, defaults = self._table(path), self._table(("defaults",))
        for unfit in ("virtual_router_id", "addresses"):
            if unfit in defaults:
                self._error(("defaults", unfit), f'"{unfit}" belongs to one instance', "write it there")
        known = {field.name for field in fields(InstanceSettings)} | set(TRACK_KEYS)
        for key in [key for key in defaults if key not in known]:
            self._unknown(("defaults", key), "a key of instances", tuple(known - set(_HIDDEN)))
            del defaults[key]
        table: Table = {}
        references: list[Reference] = []
        for base, part in ((("defaults",), defaults), (path, own)):
            references += self._references(base, part)
            self._notify(base, part)
            self._shape_instance(base, part)
            for nested in ("garp", "notify"):
                if isinstance(part.get(nested), dict) and isinstance(table.get(nested), dict):
                    part[nested] = table[nested] | part[nested]
            table |= part
        settings = self._build(InstanceSettings, path, table, name=name)
        if settings is not None and settings.family == 6 and "version" not in table:
            settings = replace(settings, version=3)
        return settings, references

    def _shape_instance(self, path: KeyPath, table: Table) -> None:
        for key, parse in (
            ("addresses", self._address),
            ("excluded_addresses", self._address),
            ("routes", self._route),
            ("rules", self._rule),
            ("unicast_peers", self._peer),
        ):
            if key in table:
                table[key] = self._each(path, key, parse)
        if isinstance(table.get("authentication"), dict):
            at = self.positions.value((*path, "authentication"))
            table["authentication"] = dict(table["authentication"]) | {"at": at}
        garp = table.get("garp")
        if isinstance(garp, dict):
            table["garp"] = garp = dict(garp)
            for what in ("delay", "repeat"):
                if f"master_{what}" in garp:
                    garp.setdefault(f"lower_prio_{what}", garp[f"master_{what}"])

    def _group(self, name: str) -> tuple[SyncGroup | None, list[Reference]]:
        path: KeyPath = ("group", name)
        table = self._table(path)
        references = self._references(path, table)
        self._notify(path, table)
        return self._build(SyncGroup, path, table, name=name), references


def _is_branch(part: str | int) -> bool:
    """Parts of pydantic's place that name a branch of a union and no key."""
    return isinstance(part, str) and (part.startswith(("literal[", "is-", "function-")) or part in _BRANCHES)


def _plain_types(hint: Any) -> set[Any]:
    """The types in a union, None left out; a Literal counts as itself."""
    if isinstance(hint, types.UnionType):
        return {one for part in get_args(hint) for one in _plain_types(part)}
    return set() if hint is type(None) else {hint}


def _written(value: str | bool) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


_BRANCHES = frozenset({"int", "str", "float", "bool", "ipv4address", "ipv6address", "ipv4network", "ipv6network"})


def _sentence(error: Any) -> str:
    text = str(error["msg"])
    return text[:1].lower() + text[1:]
