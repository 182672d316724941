"""balance random, random(DRAWS): of some servers drawn by weight, the least loaded ("power of two choices").

When that one is full, the least loaded with a free slot takes over (HAProxy queues the exchange instead).
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Any

from pylb.backend.balance.base import Algorithm, Settings, balance


@balance("random")
class RandomChoice(Algorithm):
    """See the module."""

    __slots__ = ("_bounds", "_draws", "_random", "_servers")

    rotates = True
    overflows = True

    def __init__(self, settings: Settings, servers: Sequence[Any]) -> None:
        super().__init__(settings, servers)
        draws = settings.keyword.partition("(")[2].rstrip(")") or "2"
        if not (draws.isascii() and draws.isdigit() and int(draws)):
            raise ValueError(f"balance random: '{draws}' is no positive number of draws")
        self._draws = int(draws)
        self._random = Random()
        self._servers: Sequence[Any] = ()
        self._bounds: list[int] = []

    def update(self, servers: Sequence[Any]) -> None:
        self._servers = servers
        self._bounds = list(accumulate(server.eweight for server in servers))

    @property
    def drawn_from(self) -> tuple[int, Sequence[Any]]:
        """How many are drawn, and from whom; for who explains a choice."""
        return self._draws, self._servers

    def pick(self, x: Any, avoid: Any) -> Any:
        best = None
        for _ in range(self._draws):
            server = self._draw(avoid)
            if best is None or server.inflight * best.eweight < best.inflight * server.eweight:
                best = server
        return best if best is not None and not best.full() else self._least_loaded(avoid)

    def _least_loaded(self, avoid: Any) -> Any:
        free = [server for server in self._servers if not server.full()]
        return min(free, key=lambda server: (server is avoid, server.inflight / server.eweight), default=None)

    def _draw(self, avoid: Any) -> Any:
        place = bisect(self._bounds, self._random.random() * self._bounds[-1])
        server = self._servers[place]
        if server is avoid:
            server = self._servers[(place + 1) % len(self._servers)]
        return server
