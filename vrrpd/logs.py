"""Log lines in keepalived's words, to the console or to syslog, and never more of them than a person can read.

A flood says its line once, then how often it came: `FloodLimit` lets the first `BURST` equal lines of a
window pass and names the rest in one line. Syslog is never waited for.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable

from vrrpd.core.actions import Level

SEVERITY = {Level.ERROR: 3, Level.WARNING: 4, Level.NOTICE: 5, Level.INFO: 6, Level.DEBUG: 7}
FACILITY_DAEMON = 3
WINDOW = 10.0
"""Seconds in which equal lines are counted together."""
BURST = 5
"""Equal lines that pass within a window."""


class FloodLimit:
    """Decides which of many equal lines are said. Time is an argument."""

    def __init__(self, burst: int = BURST, window: float = WINDOW) -> None:
        self.burst, self.window = burst, window
        self._seen: dict[str, tuple[float, int]] = {}

    def lines(self, text: str, now: float) -> list[str]:
        """What to write for this line: nothing, the line, or first how often it was held back before."""
        start, count = self._seen.get(text, (now, 0))
        held = []
        if now - start >= self.window:
            held = self._summary(text, count)
            start, count = now, 0
        self._seen[text] = (start, count + 1)
        if len(self._seen) > 512:
            self._forget(now)
        return [*held, text] if count < self.burst else held

    def _summary(self, text: str, count: int) -> list[str]:
        return [f"{text} (repeated {count - self.burst} times)"] if count > self.burst else []

    def _forget(self, now: float) -> None:
        self._seen = {text: entry for text, entry in self._seen.items() if now - entry[0] < self.window}

    def finish(self, now: float) -> list[str]:
        """Summaries that are due because their window is over."""
        over = [(text, entry) for text, entry in self._seen.items() if now - entry[0] >= self.window]
        lines = []
        for text, (_, count) in over:
            del self._seen[text]
            lines += self._summary(text, count)
        return lines


class Log:
    """Writes lines where keepalived would: console (`Mon Nov 23 03:41:11 2026: text`) and/or syslog.

    `detail` shows the lines that keepalived has only with -D.
    """

    def __init__(
        self,
        *,
        console: bool = True,
        syslog: str | None = None,
        detail: bool = False,
        clock: Callable[[], float] = time.monotonic,
        ident: str = "Keepalived_vrrp",
    ) -> None:
        self.console, self.detail, self.ident = console, detail, ident
        self._limit = FloodLimit()
        self._clock = clock
        self._syslog: socket.socket | None = None
        if syslog:
            self._syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            try:
                self._syslog.connect(syslog)
            except OSError:
                self._syslog.close()
                raise

    def say(self, level: Level, text: str) -> None:
        """Write one line unless it is one of a flood, or detail that nobody asked for."""
        if level is Level.DEBUG and not self.detail:
            return
        for line in self._limit.lines(text, self._clock()):
            self._write(level, line)

    def tick(self) -> None:
        """Say how many lines a flood that is over had; call now and then."""
        for line in self._limit.finish(self._clock()):
            self._write(Level.INFO, line)

    def close(self) -> None:
        """Close the connection to syslog."""
        if self._syslog is not None:
            self._syslog.close()
            self._syslog = None

    def _write(self, level: Level, text: str) -> None:
        if self.console:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"{time.asctime()}: {text}\n")
                sys.stderr.flush()
        if self._syslog is not None:
            priority = FACILITY_DAEMON * 8 + SEVERITY[level]
            stamp = time.strftime("%b %e %H:%M:%S")
            with contextlib.suppress(OSError):
                self._syslog.send(f"<{priority}>{stamp} {self.ident}[{os.getpid()}]: {text}".encode())
