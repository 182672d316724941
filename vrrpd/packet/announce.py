"""Frames that tell neighbours where an address now lives: gratuitous ARP (IPv4), unsolicited NA (IPv6).

Gratuitous ARP (RFC 5227 section 3; RFC 9568 section 6.4.1): a broadcast request in which sender and target are the
address itself.  The target hardware address is ff:ff:ff:ff:ff:ff as keepalived has it; the field means nothing in a
request.

    Ethernet  ff:ff:ff:ff:ff:ff | MAC | 0806
    ARP       1 Ethernet | 0800 | 6 | 4 | 1 request | MAC | address | ff:ff:ff:ff:ff:ff | address

Unsolicited neighbour advertisement (RFC 4861 section 4.4, 7.2.6): to all nodes, with the override flag, so that
caches replace what they have, and the target link-layer address option.

    Ethernet  33:33:00:00:00:01 | MAC | 86dd
    IPv6      6 | payload 32 | 58 | hop limit 255 | address -> ff02::1
    ICMPv6    136 | 0 | checksum | R=router S=0 O=1 | address | option 2, length 1, MAC
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from vrrpd.packet.checksum import internet_checksum, pseudo_header

BROADCAST = b"\xff" * 6
_ALL_NODES = IPv6Address("ff02::1")
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_ARP_REQUEST = bytes.fromhex("0001 0800 06 04 0001")
_ICMPV6 = 58
_FLAG_ROUTER, _FLAG_OVERRIDE = 0x80, 0x20


def gratuitous_arp(mac: bytes, address: IPv4Address) -> bytes:
    """The 42-byte Ethernet frame that says that `address` is at `mac` (six bytes)."""
    return b"".join((BROADCAST, mac, b"\x08\x06", _ARP_REQUEST, mac, address.packed, BROADCAST, address.packed))


def unsolicited_na(mac: bytes, address: IPv6Address, router: bool) -> bytes:
    """The 86-byte Ethernet frame that says that `address` is at `mac`; `router`: the interface forwards."""
    flags = _FLAG_OVERRIDE | (_FLAG_ROUTER if router else 0)
    target = bytes((flags, 0, 0, 0)) + address.packed + b"\x02\x01" + mac
    unsummed = b"\x88\x00\x00\x00" + target
    checksum = internet_checksum(pseudo_header(address, _ALL_NODES, _ICMPV6, len(unsummed)) + unsummed)
    icmp = b"\x88\x00" + checksum.to_bytes(2, "big") + target
    ip = b"\x60\0\0\0" + len(icmp).to_bytes(2, "big") + bytes((_ICMPV6, 255))
    return b"".join((_ALL_NODES_MAC, mac, b"\x86\xdd", ip, address.packed, _ALL_NODES.packed, icmp))
