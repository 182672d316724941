"""The process in figures: show info, version, env, startup-logs; and the schema of JSON answers."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pylb.admin import info
from pylb.admin.control.registry import Kind, command
from pylb.admin.control.session import Level, Session, Severity
from pylb.admin.stats import NATURE, OBJECTS, ORIGIN, SCOPE
from pylb.admin.world import World
from pylb.backend.operate import Refused


@command("show info", "[desc|json|typed|float]*", help="report information about the running process")
def show_info(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """A line per figure, or HAProxy's typed or JSON form of them."""
    rows = list(info.shown(world, exact="float" in words))
    if "json" in words:
        return json.dumps([_json(*row) for row in rows], separators=(",", ":")).encode() + b"\n"
    lines = []
    for place, field, value in rows:
        letters, kind = field.type.split()
        name = f"{place}.{field.name}.1:{letters}:{kind}:" if "typed" in words else f"{field.name}: "
        about = f':"{field.help}"' if "desc" in words else ""
        lines.append(f"{name}{value}{about}\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def _json(place: int, field: info.Field, value: info.Value) -> dict[str, object]:
    letters, kind = field.type.split()
    return {
        "field": {"pos": place, "name": field.name},
        "processNum": 1,
        "tags": {"origin": ORIGIN[letters[0]], "nature": NATURE[letters[1]], "scope": SCOPE[letters[2]]},
        "value": {"type": kind, "value": value},
    }


@command("show version", help="show version of the current process")
def show_version(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """The version alone."""
    return session.feedback(Severity.INFO, world.version)


@command("show env", "[var]", help="dump environment variables known to the process", level=Level.OPERATOR)
def show_env(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """What there is after the configuration's last line: all of it, or one variable."""
    known = world.config.environment
    if not words:
        lines = (f"{name}={value}" for name, value in known.items())
        return "".join(f"{line}\n" for line in lines).replace("\n\n", "\n").encode("utf-8", "surrogateescape")
    if words[0] not in known:
        raise Refused("Variable not found")
    return f"{words[0]}={known[words[0]]}\n".encode("utf-8", "surrogateescape")


@command("show startup-logs", help="report logs emitted during HAProxy startup", level=Level.OPERATOR)
def show_startup_logs(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """What was said when the configuration was read and the process started."""
    return "".join(f"{line}\n" for line in world.startup_logs).encode("utf-8", "surrogateescape")


@command("show schema json", help="report schema used for stats", kind=Kind.OWN)
def show_schema_json(session: Session, world: World, words: Sequence[str], payload: str) -> bytes:
    """A JSON schema (draft 4) of what `show info json` and `show stat json` answer."""
    return json.dumps(_schema(), separators=(",", ":")).encode() + b"\n"


_SHARED = ("field", "processNum", "tags", "value")
_IDENTITY = ("objType", "proxyId", "id")


def _schema() -> dict[str, object]:
    shared: dict[str, object] = {
        name: {"$ref": f"#/definitions/{'typedValue' if name == 'value' else name}"} for name in _SHARED
    }
    whole = {"type": "integer", "minimum": 0}
    identity: dict[str, object] = {
        "objType": {"enum": [*OBJECTS.values(), "Listener", "Unknown"]},
        "proxyId": whole,
        "id": whole,
    }
    return {
        "$schema": "http://json-schema.org/draft-04/schema#",
        "oneOf": [
            {"title": "Info", "type": "array", "items": _item("InfoItem", shared, _SHARED)},
            {
                "title": "Stat",
                "type": "array",
                "items": {
                    "type": "array",
                    "items": _item("StatItem", identity | shared, (*_IDENTITY, *_SHARED)),
                },
            },
            {"title": "Error", "type": "object", "properties": {"errorStr": {"type": "string"}},
             "required": ["errorStr"]},
        ],
        "definitions": {
            "field": _object({"pos": whole, "name": {"type": "string"}}),
            "processNum": {"type": "integer", "minimum": 1},
            "tags": _object(
                {
                    "origin": {"type": "string", "enum": list(ORIGIN.values())},
                    "nature": {"type": "string", "enum": list(NATURE.values())},
                    "scope": {"type": "string", "enum": list(SCOPE.values())},
                }
            ),
            "typedValue": {
                "anyOf": [
                    _value(["s32", "s64", "u32", "u64"], {"type": "integer"}),
                    _value(["flt"], {"type": "number"}),
                    _value(["u32"], {"type": "number"}),
                    _value(["str"], {"type": "string"}),
                ]
            },
        },
    }  # fmt: skip


def _item(title: str, properties: dict[str, object], required: Sequence[str]) -> dict[str, object]:
    return {"title": title, "type": "object", "properties": properties, "required": list(required)}


def _object(properties: dict[str, object]) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _value(kinds: list[str], value: dict[str, object]) -> dict[str, object]:
    return _object({"type": {"type": "string", "enum": kinds}, "value": value})
