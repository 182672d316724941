"""From a hash to a server: the two methods of `hash-type`.

Map      `hash-type map-based`: the map of static-rr indexed by hash modulo its size. Smooth, but most keys move when a
         server comes or goes.
Ring     `hash-type consistent`: every server owns sixteen points per unit of weight on a ring of 2³²; the point nearest
         to the hash wins. Only the keys of a server that leaves move. Points depend on the server's id and nothing
         else, so balancers that number their servers alike agree.

Both also rotate, for exchanges that lack the hashed element (manual: `balance`, "round robin applies").
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from pylb.backend.balance.hashes import avalanche
from pylb.backend.balance.static_rr import StaticRoundRobin

_POINTS = 4096
"""Numbers reserved for the points of one server: 256 times 16."""


class Map(StaticRoundRobin):
    """The map-based method."""

    __slots__ = ()

    def where(self, value: int) -> str:
        """Where a hash leads, in words; for who explains a choice."""
        size = len(self._places)
        return f"place {value % size + 1} of {size} (map-based)"

    def find(self, value: int, avoid: Any) -> Any:
        """The server of a hash, full or not: its queue is then the place to wait."""
        return self._places[value % len(self._places)]


class Ring:
    """The consistent method."""

    __slots__ = ("_keys", "_last", "_owners")

    def __init__(self) -> None:
        self._keys: list[int] = []
        self._owners: list[Any] = []
        self._last = -1

    def update(self, servers: Sequence[Any]) -> None:
        """Put the points of `servers` on the ring."""
        points = [
            (avalanche(server.sid * _POINTS + number), order, server)
            for order, server in enumerate(servers)
            for number in range(server.eweight)
        ]
        points.sort(key=lambda point: point[:2])
        self._keys = [key for key, _, _ in points]
        self._owners = [server for _, _, server in points]
        self._last = -1

    def where(self, value: int) -> str:
        """Where a hash leads, in words; for who explains a choice."""
        return f"the nearest of {len(self._keys)} points on the ring (consistent)"

    def find(self, value: int, avoid: Any) -> Any:
        """The owner of the point nearest to a hash; for another attempt the next owner that is not `avoid`."""
        keys, owners = self._keys, self._owners
        size = len(keys)
        after = bisect_left(keys, value) % size
        before = after - 1  # -1 is the last: the ring closes
        nearest = before if (value - keys[before]) & 0xFFFFFFFF <= (keys[after] - value) & 0xFFFFFFFF else after
        for step in range(size):
            server = owners[(nearest + step) % size]
            if server is not avoid:
                return server
        return owners[nearest]

    def pick(self, x: Any, avoid: Any) -> Any:
        """The next point whose owner has a free slot."""
        second_best = None
        for step in range(1, len(self._owners) + 1):
            place = (self._last + step) % len(self._owners)
            server = self._owners[place]
            if server.full():
                continue
            if server is not avoid:
                self._last = place
                return server
            second_best = server
        return second_best
