"""Whole messages of one turn of the loop, written together at its end.

A write to a peer that sleeps has to wake it, which costs three times the write. Written one by one between the work for
other connections, nearly every message meets a sleeping peer; written in a row, the first wakes it and the others find
it awake. Measured by bench/http on a quiet machine: 68 µs of CPU per keep-alive request with log and cookie became 47,
and the kernel's part of that 24 became 11.

Only whole messages come here: a request without a body, a complete response. Whoever writes to such a client directly
or closes its connection flushes first, so nothing is overtaken and nothing lost.
"""

from __future__ import annotations

import asyncio

from pylb.net.flow import Flow


class Outbox:
    """One per event loop."""

    __slots__ = ("_loop", "_messages")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._messages: list[tuple[Flow, bytes]] = []

    def put(self, connection: Flow, message: bytes) -> None:
        """Write `message` at the end of this turn."""
        messages = self._messages
        if not messages:
            self._loop.call_soon(self.flush)
        connection.queued = True
        messages.append((connection, message))

    def flush(self) -> None:
        """Write what waits now."""
        messages, self._messages = self._messages, []
        for connection, message in messages:
            connection.queued = False
            if connection.transport.is_closing():
                continue
            try:
                connection.transport.write(message)
            except RuntimeError:  # the ending loop has closed the handle under its transport
                connection.transport.abort()
