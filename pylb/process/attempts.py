"""Starts and reloads, one at a time: whether one is under way, whether another has to follow, how they went."""

from __future__ import annotations

import asyncio
import time

from pylb.process.packets import Message


class Attempts:
    """All of one master. The first is the start; only what follows it counts as a reload."""

    def __init__(self) -> None:
        self._under_way = False
        self._again = False
        """Another reload has been asked for while one was under way."""
        self._waiting: list[asyncio.Future[None]] = []
        """For the reload under way, or the one that follows it."""
        self._reloads = 0
        """That have succeeded."""
        self._ended = 0
        self.failed = 0
        """Reloads, since the last one that succeeded."""
        self.last: Message = {"at": 0.0, "success": True, "reason": "", "count": 0, "ended": 0, "pending": False}
        """How the last reload went: the fields of admin.world.Reload."""

    def ask(self) -> bool:
        """True: begin one. False: one is under way, and another will follow it."""
        self.last = {**self.last, "pending": True}
        if self._under_way:
            self._again = True
            return False
        self._under_way = True
        return True

    def conclude(self, success: bool, reason: str, reload: bool) -> bool:
        """One has come to its end; `reload`: it was no start. True: it has to be followed by another one."""
        self._under_way = False
        if reload:
            self._reloads += success
            self.failed = 0 if success else self.failed + 1
            self._ended += 1
            self.last = {
                "at": time.time(), "success": success, "reason": reason, "count": self._reloads, "ended": self._ended,
            }  # fmt: skip
        self.last = {**self.last, "pending": self._again}
        if self._again:
            self._again = False
            return True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()
        return False

    async def settled(self) -> None:
        """Wait for the end of the one under way, if there is one, and of what was asked for meanwhile."""
        if self._under_way:
            self._waiting.append(asyncio.get_running_loop().create_future())
            await self._waiting[-1]
