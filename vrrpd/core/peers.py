"""What the other nodes are doing wrong: two masters, and configurations that differ.

Only observed, never acted upon by timers or state.  Memory is bounded, as senders can be invented.
"""

from __future__ import annotations

from dataclasses import dataclass

from vrrpd.config.model import Address
from vrrpd.packet.advert import Advert
from vrrpd.packet.refusal import Reason

# Refusals that a rightly meant advert of a differently configured node gets.
DRIFT = frozenset(
    {
        Reason.VERSION,
        Reason.AUTH_TYPE,
        Reason.AUTH_PASSWORD,
        Reason.AH_ICV,
        Reason.INTERVAL,
        Reason.ADDRESS_COUNT,
        Reason.ADDRESS_LIST,
    }
)
MAX_PEERS = 32
UNHEARD_AFTER = 3
"""Adverts that a lower master sends after ours until we say that it does not hear us."""


@dataclass(slots=True)
class Rival:
    """Another master, seen while we are master too."""

    address: Address
    priority: int
    since: float
    last: float
    adverts: int = 1

    @property
    def deaf(self) -> bool:
        """It goes on after several of our adverts: nothing of ours reaches it."""
        return self.adverts > UNHEARD_AFTER


def watch_rival(rival: Rival | None, advert: Advert, now: float) -> tuple[Rival, str]:
    """The other master after one more advert of it, and what is new about it, if anything."""
    if rival is None or rival.address != advert.source:
        news = f"{advert.source} is master too, priority {advert.priority}"
        return Rival(advert.source, advert.priority, now, now), news
    was_deaf = rival.deaf
    rival.adverts, rival.last, rival.priority = rival.adverts + 1, now, advert.priority
    return rival, f"{advert.source} does not hear our adverts" if rival.deaf and not was_deaf else ""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A node whose adverts show another configuration."""

    reason: Reason
    text: str
    last: float


class Mismatches:
    """Differing nodes by address, forgotten when they have been silent for a while."""

    def __init__(self) -> None:
        self._by_peer: dict[Address, Mismatch] = {}

    def note(self, peer: Address, mismatch: Mismatch) -> None:
        """Remember what was wrong with the last advert of `peer`."""
        if peer not in self._by_peer and len(self._by_peer) >= MAX_PEERS:
            oldest = min(self._by_peer, key=lambda address: self._by_peer[address].last)
            del self._by_peer[oldest]
        self._by_peer[peer] = mismatch

    def accepted(self, peer: Address) -> None:
        """`peer` sent a good advert."""
        if self._by_peer:
            self._by_peer.pop(peer, None)

    def current(self, now: float, keep: float) -> dict[Address, Mismatch]:
        """Those heard in the last `keep` seconds."""
        self._by_peer = {peer: one for peer, one in self._by_peer.items() if now - one.last <= keep}
        return dict(self._by_peer)
