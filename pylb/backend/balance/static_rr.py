"""balance static-rr: turns from a map that is built anew when servers came and went; weights are those of the
configuration.

The map is also what `hash-type map-based` indexes. It holds each server as often as its weight, divided by the greatest
common divisor of all weights, spread by the same accumulation HAProxy uses, so that equal inputs find equal servers.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush, heapreplace
from math import gcd
from typing import Any

from pylb.backend.balance.base import Algorithm, Settings, balance


def common_divisor(servers: Sequence[Any]) -> int:
    """What all configured weights can be divided by; at least 1."""
    return gcd(*(server.weight for server in servers)) or 1


def spread(servers: Sequence[Any], divisor: int) -> list[Any]:
    """The map: at each place the first server, in order of declaration, whose accumulated weight is most overdue.

    HAProxy adds its weight to each server's score at every place, and has the chosen one pay the total. So a server is
    overdue by one more whenever what it has accumulated passes another total, and by one less whenever it is chosen;
    these moments are looked at, and not every server at every place.
    """
    weights = [server.weight // divisor for server in servers]
    total = sum(weights)
    if total == 1:
        return [next(server for server, weight in zip(servers, weights, strict=True) if weight)]
    passes: list[list[int]] = [[] for _ in range(total)]
    for i, weight in enumerate(weights):
        for times in range(1, weight + 1):
            passes[-(-times * total // weight) - 1].append(i)
    overdue = [1] * len(servers)
    most = [(-1, i) for i in range(len(servers))]  # a heap: the most overdue first; of each server the last entry holds
    places = []
    for passing in passes:
        for i in passing:
            overdue[i] += 1
            heappush(most, (-overdue[i], i))
        while overdue[most[0][1]] != -most[0][0]:
            heappop(most)
        best = most[0][1]
        overdue[best] -= 1
        heapreplace(most, (-overdue[best], best))
        places.append(servers[best])
    return places


@balance("static-rr")
class StaticRoundRobin(Algorithm):
    """See the module."""

    __slots__ = ("_divisor", "_next", "_places", "_servers")

    dynamic = False
    rotates = True
    overflows = True

    def __init__(self, settings: Settings, servers: Sequence[Any]) -> None:
        super().__init__(settings, servers)
        self._divisor = common_divisor(servers)
        self._servers = servers
        self._places: list[Any] = []
        """Empty: to be built from the servers."""
        self._next = 0

    def update(self, servers: Sequence[Any]) -> None:
        self._servers = servers
        self._places = []
        self._next = 0

    def places(self) -> list[Any]:
        """The map, built when it is first asked for: of a thousand servers that fail together each would cost 17 ms."""
        if not self._places:
            self._places = spread(self._servers, self._divisor)
        return self._places

    @property
    def turns(self) -> tuple[int, Sequence[Any]]:
        """The next place, from 0, and the server of each; for who explains a choice."""
        return self._next, self.places()

    def pick(self, x: Any, avoid: Any) -> Any:
        places = self._places or self.places()
        size = len(places)
        avoided_at = -1
        for place in range(self._next, self._next + size):
            server = places[place % size]
            if server.maxconn and server.full():
                continue
            if server is not avoid:
                self._next = (place + 1) % size
                return server
            avoided_at = place
        if avoided_at < 0:
            return None
        self._next = (avoided_at + 1) % size
        return places[avoided_at % size]
