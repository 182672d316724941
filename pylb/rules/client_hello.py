"""What a TLS ClientHello says before anybody answers it (RFC 8446 4.1.2, 5.1; extensions: RFC 6066, 7301, 5077, 8422).

    record     ContentType 22 | version | length | fragment …            (one or more: the handshake's bytes in a row)
    handshake  HandshakeType | length (3) | body
    hello      version | random (32) | session id <1> | cipher suites <2> | compression <1> | extensions <2>
    extension  type (2) | length (2) | data

`read_hello` is given what has come so far. Only what is asked for is looked at, and nothing is believed: a length that
leads outside ends the reading.
"""

from __future__ import annotations

from dataclasses import dataclass, field

HANDSHAKE = 22
CLIENT_HELLO = 1
SERVER_NAME, SUPPORTED_GROUPS, ALPN, SESSION_TICKET = 0, 10, 16, 35
"""Extension numbers (IANA: TLS ExtensionType Values)."""

MOST_RECORDS = 64
"""A hello may be cut into records; nobody needs more than a few."""


class TooShort(Exception):
    """So far it is TLS, and the hello is not complete."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The first handshake message of a client."""

    kind: int
    """HandshakeType: 1 for a ClientHello."""
    version: tuple[int, int] = (0, 0)
    """legacy_version: (3, 3) for TLS 1.2 and above."""
    extensions: dict[int, bytes] = field(default_factory=dict)

    @property
    def server_name(self) -> bytes | None:
        """The host name of server_name (RFC 6066 3)."""
        data = self.extensions.get(SERVER_NAME, b"")
        position = 2
        while position + 3 <= len(data):
            length = int.from_bytes(data[position + 1 : position + 3], "big")
            name = data[position + 3 : position + 3 + length]
            if len(name) < length:
                return None
            if data[position] == 0:
                return name
            position += 3 + length
        return None

    @property
    def protocols(self) -> list[bytes]:
        """Those that application_layer_protocol_negotiation offers, in order (RFC 7301 3.1)."""
        data = self.extensions.get(ALPN, b"")
        found: list[bytes] = []
        position = 2
        while position < len(data):
            end = position + 1 + data[position]
            if end > len(data):
                break
            found.append(data[position + 1 : end])
            position = end
        return found


def read_hello(data: bytes) -> Hello | None:
    """The hello that `data` begins with; None when it begins with something else. Raises TooShort."""
    message = _handshake(data)
    if message is None:
        return None
    if len(message) < 4:
        raise TooShort
    end = 4 + int.from_bytes(message[1:4], "big")
    if len(message) < end:
        raise TooShort
    if message[0] != CLIENT_HELLO:
        return Hello(message[0])
    return _client_hello(message[4:end])


def _handshake(data: bytes) -> bytes | None:
    """The fragments of the handshake records that are here, joined; None for what is no TLS."""
    fragments: list[bytes] = []
    position = 0
    for _ in range(MOST_RECORDS):
        header = data[position : position + 5]
        if not header and position:
            break
        if (header and header[0] != HANDSHAKE) or (len(header) > 1 and header[1] != 3):
            return None if not position else b"".join(fragments)
        if len(header) < 5:
            if not position:
                raise TooShort
            break
        length = int.from_bytes(header[3:5], "big")
        if not position and length < 4:
            return None
        fragments.append(data[position + 5 : position + 5 + length])
        position += 5 + length
        if position >= len(data):
            break
    return b"".join(fragments)


def _client_hello(body: bytes) -> Hello | None:
    if len(body) < 35:
        return None
    position = 34
    for size in (1, 2, 1):  # session id, cipher suites, compression methods
        length = int.from_bytes(body[position : position + size], "big")
        position += size + length
    if position > len(body):
        return None
    extensions: dict[int, bytes] = {}
    end = min(len(body), position + 2 + int.from_bytes(body[position : position + 2], "big"))
    position += 2
    while position + 4 <= end:
        number, length = (
            int.from_bytes(body[position : position + 2], "big"),
            int.from_bytes(body[position + 2 : position + 4], "big"),
        )
        if position + 4 + length > end:
            break
        extensions.setdefault(number, body[position + 4 : position + 4 + length])
        position += 4 + length
    return Hello(CLIENT_HELLO, (body[0], body[1]), extensions)
