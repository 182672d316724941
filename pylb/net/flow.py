"""Backpressure: nobody is read faster than the other side takes it.

A connection may have to stop reading for several reasons at once, each with its own end, so the reasons are bits of
one number and the transport is paused while any is set. Memory per connection is then bounded by what asyncio holds
for a full writer (HIGH_WATER plus one read) whatever the length of a body and the slowness of a peer.
"""

from __future__ import annotations

import asyncio

from pylb.net.clock import Timed

HIGH_WATER = 256 * 1024
"""Bytes waiting in a writer that pause the reader on the other side: one read of uvloop is at most 256,000."""
LOW_WATER = 64 * 1024

PEER_FULL = 1
"""The other side's writer is full."""
NO_PEER = 2
"""A body is waiting for a server to be chosen and connected."""
PIPELINED = 4
"""More requests lie here than may be held while the current one runs."""
PARKED = 8
"""A connection limit is reached; reading starts when somebody leaves."""

CLIENT_FULL = 32
"""The client does not take its answers: no new requests from it."""


class Flow(Timed):
    """One end of a connection: its transport, the reasons not to read from it, its deadline."""

    __slots__ = ("backlog", "held", "queued", "transport")

    transport: asyncio.Transport
    queued: bool
    """The outbox has something for it."""
    held: int
    backlog: int
    """Bytes that waited for the peer when last looked at; 0 while its writer is not full."""

    def hold(self, reason: int) -> None:
        """Stop reading for `reason`."""
        if not self.held and not self.transport.is_closing():
            self.transport.pause_reading()
        self.held |= reason

    def release(self, reason: int) -> None:
        """`reason` is gone; read on unless another one stands."""
        if self.held & reason:
            self.held &= ~reason
            if not self.held and not self.transport.is_closing():
                self.transport.resume_reading()

    def moves(self) -> bool:
        """Whether a peer whose writer is full has taken something since it was last asked: slow, but there."""
        waiting = self.transport.get_write_buffer_size()
        if 0 < waiting < self.backlog:
            self.backlog = waiting
            return True
        return False
