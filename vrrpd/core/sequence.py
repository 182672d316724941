"""AH's sequence number: one counter per virtual router, for what is sent and what is accepted.

So the numbers run on across the group, whoever is master (facts: keepalived 2.2.7).  A number that was not above the
counter is a replay.  A node that starts at 0 therefore is deaf to nobody, but others are deaf to it until they have
heard something else; one that starts at the clock is ahead of whatever it sent in an earlier life, as long as the
group sends no more than one advert a second on average, which version 2 with its whole seconds ensures.
"""

from __future__ import annotations

from vrrpd.packet.auth import MAX_SEQUENCE


class SequenceCounter:
    """The highest number sent or accepted."""

    def __init__(self, value: int = 0) -> None:
        self.value = min(value, MAX_SEQUENCE)
        self.leap = 0
        """How many numbers the next advert is to leave out, unless something is accepted before."""

    def next(self) -> int:
        """The number for the next advert; it stays at the largest one, there is no way back."""
        self.skip(1 + self.leap)
        self.leap = 0
        return self.value

    def skip(self, count: int) -> None:
        """Leave out some numbers."""
        self.value = min(self.value + count, MAX_SEQUENCE)

    def accepted(self, sequence: int) -> None:
        """A packet with this number was accepted."""
        self.value, self.leap = max(self.value, sequence), 0
