"""Converters of addresses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

from pylb.rules.kinds import IpAddress, Kind, Value, address
from pylb.rules.registry import BadArgument, Step, converter_with
from pylb.rules.scope import Scope


def _mask(text: str, bits: int) -> int:
    """A mask in CIDR or address form as an integer; raises BadArgument."""
    if text.isascii() and text.isdigit() and int(text) <= bits:
        return ((1 << int(text)) - 1) << (bits - int(text))
    found = address(text)
    if found is None or found.max_prefixlen != bits:
        raise BadArgument(f'"{text}" is no mask of {bits} bits')
    return int(found)


@converter_with("ipmask", Kind.ADDR, Kind.ADDR, "str", "str?")
def _ipmask(args: tuple[Any, ...], _scope: Scope) -> Step:
    mask4 = _mask(args[0], 32)
    mask6 = None if args[1] is None else _mask(args[1], 128)

    def step(value: IpAddress) -> Value:
        if isinstance(value, IPv4Address):
            return IPv4Address(int(value) & mask4)
        return None if mask6 is None else IPv6Address(int(value) & mask6)

    return step
