"""Frames → what they say, for `watch` and `decode`: dissected by scapy, judged by our own checksum and AH code.

scapy has layers for VRRP 2 and 3 and for AH, but does not know that an advert may follow an AH header; that is
joined here. The verdicts (`faults`) are what a receiver would find wrong without knowing its configuration.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from vrrpd.config.model import Address
from vrrpd.packet import advert as codec
from vrrpd.packet.auth import icv
from vrrpd.packet.datagram import PROTOCOL_AH, PROTOCOL_VRRP

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import ICMPv6ND_NA, IPv6
    from scapy.layers.ipsec import AH
    from scapy.layers.l2 import ARP, Ether
    from scapy.layers.vrrp import VRRP, VRRPv3
    from scapy.packet import Packet

AUTHENTICATIONS = {0: "none", 1: "pass", 2: "ah"}
KEY_LENGTH = 8


@dataclass(slots=True)
class Seen:
    """One advert as it was on the wire."""

    time: float
    mac: str
    source: Address
    destination: Address
    ttl: int
    version: int
    vrid: int
    priority: int
    interval: float
    authentication: str
    addresses: tuple[Address, ...]
    password: str | None = None
    sequence: int | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[int, int]:
        """Which virtual router it is of: (IP version, VRID)."""
        return self.source.version, self.vrid

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "time": self.time,
            "mac": self.mac,
            "source": str(self.source),
            "destination": str(self.destination),
            "ttl": self.ttl,
            "version": self.version,
            "vrid": self.vrid,
            "priority": self.priority,
            "interval": self.interval,
            "authentication": self.authentication,
            "password": self.password,
            "sequence": self.sequence,
            "addresses": [str(address) for address in self.addresses],
            "faults": self.faults,
        }


@dataclass(frozen=True, slots=True)
class Claim:
    """A gratuitous ARP or unsolicited NA: a host says that an address is at its MAC."""

    time: float
    mac: str
    address: Address


def dissect(frame: bytes, time: float, key: bytes | None = None) -> Seen | Claim | None:
    """What an Ethernet frame says of VRRP, None if nothing. `key`: auth_pass to check against."""
    try:
        packet = Ether(frame)
        return _claim(packet, time) or _advert(packet, time, key)
    except Exception:
        return None


def _claim(packet: Packet, time: float) -> Claim | None:
    if ARP in packet:
        arp = packet[ARP]
        if arp.psrc == arp.pdst and arp.psrc != "0.0.0.0":
            return Claim(time, arp.hwsrc, IPv4Address(arp.psrc))
    elif ICMPv6ND_NA in packet and not packet[ICMPv6ND_NA].S:
        return Claim(time, packet.src, IPv6Address(packet[ICMPv6ND_NA].tgt))
    return None


def _advert(packet: Packet, time: float, key: bytes | None) -> Seen | None:
    layer = packet.getlayer(IP) or packet.getlayer(IPv6)
    if layer is None:
        return None
    v4 = layer.version == 4
    protocol, ttl = (layer.proto, layer.ttl) if v4 else (layer.nh, layer.hlim)
    if protocol not in (PROTOCOL_VRRP, PROTOCOL_AH):
        return None
    header = packet[AH] if protocol == PROTOCOL_AH and AH in packet else None
    if header is not None and header.nh != PROTOCOL_VRRP:
        return None
    whole = bytes(layer)[: layer.len] if v4 else bytes(layer)[: 40 + layer.plen]
    start = (layer.ihl * 4 if v4 else 40) + (0 if header is None else (header.payloadlen + 2) * 4)
    message = whole[start:]
    inner = VRRP(message) if header is not None else packet.getlayer(VRRPv3) or packet[VRRP]
    seen = _read(packet, layer, inner, time, ttl)
    seen.faults += _checksum_faults(seen, message)
    seen.faults += _ttl_faults(seen)
    if header is not None:
        seen.authentication, seen.sequence = "ah", header.seq
        seen.faults += _ah_faults(seen, header, whole, layer.ihl * 4, key)
    elif seen.authentication == "pass":
        seen.password = message[-KEY_LENGTH:].rstrip(b"\0").decode("utf-8", "replace")
        if key is not None and message[-KEY_LENGTH:] != key:
            seen.faults.append("password differs from the key given")
    return seen


def _read(packet: Packet, layer: Packet, inner: Packet, time: float, ttl: int) -> Seen:
    third = inner.version == 3
    kind = "none" if third else AUTHENTICATIONS.get(inner.authtype, f"type {inner.authtype}")
    return Seen(
        time=time,
        mac=packet.src,
        source=ip_address(layer.src),
        destination=ip_address(layer.dst),
        ttl=ttl,
        version=inner.version,
        vrid=inner.vrid,
        priority=inner.priority,
        interval=inner.adv / 100 if third else float(inner.adv),
        authentication=kind,
        addresses=tuple(ip_address(address) for address in inner.addrlist),
        faults=[] if inner.type == 1 else [f"packet type {inner.type}"],
    )


def _checksum_faults(seen: Seen, message: bytes) -> list[str]:
    possible = codec.default_coverages(seen.version, seen.source.version)
    both = {*possible, codec.Coverage.MESSAGE} if seen.source.version == 4 else set(possible)
    if any(codec.checksum_is_right(message, one, seen.source, seen.destination) for one in both):
        return []
    return ["wrong checksum"]


def _ttl_faults(seen: Seen) -> list[str]:
    return [f"TTL {seen.ttl}, not 255"] if seen.destination.is_multicast and seen.ttl != 255 else []


def _ah_faults(seen: Seen, header: Packet, whole: bytes, ip_length: int, key: bytes | None) -> list[str]:
    faults = []
    if int(header.spi) != int(seen.source):
        faults.append("SPI is not the source address")
    if key is not None:
        expected = icv(key, whole[:ip_length], whole[ip_length:], seen.destination.is_multicast)
        if expected != whole[ip_length + 12 : ip_length + 24]:
            faults.append("ICV differs from the key given")
    return faults


def key_bytes(password: str | None) -> bytes | None:
    """The eight bytes that count of an auth_pass."""
    return None if password is None else password.encode()[:KEY_LENGTH].ljust(KEY_LENGTH, b"\0")
