"""Fetches of what a client has sent before anything is decided, in TCP mode (manual 7.3.5: layer 6).

Rules look at it while it arrives (`tcp-request inspect-delay`). A fetch that cannot know yet, or whose value may still
become another, sets `x.changing`; the test around it then waits instead of failing (rules/acl.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pylb.http1.errors import ProtocolError
from pylb.http1.head import Limits, parse_request, reject_early
from pylb.rules.client_hello import ALPN, SESSION_TICKET, SUPPORTED_GROUPS, Hello, TooShort, read_hello
from pylb.rules.context import Context, Inspected
from pylb.rules.kinds import Kind, Value
from pylb.rules.registry import BadArgument, Getter, Needs, fetch, fetch_with
from pylb.rules.scope import Scope

END = b"\r\n\r\n"


@fetch("req.len req_len", Kind.INT, Needs.PAYLOAD)
def _req_len(x: Inspected) -> Value:
    if x.more_may_come:
        x.changing = True
    return len(x.payload)


@fetch_with("wait_end", Kind.BOOL)
def _wait_end(_args: tuple[Any, ...], scope: Scope) -> Getter:
    if scope.http:
        return lambda _x: True  # heads are complete when rules run
    return _nothing_more


def _nothing_more(x: Any) -> Value:
    if not getattr(x, "more_may_come", False):
        return True
    x.changing = True
    return None


@fetch_with("req.proto_http req_proto_http", Kind.BOOL, needs=Needs.STREAM)
def _req_proto_http(_args: tuple[Any, ...], scope: Scope) -> Getter:
    return (lambda x: x.request is not None) if scope.http else _begins_with_http


def _begins_with_http(x: Any) -> Value:
    """A whole request head that is valid."""
    payload = x.payload
    end = payload.find(END)
    try:
        if end >= 0:
            parse_request(payload, 0, end, Limits())
            return True
        reject_early(payload, 0, Limits())
    except ProtocolError:
        return False
    _unsure(x)
    return None


def _unsure(x: Inspected) -> None:
    if x.more_may_come:
        x.changing = True


# ------------------------------------------------------------------------------------------------------------- bytes


@fetch_with("req.payload payload", Kind.BIN, "int", "int", needs=Needs.PAYLOAD)
def _payload(args: tuple[Any, ...], _scope: Scope) -> Getter:
    offset, length = args
    if offset < 0 or length < 0:
        raise BadArgument('"req.payload" wants an offset and a length from 0 on')

    def get(x: Any) -> Value:
        data: bytes = x.payload
        if len(data) < offset + length or (not length and x.more_may_come):
            _unsure(x)
        return data[offset : offset + length if length else None] if len(data) >= offset + length else None

    return get


@fetch_with("req.payload_lv payload_lv", Kind.BIN, "int", "int", "str?", needs=Needs.PAYLOAD)
def _payload_lv(args: tuple[Any, ...], _scope: Scope) -> Getter:
    """The length stands at `offset1` in `length` bytes; the value follows, or begins at `offset2` (with a sign: so far
    from there)."""
    offset, size, where = args
    if offset < 0 or not 0 < size <= 8:
        raise BadArgument('"req.payload_lv" wants an offset from 0 on and the size of the length, 1 to 8')
    start = offset + size
    if where is not None:
        if re.fullmatch("[+-]?[0-9]+", where) is None:
            raise BadArgument(f'"req.payload_lv" wants a number as its third argument, not "{where}"')
        start = start + int(where) if where[0] in "+-" else int(where)
        if start < 0:
            raise BadArgument('the value of "req.payload_lv" begins before the first byte')

    def get(x: Any) -> Value:
        data: bytes = x.payload
        end = start + int.from_bytes(data[offset : offset + size], "big")
        if len(data) < offset + size or len(data) < end:
            _unsure(x)
            return None
        return data[start:end]

    return get


# --------------------------------------------------------------------------------------------------------------- RDP


def rdp_cookie(name: str) -> Callable[[Any], bytes | None]:
    """The value of `Cookie: NAME=…` in an RDP connection request: behind 11 bytes of TPKT and X.224 (MS-RDPBCGR
    2.2.1.1). Any name where `name` is empty."""
    wanted = re.escape(name.encode()) if name else rb"[^=\r\n]*"
    pattern = re.compile(rb"(?s:.{11})(?i:Cookie:) *(?i:" + wanted + rb")=([^\r]*)\r\n")

    def get(x: Any) -> bytes | None:
        data: bytes = x.payload
        found = pattern.match(data)
        if found is None and b"\n" not in data[11:]:
            _unsure(x)
        return None if found is None else found[1]

    return get


@fetch_with("req.rdp_cookie rdp_cookie req_rdp_cookie", Kind.STR, "str?", needs=Needs.PAYLOAD)
def _rdp_cookie(args: tuple[Any, ...], _scope: Scope) -> Getter:
    return rdp_cookie(args[0] or "")


@fetch_with("req.rdp_cookie_cnt rdp_cookie_cnt req_rdp_cookie_cnt", Kind.INT, "str?", needs=Needs.PAYLOAD)
def _rdp_cookie_cnt(args: tuple[Any, ...], _scope: Scope) -> Getter:
    get = rdp_cookie(args[0] or "")

    def count(x: Any) -> Value:
        return int(get(x) is not None)

    return count


# --------------------------------------------------------------------------------------------------------------- TLS


def _hello(x: Any) -> Hello | None:
    try:
        return read_hello(x.payload)
    except TooShort:
        _unsure(x)
        return None


def _client_hello(x: Any) -> Hello | None:
    hello = _hello(x)
    return hello if hello is not None and hello.kind == 1 else None


@fetch("req.ssl_hello_type req_ssl_hello_type", Kind.INT, Needs.PAYLOAD)
def _ssl_hello_type(x: Context) -> Value:
    hello = _hello(x)
    return None if hello is None else hello.kind


@fetch("req.ssl_sni req_ssl_sni", Kind.STR, Needs.PAYLOAD)
def _ssl_sni(x: Context) -> Value:
    hello = _client_hello(x)
    return None if hello is None else hello.server_name


@fetch("req.ssl_alpn", Kind.STR, Needs.PAYLOAD)
def _ssl_alpn(x: Context) -> Value:
    hello = _client_hello(x)
    return None if hello is None or ALPN not in hello.extensions else b",".join(hello.protocols)


@fetch("req.ssl_ver req_ssl_ver", Kind.INT, Needs.PAYLOAD)
def _ssl_ver(x: Context) -> Value:
    """Major version times 65536 plus minor version: TLS 1.2 is 3.3."""
    hello = _client_hello(x)
    return None if hello is None else hello.version[0] << 16 | hello.version[1]


@fetch("req.ssl_ec_ext", Kind.BOOL, Needs.PAYLOAD)
def _ssl_ec_ext(x: Context) -> Value:
    hello = _client_hello(x)
    return None if hello is None else (True if SUPPORTED_GROUPS in hello.extensions else None)


@fetch("req.ssl_st_ext", Kind.INT, Needs.PAYLOAD)
def _ssl_st_ext(x: Context) -> Value:
    """The session ticket extension: 0 absent, 1 empty, 2 with a ticket."""
    hello = _client_hello(x)
    if hello is None:
        return None
    ticket = hello.extensions.get(SESSION_TICKET)
    return 0 if ticket is None else 2 if ticket else 1
