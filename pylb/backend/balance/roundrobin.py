"""balance roundrobin: smooth, weighted, dynamic.

Every server is due at even distances on one time line: a server of weight w is due w times per unit. The next one due
is taken and moves on by its stride 1/w. The starting points are spread as well, so weights 5 1 1 give a a a b a a c
and not five times a in a row. Whoever is full or avoided when due loses that turn.

Positions are whole numbers: one unit is 2·n·lcm(weights), so every stride divides it and after any unit each server had
exactly its weight in turns. A heap makes a turn O(log n); a changed set keeps everyone's distance to the next turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace
from math import lcm
from typing import Any

from pylb.backend.balance.base import Algorithm, Settings, balance


@balance("roundrobin")
class RoundRobin(Algorithm):
    """See the module."""

    __slots__ = ("_heap", "_unit")

    rotates = True
    overflows = True

    def __init__(self, settings: Settings, servers: Sequence[Any]) -> None:
        super().__init__(settings, servers)
        self._heap: list[tuple[int, int, Any, int]] = []  # (due at, order of declaration, server, stride)
        self._unit = 1

    def update(self, servers: Sequence[Any]) -> None:
        now = self._heap[0][0] if self._heap else 0
        waits = {server: ((due - now) / stride) for due, _, server, stride in self._heap}  # in strides
        common = lcm(*(server.eweight for server in servers))
        self._unit = 2 * len(servers) * common
        self._heap = []
        for order, server in enumerate(servers):
            stride = self._unit // server.eweight
            wait = waits.get(server)
            due = (2 * order + 1) * common // server.eweight if wait is None else round(wait * stride)
            self._heap.append((due, order, server, stride))
        heapify(self._heap)

    def due(self) -> list[tuple[Any, float]]:
        """Servers in the order of their turns, and in how many rounds each is due; for who explains a choice."""
        turns = sorted(self._heap, key=lambda entry: entry[:2])
        return [(server, (due - turns[0][0]) / self._unit) for due, _, server, _ in turns]

    def pick(self, x: Any, avoid: Any) -> Any:
        heap = self._heap
        due, order, server, stride = heap[0]
        if server is avoid or (server.maxconn and server.full()):
            return self._pick_among_full(avoid)
        heapreplace(heap, (due + stride, order, server, stride))
        return server

    def _pick_among_full(self, avoid: Any) -> Any:
        passed = []
        chosen = second_best = None
        while self._heap and chosen is None:
            due, order, server, stride = heappop(self._heap)
            passed.append((due + stride, order, server, stride))
            if server.full():
                continue
            if server is avoid:
                second_best = server
            else:
                chosen = server
        for entry in passed:
            heappush(self._heap, entry)
        return chosen or second_best
