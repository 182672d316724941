"""Converters between encodings: hexadecimal, base64, percent, JSON (manual 7.3.1)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any
from urllib.parse import quote_from_bytes

from pylb.rules.converters.utf8 import decode
from pylb.rules.kinds import Kind, Value
from pylb.rules.registry import BadArgument, Step, converter, converter_with
from pylb.rules.scope import Scope


@converter("hex", Kind.BIN, Kind.STR)
def _hex(data: bytes) -> Value:
    return data.hex().upper().encode()


@converter("hex2i", Kind.STR, Kind.INT)
def _hex2i(text: bytes) -> Value:
    try:
        return int(text, 16)
    except ValueError:
        return 0


@converter("htonl", Kind.INT, Kind.BIN)
def _htonl(number: int) -> Value:
    return (number & 0xFFFFFFFF).to_bytes(4, "big")


# ----------------------------------------------------------------------------------------------------------- base64


@converter("base64", Kind.BIN, Kind.STR)
def _base64(data: bytes) -> Value:
    return base64.b64encode(data)


@converter("ub64enc", Kind.BIN, Kind.STR)
def _ub64enc(data: bytes) -> Value:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@converter("b64dec", Kind.STR, Kind.BIN)
def _b64dec(text: bytes) -> Value:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None


@converter("ub64dec", Kind.STR, Kind.BIN)
def _ub64dec(text: bytes) -> Value:
    padded = text + b"=" * (-len(text) % 4)
    try:
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except binascii.Error:
        return None


# --------------------------------------------------------------------------------------------------------- percent

_HEX_PAIR = re.compile(rb"%([0-9A-Fa-f]{2})")


@converter_with("url_enc", Kind.STR, Kind.STR, "str?")
def _url_enc(args: tuple[Any, ...], _scope: Scope) -> Step:
    if args[0] not in (None, "query"):
        raise BadArgument(f'"url_enc" knows the type query only, not "{args[0]}"')
    return lambda text: quote_from_bytes(text, safe="").encode()


@converter_with("url_dec", Kind.STR, Kind.STR, "int?")
def _url_dec(args: tuple[Any, ...], _scope: Scope) -> Step:
    form = bool(args[0])

    def decode(text: bytes) -> Value:
        """+ is a space in the whole text of a form, else only behind the question mark."""
        head, mark, tail = (b"", b"", text) if form else text.partition(b"?")
        return _HEX_PAIR.sub(lambda m: bytes.fromhex(m[1].decode()), head + mark + tail.replace(b"+", b" "))

    return decode


# ------------------------------------------------------------------------------------------------------------- JSON

_SHORT = {0x22: '\\"', 0x5C: "\\\\", 0x2F: "\\/", 0x08: "\\b", 0x0C: "\\f", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"}


def _escape_json(text: str) -> bytes:
    return "".join(_SHORT.get(ord(c)) or (c if 32 <= ord(c) < 127 else f"\\u{ord(c):04x}") for c in text).encode()


@converter_with("json", Kind.STR, Kind.STR, "str?")
def _json(args: tuple[Any, ...], _scope: Scope) -> Step:
    """ascii takes each byte as a character; utf8 fails on bad sequences, a p takes those that are merely too long, an
    s drops the rest."""
    form = args[0] or "ascii"
    if form not in ("ascii", "utf8", "utf8s", "utf8p", "utf8ps"):
        raise BadArgument(f'"json" knows ascii, utf8, utf8s, utf8p and utf8ps, not "{form}"')
    if form == "ascii":
        return lambda text: _escape_json(text.decode("latin-1"))
    permissive, silent = "p" in form, form.endswith("s")

    def escape(text: bytes) -> Value:
        decoded = decode(text, permissive, silent)
        return None if decoded is None else _escape_json(decoded)

    return escape


# ------------------------------------------------------------------------------------------------------- big endian


def _chunks(data: bytes, size: int, truncate: bool) -> list[bytes]:
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    return pieces[:-1] if truncate and pieces and len(pieces[-1]) < size else pieces


@converter_with("be2dec", Kind.BIN, Kind.STR, "str?", "int", "int?")
def _be2dec(args: tuple[Any, ...], _scope: Scope) -> Step:
    separator, size, truncate = (args[0] or "").encode(), args[1], bool(args[2])
    if not 1 <= size <= 8:
        raise BadArgument('"be2dec" wants chunks of 1 to 8 bytes')
    return lambda data: separator.join(b"%d" % int.from_bytes(c, "big") for c in _chunks(data, size, truncate))


@converter_with("be2hex", Kind.BIN, Kind.STR, "str?", "int?", "int?")
def _be2hex(args: tuple[Any, ...], _scope: Scope) -> Step:
    separator, size, truncate = (args[0] or "").encode(), args[1] or 0, bool(args[2])
    if size < 0 or (separator and not size):
        raise BadArgument('"be2hex" wants a chunk size of 1 or more beside a separator')
    return lambda data: separator.join(
        c.hex().upper().encode() for c in (_chunks(data, size, truncate) if size else [data])
    )
