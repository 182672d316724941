"""The steward's way to all workers of its generation, for what only they can do or know.

    ask_all("show sess")     every worker's answer, to be joined
    ask_all("set map …")     carried out by every worker, in the same order as all other commands
    settle()                 afterwards the shared counters are exact
    arrived()                and what the steward has told the workers holds in all of them

Server states, weights, addresses and limits need none of this: the steward changes its own servers, and replicate.py
takes the change to the workers.
"""

from __future__ import annotations

import asyncio
from itertools import count

from pylb.process.channel import Channel, Kind, number_of, numbered

PATIENCE = 5.0
"""Seconds that a worker has to answer; after that it is busy or hung, and the others' answers have to do."""

SETTLE_PATIENCE = 1.0
"""The same for counters, which are right to within a second anyway."""


class Relay:
    """The workers that can be asked, by slot, and what they have still to answer."""

    def __init__(self) -> None:
        self._channels: dict[int, Channel] = {}
        self._asked: dict[tuple[int, int], asyncio.Future[bytes]] = {}
        self._numbers = count(1)

    def attach(self, slot: int, channel: Channel) -> None:
        """A worker has come."""
        self._channels[slot] = channel

    def detach(self, slot: int) -> None:
        """It has gone; what it was asked is answered by nothing."""
        self._channels.pop(slot, None)
        for (asked, number), future in list(self._asked.items()):
            if asked == slot:
                del self._asked[asked, number]
                if not future.done():
                    future.set_result(b"")

    def answered(self, slot: int, payload: bytes) -> None:
        """An ANSWER has arrived."""
        number, data = number_of(payload)
        future = self._asked.pop((slot, number), None)
        if future is not None and not future.done():
            future.set_result(data)

    def send(self, kind: Kind, payload: bytes = b"", but: int = 0) -> None:
        """A message to every worker that wants no answer; not to the one in the slot `but`."""
        for slot, channel in self._channels.items():
            if slot != but:
                channel.send(kind, payload)

    def send_to(self, slot: int, kind: Kind, payload: bytes) -> None:
        """A message to one worker, if it is there."""
        channel = self._channels.get(slot)
        if channel is not None:
            channel.send(kind, payload)

    def slots(self) -> list[int]:
        """The workers that there are."""
        return list(self._channels)

    async def ask_all(self, command: str, patience: float = PATIENCE) -> list[bytes]:
        """Have every worker carry out `command`; their answers in the order of their slots, b"" for one that gave none
        within `patience` seconds."""
        return await self._ask(Kind.COMMAND, command.encode("utf-8", "surrogateescape"), patience)

    async def settle(self) -> None:
        """Have every worker write its counters now."""
        await self._ask(Kind.SETTLE, b"", SETTLE_PATIENCE)

    async def arrived(self) -> None:
        """Until every worker has heard all that it was told before, if it takes no longer than an answer may."""
        await self._ask(Kind.SETTLE, b"", PATIENCE)

    async def _ask(self, kind: Kind, data: bytes, patience: float) -> list[bytes]:
        loop = asyncio.get_running_loop()
        futures = []
        for slot, channel in sorted(self._channels.items()):
            number = next(self._numbers)
            future: asyncio.Future[bytes] = loop.create_future()
            self._asked[slot, number] = future
            futures.append(future)
            channel.send(kind, numbered(number, data))
        if futures:
            await asyncio.wait(futures, timeout=patience)
        self._asked = {key: future for key, future in self._asked.items() if future not in futures}
        return [future.result() if future.done() else b"" for future in futures]
