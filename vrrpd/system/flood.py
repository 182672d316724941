"""Surviving a flood of forged adverts: what known peers send still gets through, the rest is sampled.

A link with 255 virtual routers at 10 ms carries 25,000 good adverts a second, and all of them are taken. When
refused packets come faster than `LIMIT`, the kernel filter is narrowed to those of peers that were right
lately; of the others one in 64 still passes and is counted. If the forger uses a peer's own address, that
peer is let through only with the advert it last sent, byte for byte, or by the sample. After `CALM` quiet
seconds the filter is as wide as before.
"""

from __future__ import annotations

import asyncio
from collections import Counter

from vrrpd.packet.datagram import PROTOCOL_AH, Datagram
from vrrpd.system.filters import AH_LENGTH, Trusted
from vrrpd.system.sockets import Receiver

LIMIT = 500
"""Refused packets a second that are still looked at one by one."""
WINDOW = 0.1
"""Seconds over which refused packets are counted."""
CALM = 2.0
"""Seconds without a refused packet before the filter is widened again."""
PEERS = 16
"""Senders of good adverts that are remembered, the latest."""
FORGED = 20
"""Refused packets under a good peer's address in one window: somebody forges it."""


class FloodGuard:
    """Watches one receiver's share of refused packets."""

    def __init__(self, receiver: Receiver, loop: asyncio.AbstractEventLoop) -> None:
        self.narrowed = False
        self.floods = 0
        self._receiver, self._loop = receiver, loop
        self._window_end = 0.0
        self._refused = 0
        self._sources: Counter[str] = Counter()
        self._peers: dict[str, bytes] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._last_refusals = 0.0

    def arrived(self, count: int) -> None:
        """Some packets came: open a new window when the last one is over."""
        if count and self._loop.time() >= self._window_end:
            self._window_end = self._loop.time() + WINDOW
            self._refused = 0
            self._sources.clear()

    def good(self, datagram: Datagram) -> None:
        """A packet was accepted: remember who sent it and how it began."""
        source = str(datagram.source)
        offset = AH_LENGTH if datagram.protocol == PROTOCOL_AH else 0
        head = datagram.payload[offset : offset + 8]
        if self._peers.get(source) != head:
            self._peers.pop(source, None)
            self._peers[source] = head
            if len(self._peers) > PEERS:
                del self._peers[next(iter(self._peers))]

    def bad(self, datagram: Datagram) -> None:
        """A packet was refused; too many in a window narrow the filter."""
        self._refused += 1
        self._sources[str(datagram.source)] += 1
        if self.narrowed:
            self._last_refusals = self._loop.time()
            if self._sources[str(datagram.source)] == FORGED:
                self._narrow()
        elif self._refused > LIMIT * WINDOW:
            self._narrow()

    def _narrow(self) -> None:
        if not self.narrowed:
            self.floods += 1
            self._last_refusals = self._loop.time()
            self._timer = self._loop.call_later(CALM, self._look_again)
        self.narrowed = True
        trusted = []
        for source, head in self._peers.items():
            forged = self._sources[source] >= FORGED
            trusted.append(Trusted(source, head if forged else None))
        self._receiver.restrict(trusted)

    def _look_again(self) -> None:
        if self._loop.time() - self._last_refusals < CALM:
            self._timer = self._loop.call_later(CALM, self._look_again)
            return
        self.narrowed = False
        self._timer = None
        self._receiver.restrict(None)

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
