"""Which byte makes a head invalid, and which status that deserves.

A prefix pattern mirrors the grammar, each step optional inside the one before, so its match is the longest part of the
bytes that some valid head could begin with. If it reaches the end, the bytes are fine so far; if not, the byte behind
it is the first bad one. Judging by that byte alone gives the same answer for a head that comes at once and for one that
comes in pieces. The limit on size is one more reason why a byte cannot be there: it is byte number max_head.
"""

from __future__ import annotations

from pylb.http1.errors import ProtocolError
from pylb.http1.grammar import FIELD_LINE, TARGET_CHAR, TOKEN, VALUE_CHAR
from pylb.http1.patterns import compiled


class HeadPatterns:
    """What is compiled from the limits, once per load."""

    __slots__ = ("match_request", "match_response", "max_head", "max_headers", "request_prefix", "response_prefix")

    def __init__(self, max_headers: int, max_head: int) -> None:
        self.max_headers = max_headers
        self.max_head = max_head
        fields = rb"((?:\r\n" + FIELD_LINE + rb"){0,%d}+)" % max_headers
        request_line = rb"((" + TOKEN + rb") (" + TARGET_CHAR + rb"++) HTTP/1\.([0-9]))"
        # Without a reason not even its space is asked for: many servers leave out both.
        status_line = rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: (" + VALUE_CHAR + rb"*+))?+"
        # No field line is empty, so these end at the first CRLF CRLF: nobody has to look for it beforehand.
        self.match_request = compiled(request_line + fields + rb"\r\n\r\n").match
        self.match_response = compiled(status_line + fields + rb"\r\n\r\n").match
        # Behind the fields: the CRLF of the next one and a piece of its name, or the end.
        tail = fields + rb"(?:\r(?:\n(?:\r\n?+|" + TOKEN + rb")?+)?+)?+"
        line_end = rb"(?=(\r\n))?+"
        http = (b"H", b"T", b"T", b"P", b"/")
        self.request_prefix = compiled(
            _steps(TOKEN, b" ", TARGET_CHAR + b"++", b" ", *http, rb"([0-9])", rb"\.", rb"[0-9]" + line_end + tail)
        ).match
        reason = rb"(?: " + VALUE_CHAR + rb"*+)?+"
        self.response_prefix = compiled(
            _steps(*http, b"1", rb"\.", b"[0-9]", b" ", b"[1-9]", b"[0-9]", b"[0-9]" + reason + line_end + tail)
        ).match


def _steps(*parts: bytes) -> bytes:
    """A pattern for the parts in sequence that also matches when it stops between two of them."""
    nested = b""
    for part in reversed(parts):
        nested = rb"(?:" + part + nested + rb")?+"
    return nested


def explain_request(
    data: bytes | bytearray, start: int, stop: int, patterns: HeadPatterns, complete: bool
) -> ProtocolError | None:
    """Why data[start:stop] is no request head (`complete`: with its empty line at the end) or cannot begin one; None
    when nothing is wrong so far."""
    if not complete and stop - start <= 1 and data.startswith(b"\r", start):
        return None  # half of the empty line that may stand before a request
    match = patterns.request_prefix(data, start, stop)
    assert match is not None  # every step is optional
    major, line_end, fields = match.groups()
    bad, limit = match.end(), start + patterns.max_head
    if line_end and match.end(2) <= limit and major != b"1":
        # RFC 9110 15.6.6 is for versions that exist or may; HTTP/0.x never had a version on the line.
        return ProtocolError(505, "HTTP version is not 1.x") if major != b"0" else ProtocolError(400, "HTTP/0.x")
    if bad < stop and bad < limit:
        return _bad_request(data, bad, match.start(2), fields, patterns)
    if stop - start < patterns.max_head + complete:
        return None
    if line_end and match.end(2) <= limit:
        return ProtocolError(431, "request head too large")
    return ProtocolError(414, "request line too long")


def _bad_request(
    data: bytes | bytearray, bad: int, line_end: int, fields: bytes | None, patterns: HeadPatterns
) -> ProtocolError:
    if line_end < 0:
        return ProtocolError(400, "malformed request line")
    if fields is not None and fields.count(b"\r\n") == patterns.max_headers and data[bad] == 58:  # ":" of one too many
        return ProtocolError(431, "too many header fields")
    return ProtocolError(400, "malformed header field")


def explain_response(
    data: bytes | bytearray, start: int, stop: int, patterns: HeadPatterns, complete: bool
) -> ProtocolError | None:
    """The same for a response head; always 502."""
    match = patterns.response_prefix(data, start, stop)
    assert match is not None
    bad = match.end()
    if bad < stop and bad < start + patterns.max_head:
        where = "status line" if match.start(1) < 0 else "header field"
        return ProtocolError(502, f"malformed {where} in response")
    if stop - start < patterns.max_head + complete:
        return None
    return ProtocolError(502, "response head too large")
