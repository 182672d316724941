"""The types of samples and the conversions between them (manual 7.3: boolean, integer, address, string, binary).

A value is bytes (string, binary, method), int, bool, IPv4Address, IPv6Address, or None: "not found", which ends an
expression and fails a test. Variables hold values of any type, so the conversions look at what they get.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import AF_INET6, inet_ntop

Value = bytes | int | bool | IPv4Address | IPv6Address | None
IpAddress = IPv4Address | IPv6Address


class Kind(Enum):
    """Type of a sample, named as HAProxy's manual names it."""

    ANY = "any"
    BOOL = "boolean"
    INT = "integer"
    ADDR = "ip"
    STR = "string"
    BIN = "binary"
    METH = "method"


@lru_cache(maxsize=4096)
def address(text: str) -> IpAddress | None:
    """The address that `text` is; None for what is none ("unix"). Cached: clients come back."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def to_str(value: Value) -> bytes | None:
    """String of any value: integers in decimal, booleans as 0 and 1, addresses in their usual form."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return b"%d" % value
    if isinstance(value, IPv4Address):
        return str(value).encode()
    return inet_ntop(AF_INET6, value.packed).encode()  # ::ffff:1.2.3.4, as everybody else writes it


def bin_str(value: Value) -> bytes | None:
    """String of a binary value: what stands before its first NUL."""
    return value.split(b"\0", 1)[0] if isinstance(value, bytes) else to_str(value)


def to_bin(value: Value) -> bytes | None:
    """Binary of any value: integers as 8 bytes, addresses as 4 or 16, in network order."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return (value & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")
    return value.packed


def to_int(value: Value) -> int | None:
    """Integer of any value; of a string its leading digits, 0 when there are none (empty: not found)."""
    if isinstance(value, bytes):
        return leading_integer(value) if value else None
    if value is None or isinstance(value, int):
        return None if value is None else int(value)
    return int(value) if isinstance(value, IPv4Address) else None


def leading_integer(text: bytes) -> int:
    """The decimal number that `text` begins with, sign allowed, bounded to 64 bits; 0 without digits."""
    position = 1 if text[:1] in (b"-", b"+") else 0
    end = position
    while end < len(text) and 48 <= text[end] <= 57:
        end += 1
    if end == position:
        return 0
    return clamp(int(text[:end]) if end < 40 else (1 << 63) * (-1 if text[:1] == b"-" else 1))


def clamp(number: int) -> int:
    """Bounded to a signed 64-bit integer."""
    return max(-(1 << 63), min((1 << 63) - 1, number))


def to_bool(value: Value) -> bool | None:
    """Boolean of any value."""
    number = to_int(value)
    return None if number is None else number != 0


def to_addr(value: Value) -> IpAddress | None:
    """Address of any value: parsed from strings, IPv4 from integers."""
    if isinstance(value, bytes):
        try:
            return address(value.decode("ascii"))
        except UnicodeDecodeError:
            return None
    if isinstance(value, int):
        return IPv4Address(value & 0xFFFFFFFF)
    return value


_CONVERSIONS: dict[Kind, Callable[[Value], Value]] = {
    Kind.BOOL: to_bool,
    Kind.INT: to_int,
    Kind.ADDR: to_addr,
    Kind.STR: to_str,
    Kind.BIN: to_bin,
    Kind.METH: to_str,
}
_TEXTUAL = (Kind.STR, Kind.METH)
_IMPOSSIBLE = {
    Kind.BOOL: (Kind.ADDR, Kind.METH),
    Kind.INT: (Kind.METH,),
    Kind.ADDR: (Kind.BOOL, Kind.METH),
    Kind.BIN: (Kind.BOOL, Kind.INT, Kind.ADDR),
    Kind.METH: (Kind.BOOL, Kind.INT, Kind.ADDR),
}


def convertible(source: Kind, target: Kind) -> bool:
    """Whether a sample of type `source` may stand where `target` is wanted."""
    return target not in _IMPOSSIBLE.get(source, ())


def conversion(source: Kind, target: Kind) -> Callable[[Value], Value] | None:
    """The function from one type to another, None where nothing has to be done; the pair must be convertible."""
    if source == target or target == Kind.ANY:
        return None
    if source in _TEXTUAL and target in (*_TEXTUAL, Kind.BIN):
        return None
    if source == Kind.BIN and target in _TEXTUAL:
        return bin_str if target == Kind.STR else None
    if source == Kind.BOOL and target == Kind.INT:
        return None
    return _CONVERSIONS[target]
