"""Clients whose handshake fails are told why (RFC 8446 6.2).

When a handshake fails, OpenSSL leaves an alert to be sent; but asyncio's TLS, uvloop's too, closes the connection
without it, and the client sees no more than an end. Both make their TLS objects by `SSLContext.wrap_bio`, which is the
place to put an object in that sends the alert itself. Which socket that is for, the listener says in `connection`, and
is told there how far the handshake came.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from contextvars import ContextVar
from typing import Any
from weakref import ReferenceType, ref


class Handshake:
    """One of them, as a listener and its TLS object share it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock: ReferenceType[socket.socket] = ref(sock)
        """What outlives the handshake, as a connection to a server does that was opened in the same context, must not
        keep it open."""
        self.answered = False
        """A whole hello has come."""


connection: ContextVar[Handshake] = ContextVar("connection")
"""The handshake that this task waits for."""


class AlertingObject(ssl.SSLObject):
    """A server's side of a connection."""

    outgoing: ssl.MemoryBIO
    handshake: Handshake | None

    def do_handshake(self) -> None:
        """As usual; what a failure leaves to be sent goes out."""
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if self.outgoing.pending and self.handshake is not None:
                self.handshake.answered = True
            raise
        except ssl.SSLError:
            sock = self.handshake.sock() if self.handshake is not None else None
            if sock is not None:
                with suppress(OSError):  # gone, or its buffer is full of what it did not read
                    sock.send(self.outgoing.read())
                del sock  # the error's traceback holds this frame
            raise


class AlertingContext(ssl.SSLContext):
    """A server's context whose handshakes end with an alert when they fail."""

    sslobject_class = AlertingObject

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **kwargs: Any) -> AlertingObject:
        """The object knows where alerts go."""
        made = super().wrap_bio(incoming, outgoing, *args, **kwargs)
        assert isinstance(made, AlertingObject)
        made.outgoing, made.handshake = outgoing, connection.get(None)
        return made
