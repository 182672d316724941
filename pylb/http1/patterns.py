"""Patterns that mean the same to every Python from 3.11 on.

Below 3.11.5 a possessive repeat of a group, `(?:…)*+`, loses its place: when its last try fails behind the group's
first bytes, matching goes on from there instead of from the group's start (CPython gh-106052), so good heads are
refused and bad ones pass. An atomic group around the greedy repeat, `(?>(?:…)*)`, says the same and is sound there;
it takes a little longer, so it is written only where it is needed. Repeats of single characters are sound
everywhere.
"""

from __future__ import annotations

import re
import sys
from typing import Final

SOUND: Final = sys.version_info >= (3, 11, 5)

_PIECE: Final = re.compile(rb"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(|\)(?:(\*|\+|\?|\{[0-9,]+\})(\+?))?|.", re.DOTALL)


def compiled(pattern: bytes) -> re.Pattern[bytes]:
    """`re.compile`, whatever the interpreter's release."""
    return re.compile(pattern if SOUND else atomic(pattern))


def atomic(pattern: bytes) -> bytes:
    """The pattern with atomic groups in place of possessive repeats of groups."""
    out: list[bytes] = []
    opened: list[int] = []
    for match in _PIECE.finditer(pattern):
        piece = match[0]
        if piece == b"(":
            opened.append(len(out))
        elif piece[:1] == b")":
            start = opened.pop()
            if match[2]:
                out[start] = b"(?>" + out[start]
                piece = b")" + match[1] + b")"
        out.append(piece)
    return b"".join(out)
