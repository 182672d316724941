"""Where each key and value of a TOML file stands: path → `Origin`, from tree-sitter's syntax tree.

tomllib gives values without places.  A path is what leads to a value in what tomllib returns: keys as str, places in
arrays as int.
"""

from __future__ import annotations

import tomllib
from collections import Counter

import tree_sitter
import tree_sitter_toml

from vrrpd.config.model import Origin

Path = tuple[str | int, ...]


class Positions:
    """The places of one file."""

    def __init__(self, source: bytes, file: str) -> None:
        self._file = file
        self._values: dict[Path, Origin] = {}
        self._keys: dict[Path, Origin] = {}
        self._arrays: Counter[Path] = Counter()
        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))
        self._document(parser.parse(source).root_node)

    def value(self, path: Path) -> Origin:
        """Where the value is; if there is none, where the nearest thing around it is."""
        return self._nearest(path, self._values)

    def key(self, path: Path) -> Origin:
        """Where the last key of `path` is."""
        return self._nearest(path, self._keys)

    def overlay(self, prefix: Path) -> None:
        """What stands under `prefix` is found without it too, and before what stood there."""
        for places in (self._values, self._keys):
            moved = {path[len(prefix) :]: at for path, at in places.items() if path[: len(prefix)] == prefix}
            places.update((path, at) for path, at in moved.items() if path)

    def _nearest(self, path: Path, wanted: dict[Path, Origin]) -> Origin:
        if path in wanted:
            return wanted[path]
        while path:
            for places in (self._values, self._keys):
                if path in places:
                    return places[path]
            path = path[:-1]
        return Origin(self._file, 1, 1)

    def _origin(self, node: tree_sitter.Node) -> Origin:
        return Origin(self._file, node.start_point[0] + 1, node.start_point[1] + 1)

    def _document(self, root: tree_sitter.Node) -> None:
        for node in root.children:
            if node.type == "pair":
                self._pair(node, ())
            elif node.type in ("table", "table_array_element"):
                self._table(node)

    def _table(self, node: tree_sitter.Node) -> None:
        key_node = next(child for child in node.children if child.type in _KEYS)
        base = self._resolve(_key(key_node))
        if node.type == "table_array_element":
            index = self._arrays[base]
            self._arrays[base] += 1
            base = (*base, index)
        length = 0
        for part in _parts(key_node):
            length += 1
            self._keys.setdefault(base[:length], self._origin(part))
            if length < len(base) and isinstance(base[length], int):
                length += 1
                self._keys.setdefault(base[:length], self._origin(part))
        for child in node.children:
            if child.type == "pair":
                self._pair(child, base)

    def _resolve(self, key: tuple[str, ...]) -> Path:
        """Keys through arrays of tables mean the latest element."""
        path: Path = ()
        for number, part in enumerate(key):
            path = (*path, part)
            if number < len(key) - 1 and self._arrays[path]:
                path = (*path, self._arrays[path] - 1)
        return path

    def _pair(self, node: tree_sitter.Node, base: Path) -> None:
        key_node, value_node = node.children[0], node.children[-1]
        key = _key(key_node)
        path: Path = (*base, *key)
        for length in range(len(base) + 1, len(path) + 1):
            self._keys.setdefault(path[:length], self._origin(key_node))
        self._value(value_node, path)

    def _value(self, node: tree_sitter.Node, path: Path) -> None:
        self._values[path] = self._origin(node)
        if node.type == "array":
            values = [child for child in node.children if child.type not in ("[", "]", ",", "comment")]
            for index, child in enumerate(values):
                self._value(child, (*path, index))
        elif node.type == "inline_table":
            for child in node.children:
                if child.type == "pair":
                    self._pair(child, path)


_KEYS = ("bare_key", "quoted_key", "dotted_key")


def _parts(node: tree_sitter.Node) -> list[tree_sitter.Node]:
    """The single keys of a dotted one."""
    if node.type != "dotted_key":
        return [node]
    return [part for child in node.children if child.type in _KEYS for part in _parts(child)]


def _key(node: tree_sitter.Node) -> tuple[str, ...]:
    return tuple(_name(part) for part in _parts(node))


def _name(node: tree_sitter.Node) -> str:
    written = (node.text or b"").decode()
    if node.type == "bare_key":
        return written
    return str(tomllib.loads(f"x = {written}")["x"])
