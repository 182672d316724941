"""Reads the captures of keepalived: Ethernet frames out of classic pcap files, adverts out of the frames."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path

from vrrpd.packet.datagram import PROTOCOL_AH, PROTOCOL_VRRP, Datagram, from_ipv4

CAPTURES = Path(__file__).parent.parent / "captures"
FILES = sorted(CAPTURES.glob("*.pcap"))


def frames(path: Path) -> Iterator[tuple[float, bytes]]:
    """(seconds, Ethernet frame) in the order of the file."""
    data = path.read_bytes()
    assert data[:4] == b"\xd4\xc3\xb2\xa1", "classic little-endian pcap with microseconds"
    offset = 24
    while offset < len(data):
        seconds, micros, length, _ = struct.unpack_from("<IIII", data, offset)
        yield seconds + micros / 1e6, data[offset + 16 : offset + 16 + length]
        offset += 16 + length


def datagram_of(frame: bytes) -> Datagram | None:
    """The VRRP or AH packet in a frame, None if it holds something else."""
    kind = frame[12:14]
    if kind == b"\x08\x00" and frame[23] in (PROTOCOL_VRRP, PROTOCOL_AH):
        return from_ipv4(frame[14:])
    if kind == b"\x86\xdd" and frame[20] == PROTOCOL_VRRP:
        length = int.from_bytes(frame[18:20], "big")
        return Datagram(
            source=IPv6Address(frame[22:38]),
            destination=IPv6Address(frame[38:54]),
            ttl=frame[21],
            protocol=frame[20],
            payload=frame[54 : 54 + length],
        )
    return None


def adverts(path: Path) -> Iterator[tuple[float, bytes, Datagram]]:
    """(seconds, the frame, the packet in it) for each advert in a file."""
    for when, frame in frames(path):
        datagram = datagram_of(frame)
        if datagram is not None:
            yield when, frame, datagram


def password_of(path: Path) -> bytes:
    """The key that a file's nodes were given, cut to eight bytes."""
    word = b"longpassword123" if "8char" in path.name or "longpass" in path.name else b"viettq"
    return word[:8].ljust(8, b"\0")
