"""TLS sessions towards servers: a connection goes on where an earlier one to the same name ended (RFC 8446 2.2, 4.6.1).

`ssl` hands no ticket over when it comes, it only lets one look. Tickets of TLS 1.3 come right behind the handshake, so
they are there when the first of the server's data is read, and so is a session of TLS 1.2. The loop makes its TLS
objects by `SSLContext.wrap_bio`, which is the place to put a session in.

A session is offered under the name that its server's certificate was checked for, and within one context, so what a
handshake has verified keeps its meaning.
"""

from __future__ import annotations

import ssl
from typing import Any, cast

MOST_NAMES = 256
"""Sessions that one server's context keeps; `sni` may follow what clients ask for."""


class ResumingObject(ssl.SSLObject):
    """A TLS connection that leaves its session behind."""

    _left = False

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """As SSLObject's; after the first data the session is kept."""
        inner = cast(Any, self)._sslobj
        data = inner.read(len, buffer) if buffer is not None else inner.read(len)
        if not self._left:
            self._left = True
            cast(ResumingContext, self.context).keep(self)
        return data


class ResumingContext(ssl.SSLContext):
    """A client's context that offers the last session it had under a name."""

    sslobject_class = ResumingObject
    sessions: dict[str | None, ssl.SSLSession]

    def __new__(cls, protocol: int = ssl.PROTOCOL_TLS_CLIENT, *args: Any, **kwargs: Any) -> ResumingContext:
        context = super().__new__(cls, protocol, *args, **kwargs)
        context.sessions = {}
        return context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As SSLContext's."""
        name = cast("str | None", server_hostname) or None
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session or self.sessions.get(name))

    def keep(self, connection: ssl.SSLObject) -> None:
        """Remember the session of `connection`; the oldest name gives way."""
        session = connection.session
        if session is None:
            return
        name = connection.server_hostname or None
        self.sessions.pop(name, None)
        self.sessions[name] = session
        if len(self.sessions) > MOST_NAMES:
            del self.sessions[next(iter(self.sessions))]
