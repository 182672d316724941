"""Two connections joined into a pipe: TCP mode, WebSocket and other upgrades, CONNECT.

Each side may end its direction while the other goes on (RFC 9293 3.6), so an end is passed on as an end and the
exchange is over when both have come. A TLS side cannot be half closed by asyncio; there the first end is the last.
After an upgrade the server's end is the last one too, as in HAProxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pylb.net.exchange import Exchange
from pylb.net.flow import PEER_FULL

if TYPE_CHECKING:
    from pylb.net.failure import Side


class Tunnel(Exchange):
    """An exchange whose connections can become a pipe."""

    __slots__ = ()
    outlives_server = True
    """Whether the client may go on when the server has ended its direction."""

    @property
    def awaited(self) -> Side:
        """Whose silence ends the pipe: that of the side that has not ended, of both the one with the shorter time."""
        if self.client_ended or (self.plan.server_expires_first and not self.server_ended):
            return "s"
        return "c"

    def download(self, data: bytes) -> None:
        """Bytes from the server."""
        self.session.refresh_tunnel()
        self.bytes_read += len(data)
        self.session.transport.write(data)

    def tunnel_upload(self, data: bytes) -> None:
        """Bytes from the client."""
        self.session.refresh_tunnel()
        self.bytes_uploaded += len(data)
        if self.upstream is not None:
            self.upstream.transport.write(data)

    def client_half_closed(self, can_half_close: bool) -> bool:
        """The client has no more to send. True keeps its connection open for the other direction."""
        self.client_ended = True
        upstream = self.upstream
        if upstream is not None and upstream.transport.can_write_eof():
            upstream.transport.write_eof()
        if self.server_ended or not can_half_close or upstream is None or not upstream.transport.can_write_eof():
            self.tunnel_over()
            return False
        self.session.refresh_tunnel()
        return True

    def server_half_closed(self) -> bool:
        """The server has no more to send. True keeps its connection open for the other direction."""
        self.server_ended = True
        session = self.session
        if session.tls is None and session.transport.can_write_eof():
            session.transport.write_eof()
        if self.client_ended or session.tls is not None or not self.outlives_server:
            self.tunnel_over()
            return False
        session.refresh_tunnel()
        return True

    def tunnel_over(self) -> None:
        """Both directions have ended as they should."""
        self.detach()
        self.end()

    def client_full(self) -> None:
        """The client takes no more for now."""
        if self.upstream is not None:
            self.upstream.hold(PEER_FULL)

    def client_drained(self) -> None:
        """It does again."""
        if self.upstream is not None:
            self.upstream.release(PEER_FULL)

    def server_full(self) -> None:
        """The server takes no more for now."""
        self.session.hold(PEER_FULL)

    def server_drained(self) -> None:
        """It does again."""
        self.session.release(PEER_FULL)
