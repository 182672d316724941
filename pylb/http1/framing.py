"""Where a body ends (RFC 9112 6.3), in the order of that section's rules.

    kind         the body                                         seen in
    NONE         there is none                                    requests without a length, HEAD, 1xx, 204, 304
    LENGTH       `length` bytes                                   Content-Length
    CHUNKED      ends with the last chunk and its trailers        Transfer-Encoding: chunked
    UNTIL_CLOSE  ends when the server closes                      responses that say nothing
    TUNNEL       no body and no HTTP behind it                    101, 2xx to CONNECT

Two peers that disagree about the end of one message can be made to disagree about the start of the next, which is
request smuggling. So a request whose end could be read in two ways is refused, and what goes on carries exactly one
answer, written by us when there was more than one way to write it:
- Content-Length repeated or as a list: RFC 9110 8.6 lets a recipient refuse or collapse identical values. They are
  collapsed, as HAProxy does (the field is forwarded once), because broken applications send them twice and it is safe;
  different ones are refused. Leading zeros are rewritten, since some readers take them for octal.
- Transfer-Encoding with Content-Length: 400 from a client (RFC 9112 6.1 allows it; nobody sends it by accident). From a
  server, 6.3 rule 3 applies: Transfer-Encoding wins, Content-Length is removed, and the connection is not used again.
- HTTP/1.0 has no Transfer-Encoding; with one its framing is faulty (6.1): 400 and 502.
- A coding besides chunked: 501 when chunked still comes last, 400 when it does not (6.3 rule 4: the end is unknown).
  From a server 502, because we never offer one in TE.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pylb.http1.errors import ProtocolError
from pylb.http1.grammar import match_digits
from pylb.http1.request import RequestHead
from pylb.http1.response import ResponseHead

NONE: Final = 0
LENGTH: Final = 1
CHUNKED: Final = 2
UNTIL_CLOSE: Final = 3
TUNNEL: Final = 4

MAX_LENGTH: Final = 2**63 - 1
"""What every peer can count to; RFC 9110 8.6 asks recipients to expect large numbers and to prevent overflow."""

LONGEST_NUMBER: Final = 19
"""Digits of MAX_LENGTH."""

_NO_BODY_FOLLOWS: Final = frozenset((b"HEAD", b"CONNECT"))
"""Methods whose 200 ends with its head, whatever it says."""
_NO_CONTENT_IN_1_0: Final = frozenset((b"GET", b"HEAD", b"DELETE"))


class Framing:
    """How long a body is."""

    __slots__ = ("kind", "length", "reusable")

    def __init__(self, kind: int, length: int = 0, reusable: bool = True) -> None:
        self.kind = kind
        self.length = length
        """Bytes, for LENGTH."""
        self.reusable = reusable
        """False: the message was suspect; its connection must not carry another one."""

    def __repr__(self) -> str:
        return f"Framing({('NONE', 'LENGTH', 'CHUNKED', 'UNTIL_CLOSE', 'TUNNEL')[self.kind]}, {self.length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Framing) and (self.kind, self.length) == (other.kind, other.length)

    __hash__ = None  # type: ignore[assignment]


# Most messages share one of these.
NO_BODY: Final = Framing(NONE)
EMPTY: Final = Framing(LENGTH, 0)
IN_CHUNKS: Final = Framing(CHUNKED)
CLOSE_DELIMITED: Final = Framing(UNTIL_CLOSE, reusable=False)
TUNNELLED: Final = Framing(TUNNEL)
_SUSPECT_CHUNKS: Final = Framing(CHUNKED, reusable=False)


def request_framing(head: RequestHead) -> Framing:
    """How the request's body ends. Makes Content-Length one canonical field.

    Raises ProtocolError: 400, 413 (body in an HTTP/1.0 GET, HEAD or DELETE, as HAProxy), 501.
    """
    value = head.length_field
    if value is None and head.coding_field is None:
        return NO_BODY
    if head.coding_field is not None:
        if value is not None:
            raise ProtocolError(400, "both Transfer-Encoding and Content-Length")
        if not head.version:
            raise ProtocolError(400, "Transfer-Encoding in HTTP/1.0")
        if head.method == b"CONNECT":
            raise ProtocolError(400, "CONNECT with content")
        _check_request_coding(head)
        return IN_CHUNKS
    assert value is not None
    known = _known_length(value) if len(value) <= LONGEST_NUMBER else None
    length = _content_length(head, 400) if known is None else known.length
    if length:
        if not head.version and head.method in _NO_CONTENT_IN_1_0:
            # Old servers never look for a body there and would take it for the next request.
            raise ProtocolError(413, "content in an HTTP/1.0 request without content")
        if head.method == b"CONNECT":  # RFC 9110 9.3.6: what follows is the tunnel
            raise ProtocolError(400, "CONNECT with content")
        return known or Framing(LENGTH, length)
    return EMPTY


def response_framing(head: ResponseHead, request_method: bytes, status: int) -> Framing:
    """How the body of the response to `request_method` (as it was sent to the server) ends. Makes Content-Length one
    canonical field, and removes framing fields where RFC 9112 6.1 and RFC 9110 8.6 forbid them.

    Raises ProtocolError (502).
    """
    value = head.length_field
    if status == 200 and head.coding_field is None and value is not None and request_method not in _NO_BODY_FOLLOWS:
        known = _known_length(value) if len(value) <= LONGEST_NUMBER else None
        return known or Framing(LENGTH, _content_length(head, 502))
    if request_method == b"CONNECT" and 200 <= status < 300:  # RFC 9110 9.3.6: to be ignored, even malformed ones
        head.drop_framing()
        return TUNNELLED
    # Both are judged even where they have no meaning: what is malformed is not passed on.
    length = -1 if head.length_field is None else _content_length(head, 502)
    suspect = head.coding_field is not None and _check_response_coding(head)
    if status < 200 or status == 204:
        if head.length_field is not None or head.coding_field is not None:
            head.drop_framing()
        return TUNNELLED if status == 101 else NO_BODY
    if request_method == b"HEAD" or status == 304:
        return NO_BODY
    if head.coding_field is not None:
        return _SUSPECT_CHUNKS if suspect else IN_CHUNKS
    if length < 0:
        return CLOSE_DELIMITED
    return Framing(LENGTH, length) if length else EMPTY


@lru_cache(maxsize=1024)
def _known_length(value: bytes) -> Framing | None:
    """The framing for a Content-Length in its one canonical form; None for anything that wants a closer look. Lengths
    repeat: 0.1 µs in place of 0.5."""
    if match_digits(value) and (value[0] != 48 or value == b"0") and int(value) <= MAX_LENGTH:
        return Framing(LENGTH, int(value))
    return None


def _content_length(head: RequestHead | ResponseHead, status: int) -> int:
    value = head.length_field
    assert value is not None
    if match_digits(value) and (value[0] != 48 or value == b"0"):  # 48 "0"
        length = int(value)
        if length > MAX_LENGTH:
            raise ProtocolError(status, "Content-Length too large")
        return length
    elements = {e.strip(b" \t") for e in value.split(b",")}
    if len(elements) != 1:
        raise ProtocolError(status, "different Content-Lengths")
    element = elements.pop()
    if not match_digits(element) or int(element) > MAX_LENGTH:
        raise ProtocolError(status, "invalid Content-Length")
    length = int(element)
    head.set_length(length)
    return length


def _codings(value: bytes) -> list[bytes]:
    return [e.strip(b" \t") for e in value.split(b",")]


def _check_request_coding(head: RequestHead) -> None:
    value = head.coding_field
    if value == b"chunked":
        return
    assert value is not None
    codings = _codings(value)
    if codings.count(b"chunked") != 1 or codings[-1] != b"chunked":
        raise ProtocolError(400, "Transfer-Encoding without chunked as its last coding")
    if len(codings) > 1:
        raise ProtocolError(501, "transfer coding other than chunked")
    head.set_chunked()


def _check_response_coding(head: ResponseHead) -> bool:
    """True when the response named both framings and Content-Length was removed."""
    if not head.version:
        raise ProtocolError(502, "Transfer-Encoding in HTTP/1.0")
    value = head.coding_field
    assert value is not None
    if value != b"chunked":
        if _codings(value) != [b"chunked"]:
            raise ProtocolError(502, "transfer coding other than chunked")
        head.set_chunked()
    if head.length_field is None:
        return False
    head.set_chunked()
    return True
