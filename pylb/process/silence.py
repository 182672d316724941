"""How long a process has been silent though it could have spoken.

One that wants to run and gets no processor is not hung: to end it would make a busy machine busier, and take its
clients along. So silence counts in processor time while a process is runnable, as the watchdog of HAProxy counts, and
in seconds while it sleeps or is stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
SHORT = 1.0
"""Seconds of silence that are nothing to look into."""

State = tuple[str, float]
"""The letter of its state (proc(5): R, S, D, T, …) and the seconds of processor time that it has used."""


def state_of(pid: int) -> State | None:
    """None where /proc cannot be read, as under chroot, or the process is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return words[0], (int(words[11]) + int(words[12])) / _TICKS


class Silence:
    """Of one process."""

    def __init__(self, pid: int, look: Callable[[int], State | None] = state_of) -> None:
        self._pid = pid
        self._look = look
        self._used: float | None = None
        """Processor time at the beginning of this silence."""

    def lasts(self, seconds: float) -> float:
        """What of `seconds` since the last sign of life counts. To be asked several times a second."""
        if seconds < SHORT:
            self._used = None
            return seconds
        state = self._look(self._pid)
        if state is None:
            return seconds
        letter, used = state
        if self._used is None:
            self._used = used
        return SHORT + used - self._used if letter == "R" else seconds
