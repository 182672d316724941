"""Fetches of the request line, its parts and its credentials (manual 7.3.6)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, cast

from pylb.backend.balance.hashes import avalanche, sdbm
from pylb.rules.context import Context
from pylb.rules.kinds import Kind, Value, address, leading_integer
from pylb.rules.registry import BadArgument, Getter, ManyGetter, Needs, fetch, fetch_with
from pylb.rules.samples.headers import header_address
from pylb.rules.scope import Scope
from pylb.rules.users import Users, find_userlist


@fetch("method", Kind.METH, Needs.STREAM)
def _method(x: Context) -> Value:
    return x.request.method


@fetch("path", Kind.STR, Needs.REQUEST)
def _path(x: Context) -> Value:
    path = x.request.path
    return path if path.startswith(b"/") else None


@fetch("pathq", Kind.STR, Needs.REQUEST)
def _pathq(x: Context) -> Value:
    uri = x.request.uri
    return uri if uri.startswith(b"/") else None


@fetch("query", Kind.STR, Needs.REQUEST)
def _query(x: Context) -> Value:
    return x.request.query


@fetch("url", Kind.STR, Needs.REQUEST)
def url(x: Context) -> Value:
    """The request-target as rules have it; absolute where the client sent it so."""
    target = x.request.target
    return x.request.uri if target.startswith(b"/") else target


@fetch("base", Kind.STR, Needs.REQUEST)
def _base(x: Context) -> Value:
    return (x.request.get(b"host") or b"") + (x.request.path if x.request.uri.startswith(b"/") else b"")


@fetch("baseq", Kind.STR, Needs.REQUEST)
def _baseq(x: Context) -> Value:
    return (x.request.get(b"host") or b"") + (x.request.uri if x.request.uri.startswith(b"/") else b"")


@fetch("base32", Kind.INT, Needs.REQUEST)
def _base32(x: Context) -> Value:
    return avalanche(sdbm(cast(bytes, _base(x))))


@fetch("url32", Kind.INT, Needs.REQUEST)
def _url32(x: Context) -> Value:
    return avalanche(sdbm((x.request.get(b"host") or b"") + x.request.uri))


@fetch("base32+src", Kind.BIN, Needs.REQUEST)
def _base32_src(x: Context) -> Value:
    return _with_source(_base32(x), x)


@fetch("url32+src", Kind.BIN, Needs.REQUEST)
def _url32_src(x: Context) -> Value:
    return _with_source(_url32(x), x)


def _with_source(number: Value, x: Context) -> bytes:
    """Four bytes in network order, then the client's address, if it has one."""
    source = address(x.session.src)
    return cast(int, number).to_bytes(4, "big") + (b"" if source is None else source.packed)


@fetch("req.ver req_ver", Kind.STR, Needs.REQUEST)
def _req_ver(x: Context) -> Value:
    return b"1.1" if x.request.version else b"1.0"


_AUTHORITY = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?]*)")


def _authority(x: Context) -> bytes | None:
    match = _AUTHORITY.match(x.request.target)
    return match[1] if match else None


@fetch("url_ip", Kind.ADDR, Needs.REQUEST)
def _url_ip(x: Context) -> Value:
    authority = _authority(x)
    return header_address(authority) if authority else None


@fetch("url_port", Kind.INT, Needs.REQUEST)
def _url_port(x: Context) -> Value:
    authority = _authority(x)
    if not authority:
        return None
    port = authority.rpartition(b":")[2]
    return int(port) if port.isdigit() and b":" in authority else 80


# ----------------------------------------------------------------------------------------------------- as received


_ABSOLUTE = re.compile(rb"\A[A-Za-z][-+.A-Za-z0-9]*://[^/?#]*")


def _received(x: Context, part: int) -> Value:
    parts = x.request_line.split(b" ")
    return parts[part] if len(parts) == 3 else None


@fetch("capture.req.method", Kind.STR, Needs.STREAM)
def _capture_method(x: Context) -> Value:
    return _received(x, 0)


@fetch("capture.req.uri", Kind.STR, Needs.STREAM)
def _capture_uri(x: Context) -> Value:
    """Without scheme and authority, as HAProxy has it."""
    uri = _received(x, 1)
    return _ABSOLUTE.sub(b"", uri) or b"/" if isinstance(uri, bytes) else uri


@fetch("capture.req.ver", Kind.STR, Needs.STREAM)
def _capture_ver(x: Context) -> Value:
    version = _received(x, 2)
    return None if version is None else (b"HTTP/1.1" if version == b"HTTP/1.1" else b"HTTP/1.0")


# -------------------------------------------------------------------------------------------------- URL parameters


def parameters(x: Context, delimiter: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values behind the first `delimiter` of the target, separated by & or ;."""
    _, found, text = x.request.uri.partition(delimiter)
    if not found:
        return []
    return [(name, value) for name, _, value in (p.partition(b"=") for p in re.split(rb"[&;]", text))]


def _param_values(args: tuple[Any, ...], _scope: Scope) -> ManyGetter:
    name = args[0].encode("latin-1") if args[0] else None
    delimiter = (args[1] or "?").encode("latin-1")
    if len(delimiter) != 1:
        raise BadArgument("the delimiter before URL parameters is one character")
    return lambda x: [v for n, v in parameters(x, delimiter) if name is None or n == name]


@fetch_with("urlp url_param", Kind.STR, "str?", "str?", needs=Needs.REQUEST, many=_param_values)
def _urlp(args: tuple[Any, ...], scope: Scope) -> Getter:
    values = _param_values(args, scope)

    def get(x: Context) -> Value:
        found = values(x)
        return found[0] if found else None

    return get


@fetch_with("urlp_val", Kind.INT, "str?", "str?", needs=Needs.REQUEST)
def _urlp_val(args: tuple[Any, ...], scope: Scope) -> Getter:
    getter = _urlp(args, scope)

    def get(x: Context) -> Value:
        value = getter(x)
        return leading_integer(value) if isinstance(value, bytes) else None

    return get


# ------------------------------------------------------------------------------------------------------ credentials


def credentials(x: Context) -> tuple[bytes, bytes] | None:
    """User and password of Authorization: Basic (RFC 7617); None without valid ones."""
    header = x.request.get(b"authorization")
    if header is None or header[:6].lower() != b"basic ":
        return None
    try:
        user, colon, password = base64.b64decode(header[6:].strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon else None


@fetch("http_auth_user", Kind.STR, Needs.REQUEST)
def _http_auth_user(x: Context) -> Value:
    pair = credentials(x)
    return None if pair is None else pair[0]


@fetch("http_auth_pass", Kind.STR, Needs.REQUEST)
def _http_auth_pass(x: Context) -> Value:
    pair = credentials(x)
    return None if pair is None else pair[1]


@fetch("http_auth_type", Kind.STR, Needs.REQUEST)
def _http_auth_type(x: Context) -> Value:
    header = x.request.get(b"authorization")
    if header is None:
        return None
    scheme = header.partition(b" ")[0]
    return {b"basic": b"Basic", b"bearer": b"Bearer"}.get(scheme.lower())


@fetch_with("http_auth_bearer", Kind.STR, "str?", needs=Needs.REQUEST)
def _http_auth_bearer(args: tuple[Any, ...], _scope: Scope) -> Getter:
    name = (args[0] or "authorization").lower().encode()

    def get(x: Context) -> Value:
        scheme, _, token = (x.request.get(name) or b"").partition(b" ")
        return token.strip() if scheme.lower() == b"bearer" and token else None

    return get


@fetch_with("http_auth", Kind.BOOL, "userlist", needs=Needs.REQUEST)
def _http_auth(args: tuple[Any, ...], scope: Scope) -> Getter:
    users = Users(find_userlist(scope.world.config, args[0]))

    def get(x: Context) -> Value:
        pair = credentials(x)
        return pair is not None and users.accepts(*pair)

    return get


def _groups(args: tuple[Any, ...], scope: Scope) -> ManyGetter:
    users = Users(find_userlist(scope.world.config, args[0]))

    def get(x: Context) -> list[bytes]:
        pair = credentials(x)
        return users.groups(pair[0]) if pair is not None and users.accepts(*pair) else []

    return get


@fetch_with("http_auth_group", Kind.STR, "userlist", needs=Needs.REQUEST, many=_groups)
def _http_auth_group(args: tuple[Any, ...], scope: Scope) -> Getter:
    groups = _groups(args, scope)

    def get(x: Context) -> Value:  # as a sample it is the user's name; tests look at the groups
        pair = credentials(x)
        return pair[0] if pair is not None and groups(x) else None

    return get
