"""Lines of the process itself where stderr is systemd's journal: each with its severity, so that `journalctl -p err`
finds what has gone wrong (sd-daemon(3): `<3>` in front of a line; systemd.exec(5): JOURNAL_STREAM).

Requests are another matter: `log stderr format short daemon` has the same form.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Mapping
from typing import TextIO

_SEVERITIES = (
    (re.compile(r"pylb: (Worker \d+ |the steward )"), "<1>"),
    (re.compile(r"(.*: |)error: |pylb: the reload failed|Traceback |Exception in |Task "), "<3>"),
    (re.compile(r"(.*: |)warning: "), "<4>"),
)
"""What a line begins with, and syslog's number for it; others are info, which goes without saying."""


def tell_severities(environment: Mapping[str, str] = os.environ) -> None:
    """Do so if stderr is the journal."""
    try:
        found = os.fstat(2)
    except OSError:
        return
    if environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}":
        sys.stderr = Journal(sys.stderr)


class Journal(io.TextIOBase):
    """In the place of sys.stderr."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begins = True
        """What is written next begins a line."""

    def write(self, text: str) -> int:
        """Whole lines or pieces of them."""
        for line in text.splitlines(keepends=True):
            self._stream.write(_severity(line) + line if self._begins else line)
            self._begins = line.endswith("\n")
        return len(text)

    def flush(self) -> None:
        """To the journal."""
        self._stream.flush()

    def fileno(self) -> int:
        """Of the stream behind it."""
        return self._stream.fileno()


def _severity(line: str) -> str:
    return next((number for words, number in _SEVERITIES if words.match(line)), "")
