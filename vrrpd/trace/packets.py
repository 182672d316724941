"""The bytes of an advert for people: each field with what it says, in the order of the wire (RFC 9568 section 5)."""

from __future__ import annotations

from ipaddress import ip_address

from vrrpd.config.model import Address
from vrrpd.packet.advert import AUTH_DATA_LENGTH, HEADER_LENGTH, MAX_CENTISECONDS, read_addresses
from vrrpd.packet.auth import AH_LENGTH
from vrrpd.packet.datagram import PROTOCOL_AH, Datagram

AUTHENTICATION = {0: "no authentication", 1: "simple password", 2: "behind AH"}
SHOWN = 8
"""Addresses told; the rest is a number."""


def sent(data: bytes, destination: Address) -> list[str]:
    """A packet as the executor gets it: IPv4 with its header, IPv6 without."""
    if destination.version == 6:
        return [f"{len(data)} bytes to {destination}; the kernel writes the IPv6 header", *fields(data, 6)]
    source, protocol = ip_address(data[12:16]), data[9]
    number = int.from_bytes(data[4:6], "big")
    lines = [f"{len(data)} bytes {source} → {destination}, TTL {data[8]}, IP id {number}, protocol {protocol}"]
    return lines + _above(data[20:], protocol, 4)


def received(datagram: Datagram) -> list[str]:
    """What lies above the IP header of a packet that came."""
    return _above(datagram.payload, datagram.protocol, datagram.source.version)


def _above(payload: bytes, protocol: int, family: int) -> list[str]:
    if protocol != PROTOCOL_AH:
        return fields(payload, family)
    return [_ah(payload), *fields(payload[AH_LENGTH:], family)]


def _ah(payload: bytes) -> str:
    if len(payload) < AH_LENGTH:
        return f"{payload.hex()} no whole AH header"
    number = int.from_bytes(payload[8:12], "big")
    return (
        f"AH: {payload[0]:02x} next header · {payload[4:8].hex()} SPI {ip_address(payload[4:8])}"
        f" · {payload[8:12].hex()} number {number} · {payload[12:24].hex()} HMAC-MD5-96"
    )


def fields(message: bytes, family: int) -> list[str]:
    """A VRRP message, however damaged: its header, and what follows."""
    version = message[0] >> 4 if message else 0
    if len(message) < HEADER_LENGTH or version not in (2, 3):
        return [f"{message[:32].hex()} no VRRP header"]
    told = [
        f"{message[0]:02x} version {version} {'advertisement' if message[0] & 15 == 1 else f'type {message[0] & 15}'}",
        f"{message[1]:02x} VRID {message[1]}",
        f"{message[2]:02x} priority {message[2]}",
        f"{message[3]:02x} addresses: {message[3]}",
    ]
    if version == 2:
        told += [
            f"{message[4]:02x} {AUTHENTICATION.get(message[4], 'unknown authentication')}",
            f"{message[5]:02x} every {message[5]} s",
        ]
    else:
        centiseconds = int.from_bytes(message[4:6], "big") & MAX_CENTISECONDS
        told.append(f"{message[4:6].hex()} every {centiseconds / 100:g} s")
    told.append(f"{message[6:8].hex()} checksum")
    return [" · ".join(told), *filter(None, [" · ".join(_addresses(message, version, family))])]


def _addresses(message: bytes, version: int, family: int) -> list[str]:
    size, tail = (4 if family == 4 else 16), (AUTH_DATA_LENGTH if version == 2 else 0)
    end = HEADER_LENGTH + message[3] * size
    if len(message) != end + tail:
        return [f"{len(message) - HEADER_LENGTH} bytes more, where {end + tail - HEADER_LENGTH} belong"]
    addresses = read_addresses(message[HEADER_LENGTH:end], family)
    told = [f"{address.packed.hex()} {address}" for address in addresses[:SHOWN]]
    if len(addresses) > SHOWN:
        told.append(f"and {len(addresses) - SHOWN} addresses")
    return told + ([f"{message[end:].hex()} authentication data"] if tail and any(message[end:]) else [])
