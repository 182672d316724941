"""What one word of an address, a route or a rule says, as ip(8) reads it; ValueError where it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address

from vrrpd.config import iproute

_SCOPES = ("global", "site", "link", "host", "nowhere")


def number(text: str) -> int:
    """Decimal, 0x hexadecimal or 0 octal."""
    return int(text, 0)


def scope(text: str) -> str | int:
    """A scope by name or number."""
    if text in _SCOPES:
        return text
    return number(text)


def named(kind: iproute.Kind) -> Callable[[str], str | int]:
    """A number, or a name that ip(8) has for one, which stays a name."""

    def read(text: str) -> str | int:
        found = iproute.number(kind, text)
        return found if text.isdigit() else text

    return read


def realms(text: str) -> str:
    """FROM/TO or TO, each by number or by a name in rt_realms; stays as written."""
    iproute.realms(text)
    return text


def span(limit: int) -> Callable[[str], str]:
    """FIRST-LAST or one number, written as FIRST-LAST."""

    def read(text: str) -> str:
        first, dash, last = text.partition("-")
        low = int(first)
        high = int(last) if dash else low
        if not 0 <= low <= high <= limit:
            raise ValueError(text)
        return f"{low}-{high}"

    return read


def ip_protocol(text: str) -> str | int:
    """By number or by name."""
    if text.isdigit():
        return int(text)
    iproute.ip_protocol(text)
    return text


def lifetime(text: str) -> str | int:
    """Seconds, or forever."""
    return text if text == "forever" else number(text)


def milliseconds(text: str) -> int:
    """A number alone and with ms is milliseconds, with s seconds."""
    if text.endswith("ms"):
        return int(text[:-2])
    return round(float(text[:-1]) * 1000) if text.endswith("s") else int(text)


def bit(text: str) -> int:
    """0 or 1."""
    if text not in ("0", "1"):
        raise ValueError(text)
    return int(text)


def preference(text: str) -> str:
    """IPv6 router preference."""
    if text not in ("low", "medium", "high"):
        raise ValueError(text)
    return text


def broadcast(text: str) -> IPv4Address | str:
    """An address, or + and - for all host bits set or clear."""
    return text if text in ("+", "-") else IPv4Address(text)
