"""The Internet checksum (RFC 1071) and the pseudo headers that it may cover.

The ones' complement sum of 16-bit words is the number that the bytes spell, modulo 0xffff: 2**16 leaves the remainder
1, so every word keeps its value wherever it stands.  One division in C replaces a loop over words.
"""

from __future__ import annotations

from vrrpd.config.model import Address


def ones_complement_sum(data: bytes) -> int:
    """Sum of the 16-bit words of `data`, 0..0xffff; an odd last byte counts as the high half of a word."""
    number = int.from_bytes(data if len(data) % 2 == 0 else data + b"\0", "big")
    # Only words that are all zero sum up to 0; every other multiple of 0xffff is 0xffff.
    return number % 0xFFFF or (0xFFFF if number else 0)


def internet_checksum(data: bytes) -> int:
    """What to write into the checksum field, given `data` with that field zero."""
    return 0xFFFF - ones_complement_sum(data)


def is_right(data: bytes) -> bool:
    """Whether `data`, its checksum field filled in, sums up to 0xffff."""
    return ones_complement_sum(data) == 0xFFFF


def pseudo_header(source: Address, destination: Address, protocol: int, length: int) -> bytes:
    """RFC 793 section 3.1 for IPv4 (12 bytes), RFC 8200 section 8.1 for IPv6 (40 bytes)."""
    addresses = source.packed + destination.packed
    if source.version == 4:
        return addresses + bytes((0, protocol)) + length.to_bytes(2, "big")
    return addresses + length.to_bytes(4, "big") + bytes((0, 0, 0, protocol))
