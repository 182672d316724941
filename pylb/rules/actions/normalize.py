"""`http-request normalize-uri NORMALIZER`: one kind of difference between equal URIs is removed (RFC 3986 6.2.2).

Each normalizer is a function of the path, the query or both; one that is `strict` answers 400 to percent signs that
encode nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pylb.rules.action import REQUEST_ONLY, Step, Words, action
from pylb.rules.errors import ErrorPages
from pylb.rules.registry import BadArgument
from pylb.rules.reply import Reply

Normalizer = Callable[[bytes], bytes]

_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})").search
_ENCODED = re.compile(rb"%[0-9A-Fa-f]{2}")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def merge_slashes(path: bytes) -> bytes:
    """`//` to `/`."""
    return re.sub(rb"/+", b"/", path)


def strip_dot(path: bytes) -> bytes:
    """Without segments `.` (RFC 3986 5.2.4)."""
    segments = path.split(b"/")
    kept = [segment for segment in segments if segment != b"."]
    return b"/".join([*kept, b""] if segments[-1] == b"." else kept)


def strip_dotdot(path: bytes, full: bool = False) -> bytes:
    """`..` takes the segment before it along; at the beginning it stays, unless `full`."""
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment != b"..":
            kept.append(segment)
        elif kept and kept[-1] != b"..":
            kept.pop()
        elif not full:
            kept.append(segment)
    if segments[-1] == b"..":
        kept.append(b"")
    return b"/" + b"/".join(kept)


def decode_unreserved(uri: bytes) -> bytes:
    """Encoded letters, digits and `-._~` as themselves."""

    def plain(match: re.Match[bytes]) -> bytes:
        byte = int(match[0][1:], 16)
        return bytes([byte]) if byte in _UNRESERVED else match[0]

    return _ENCODED.sub(plain, uri)


def to_uppercase(uri: bytes) -> bytes:
    """`%2f` to `%2F`."""
    return _ENCODED.sub(lambda match: match[0].upper(), uri)


def sort_query(query: bytes) -> bytes:
    """Parameters by name; those of one name keep their order."""
    pairs = sorted(query.split(b"&"), key=_name)
    return b"&".join(pairs)


def _name(pair: bytes) -> bytes:
    return pair.partition(b"=")[0]


def _of_path(normalize: Normalizer) -> Normalizer:
    def run(uri: bytes) -> bytes:
        path, mark, query = uri.partition(b"?")
        return normalize(path) + mark + query

    return run


def _of_query(normalize: Normalizer) -> Normalizer:
    def run(uri: bytes) -> bytes:
        path, mark, query = uri.partition(b"?")
        return path + mark + normalize(query)

    return run


_NORMALIZERS: dict[str, tuple[Normalizer, str]] = {
    "fragment-encode": (lambda uri: uri, ""),  # a target with "#" is refused, as it is by HAProxy
    "fragment-strip": (lambda uri: uri, ""),
    "path-merge-slashes": (_of_path(merge_slashes), ""),
    "path-strip-dot": (_of_path(strip_dot), ""),
    "path-strip-dotdot": (_of_path(strip_dotdot), "full"),
    "percent-decode-unreserved": (decode_unreserved, "strict"),
    "percent-to-uppercase": (to_uppercase, "strict"),
    "query-sort-by-name": (_of_query(sort_query), ""),
}
"""Each with the word that may stand behind it."""


@action("normalize-uri", REQUEST_ONLY)
def _normalize_uri(words: Words) -> Step | None:
    words.expect(1, 2, "normalize-uri NORMALIZER [strict|full]")
    name, *options = words.args
    if name not in _NORMALIZERS:
        words.scope.report.unknown(words.at, "normalizer", name, _NORMALIZERS)
        return None
    normalize, option = _NORMALIZERS[name]
    if options and options[0] != option:
        raise BadArgument(f'"{options[0]}" is no word of {name}' + (f"; {option} is" if option else ""))
    if options == ["full"]:
        normalize = _of_path(lambda path: strip_dotdot(path, full=True))
    refused = (words.scope.error_page or ErrorPages())(400).ended(b"PR", True) if options == ["strict"] else None

    def step(x: Any) -> Reply | None:
        uri = x.request.uri
        if not uri.startswith(b"/"):
            return None
        if refused is not None and _BAD_PERCENT(uri):
            return refused
        made = normalize(uri)
        if made != uri:
            x.request.set_uri(made)
        return None

    return step
