"""The matches of `http-check expect` and `tcp-check expect`, compiled to functions of what came back."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Answer:
    """What a server has sent so far."""

    status: int | None = None
    """None until the response's head is complete; always None for tcp."""
    reason: str = ""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Names in lower case."""
    body: bytes = b""
    """Body of the response, or everything received (tcp)."""
    complete: bool = False
    """Nothing more will come, or no more is kept."""


Test = Callable[[Answer], bool]


@dataclass(frozen=True, slots=True)
class Matcher:
    """A compiled match."""

    test: Test
    of_head: bool
    """It looks at status and fields only, so it can be decided before the body."""
    description: str
    """As a log line names the step: `string 'x'`, `regex`, `binary '2b'`, `binary regex`."""
    shown: str
    """As a log line quotes the pattern that did not match."""


def compile_match(options: dict[str, str]) -> Matcher:
    """The match of an expect step's options. Raises ValueError or re.error where a pattern is bad."""
    kind, pattern = options.get("match", "status"), options.get("pattern", "")
    raw = pattern.encode("utf-8", "surrogateescape")
    if kind == "status":
        return Matcher(_status(pattern), True, f"status {pattern}", "")
    if kind == "rstatus":
        found = re.compile(pattern).search
        return Matcher(lambda answer: found(str(answer.status)) is not None, True, f"rstatus {pattern}", "")
    if kind in ("hdr", "fhdr"):
        return Matcher(_header(options, whole=kind == "fhdr"), True, f"{kind} {pattern}", "")
    if kind == "string":
        return Matcher(lambda answer: raw in answer.body, False, f"string '{pattern}'", f"'{pattern}'")
    if kind == "rstring":
        search = re.compile(raw).search
        return Matcher(lambda answer: search(answer.body) is not None, False, "regex", "(regex)")
    if kind == "binary":
        data = bytes.fromhex(pattern)
        return Matcher(lambda answer: data in answer.body, False, f"binary '{pattern}'", "(binary)")
    if kind == "rbinary":
        search = re.compile(raw).search
        shown = "(binary regex)"  # matched on hexadecimal digits, capitals as in HAProxy
        return Matcher(lambda answer: search(answer.body.hex().upper().encode()) is not None, False, shown[1:-1], shown)
    raise ValueError(f"unknown match '{kind}'")


def _status(pattern: str) -> Test:
    """`200,301-308`"""
    bounds = []
    for part in pattern.split(","):
        low, _, high = part.partition("-")
        bounds.append((int(low), int(high or low)))
    return lambda answer: any(low <= (answer.status or 0) <= high for low, high in bounds)


def _header(options: dict[str, str], whole: bool) -> Test:
    name_fits = _text(options.get("name-match", "str"), options["pattern"].lower())
    value_fits = _text(options.get("value-match", "str"), options["value"]) if "value" in options else None

    def test(answer: Answer) -> bool:
        for name, value in answer.headers:
            if not name_fits(name):
                continue
            if value_fits is None or any(map(value_fits, [value] if whole else _elements(value))):
                return True
        return False

    return test


def _elements(value: bytes) -> list[bytes]:
    return [element.strip() for element in value.split(b",")]


def _text(method: str, pattern: str) -> Callable[[bytes], bool]:
    wanted = pattern.encode("utf-8", "surrogateescape")
    if method == "str":
        return lambda text: text == wanted
    if method == "beg":
        return lambda text: text.startswith(wanted)
    if method == "end":
        return lambda text: text.endswith(wanted)
    if method == "sub":
        return lambda text: wanted in text
    if method == "reg":
        search = re.compile(wanted).search
        return lambda text: search(text) is not None
    raise ValueError(f"unknown match method '{method}'")
