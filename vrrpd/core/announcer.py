"""When the addresses of a master are announced: at once, again after a delay, and by refreshes.

Neighbours may have missed the first gratuitous ARPs, a switch port may still be learning: hence the second batch.
Deadlines are numbers; whoever owns this asks `deadline` and calls `due()`.
"""

from __future__ import annotations

from vrrpd.config.model import Garp
from vrrpd.core.timers import NEVER


class Announcer:
    """The pending announcements of one instance; each answer is a number of rounds, 0 for none."""

    def __init__(self, garp: Garp) -> None:
        self.garp = garp
        self._again = self._lower_again = self._refresh = self._extra = NEVER

    @property
    def deadline(self) -> float:
        """When `due()` has something to say."""
        return min(self._again, self._lower_again, self._refresh, self._extra)

    def became_master(self, now: float) -> int:
        """Rounds for now; the second batch and the refreshes are arranged."""
        garp = self.garp
        self._again = now + garp.master_delay if garp.master_delay else NEVER
        self._refresh = now + garp.master_refresh if garp.master_refresh else NEVER
        self._extra = now + garp.extra_interfaces if garp.extra_interfaces else NEVER
        return garp.master_repeat

    def heard_lower(self, now: float) -> int:
        """Another master was heard, whose neighbours have to be told: rounds for now."""
        garp = self.garp
        if garp.lower_prio_repeat and garp.lower_prio_delay:
            self._lower_again = now + garp.lower_prio_delay
        return garp.lower_prio_repeat

    def stop(self) -> None:
        """No longer master."""
        self._again = self._lower_again = self._refresh = self._extra = NEVER

    def due(self, now: float) -> int:
        """Rounds for all addresses that are due now."""
        garp, rounds = self.garp, 0
        if now >= self._again:
            self._again, rounds = NEVER, max(rounds, garp.master_repeat)
        if now >= self._lower_again:
            self._lower_again, rounds = NEVER, max(rounds, garp.lower_prio_repeat)
        if now >= self._refresh:
            self._refresh, rounds = now + garp.master_refresh, max(rounds, garp.master_refresh_repeat)
        return rounds

    def extra_due(self, now: float) -> bool:
        """Whether one round for the addresses on other interfaces is due now."""
        if now < self._extra:
            return False
        self._extra = now + self.garp.extra_interfaces
        return True
