"""Plain values as tidy TOML text: what is short on one line, what is long under its own header or one item a line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

# A line may be this long; the formatting of our own sources allows 120.
WIDTH = 100

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def is_long(key: str, value: Any) -> bool:
    """Whether a pair is too long for one line."""
    return len(_pair(key, value)) > WIDTH


def show_section(path: tuple[str, ...], table: dict[str, Any], headers: frozenset[str] = frozenset()) -> str:
    """`[a.b]` with its keys, then its tables that are long or named in `headers`, each under its own header.

    Keys on lines come before tables under headers: where their order matters, the caller names all or none.
    """
    lines: list[str] = []
    below: list[str] = []
    for key, value in table.items():
        if isinstance(value, dict) and (key in headers or is_long(key, value)):
            below.append(show_section((*path, key), value))
        else:
            lines += _lines(key, value)
    return join_section(path, lines, below)


def show_entries(path: tuple[str, ...], entries: dict[str, Any]) -> str:
    """`[a.b]` with tables whose order counts: one a line, or, when one is long, each under its own header."""
    tables = [value for value in entries.values() if isinstance(value, dict)]
    if len(tables) == len(entries) and any(map(is_long, entries, tables)):
        return "\n".join(show_section((*path, key), value) for key, value in entries.items())
    return join_section(path, [_pair(key, value) for key, value in entries.items()], [])


def join_section(path: tuple[str, ...], lines: list[str], below: list[str]) -> str:
    """A header with its lines, then the sections below it; the header alone stands only where nothing is below."""
    if not lines and below:
        return "\n".join(below)
    header = f"[{'.'.join(map(show_key, path))}]\n"
    return "\n".join([header + "".join(f"{line}\n" for line in lines), *below])


def show_key(key: str) -> str:
    """A key, quoted where it must be."""
    return key if _BARE_KEY.fullmatch(key) else _basic(key)


def show_value(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(_pair(key, child) for key, child in value.items()) + " }" if value else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(map(show_value, value)) + "]"
    return show_string(value) if isinstance(value, str) else str(value)


def show_string(text: str) -> str:
    """Single quotes where they save escapes and keep `${` from being a variable, else double quotes."""
    if ("\\" in text or '"' in text or "${" in text) and "'" not in text and text.isprintable():
        return f"'{text}'"
    return _basic(text)


def _basic(text: str) -> str:
    escaped = "".join(_ESCAPES.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
    return '"' + escaped.replace("${", "\\u0024{") + '"'


def _pair(key: str, value: Any) -> str:
    return f"{show_key(key)} = {show_value(value)}"


def _lines(key: str, value: Any) -> Iterator[str]:
    """A pair on one line, or an array of sentences or of much with one item a line."""
    line = _pair(key, value)
    if not isinstance(value, list) or not value or (len(line) <= WIDTH and not _are_sentences(value)):
        yield line
        return
    yield f"{show_key(key)} = ["
    for item in value:
        yield f"  {show_value(item)},"
    yield "]"


def _are_sentences(items: list[Any]) -> bool:
    return len(items) > 1 and any(isinstance(item, dict) or " " in str(item) for item in items)
