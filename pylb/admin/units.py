"""Figures for people: sizes, counts and times in as few characters as tell them."""

from __future__ import annotations


def exact(number: int) -> str:
    """All digits, in groups of three with narrow spaces."""
    return f"{number:,}".replace(",", "\u202f")


def big(number: int) -> str:
    """A count: whole up to a million, then three figures and a unit."""
    return exact(number) if number < 1_000_000 else _scaled(number, 1000, ("", "K", "M", "G", "T", "P"))


def bytes_text(number: int) -> str:
    """A size in decimal units, as networks count: "181 GB"."""
    return _scaled(number, 1000, ("B", "kB", "MB", "GB", "TB", "PB"))


def _scaled(number: float, step: int, units: tuple[str, ...]) -> str:
    index = 0
    while number >= step * 0.9995 and index < len(units) - 1:
        number /= step
        index += 1
    digits = 0 if index == 0 or number >= 99.95 else 1 if number >= 9.995 else 2
    return f"{number:.{digits}f}\u202f{units[index]}".rstrip("\u202f")


def duration(seconds: float) -> str:
    """The two greatest units, as HAProxy's page has it: "1h23m", "3d4h", "42s"."""
    left = int(seconds)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, left = divmod(left, size)
        if count or parts or unit == "s":
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])
