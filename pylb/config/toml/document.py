"""TOML text as a tree of nodes that know where they stand.

tomllib has the last word on what the text means; tree-sitter says where each key and value is, and finds more than the
first syntax error. A basic string ("…") may hold `${NAME}` and `${NAME-default}` as HAProxy's double quotes do (manual:
2.3); a literal string ('…') is taken as it is, as HAProxy's single quotes are. `\\u0024{` is a dollar and a brace.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import tree_sitter
import tree_sitter_toml

from pylb.config.model import NOWHERE, Origin
from pylb.config.words import Report

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place: a scalar, a list of nodes or a dict of nodes. `at` of a string is its first character."""

    value: Any
    at: Origin = NOWHERE
    key_at: Origin = NOWHERE
    """The key it belongs to; in an array, the value's own place."""

    @property
    def table(self) -> dict[str, Node]:
        """The children by key; empty for anything but a table."""
        return self.value if isinstance(self.value, dict) else {}

    def plain(self) -> Any:
        """The value without places, as tomllib would give it."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def find(self, path: Path) -> tuple[Node, bool]:
        """The node at `path`, or the last one on the way to it; True when the way was walked to its end."""
        node = self
        for step in path:
            child = node._child(step)
            if child is None:
                return node, False
            node = child
        return node, True

    def _child(self, step: str | int) -> Node | None:
        if isinstance(self.value, dict):
            return self.value.get(step)
        if isinstance(self.value, list) and isinstance(step, int) and step < len(self.value):
            return self.value[step]  # type: ignore[no-any-return]
        return None

    def without(self, path: Path) -> Node:
        """A copy that lacks what stands at `path`."""
        step, *rest = path
        if rest:
            children = self.value.copy()
            children[step] = children[step].without(tuple(rest))
        elif isinstance(self.value, dict):
            children = {key: child for key, child in self.value.items() if key != step}
        else:
            children = [child for index, child in enumerate(self.value) if index != step]
        return replace(self, value=children)


def parse(text: str, file: str, env: Mapping[str, str], report: Report) -> Node | None:
    """The document's root table; None after reporting that it is not TOML."""
    source = text.encode("utf-8", "surrogateescape")
    tree = _parser().parse(source)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _report_syntax(error, tree.root_node, _Places(source, file), report)
        return None
    places = _Places(source, file)
    places.collect(tree.root_node)
    return _Builder(places, env, report).node(values, ())


@cache
def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))


# ---------------------------------------------------------------------------------------------------------- places


class _Places:
    """Where every path of the document stands: the keys' places and the values' syntax nodes."""

    def __init__(self, source: bytes, file: str) -> None:
        self.file = file
        self.lines = source.split(b"\n")
        self.keys: dict[Path, Origin] = {}
        self.values: dict[Path, tree_sitter.Node] = {}
        self._elements: dict[Path, int] = {}

    def origin(self, node: tree_sitter.Node, skip: int = 0) -> Origin:
        """The first character of `node`; tree-sitter counts bytes, people count characters."""
        row, column = node.start_point
        characters = len(self.lines[row][:column].decode(errors="replace"))
        return Origin(self.file, row + 1, characters + 1 + skip)

    def collect(self, root: tree_sitter.Node) -> None:
        for child in root.children:
            if child.type == "pair":
                self._pair(child, ())
            elif child.type in ("table", "table_array_element"):
                self._section(child)

    def _section(self, section: tree_sitter.Node) -> None:
        header = next(child for child in section.children if _is_key(child))
        path = self._key(header, (), array=section.type == "table_array_element")
        for child in section.children:
            if child.type == "pair":
                self._pair(child, path)

    def _pair(self, pair: tree_sitter.Node, under: Path) -> None:
        key, value = (child for child in pair.named_children if child.type != "comment")
        self._value(value, self._key(key, under))

    def _key(self, key: tree_sitter.Node, under: Path, array: bool = False) -> Path:
        path = under
        for part in _parts(key):
            path = (*path, _name(part))
            self.keys.setdefault(path, self.origin(part))
            if path in self._elements and not (array and part == _last_part(key)):
                path = (*path, self._elements[path])
        if array:
            self._elements[path] = self._elements.get(path, -1) + 1
            path = (*path, self._elements[path])
            self.keys[path] = self.origin(key)
        return path

    def _value(self, value: tree_sitter.Node, path: Path) -> None:
        self.values[path] = value
        if value.type == "inline_table":
            for pair in value.children:
                if pair.type == "pair":
                    self._pair(pair, path)
        elif value.type == "array":
            elements = (child for child in value.named_children if child.type != "comment")
            for index, element in enumerate(elements):
                self._value(element, (*path, index))


def _is_key(node: tree_sitter.Node) -> bool:
    return node.type in ("bare_key", "quoted_key", "dotted_key")


def _parts(key: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    if key.type != "dotted_key":
        yield key
        return
    for child in key.children:
        if _is_key(child):
            yield from _parts(child)


def _last_part(key: tree_sitter.Node) -> tree_sitter.Node:
    return list(_parts(key))[-1]


def _text(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode()


def _name(part: tree_sitter.Node) -> str:
    text = _text(part)
    return text if part.type == "bare_key" else str(tomllib.loads(f"name = {text}")["name"])


# -------------------------------------------------------------------------------------------------------- the tree


class _Builder:
    """Joins tomllib's values with their places and fills in environment variables."""

    def __init__(self, places: _Places, env: Mapping[str, str], report: Report) -> None:
        self._places = places
        self._env = env
        self._report = report

    def node(self, value: Any, path: Path) -> Node:
        syntax = self._places.values.get(path)
        key_at = self._places.keys.get(path, NOWHERE)
        at = self._places.origin(syntax) if syntax is not None else key_at
        if isinstance(value, dict):
            value = {key: self.node(child, (*path, key)) for key, child in value.items()}
        elif isinstance(value, list):
            value = [self.node(child, (*path, index)) for index, child in enumerate(value)]
        elif isinstance(value, str) and syntax is not None:
            value, at = self._string(value, syntax)
        return Node(value, at, key_at if key_at.line else at)

    def _string(self, value: str, syntax: tree_sitter.Node) -> tuple[str, Origin]:
        raw = _text(syntax)
        at = self._places.origin(syntax, skip=3 if raw.startswith(('"""', "'''")) else 1)
        if raw.startswith('"') and "${" in raw:
            value = self._expand(raw, at)
        return value, at

    def _expand(self, raw: str, at: Origin) -> str:
        def variable(match: re.Match[str]) -> str:
            default: str | None = match[2]
            value = self._env.get(match[1], default)
            if value is None:
                self._report.warning(
                    at, f'environment variable "{match[1]}" is not set', f"set it, or write ${{{match[1]}-default}}"
                )
            return _escape(value or "")

        return str(tomllib.loads("value = " + _VARIABLE.sub(variable, raw))["value"])


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_.]*)(?:-([^}]*))?\}")


def _escape(text: str) -> str:
    return "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text)


# ---------------------------------------------------------------------------------------------------- syntax errors


def _report_syntax(error: tomllib.TOMLDecodeError, root: tree_sitter.Node, places: _Places, report: Report) -> None:
    """tomllib's own complaint, and one for every other line that tree-sitter cannot read."""
    message, line, column = _tomllib_place(str(error), len(places.lines))
    found = {line: Origin(places.file, line, column)}
    for node in _errors(root):
        at = places.origin(node)
        found.setdefault(at.line, at)
    report(found.pop(line), f"not TOML: {message}")
    for at in sorted(found.values(), key=lambda at: at.line):
        report(at, f'not TOML: "{_shown(places.lines[at.line - 1])}"')


def _tomllib_place(message: str, lines: int) -> tuple[str, int, int]:
    match = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
    if match is None:
        return message, 1, 1
    text = message[: match.start()]
    return (text[:1].lower() + text[1:], int(match[1] or lines), int(match[2] or 1))


def _errors(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    if node.is_error or node.is_missing:
        yield node
    elif node.has_error:
        for child in node.children:
            yield from _errors(child)


def _shown(line: bytes) -> str:
    text = line.decode(errors="replace").strip()
    return text if len(text) <= 60 else text[:57] + "..."
