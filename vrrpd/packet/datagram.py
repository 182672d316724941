"""What arrives from a raw socket: addresses, TTL and the bytes above the IP header, the same for both families.

A raw IPv4 socket hands over the header too (`from_ipv4`); for IPv6 the daemon fills a `Datagram` from recvmsg()'s
ancillary data.  AH covers the IPv4 header, hence `header` is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from vrrpd.config.model import Address
from vrrpd.packet.refusal import Reason, Refusal

PROTOCOL_AH = 51
PROTOCOL_VRRP = 112


@dataclass(frozen=True, slots=True)
class Datagram:
    """One received IP packet."""

    source: Address
    destination: Address
    ttl: int
    """TTL or hop limit as it arrived."""
    protocol: int
    """112, or 51 for AH around it."""
    payload: bytes
    """Everything above the IP header."""
    header: bytes = b""
    """IPv4 header as it arrived; empty for IPv6."""

    @property
    def multicast(self) -> bool:
        """Whether it was sent to a group."""
        return self.destination.is_multicast


def from_ipv4(packet: bytes) -> Datagram:
    """Split an IPv4 packet as a raw socket hands it over; Refusal(LENGTH) if it is none.

    Bytes beyond the header's total length are not part of it (Ethernet padding).
    """
    if len(packet) < 20 or packet[0] >> 4 != 4:
        raise Refusal(Reason.LENGTH, f"vrrp packet too short, length {len(packet)} and expect at least 20")
    header_length = (packet[0] & 15) * 4
    total = int.from_bytes(packet[2:4], "big")
    if header_length < 20 or not header_length <= total <= len(packet):
        raise Refusal(Reason.LENGTH, f"vrrp packet too short, length {len(packet)} and expect {total}")
    return Datagram(
        source=IPv4Address(packet[12:16]),
        destination=IPv4Address(packet[16:20]),
        ttl=packet[8],
        protocol=packet[9],
        payload=packet[header_length:total],
        header=packet[:header_length],
    )


def virtual_router_id(datagram: Datagram) -> int:
    """Which virtual router a packet is for, before anything is checked; Refusal(LENGTH) if it cannot say.

    The daemon finds the instance by it: (interface, family, this).
    """
    offset = 1 if datagram.protocol == PROTOCOL_VRRP else 25
    if len(datagram.payload) <= offset + 6:
        raise Refusal(Reason.LENGTH, f"vrrp packet too short, length {len(datagram.payload)} and expect 8")
    return datagram.payload[offset]
