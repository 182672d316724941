"""Deadlines of many instances behind one timer.

A heap that forgets lazily: `set` pushes, and entries that are no longer an instance's deadline are dropped
when they come up. So re-arming costs a push, and the next deadline is on top, also with 255 instances.
"""

from __future__ import annotations

import heapq

NEVER = float("inf")


class Deadlines:
    """Which name is due when; times are seconds of one clock."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._of: dict[str, float] = {}

    def set(self, name: str, deadline: float) -> None:
        """Give a name its deadline, `inf` for none; the former one no longer counts."""
        if self._of.get(name) == deadline:
            return
        self._of[name] = deadline
        if deadline != NEVER:
            heapq.heappush(self._heap, (deadline, name))
            if len(self._heap) > 64 + 8 * len(self._of):
                self._rebuild()

    def remove(self, name: str) -> None:
        """The name is never due again."""
        self._of.pop(name, None)

    def next(self) -> float:
        """The earliest deadline, `inf` when there is none."""
        heap = self._heap
        while heap and self._of.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else NEVER

    def due(self, now: float) -> list[tuple[str, float]]:
        """(name, deadline) of all that are due, earliest first; none has a deadline until `set` again."""
        found = []
        while self.next() <= now:
            deadline, name = heapq.heappop(self._heap)
            del self._of[name]
            found.append((name, deadline))
        return found

    def _rebuild(self) -> None:
        self._heap = [(deadline, name) for name, deadline in self._of.items() if deadline != NEVER]
        heapq.heapify(self._heap)
