"""Messages between a steward and its workers: one stream socket each, a head of kind and length before each payload.

    worker  ─► READY                    it accepts connections
            ─► ANSWER id, text          to a COMMAND or a SETTLE
            ─► OBSERVED [b, s, event]   traffic met an event that may take a server down (manual: observe)
            ─► STICK [[…], …]           its stick rules have stored or touched entries (sticks.py)
            ─► TALLY [n, t, [[…], …]]   what it has counted in stick tables (tallies.py)
            ─► PATTERNS [[…], …]        its rules have changed maps and ACLs (pattern_news.py)
            ─► ORDER [b, s, action]     the statistics page was used to change a server
    steward ─► STATES [[…], …]          servers have changed (replicate.py)
            ─► STICK [[…], …]           other workers' stick rules have
            ─► TALLY [n, t, [[…], …]]   what all of them have counted
            ─► PATTERNS slot, [[…], …]  the rules of the worker in that slot have
            ─► COMMAND id, text         from an admin socket, to be carried out and answered
            ─► SETTLE id                write your counters now, then answer
            ─► NEWS                     how the last reload went
            ─► RETIRE, STOP             softly; at once

Order is kept: what the steward sends first, every worker does first. Payloads are JSON, except for commands and their
answers, which are the bytes themselves behind a number that pairs them.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any, cast

_HEAD = struct.Struct("!BI")
_NUMBER = struct.Struct("!I")


class Kind(IntEnum):
    """What a message is about; see the module."""

    READY = 1
    ANSWER = 2
    OBSERVED = 3
    ORDER = 4
    STATES = 5
    COMMAND = 6
    SETTLE = 7
    RETIRE = 8
    STOP = 9
    NEWS = 10
    STICK = 11
    PATTERNS = 12
    TALLY = 13


PATIENCE = 1.0
"""Seconds that the other side may take to read last words."""

Receive = Callable[[Kind, bytes], None]


class Channel(asyncio.Protocol):
    """One end of the socket; `receive` gets each whole message, `lost` is called once when the other end is gone."""

    def __init__(self, receive: Receive, lost: Callable[[], None]) -> None:
        self._receive = receive
        self._lost = lost
        self._sock: socket.socket | None = None
        self._transport: asyncio.Transport | None = None
        self._ended = asyncio.Event()
        self._buffer = bytearray()
        self._unsent = bytearray()
        """What was sent before there was a connection."""

    @classmethod
    async def over(cls, sock: socket.socket, receive: Receive, lost: Callable[[], None]) -> Channel:
        """A channel over a connected socket, which it owns from now on."""
        channel = cls(receive, lost)
        await channel.open(sock)
        return channel

    async def open(self, sock: socket.socket) -> None:
        """Use a connected socket, and own it; what has been sent before goes out first."""
        self._sock = sock
        await asyncio.get_running_loop().create_connection(lambda: self, sock=sock)

    def send(self, kind: Kind, payload: bytes = b"") -> None:
        """Send a message; it waits in memory while the other side is busy."""
        if self._transport is None:
            self._unsent += _HEAD.pack(kind, len(payload)) + payload
        elif not self._transport.is_closing():
            self._transport.write(_HEAD.pack(kind, len(payload)) + payload)

    def tell(self, kind: Kind, value: Any) -> None:
        """Send a value as JSON."""
        self.send(kind, json.dumps(value, separators=(",", ":")).encode())

    def close(self) -> None:
        """Close; `lost` is not called."""
        self._lost = _nothing
        if self._transport is not None:
            self._transport.close()

    async def finish(self) -> None:
        """Close when all that was sent is on its way, or after PATIENCE: the last words of a process that ends."""
        self.close()
        if self._transport is not None:
            try:
                await asyncio.wait_for(self._ended.wait(), PATIENCE)
            except TimeoutError:
                self._transport.abort()

    def drain(self) -> None:
        """Receive what the other side, which has ended, has still said."""
        with suppress(OSError):  # BlockingIOError: that was all
            while self._sock is not None and (data := self._sock.recv(65536, socket.MSG_DONTWAIT)):
                self.data_received(data)

    # --------------------------------------------------------------------------------------------------- the loop's

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._unsent:
            self._transport.write(bytes(self._unsent))
            self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= _HEAD.size:
            kind, size = _HEAD.unpack_from(buffer, start)
            end = start + _HEAD.size + size
            if len(buffer) < end:
                break
            payload = bytes(buffer[start + _HEAD.size : end])
            start = end
            self._hear(Kind(kind), payload)
        del buffer[:start]

    def _hear(self, kind: Kind, payload: bytes) -> None:
        """A mistake of ours in one message must not end the channel: a worker that hears nothing any more would serve
        on, with servers that are gone, beside every generation to come."""
        try:
            self._receive(kind, payload)
        except Exception as error:
            about = {"message": f"message {kind.name} between steward and worker failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(about)

    def connection_lost(self, exc: Exception | None) -> None:
        lost, self._lost = self._lost, _nothing
        self._ended.set()
        lost()


def _nothing() -> None:
    """Nobody has to know."""


def numbered(number: int, data: bytes = b"") -> bytes:
    """A payload with the number of a question before it."""
    return _NUMBER.pack(number) + data


def number_of(payload: bytes) -> tuple[int, bytes]:
    """The number and the rest."""
    return _NUMBER.unpack_from(payload)[0], payload[_NUMBER.size :]
