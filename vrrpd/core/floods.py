"""One log line per flood: the first packet of a kind is logged, the rest counted, the count told now and then.

Kept by kind and not by sender, so that a flood from invented addresses costs no memory.
"""

from __future__ import annotations

from vrrpd.packet.refusal import Reason

QUIET = 10.0
"""Seconds without one that end a flood; the next is logged again."""
REPEAT = 60.0
"""Seconds between lines of a flood that goes on."""


class Floods:
    """Decides which refusals are worth a line."""

    def __init__(self) -> None:
        self._seen: dict[Reason, tuple[float, float, int]] = {}

    def hit(self, reason: Reason, now: float) -> int | None:
        """None: do not log this one; else how many were not logged since the last line."""
        last, logged, held_back = self._seen.get(reason, (-QUIET, -REPEAT, 0))
        if now - last < QUIET and now - logged < REPEAT:
            self._seen[reason] = (now, logged, held_back + 1)
            return None
        self._seen[reason] = (now, now, 0)
        return held_back
