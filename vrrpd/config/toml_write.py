"""`Config` → vrrpd.toml: what `vrrpd convert` writes.  Reading it back gives an equal `Config`.

Only what differs from vrrpd.toml's defaults is written, so the text is as short as a person's, and what a
keepalived.conf leaves off (abdicate, the probe of AH, ...) is written out as `false`, to be seen and decided upon.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import MISSING, fields
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from vrrpd.config.model import (
    Command,
    Config,
    Garp,
    InstanceSettings,
    Notify,
    SyncGroup,
    Track,
    TrackKind,
    TrackScript,
    VirtualAddress,
)

_TRACK_KEYS = {
    TrackKind.SCRIPT: "track_scripts",
    TrackKind.INTERFACE: "track_interfaces",
    TrackKind.FILE: "track_files",
    TrackKind.PROCESS: "track_processes",
}
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dumps(config: Config) -> str:
    """The text of a vrrpd.toml that means `config`."""
    writer = _Writer(config)
    tops = [
        f"{name} = {_array([_value(one) for one in getattr(config, name)])}"
        for name in ("static_addresses", "static_routes", "static_rules")
        if getattr(config, name)
    ]
    sections = [
        "\n".join(tops),
        _section("global", _changed(config.globals)),
        _section("track_groups", {name: list(members) for name, members in config.track_groups}),
        *(_section(f"interface_delays.{_key(d.interface)}", _changed(d, "interface")) for d in config.interface_delays),
        *(_section(f"script.{_key(s.name)}", _script(s)) for s in config.scripts),
        *(_section(f"file.{_key(f.name)}", _changed(f)) for f in config.files),
        *(_section(f"process.{_key(p.name)}", _changed(p)) for p in config.processes),
        *(_section(f"instance.{_key(i.name)}", writer.instance(i)) for i in config.instances),
        *(_section(f"group.{_key(g.name)}", writer.group(g)) for g in config.groups),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


class _Writer:
    def __init__(self, config: Config) -> None:
        self._defaults = {
            **{(TrackKind.SCRIPT, s.name): (s.weight, s.reverse) for s in config.scripts},
            **{(TrackKind.FILE, f.name): (f.weight, f.reverse) for f in config.files},
            **{(TrackKind.PROCESS, p.name): (p.weight, p.reverse) for p in config.processes},
        }

    def instance(self, settings: InstanceSettings) -> dict[str, Any]:
        table = {"interface": None, "virtual_router_id": None, "priority": settings.priority}
        table |= _changed(settings, "tracks", "garp", "notify")
        table = {key: value for key, value in table.items() if value is not None}
        if settings.family == 6:
            table["version"] = settings.version
        return table | self._shared(settings)

    def group(self, group: SyncGroup) -> dict[str, Any]:
        return _changed(group, "tracks", "notify") | self._shared(group)

    def _shared(self, owner: InstanceSettings | SyncGroup) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for track in owner.tracks:
            table.setdefault(_TRACK_KEYS[track.kind], []).append(self._track(track))
        if owner.notify != Notify():
            table["notify"] = _Inline(_changed(owner.notify))
        if isinstance(owner, InstanceSettings) and owner.garp != Garp():
            table["garp"] = _Inline(_garp(owner.garp))
        return table

    def _track(self, track: Track) -> Any:
        weight, reverse = self._defaults.get((track.kind, track.name), (0, False))
        table: dict[str, Any] = {"name": track.name}
        if track.weight != weight:
            table["weight"] = track.weight
        if track.reverse != reverse:
            table["reverse"] = track.reverse
        return track.name if len(table) == 1 else _Inline(table)


def _garp(garp: Garp) -> dict[str, Any]:
    table = _changed(garp)
    for what in ("delay", "repeat"):
        # lower_prio_* follow master_* when they are not written.
        table.pop(f"lower_prio_{what}", None)
        if getattr(garp, f"lower_prio_{what}") != getattr(garp, f"master_{what}"):
            table[f"lower_prio_{what}"] = getattr(garp, f"lower_prio_{what}")
    return table


def _script(script: TrackScript) -> dict[str, Any]:
    table = _changed(script)
    command = script.command
    table["command"] = shlex.join(command.argv)
    return table | {key: value for key, value in (("user", command.user), ("group", command.group)) if value}


class _Inline(dict[str, Any]):
    """A table to be written in one line."""


def _changed(value: Any, *without: str) -> dict[str, Any]:
    """The fields of a dataclass that are not what they would be anyway."""
    table = {}
    for field in fields(value):
        here = getattr(value, field.name)
        default = field.default if field.default is not MISSING else None
        if field.compare and field.name not in ("name", *without) and here != default:
            table[field.name] = here
    return table


def _section(name: str, table: dict[str, Any]) -> str:
    if not table and not name.startswith(("instance.", "group.")):
        return ""
    return "\n".join([f"[{name}]", *(f"{_key(key)} = {_value(value)}" for key, value in table.items())])


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _array(values: list[str]) -> str:
    one_line = f"[{', '.join(values)}]"
    if len(one_line) <= 90:
        return one_line
    return "[\n" + "".join(f"    {value},\n" for value in values) + "]"


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(int(value) if isinstance(value, float) and value.is_integer() else value)
        case str():
            return _string(value)
        case IPv4Address() | IPv6Address() | IPv4Network() | IPv6Network():
            return _string(str(value))
        case list() | tuple():
            return _array([_value(one) for one in value])
        case _Inline():
            return "{" + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + "}"
        case Command():
            named = {"command": shlex.join(value.argv), "user": value.user, "group": value.group}
            if value.user is None and value.group is None:
                return _string(str(named["command"]))
            return _value(_Inline({key: one for key, one in named.items() if one}))
        case VirtualAddress() if not _changed(value, "address", "prefix"):
            return _string(str(value))
        case _:
            return _value(_Inline(_changed(value)))
