"""Where a request wants to go: the four forms of the request-target, and Host.

    form        example                      for                     forwarded as
    origin      /a/b?c                       any method              as it came
    absolute    http://a.example:80/b?c      any method              /b?c, and Host becomes a.example:80
    authority   a.example:443                CONNECT only            as it came, and Host becomes the same
    asterisk    *                            OPTIONS only            as it came

RFC 9112 3.2. The authority of an absolute target replaces Host (3.2.2): the received one is ignored even when it
differs, and what is forwarded has one answer to "which host", whichever of the two the next hop looks at.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

from pylb.http1.errors import ProtocolError
from pylb.http1.grammar import match_authority

_match_absolute: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.\-]*+)://([^/?]*+)(.*+)").fullmatch


def split_authority(value: bytes) -> tuple[bytes, int | None]:
    """(host in lower case, port or None) of `uri-host [ ":" port ]` (RFC 3986 3.2.2), IPv6 literals in brackets.

    The cache makes the hosts that one serves cost 100 ns. Raises ProtocolError (400).
    """
    return _split_cached(value) if len(value) <= _CACHED_LENGTH else _split(value)


def _split(value: bytes) -> tuple[bytes, int | None]:
    match = match_authority(value)
    if match is None:
        raise ProtocolError(400, "invalid host")
    host, port = match.groups()
    if host.startswith(b"[") and host[1] not in b"vV":
        try:
            ipaddress.IPv6Address(host[1:-1].decode("ascii"))
        except ValueError:
            raise ProtocolError(400, "invalid IPv6 address in host") from None
    if not port:
        return host.lower(), None
    if int(port) > 65535:
        raise ProtocolError(400, "invalid port in host")
    return host.lower(), int(port)


_CACHED_LENGTH: Final = 262  # a DNS name and a port; longer ones would only fill the cache
_split_cached = lru_cache(maxsize=1024)(_split)


def resolve(method: bytes, target: bytes) -> tuple[bytes, bytes | None]:
    """(what to forward as the target, the authority that replaces Host or None) for a target of any form.

    Raises ProtocolError (400) when the form is none of the four or not the method's.
    """
    if method == b"CONNECT":
        host, port = split_authority(target)
        if not host or not port:  # RFC 9110 9.3.6: an empty or invalid port is refused
            raise ProtocolError(400, "CONNECT needs host:port")
        return target, target
    if target.startswith(b"/"):
        return target, None
    if target == b"*":
        if method != b"OPTIONS":
            raise ProtocolError(400, "asterisk target without OPTIONS")
        return target, None
    return _resolve_absolute(method, target)


def _resolve_absolute(method: bytes, target: bytes) -> tuple[bytes, bytes]:
    match = _match_absolute(target)
    if match is None:
        raise ProtocolError(400, "invalid request target")
    scheme, authority, rest = match.groups()
    if scheme.lower() not in (b"http", b"https"):
        raise ProtocolError(400, "request target of a scheme that is not http")
    if not split_authority(authority)[0]:  # RFC 9110 4.2.1: an empty host is invalid; userinfo never matches (4.2.4)
        raise ProtocolError(400, "request target without a host")
    if not rest and method == b"OPTIONS":  # RFC 9112 3.2.4: for the server itself
        return b"*", authority
    return rest if rest.startswith(b"/") else b"/" + rest, authority
