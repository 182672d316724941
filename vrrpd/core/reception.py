"""What arrives, judged: every packet becomes an advert or a counted refusal, and nothing here knows a timer.

So a packet that is not right cannot touch the state machine, whatever is in it.  Refusals are logged once per flood,
and those that look like a differing configuration are remembered by sender.
"""

from __future__ import annotations

from vrrpd.config.model import Address, InstanceSettings
from vrrpd.core.counters import Counters
from vrrpd.core.floods import Floods
from vrrpd.core.peers import DRIFT, Mismatch, Mismatches
from vrrpd.packet.advert import Advert
from vrrpd.packet.check import AdvertChecker
from vrrpd.packet.datagram import Datagram
from vrrpd.packet.refusal import Reason, Refusal


class Reception:
    """The receiving side of one instance."""

    def __init__(self, settings: InstanceSettings, counters: Counters, mismatches: Mismatches) -> None:
        self._checker = AdvertChecker(settings)
        self._counters = counters
        self._mismatches = mismatches
        self._floods = Floods()

    def expect(self, settings: InstanceSettings) -> None:
        """Judge by new settings."""
        self._checker = AdvertChecker(settings)

    def take(
        self, datagram: Datagram, now: float, own: Address | None, sequence: int, from_master: bool
    ) -> Advert | Refusal:
        """The advert in a packet, or why it is none, which has been counted.

        `own`: our source address; `sequence`: the highest AH number so far; `from_master`: the sender is the master
        that we follow.
        """
        try:
            if datagram.source == own:
                raise Refusal(Reason.OWN, "received our own advert")
            advert = self._checker.check(datagram, sequence, from_master)
        except Refusal as refusal:
            self._counters.refused[refusal.reason] += 1
            if refusal.reason in DRIFT:
                self._mismatches.note(datagram.source, Mismatch(refusal.reason, refusal.text, now))
            return refusal
        self._mismatches.accepted(datagram.source)
        return advert

    def line(self, refusal: Refusal, sender: Address, now: float) -> str | None:
        """What to log of a refusal; None while its flood goes on, and for our own packets."""
        if refusal.reason is Reason.OWN:
            return None
        held_back = self._floods.hit(refusal.reason, now)
        if held_back is None:
            return None
        more = f" ({held_back} more like it were not logged)" if held_back else ""
        return f"{refusal.text} (from {sender}){more}"
