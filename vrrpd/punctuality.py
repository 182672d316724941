"""Whether the adverts leave on time, and a line that names the machine's limit when they do not. No clock here.

An advert is late when it leaves more than a tenth of its interval after its time: far from any master down interval,
but the first sign that there are more adverts than this process can send. Which rate that is depends on the machine,
so it is observed instead of promised.
"""

from __future__ import annotations

from dataclasses import dataclass

TOLERATED = 0.01
"""Share of late adverts that is no news: any machine is busy with something else now and then."""
ENOUGH = 100
"""Adverts between two looks from which a share means something."""


@dataclass(slots=True)
class Punctuality:
    """Looks now and then at two counters: adverts sent, and those of them that were late."""

    at: float
    sent: int = 0
    late: int = 0
    limit: float | None = None
    """The lowest rate, in adverts a second, that was not kept on time."""

    def look(self, sent: int, late: int, now: float) -> str | None:
        """A line for the log if too many were late since the last look; counters that went back begin anew."""
        seconds, count, behind = now - self.at, sent - self.sent, late - self.late
        self.at, self.sent, self.late = now, sent, late
        if count < ENOUGH or behind <= TOLERATED * count or seconds <= 0:
            return None
        rate = count / seconds
        if self.limit is not None and rate >= self.limit:
            return None
        self.limit = rate
        return (
            f"{behind} of {count} adverts left more than a tenth of their interval late: {rate:,.0f} adverts a second"
            " are more than this machine keeps on time; longer intervals or a real-time priority help"
        )
