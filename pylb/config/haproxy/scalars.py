"""Single values of keywords: numbers, times, sizes, choices. Each parser takes a Word and raises Refusal at it.

Numbers are read strictly: HAProxy takes "12x" for 12 in many places, here it is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any, TypeVar

from pylb.config import values
from pylb.config.haproxy.keywords import Line, Refusal, unknown_word
from pylb.config.model import Address
from pylb.config.words import Word

T = TypeVar("T")

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def integer(low: int | None = None, high: int | None = None) -> Callable[[Word], int]:
    """A parser of whole numbers within bounds."""

    def parse(word: Word) -> int:
        if _INTEGER.fullmatch(word.text) is None:
            raise Refusal(word.at, f'"{word.text}" is not a whole number')
        number = int(word.text)
        if (low is not None and number < low) or (high is not None and number > high):
            raise Refusal(word.at, f'"{word.text}" is out of range', _bounds(low, high))
        return number

    return parse


def _bounds(low: int | None, high: int | None) -> str:
    if low is None:
        return f"{high} at the most"
    return f"{low} or more" if high is None else f"from {low} to {high}"


def duration(unit: str | None = "ms", least: float = 0.0) -> Callable[[Word], float]:
    """A parser of times in seconds; `unit` is that of a bare number. Manual: 2.5 "Time format"."""

    def parse(word: Word) -> float:
        try:
            seconds = values.parse_time(word.text, unit)
        except ValueError as error:
            raise Refusal(word.at, str(error)) from error
        if seconds < least:
            raise Refusal(word.at, f'"{word.text}" is too short', f"{values.str_time(least)} or more")
        return seconds

    return parse


def size(word: Word) -> int:
    """Bytes or entries, with k, m or g."""
    try:
        return values.parse_size(word.text)
    except ValueError as error:
        raise Refusal(word.at, str(error)) from error


def text(word: Word) -> str:
    """Any word but the empty one."""
    if not word.text:
        raise Refusal(word.at, "an empty word is not a value here", "is an environment variable unset?")
    return word.text


def choice(*candidates: str, kind: str = "word") -> Callable[[Word], Any]:
    """A parser of one of these words."""

    def parse(word: Word) -> str:
        if word.text not in candidates:
            raise unknown_word(word, kind, candidates)
        return word.text

    return parse


def octal(word: Word) -> int:
    """Permissions such as 660."""
    if re.fullmatch("[0-7]{1,4}", word.text) is None:
        raise Refusal(word.at, f'"{word.text}" is not a mode', "octal digits, as in 660")
    return int(word.text, 8)


def network(word: Word) -> str:
    """An address with or without a mask, as written."""
    try:
        ip_network(word.text, strict=False)
    except ValueError as error:
        raise Refusal(word.at, f'"{word.text}" is not an address or network', "as in 127.0.0.0/8") from error
    return word.text


def address(word: Word, bind: bool = False) -> Address:
    """An address to bind or connect to; see model.Address."""
    try:
        return values.parse_address(text(word), bind)
    except ValueError as error:
        raise Refusal(word.at, str(error)) from error


def comma_list(word: Word) -> tuple[str, ...]:
    """`a,b,c`"""
    parts = tuple(word.text.split(","))
    if not all(parts):
        raise Refusal(word.at, f'"{word.text}" has an empty element', "as in h2,http/1.1")
    return parts


class Draft:
    """A section being read: the values given so far, by the model's field names."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}


def put(field: str, parse: Callable[[Word], object]) -> Callable[[Any, Line], None]:
    """A reader of keywords with one value that goes into one field."""

    def read(draft: Any, line: Line) -> None:
        draft.values[field] = line.value(parse)

    return read


def constant(field: str, value: object) -> Callable[[Any, Line], None]:
    """A reader of keywords without arguments."""

    def read(draft: Any, line: Line) -> None:
        draft.values[field] = value

    return read


def switch(field: str) -> Callable[[Any, Line], None]:
    """A reader of options that "no" turns off and "default" puts back."""

    def read(draft: Any, line: Line) -> None:
        if line.negation == "default":
            draft.values.pop(field, None)
        else:
            draft.values[field] = line.negation == ""

    return read
