"""Adverts ready to send: what stays the same is built once, only number, id and priority are written per advert.

The IPv4 header is ours (IP_HDRINCL), as keepalived writes it:

    45 c0 | total length | id | 0000 | TTL | protocol 112 or 51 | checksum | source | destination

type of service 0xc0 (internetwork control), no fragment bits, one id counter per instance for all destinations.
The kernel writes the header checksum again; it is right here too, so that the bytes are those of the wire.  For IPv6
the kernel makes the header, and a packet is the message alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from vrrpd.config.model import Address
from vrrpd.packet.advert import AUTH_AH, Advert, Coverage, encode
from vrrpd.packet.auth import AH_LENGTH, ah_header, icv
from vrrpd.packet.checksum import internet_checksum
from vrrpd.packet.datagram import PROTOCOL_AH, PROTOCOL_VRRP

MULTICAST_TTL = 255
_VERSION_IHL_TOS = b"\x45\xc0"
_HEADER_LENGTH = 20


@dataclass(slots=True)
class _Prepared:
    """One destination's bytes for one priority."""

    destination: Address
    start: bytes
    """IPv4 header up to the id; empty for IPv6."""
    middle: bytes
    """Fragment field, TTL and protocol."""
    addresses: bytes
    base_sum: int
    """Checksum of the header with id 0."""
    message: bytes


class AdvertWriter:
    """Makes the packets of one instance from its advert.

    `advert` says everything but the priority; `key` is the AH key, None for all else.  Unicast peers in
    `old_peers` get the checksum of keepalived 1.3.6.
    """

    def __init__(
        self,
        advert: Advert,
        destinations: tuple[Address, ...],
        unicast_ttl: int = 255,
        key: bytes | None = None,
        old_peers: frozenset[Address] = frozenset(),
    ) -> None:
        self._advert = advert
        self._destinations = destinations
        self._unicast_ttl = unicast_ttl
        self._key = key
        self._old_peers = old_peers
        self._by_priority: dict[int, tuple[_Prepared, ...]] = {}

    def packets(self, priority: int, packet_id: int, sequence: int) -> tuple[tuple[Address, bytes], ...]:
        """(destination, bytes) for each destination; `sequence` matters for AH only."""
        prepared = self._by_priority.get(priority)
        if prepared is None:
            prepared = tuple(self._prepare(destination, priority) for destination in self._destinations)
            self._by_priority[priority] = prepared
        return tuple((one.destination, self._packet(one, packet_id, sequence)) for one in prepared)

    def _prepare(self, destination: Address, priority: int) -> _Prepared:
        advert = replace(self._advert, priority=priority)
        if destination in self._old_peers:
            advert = replace(advert, coverage=Coverage.OLD_UNICAST)
        message = encode(advert, destination)
        if destination.version == 6:
            return _Prepared(destination, b"", b"", b"", 0, message)
        protocol, extra = (PROTOCOL_AH, AH_LENGTH) if self._key is not None else (PROTOCOL_VRRP, 0)
        start = _VERSION_IHL_TOS + (_HEADER_LENGTH + extra + len(message)).to_bytes(2, "big")
        ttl = MULTICAST_TTL if destination.is_multicast else self._unicast_ttl
        middle = bytes((0, 0, ttl, protocol))
        addresses = advert.source.packed + destination.packed
        base = internet_checksum(start + b"\0\0" + middle + addresses)
        return _Prepared(destination, start, middle, addresses, base, message)

    def _packet(self, one: _Prepared, packet_id: int, sequence: int) -> bytes:
        if not one.start:
            return one.message
        # Ones' complement: adding the id to the sum takes it from the checksum (RFC 1624).
        checksum = (one.base_sum - packet_id) % 0xFFFF
        header = b"".join(
            (
                one.start,
                packet_id.to_bytes(2, "big"),
                one.middle,
                checksum.to_bytes(2, "big"),
                one.addresses,
            )
        )
        if self._key is None:
            return header + one.message
        body = ah_header(self._advert.source.packed, sequence) + one.message
        check = icv(self._key, header, body, one.destination.is_multicast)
        return header + body[:12] + check + body[AH_LENGTH:]


def auth_fields(auth_type: str | None, key: bytes) -> tuple[int, bytes]:
    """(authentication type, authentication data) of a version 2 advert."""
    if auth_type == "pass":
        return 1, key
    return (AUTH_AH if auth_type == "ah" else 0), bytes(8)
