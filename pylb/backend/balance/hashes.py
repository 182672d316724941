"""The hash functions of `hash-type` and the avalanche modifier: 32 bits, the same results as HAProxy's.

sdbm and djb2 are polynomials modulo 2³² in the bytes of the key, h ← h·m + byte with m = 65599 and 33, so they are
summed up over a table of powers instead of looping; bench/micro/backend.py has the figures.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from operator import mul

_MASK = 0xFFFFFFFF


def _powers(base: int, count: int) -> list[int]:
    powers = [1]
    for _ in range(count - 1):
        powers.append(powers[-1] * base & _MASK)
    return powers


_SDBM = _powers(65599, 1024)
_DJB2 = _powers(33, 1024)


def _polynomial(key: bytes, powers: list[int], base: int, start: int) -> int:
    value = start
    for position in range(0, len(key), len(powers)):
        block = key[position : position + len(powers)]
        scale = powers[len(block)] if len(block) < len(powers) else pow(base, len(block), 1 << 32)
        value = (value * scale + sum(map(mul, reversed(block), powers))) & _MASK
    return value


def sdbm(key: bytes) -> int:
    """The hash of the sdbm database library."""
    return _polynomial(key, _SDBM, 65599, 0)


def djb2(key: bytes) -> int:
    """Dan Bernstein's hash, start value 5381."""
    return _polynomial(key, _DJB2, 33, 5381)


def _rotate(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _MASK


def wt6(key: bytes) -> int:
    """HAProxy's own: two halves that rotate each other by amounts taken from their mix."""
    low, high = 0xA53C965A, 0x5CA6953A
    turn_high, turn_low = 6, 18
    for byte in key:
        low = ~(low ^ byte) & _MASK
        high = ~(high + byte) & _MASK
        low, high = _rotate(high, turn_high), _rotate(low, turn_low)
        mix = (low >> 16 ^ high) & 0xFFFF
        turn_high, turn_low = mix & 31, mix >> 11
    return low ^ high


def crc32(key: bytes) -> int:
    """The CRC of Ethernet, gzip and PNG."""
    return zlib.crc32(key)


def avalanche(value: int) -> int:
    """Bob Jenkins' 4-byte full avalanche, then times 3221225473 (a prime near ¾·2³²) to spread over the whole range."""
    value = (value + 0x7ED55D16 + (value << 12)) & _MASK
    value = value ^ 0xC761C23C ^ value >> 19
    value = (value + 0x165667B1 + (value << 5)) & _MASK
    value = (value + 0xD3A2646C & _MASK) ^ (value << 9 & _MASK)
    value = (value + 0xFD7046C5 + (value << 3)) & _MASK
    value = value ^ 0xB55A4F09 ^ value >> 16
    return value * 3221225473 & _MASK


FUNCTIONS: dict[str, Callable[[bytes], int]] = {"sdbm": sdbm, "djb2": djb2, "wt6": wt6, "crc32": crc32}
"""By the word of `hash-type`."""
