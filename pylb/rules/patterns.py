"""Regular expressions as HAProxy's users write them (PCRE), and substitutions with their back references."""

from __future__ import annotations

import re
from collections.abc import Callable

from pylb.rules.context import Context
from pylb.rules.registry import BadArgument
from pylb.rules.reply import Text

Pattern = re.Pattern[bytes]

# POSIX classes inside brackets, which PCRE knows and Python does not.
_POSIX = {
    "alnum": "a-zA-Z0-9", "alpha": "a-zA-Z", "digit": "0-9", "lower": "a-z", "upper": "A-Z", "xdigit": "0-9A-Fa-f",
    "space": " \\t\\n\\r\\f\\v", "blank": " \\t", "word": "a-zA-Z0-9_", "cntrl": "\\x00-\\x1f\\x7f",
    "punct": "!-/:-@\\[-`{-~", "graph": "!-~", "print": " -~",
}  # fmt: skip
_POSIX_CLASS = re.compile(r"\[:(\w+):\]")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def compile_regex(text: str, ignore_case: bool = False) -> Pattern:
    """The pattern, searching bytes; raises BadArgument saying what is wrong with it."""
    translated = _POSIX_CLASS.sub(lambda m: _POSIX.get(m[1], m[0]), text)
    translated = _ESCAPE.sub(_translate_escape, translated)
    try:
        return re.compile(translated.encode("latin-1", "replace"), re.IGNORECASE if ignore_case else 0)
    except (re.error, OverflowError, FutureWarning) as error:
        raise BadArgument(f'the regular expression "{text}" is wrong: {error}') from None


def _translate_escape(match: re.Match[str]) -> str:
    """PCRE's \\z is Python's \\Z; \\h is a blank."""
    return {"z": "\\Z", "h": "[ \\t]"}.get(match[1], match[0])


def expand_substitution(text: str, pattern: Pattern) -> Callable[[re.Match[bytes]], bytes]:
    r"""The replacement of a match: \0 … \9 are groups, \xNN a byte, any other escaped character itself.

    Raises BadArgument for a group that the pattern does not have.
    """
    parts = _substitution_parts(text)
    for part in parts:
        if isinstance(part, int) and part > pattern.groups:
            raise BadArgument(f'"\\{part}" in "{text}": the expression has {pattern.groups} group(s)')
    if all(isinstance(part, bytes) for part in parts):
        constant = b"".join(part for part in parts if isinstance(part, bytes))
        return lambda _match: constant
    return lambda match: b"".join(part if isinstance(part, bytes) else match[part] or b"" for part in parts)


def _substitution_parts(text: str) -> list[bytes | int]:
    parts: list[bytes | int] = []
    for match in re.finditer(r"\\x([0-9A-Fa-f]{2})|\\([0-9])|\\(.)|([^\\]+)|\\", text, re.DOTALL):
        if match[1]:
            parts.append(bytes([int(match[1], 16)]))
        elif match[2]:
            parts.append(int(match[2]))
        else:
            parts.append((match[3] or match[4] or "\\").encode("latin-1", "replace"))
    return parts


_REFERENCE = re.compile(rb"\\x([0-9A-Fa-f]{2})|\\([0-9])|\\(.)", re.DOTALL)


def expand_dynamic(template: Text) -> Callable[[re.Match[bytes], Context], bytes]:
    """The same for a log-format text, whose references are resolved after it was filled in."""

    def expand(match: re.Match[bytes], x: Context) -> bytes:
        text = template if isinstance(template, bytes) else template(x)
        return _REFERENCE.sub(lambda reference: _referred(reference, match), text) if b"\\" in text else text

    return expand


def _referred(reference: re.Match[bytes], match: re.Match[bytes]) -> bytes:
    if reference[1]:
        return bytes([int(reference[1], 16)])
    if reference[2]:
        number = int(reference[2])
        return (match[number] or b"") if number <= match.re.groups else b""
    return reference[3]
