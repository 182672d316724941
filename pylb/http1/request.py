"""A request head as rules, balance and logs see it: method, target, host, connection wishes, fields.

Nothing in it is tied to HTTP/1 but `serialise`. `target` stays what the client sent; `uri` is what the server gets.
"""

from __future__ import annotations

import re
from typing import Final

from pylb.http1.connection import USUAL_LINES, clean_request, connection_tokens, keeps_open, offered_protocols
from pylb.http1.errors import ProtocolError
from pylb.http1.fields import Head
from pylb.http1.grammar import TARGET_CHAR, is_token
from pylb.http1.target import resolve, split_authority

# What may not stand in a request-target is sent percent-encoded when a rule puts it there.
_encode_target: Final = re.compile(rb"(?!" + TARGET_CHAR + rb")[\x00-\xff]").sub
_DELIMITED_BY_METHOD: Final = frozenset((b"HEAD", b"CONNECT"))


class RequestHead(Head):
    """A request's first lines. `parse_request` makes it."""

    __slots__ = (
        "_expect", "_upgrade", "coding_field", "connection", "end_to_end", "hop_by_hop", "length_field", "line",
        "method", "size", "target", "uri", "version",
    )  # fmt: skip

    line: bytes
    """The request line as received."""
    size: int
    """Bytes of the head as received, its empty line included."""
    method: bytes
    target: bytes
    """The request-target as received; no edit changes it."""
    uri: bytes
    """The request-target as it is forwarded: origin form, except for CONNECT and OPTIONS *. Edits change it."""
    version: int
    """The client's minor version, 0 or 1 (HTTP/1.2 to 1.9 count as 1)."""
    connection: bytes
    """All Connection values as received, lower-cased and joined by commas; b"" without one."""
    length_field: bytes | None
    """Content-Length as received, several joined by commas."""
    coding_field: bytes | None
    """Transfer-Encoding as received, lower-cased, several joined by commas."""
    hop_by_hop: bool
    """There is a field that is not passed on, whatever Connection lists."""
    end_to_end: bool
    """All of it is for the server, nothing for this hop, and the version is 1.1: its connection stays open, there is
    no upgrade, and `remove_hop_by_hop` has nothing to do."""
    _upgrade: bytes | None
    _expect: bytes | None

    # ------------------------------------------------------------------------------------------------- the target

    @property
    def path(self) -> bytes:
        """The uri without its query; b"*" and CONNECT's host:port as they are."""
        return self.uri.split(b"?", 1)[0]

    @property
    def query(self) -> bytes | None:
        """What follows the first "?"; None without one."""
        parts = self.uri.split(b"?", 1)
        return parts[1] if len(parts) == 2 else None

    @property
    def authority(self) -> bytes:
        """Host as it is forwarded, with its port; b"" without one (HTTP/1.0)."""
        return self.get(b"host") or b""

    @property
    def host(self) -> bytes:
        """The authority's host in lower case, without port; IPv6 literals in brackets."""
        return self._split_authority()[0]

    @property
    def port(self) -> int | None:
        """The authority's port; None when it names none."""
        return self._split_authority()[1]

    def _split_authority(self) -> tuple[bytes, int | None]:
        authority = self.authority
        try:
            return split_authority(authority)
        except ProtocolError:  # a rule may have set any Host
            return authority.lower(), None

    def set_uri(self, uri: bytes) -> None:
        """Replace path and query. What a target may not hold (space, controls, "#", non-ASCII) is percent-encoded.

        An absolute URI keeps its path and query only; Host is a field of its own. CONNECT has neither: ignored."""
        if self.method == b"CONNECT":
            return
        uri = _encode_target(lambda m: b"%%%02X" % m[0][0], uri)
        if not uri.startswith(b"/") and (uri != b"*" or self.method != b"OPTIONS"):
            try:
                uri = resolve(b"GET", uri)[0]
            except ProtocolError:
                uri = b"/" + uri
        self.uri = uri

    def set_path(self, path: bytes) -> None:
        """Replace the path and keep the query."""
        query = self.query
        self.set_uri(path if query is None else path + b"?" + query)

    def set_query(self, query: bytes) -> None:
        """Replace the query (without "?") and keep the path; b"" removes it."""
        self.set_uri(self.path + b"?" + query if query else self.path)

    def set_method(self, method: bytes) -> bool:
        """Replace the method. False, and nothing happens, when it is no token or when either is HEAD or CONNECT: those
        two decide where the response ends, which client and server must see the same way."""
        if method in _DELIMITED_BY_METHOD or self.method in _DELIMITED_BY_METHOD or not is_token(method):
            return False
        self.method = method
        return True

    def add(self, name: bytes, value: bytes) -> None:
        """As in Head; a second Host would be malformed, so adding one replaces it."""
        if name.lower() == b"host":
            self.set(name, value)
        else:
            super().add(name, value)

    # --------------------------------------------------------------------------------------------- the connection

    def wants_close(self) -> bool:
        """Whether the client ends its connection after this exchange (RFC 9112 9.3)."""
        return not keeps_open(self.connection, self.version)

    def wants_keep_alive(self) -> bool:
        """Whether the client can keep its connection after this exchange."""
        return keeps_open(self.connection, self.version)

    @property
    def upgrade(self) -> bytes | None:
        """The protocols offered by Upgrade, lower-cased, without h2c; None unless Connection lists it and the client
        speaks HTTP/1.1 (RFC 9110 7.8)."""
        if self._upgrade is None or not self.version or b"upgrade" not in connection_tokens(self.connection):
            return None
        return offered_protocols(self._upgrade) or None

    @property
    def expects_continue(self) -> bool:
        """Expect: 100-continue of an HTTP/1.1 client (RFC 9110 10.1.1)."""
        return self._expect is not None and self.version > 0 and self._expect.rstrip() == b"100-continue"

    def remove_hop_by_hop(self, keep_upgrade: bool = False) -> None:
        """Remove what is meant for this hop only (connection.py); to be called before rules add fields of our own."""
        line = USUAL_LINES.get(self.connection)
        if self.hop_by_hop or not self.version or line is None:
            clean_request(self, keep_upgrade)
        elif line and not self.cut_line(line):
            self._cut(b"connection")

    def serialise(self, extra: bytes = b"") -> bytes:
        """The head as it goes to a server, in our own version (RFC 9110 6.2)."""
        return b"%b %b HTTP/1.1%b%b\r\n\r\n" % (self.method, self.uri, self.block, extra)
