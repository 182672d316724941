"""UTF-8 as HAProxy's `json` converter reads it (manual: `json`): what is an error, what may be mended, what is dropped.

A sequence is a lead byte, of the old forms of up to six bytes too, and the continuation bytes that it asks for. Errors
are a byte that leads nothing, a sequence that breaks off, a value that takes fewer bytes, and values that are no
characters: surrogates, FFFE and FFFF. Values beyond FFFF have no escape of four digits.
"""

from __future__ import annotations

_LEADS = ((0x80, 0xC0, 0, 0), (0xC0, 0xE0, 1, 0x1F), (0xE0, 0xF0, 2, 0x0F), (0xF0, 0xF8, 3, 0x07),
          (0xF8, 0xFC, 4, 0x03), (0xFC, 0xFE, 5, 0x01))  # fmt: skip
"""(from, to, continuation bytes, mask of the value's bits)"""
_SHORTEST = (0, 0x80, 0x800, 0x10000, 0x200000, 0x4000000)
"""The least value that needs so many continuation bytes."""


def decode(data: bytes, permissive: bool, silent: bool) -> str | None:
    """The characters; None where there is an error, unless `silent` drops those that are wrong. `permissive` takes
    values that are written too long."""
    if data.isascii():
        return data.decode()
    characters: list[str] = []
    position = 0
    while position < len(data):
        character, position = _next(data, position, permissive)
        if character is not None:
            characters.append(character)
        elif not silent:
            return None
    return "".join(characters)


def _next(data: bytes, position: int, permissive: bool) -> tuple[str | None, int]:
    """The character that begins there, None for an error, and where the next one begins."""
    lead = data[position]
    position += 1
    if lead < 0x80:
        return chr(lead), position
    count, mask = next(((count, mask) for low, high, count, mask in _LEADS if low <= lead < high), (0, 0))
    value = lead & mask
    for _ in range(count):
        if position >= len(data) or data[position] & 0xC0 != 0x80:
            return None, position
        value = value << 6 | data[position] & 0x3F
        position += 1
    if not count or value > 0xFFFF or 0xD800 <= value < 0xE000 or value >= 0xFFFE:
        return None, position
    return (chr(value) if permissive or value >= _SHORTEST[count] else None), position
