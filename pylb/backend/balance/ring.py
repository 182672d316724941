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

_ID_BITS = 32
_ID = (1 << _ID_BITS) - 1


class Map(StaticRoundRobin):
    """The map-based method."""

    __slots__ = ()

    def where(self, value: int) -> str:
        """Where a hash leads, in words; for who explains a choice."""
        size = len(self.places())
        return f"place {value % size + 1} of {size} (map-based)"

    def find(self, value: int, avoid: Any) -> Any:
        """The server of a hash, full or not: its queue is then the place to wait."""
        places = self._places or self.places()
        return places[value % len(places)]


class Ring:
    """The consistent method.

    A point is one number, its place on the ring and, behind, its owner's id. So a change of one server's points costs a
    pass over all and a sort of two sorted pieces: a fiftieth of what it takes to make them all.
    """

    __slots__ = ("_last", "_owners", "_points", "_weights")

    def __init__(self) -> None:
        self._owners: dict[int, Any] = {}
        """By id."""
        self._weights: dict[int, int] = {}
        """By id: how many points there are of a server."""
        self._points: list[int] = []
        self._last = -1

    def update(self, servers: Sequence[Any]) -> None:
        """Have the points of `servers` on the ring, and no others."""
        before, wanted = self._weights, {server.sid: server.eweight for server in servers}
        gone = {sid for sid, weight in before.items() if wanted.get(sid) != weight}
        points = [point for point in self._points if point & _ID not in gone] if gone else self._points
        for sid, weight in wanted.items():
            if before.get(sid) != weight:
                first = sid * _POINTS
                points += [avalanche(number) << _ID_BITS | sid for number in range(first, first + weight)]
        points.sort()
        self._points, self._weights = points, wanted
        self._owners = {server.sid: server for server in servers}
        self._last = -1

    def where(self, value: int) -> str:
        """Where a hash leads, in words; for who explains a choice."""
        return f"the nearest of {len(self._points)} points on the ring (consistent)"

    def find(self, value: int, avoid: Any) -> Any:
        """The owner of the point nearest to a hash; for another attempt the next owner that is not `avoid`."""
        points, owners = self._points, self._owners
        size = len(points)
        after = bisect_left(points, value << _ID_BITS) % size
        before = after - 1  # -1 is the last: the ring closes
        behind, ahead = value - (points[before] >> _ID_BITS), (points[after] >> _ID_BITS) - value
        nearest = before if behind & 0xFFFFFFFF <= ahead & 0xFFFFFFFF else after
        for step in range(size):
            server = owners[points[(nearest + step) % size] & _ID]
            if server is not avoid:
                return server
        return owners[points[nearest] & _ID]

    def pick(self, x: Any, avoid: Any) -> Any:
        """The next point whose owner has a free slot."""
        second_best = None
        size = len(self._points)
        for step in range(1, size + 1):
            place = (self._last + step) % size
            server = self._owners[self._points[place] & _ID]
            if server.full():
                continue
            if server is not avoid:
                self._last = place
                return server
            second_best = server
        return second_best
