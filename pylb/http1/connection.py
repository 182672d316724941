"""What belongs to one connection and is not passed on (Connection, what it lists, Upgrade), and what counts hops.

RFC 9110 7.6: an intermediary removes Connection and every field that it names before it forwards, and these whether
named or not: Keep-Alive, Proxy-Connection, TE, Upgrade. Never removed because a peer names them: Host and the framing
fields; `Connection: content-length` is an attack on whoever obeys it. Everything happens before our own rules add
fields, so a client cannot name X-Forwarded-For and have ours removed.

What is kept, we say again in our own Connection field:
- Upgrade, when the caller can carry a tunnel: HTTP/1.1 on both sides, listed by Connection, h2c taken out (the server
  would start to speak HTTP/2 to us, RFC 9113 3.1 has retired it);
- TE, reduced to `trailers`: we pass trailers on, and no transfer coding but chunked.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from pylb.http1.errors import ProtocolError
from pylb.http1.fields import Head
from pylb.http1.grammar import match_digits

if TYPE_CHECKING:
    from pylb.http1.request import RequestHead
    from pylb.http1.response import ResponseHead

_NEVER_BY_NAME = frozenset((b"host", b"content-length", b"transfer-encoding", b"connection"))
_REQUEST_HOP_BY_HOP = (b"connection", b"keep-alive", b"proxy-connection", b"te", b"upgrade", b"http2-settings")
_RESPONSE_HOP_BY_HOP = (b"connection", b"keep-alive", b"proxy-connection", b"upgrade")
USUAL_LINES = {b"": b"", b"close": b"\r\nConnection: close", b"keep-alive": b"\r\nConnection: keep-alive"}
"""Nearly every Connection, with its line as it is nearly always written: the heads then need one cut, or none, instead
of what follows (3 µs)."""
_NOT_PASSED_ON = frozenset((b"h2c", b"h2"))

# A TRACE answer shows the request to whoever sent it, scripts included: no credentials (RFC 9110 9.3.8).
_NOT_REFLECTED = (b"authorization", b"proxy-authorization", b"cookie")


def connection_tokens(value: bytes) -> frozenset[bytes]:
    """The elements of a lower-cased Connection value. Clients send few different ones: 90 ns from the cache."""
    return _cached_tokens(value) if len(value) <= CACHED_LENGTH else _tokens(value)


def _tokens(value: bytes) -> frozenset[bytes]:
    return frozenset(t for t in (e.strip(b" \t") for e in value.split(b",")) if t)


CACHED_LENGTH = 64
"""Longer values are nobody's habit; keeping them would let a peer fill the cache with its heads."""
_cached_tokens = lru_cache(maxsize=256)(_tokens)


def keeps_open(connection: bytes, version: int) -> bool:
    """Whether a message with this Connection value and minor version leaves its connection open (RFC 9112 9.3)."""
    if not connection:
        return version > 0
    if connection == b"keep-alive":
        return True
    tokens = connection_tokens(connection)
    return b"close" not in tokens and (version > 0 or b"keep-alive" in tokens)


def offered_protocols(value: bytes) -> bytes:
    """An Upgrade value without the protocols that are not passed on; b"" when none is left."""
    offered = [e for e in (e.strip(b" \t") for e in value.split(b",")) if e and e not in _NOT_PASSED_ON]
    return b", ".join(offered)


def _remove_named(head: RequestHead | ResponseHead, always: tuple[bytes, ...]) -> None:
    for name in always:
        head.remove(name)
    named = connection_tokens(head.connection) - _NEVER_BY_NAME
    if named:  # thousands may be listed, few are there
        for name in named.intersection(head.names()):
            head.remove_lines(b"\r\n%b:" % name)


def clean_request(head: RequestHead, keep_upgrade: bool) -> None:
    """Prepare the fields of a request for the next hop; `keep_upgrade`: its upgrade goes with them."""
    upgrade = head.upgrade if keep_upgrade else None
    trailers = head.version > 0 and b"te" in connection_tokens(head.connection) and _accepts_trailers(head)
    _remove_named(head, _REQUEST_HOP_BY_HOP)
    if upgrade:
        head.add(b"Connection", b"upgrade, TE" if trailers else b"upgrade")
        head.add(b"Upgrade", upgrade)
    elif trailers:
        head.add(b"Connection", b"TE")
    if trailers:
        head.add(b"TE", b"trailers")
    if not head.version:  # we forward as HTTP/1.1, which needs a Host (RFC 9112 3.2) and may not invent an expectation
        head.remove(b"expect")
        if not head.has(b"host"):
            head.add(b"Host", b"")


def _accepts_trailers(head: RequestHead) -> bool:
    return any(e.lower() == b"trailers" for e in head.values(b"te"))


def clean_response(head: ResponseHead) -> None:
    """Prepare the fields of a response for the next hop. The Upgrade of a 101 stays, and that of a 426, which would
    mean nothing without it (RFC 9110 15.5.22)."""
    field = head.get(b"upgrade") if head.status in (101, 426) else None
    upgrade = b", ".join(e for e in field.split(b",") if offered_protocols(e.lower())) if field else b""
    _remove_named(head, _RESPONSE_HOP_BY_HOP)
    if upgrade:
        head.add(b"Connection", b"upgrade")
        head.add(b"Upgrade", upgrade)


def interim_may_pass(request: RequestHead, response: ResponseHead) -> bool:
    """Whether a 1xx response goes to the client that sent `request`: not to HTTP/1.0 (RFC 9110 15.2), and 101 only when
    the client asked for that protocol."""
    if not request.version:
        return False
    return response.status != 101 or switches(request, response)


def switches(request: RequestHead, response: ResponseHead) -> bool:
    """Whether a 101 answers an upgrade that was offered; if not, the response is malformed (502)."""
    offered, chosen = request.upgrade, response.upgrade
    if offered is None or chosen is None:
        return False
    return set(chosen.split(b", ")) <= set(offered.split(b", "))


def logs_connections_in(head: ResponseHead) -> bool:
    """Whether a 401 or 407 asks for NTLM or Negotiate: these authenticate the connection in place of the request (RFC
    4559 6), so that from here on it must serve nobody else."""
    asked = head.get_all(b"www-authenticate") + head.get_all(b"proxy-authenticate")
    return any(scheme in challenge.lower() for challenge in asked for scheme in (b"ntlm", b"nego"))


def spend_forward(head: RequestHead) -> bool:
    """Count down Max-Forwards (RFC 9110 7.6.2). True: forward; False: it was 0, we are the last recipient and answer.

    It has a meaning for TRACE and OPTIONS only, so the caller asks only for those. Raises ProtocolError (400) when the
    value is not a number."""
    if head.method not in (b"TRACE", b"OPTIONS"):
        return True
    value = head.get(b"max-forwards")
    if value is None:
        return True
    if head.count(b"max-forwards") > 1 or not match_digits(value):
        raise ProtocolError(400, "invalid Max-Forwards")
    left = int(value)
    if left == 0:
        return False
    head.set(b"Max-Forwards", b"%d" % (left - 1))
    return True


def trace_body(head: RequestHead) -> bytes:
    """What answers a TRACE that stops here: the request as received, as message/http, without credentials."""
    seen = Head()
    seen.block, seen._lower = head.block, None
    for name in _NOT_REFLECTED:
        seen.remove(name)
    return b"%b %b HTTP/1.%d%b\r\n\r\n" % (head.method, head.target, head.version, seen.block)


def add_via(head: RequestHead | ResponseHead, pseudonym: bytes) -> None:
    """Add Via: the version that the message was received in and our name (RFC 9110 7.6.3)."""
    head.add(b"Via", b"1.%d %b" % (head.version, pseudonym))
