"""balance leastconn: whoever has the fewest exchanges in service or in its queue, by weight; equals take turns.

A heap of (load, sequence, server). `moved` pushes a server's new place and its old one becomes stale, recognised by its
sequence number; stale ones are dropped when they surface or when they outnumber the servers. So a change costs
O(log n), and a choice looks at the top only.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any

from pylb.backend.balance.base import Algorithm, Settings, balance

_FULL_WEIGHT = 4096


@balance("leastconn")
class LeastConn(Algorithm):
    """See the module."""

    __slots__ = ("_heap", "_place", "_room", "_sequence")

    follows_load = True

    def __init__(self, settings: Settings, servers: Sequence[Any]) -> None:
        super().__init__(settings, servers)
        self._heap: list[tuple[int, int, Any]] = []
        self._place: dict[Any, int] = {}  # candidate → sequence number of its valid entry
        self._sequence = count()
        self._room = 0

    def update(self, servers: Sequence[Any]) -> None:
        old = self._place
        ordered = sorted(servers, key=lambda server: old.get(server, len(servers)) if server in old else -1)
        self._place = {server: next(self._sequence) for server in ordered}
        self._rebuild()

    def _rebuild(self) -> None:
        self._heap = [(_load(server), number, server) for server, number in self._place.items()]
        heapify(self._heap)
        self._room = 2 * len(self._heap) + 64

    def moved(self, server: Any) -> None:
        if server not in self._place:
            return
        self._place[server] = number = next(self._sequence)
        heappush(self._heap, (_load(server), number, server))
        if len(self._heap) > self._room:
            self._rebuild()

    @property
    def compared(self) -> Sequence[Any]:
        """The servers whose loads are compared; for who explains a choice."""
        return tuple(self._place)

    def pick(self, x: Any, avoid: Any) -> Any:
        heap, place = self._heap, self._place
        passed = []
        chosen = second_best = None
        while heap:
            entry = heap[0]
            server = entry[2]
            if place.get(server) != entry[1]:
                heappop(heap)
                continue
            if server.maxconn and not server.has_place():
                passed.append(heappop(heap))
            elif server is avoid:
                second_best = server
                passed.append(heappop(heap))
            else:
                chosen = server
                break
        for entry in passed:
            heappush(heap, entry)
        return chosen or second_best


def _load(server: Any) -> int:
    """The sort key: exchanges per weight, one more than there are so that weight counts from the first on."""
    inflight: int = server.inflight
    return (inflight + 1) * _FULL_WEIGHT // int(server.eweight) if inflight else 0
