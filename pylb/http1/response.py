"""A response head as rules, persistence and logs see it: status, reason, connection wishes, fields."""

from __future__ import annotations

from pylb.http1.connection import USUAL_LINES, clean_response, connection_tokens, keeps_open, offered_protocols
from pylb.http1.fields import Head
from pylb.http1.grammar import NEUTRAL


class ResponseHead(Head):
    """A response's first lines. `parse_response` makes it."""

    __slots__ = (
        "_upgrade", "coding_field", "connection", "hop_by_hop", "length_field", "reason", "size", "status", "version",
    )  # fmt: skip

    status: int
    """100 to 999; 600 and more have no meaning in RFC 9110 and are passed on, as servers send them."""
    reason: bytes
    size: int
    """Bytes of the head as received, its empty line included."""
    version: int
    """The server's minor version, 0 or 1."""
    connection: bytes
    """All Connection values, lower-cased and joined by commas; b"" without one."""
    length_field: bytes | None
    coding_field: bytes | None
    hop_by_hop: bool
    """There is a field that is not passed on, whatever Connection lists."""
    _upgrade: bytes | None

    @property
    def interim(self) -> bool:
        """1xx, another response follows; 101 is the end of HTTP instead."""
        return self.status < 200 and self.status != 101

    def wants_close(self) -> bool:
        """Whether the server ends its connection after this exchange."""
        return not keeps_open(self.connection, self.version)

    def wants_keep_alive(self) -> bool:
        """Whether the server's connection can be used again."""
        return keeps_open(self.connection, self.version)

    @property
    def upgrade(self) -> bytes | None:
        """The protocol that a 101 switches to, lower-cased; None without one."""
        if self._upgrade is None or b"upgrade" not in connection_tokens(self.connection):
            return None
        return offered_protocols(self._upgrade) or None

    def set_status(self, status: int, reason: bytes) -> bool:
        """Replace the status line's two. False, and nothing happens, when the new status would move the response's end
        (1xx, 204, 304 to or from others)."""
        if not 200 <= status <= 999 or self.status < 200 or {self.status, status} & {204, 304}:
            return self.status == status
        self.status = status
        self.reason = reason.translate(NEUTRAL)
        return True

    def remove_hop_by_hop(self) -> None:
        """Remove what is meant for this hop only (connection.py); to be called before rules add fields of our own."""
        line = USUAL_LINES.get(self.connection)
        if self.hop_by_hop or line is None:
            clean_response(self)
        elif line and not self.cut_line(line):
            self._cut(b"connection")

    def serialise(self, extra: bytes = b"") -> bytes:
        """The head as it goes to a client, in our own version."""
        return b"HTTP/1.1 %d %b%b%b\r\n\r\n" % (self.status, self.reason, self.block, extra)
