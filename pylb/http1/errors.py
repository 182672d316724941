"""The one thing that parsing can raise.

Bad input from a peer is a result, not a bug: whatever the bytes, a parser returns a value or raises `ProtocolError`,
and the error already knows which status the client gets.
"""

from __future__ import annotations


class ProtocolError(Exception):
    """A message that breaks RFC 9110/9112 or a limit; the connection that it came over cannot be used any further."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        """What the client is answered: 400, 413, 414, 431, 501, 505 for a bad request; 502 for a bad response."""
        self.reason = reason
        """What was wrong, for the log and the error counters; holds no byte of the peer's."""

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}"
