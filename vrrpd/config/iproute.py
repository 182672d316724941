"""The names that ip(8) has for numbers (tables, protocols, realms), from the files that the host keeps them in."""

from __future__ import annotations

import socket
from functools import cache
from pathlib import Path
from typing import Literal

DIRECTORIES = (Path("/usr/share/iproute2"), Path("/etc/iproute2"))
"""The second has the last word."""

Kind = Literal["rt_tables", "rt_protos", "rt_realms"]

_ALWAYS: dict[Kind, dict[str, int]] = {
    "rt_tables": {"default": 253, "main": 254, "local": 255},
    "rt_protos": {
        "redirect": 1, "kernel": 2, "boot": 3, "static": 4, "ra": 9, "mrt": 10, "zebra": 11, "bird": 12, "dhcp": 16,
        "keepalived": 18, "babel": 42, "bgp": 186, "isis": 187, "ospf": 188, "rip": 189, "eigrp": 192,
    },
    "rt_realms": {},
}  # fmt: skip
"""What they are called where no file says otherwise."""


@cache
def names(kind: Kind) -> dict[str, int]:
    """Name → number, as of the first question."""
    found = dict(_ALWAYS[kind])
    for directory in DIRECTORIES:
        for path in (directory / kind, *sorted(directory.glob(f"{kind}.d/*.conf"))):
            found |= _read(path)
    return found


def _read(path: Path) -> dict[str, int]:
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    found = {}
    for line in lines:
        words = line.partition("#")[0].split()
        if len(words) >= 2 and words[0].isalnum():
            try:
                found[words[1]] = int(words[0], 0)
            except ValueError:
                continue
    return found


def number(kind: Kind, name: str | int) -> int:
    """The number of a name, or of a number written out; ValueError when it is neither."""
    if isinstance(name, int):
        return name
    known = names(kind).get(name)
    return int(name, 0) if known is None else known


def realms(text: str) -> int:
    """FROM/TO, or TO alone, as the kernel has it: 16 bits each. ValueError when it is no such pair."""
    source, slash, destination = text.rpartition("/")
    parts = [number("rt_realms", part) for part in ([source] if slash else []) + [destination]]
    if not all(0 <= part <= 0xFFFF for part in parts):
        raise ValueError(f"{text}: a realm has 16 bits")
    return sum(part << shift for part, shift in zip(reversed(parts), (0, 16), strict=False))


def ip_protocol(name: str | int) -> int:
    """The number of an IP protocol; ValueError when the host has no such name."""
    if isinstance(name, int):
        return name
    try:
        return socket.getprotobyname(name.lower())
    except OSError:
        raise ValueError(name) from None
