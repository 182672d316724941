"""How values of the model stand in TOML: one form per kind of value, each reads a node and writes a plain value.

A form never judges shapes: `shape` has made sure, by pydantic, that a node has the shape its form expects. What forms
still find wrong are texts, which they report with their place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

from pylb.config.model import LogTarget, Origin
from pylb.config.toml.document import Node
from pylb.config.toml.phrases import LOG_TARGET, Phrase
from pylb.config.words import Report


@dataclass(slots=True)
class Reading:
    """What decoding needs beside the node: where to report, and the global section's log targets."""

    report: Report
    global_log: tuple[LogTarget, ...] = ()


class Form:
    """A kind of value."""

    def decode(self, node: Node, reading: Reading) -> Any:
        """The model's value of a node."""
        return node.value

    def encode(self, value: Any) -> Any:
        """What tomllib would read for a value."""
        return value


@dataclass(frozen=True, slots=True)
class Scalar(Form):
    """A string, number or truth value that the model holds as it is; numbers within `low` and `high`."""

    kind: type
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Choice(Form):
    """One of a few words."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text(Form):
    """A string in HAProxy's own words."""

    phrase: Phrase
    or_number: bool = False
    """A size may stand as a plain number."""
    low: int = 0
    high: int | None = None

    def decode(self, node: Node, reading: Reading) -> Any:
        number = node.value
        if isinstance(number, int):
            if number < self.low or (self.high is not None and number > self.high):
                reading.report(node.at, f"{number} is out of range", f"{self.low} to {self.high}")
                return None
            return number
        return self.phrase.parse(node.value, node.at, reading.report)

    def encode(self, value: Any) -> Any:
        return self.phrase.show(value)


@dataclass(frozen=True, slots=True)
class Redispatch(Form):
    """`true` for the plain option, or a number for its interval."""

    def decode(self, node: Node, reading: Reading) -> Any:
        return -int(node.value) if isinstance(node.value, bool) else node.value

    def encode(self, value: Any) -> Any:
        return bool(value) if value in (0, -1) else value


@dataclass(frozen=True, slots=True)
class Many(Form):
    """An array; one value may stand without its brackets."""

    item: Form

    def decode(self, node: Node, reading: Reading) -> Any:
        nodes = node.value if isinstance(node.value, list) else [node]
        values = (self.item.decode(child, reading) for child in nodes)
        return tuple(value for value in values if value is not None)

    def encode(self, value: Any) -> Any:
        return [self.item.encode(item) for item in value]


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a table: the model's field behind it and its form."""

    name: str
    form: Form
    optional: bool
    default: Any

    @property
    def required(self) -> bool:
        return self.default is MISSING


@dataclass(frozen=True, slots=True)
class Table(Form):
    """A dataclass of the model as a table.

    `true` stands for an empty table where no key is required, `false` for None, and a string for the one key that is
    the table's main thing (a bind's or server's address).
    """

    cls: type
    fields: dict[str, Field]
    main: str | None = None
    inlined: tuple[str, Table] | None = None
    """A field whose keys stand in this table itself (an admin socket's bind)."""

    @property
    def switch(self) -> bool:
        """May be written as `true`."""
        inner = self.inlined[1].fields if self.inlined else {}
        return not any(f.required for f in (*self.fields.values(), *inner.values()))

    def opened(self, node: Node) -> Node | None:
        """The node with shorthands written out; None for `false`."""
        if isinstance(node.value, bool):
            return replace(node, value={}) if node.value else None
        if isinstance(node.value, str) and self.main:
            return replace(node, value={self.main: node})
        return node

    def decode(self, node: Node, reading: Reading) -> Any:
        opened = self.opened(node)
        return None if opened is None else self.build(opened, reading)

    def build(self, node: Node, reading: Reading, **given: Any) -> Any:
        """The dataclass of an opened table; `given` are fields that stand elsewhere."""
        values = {**given, **self.values(node, reading)}
        for name in self._missing(values):
            values[name] = None  # reported by shape, so that the rest can be looked at
        if "at" in _names(self.cls):
            values["at"] = node.key_at if node.key_at.line else node.at
        return self.cls(**values)

    def _missing(self, values: dict[str, Any]) -> Iterable[str]:
        return (f.name for f in self.fields.values() if f.required and f.name not in values)

    def values(self, node: Node, reading: Reading) -> dict[str, Any]:
        """The fields that the table's keys give."""
        found: dict[str, Any] = {}
        for key, f in self.fields.items():
            if key in node.table:
                before = len(reading.report.findings)
                value = f.form.decode(node.table[key], reading)
                refused = value is None and len(reading.report.findings) > before
                if not refused or f.required:
                    found[f.name] = value
        if self.inlined:
            name, table = self.inlined
            found[name] = table.build(node, reading)
        return found | self._places(node)

    def _places(self, node: Node) -> dict[str, Any]:
        """The `NAME_at` fields that the model has beside some others."""
        names = _names(self.cls)
        given = ((f, node.table[key]) for key, f in self.fields.items() if key in node.table)
        return {f"{f.name}_at": _place(f.form, child) for f, child in given if f"{f.name}_at" in names}

    def encode(self, value: Any) -> Any:
        if value is None:
            return False
        out = self.given(value)
        if self.main and set(out) == {self.main}:
            return out[self.main]
        return out if out or not self.switch else True

    def given(self, value: Any) -> dict[str, Any]:
        """The keys that `value` needs: those that differ from the model's default."""
        out = self.inlined[1].given(getattr(value, self.inlined[0])) if self.inlined else {}
        for key, f in self.fields.items():
            held = getattr(value, f.name)
            if f.required or held != f.default:
                out[key] = f.form.encode(held)
        return out


def _place(form: Form, node: Node) -> Origin | tuple[Origin, ...]:
    if isinstance(form, Many):
        return tuple(child.at for child in (node.value if isinstance(node.value, list) else [node]))
    return node.at


def _names(cls: type) -> set[str]:
    return {f.name for f in fields(cls)}


# --------------------------------------------------------------------------------------- forms of one field each


@dataclass(frozen=True, slots=True)
class Logs(Form):
    """Log targets; "global" stands for those of the global section."""

    def decode(self, node: Node, reading: Reading) -> Any:
        out: list[LogTarget] = []
        for child in node.value if isinstance(node.value, list) else [node]:
            if child.value == "global":
                out += reading.global_log
            else:
                target = LOG_TARGET.parse(child.value, child.at, reading.report)
                out += [target] if target is not None else []
        return tuple(out)

    def encode(self, value: Any) -> Any:
        return [LOG_TARGET.show(target) for target in value]


@dataclass(frozen=True, slots=True)
class Named(Form):
    """A table of tables whose keys are the names: a backend's servers."""

    table: Table

    def decode(self, node: Node, reading: Reading) -> Any:
        built = ((name, self.table.opened(child)) for name, child in node.table.items())
        return tuple(self.table.build(child, reading, name=name) for name, child in built if child is not None)

    def encode(self, value: Any) -> Any:
        return {item.name: self.table.encode(item) for item in value}


STEP_OPTIONS = {
    "connect": ("port", "addr", "ssl", "sni", "alpn", "send-proxy", "linger", "default", "comment"),
    "send": ("meth", "uri", "ver", "body", "data", "binary", "comment"),
    "expect": (
        *("match", "pattern", "value", "name-match", "value-match", "negate", "min-recv", "comment"),
        *("ok-status", "error-status", "tout-status", "on-success", "on-error"),
    ),
}
"""What each kind of step takes (manual: 4.2 `http-check`, `tcp-check`); "headers" is known to send besides."""


@dataclass(frozen=True, slots=True)
class Step(Form):
    """A health check's step: `{ send = { meth = "GET", uri = "/", headers = ["Host: a"] } }`."""

    cls: type

    def decode(self, node: Node, reading: Reading) -> Any:
        ((kind, words),) = node.table.items()
        headers: list[tuple[str, str]] = []
        options: list[tuple[str, str]] = []
        for key, child in words.table.items():
            if key == "headers" and kind == "send":
                headers += self._headers(child, reading)
            elif key not in STEP_OPTIONS[kind]:
                reading.report.unknown(child.key_at, f'key of "{kind}"', key, (*STEP_OPTIONS[kind], "headers"))
            else:
                options.append((key, "" if child.value is True else str(child.value)))
        return self.cls(kind, tuple(options), tuple(headers), at=words.key_at)

    def _headers(self, node: Node, reading: Reading) -> Iterable[tuple[str, str]]:
        for child in node.value if isinstance(node.value, list) else [node]:
            name, colon, value = child.value.partition(":")
            if not colon:
                reading.report(child.at, f'"{child.value}" is not a header', 'write "Name: value"')
            yield name, value.removeprefix(" ")

    def encode(self, value: Any) -> Any:
        words: dict[str, Any] = {key: text or True for key, text in value.options}
        if value.headers:
            words["headers"] = [f"{name}: {text}" for name, text in value.headers]
        return {value.kind: words}


@dataclass(frozen=True, slots=True)
class Users(Form):
    """A userlist's users: `{ ann = { password = "$5$…" }, bob = { insecure-password = "plain" } }`."""

    words: tuple[str, str] = field(default=("password", "insecure-password"))

    def decode(self, node: Node, reading: Reading) -> Any:
        out = []
        for name, child in node.table.items():
            given = [(word, child.table[word].value) for word in self.words if word in child.table]
            if len(given) != 1:
                reading.report(child.key_at, f'user "{name}" needs one password', "password, or insecure-password")
            out += [(name, text, word == self.words[1]) for word, text in given[:1]]
        return tuple(out)

    def encode(self, value: Any) -> Any:
        return {name: {self.words[insecure]: password} for name, password, insecure in value}


@dataclass(frozen=True, slots=True)
class Groups(Form):
    """A userlist's groups: `{ admins = ["ann", "bob"] }`."""

    def decode(self, node: Node, reading: Reading) -> Any:
        return tuple((name, tuple(user.value for user in child.value)) for name, child in node.table.items())

    def encode(self, value: Any) -> Any:
        return {name: list(users) for name, users in value}
