"""Fetches about the client's connection (manual 7.3.3)."""

from __future__ import annotations

from typing import Any

from pylb.rules.context import Context
from pylb.rules.kinds import Kind, Value, address
from pylb.rules.registry import Getter, Needs, fetch, fetch_with
from pylb.rules.scope import Scope


@fetch("src", Kind.ADDR)
def _src(x: Context) -> Value:
    return address(x.session.src)


@fetch("src_port", Kind.INT)
def _src_port(x: Context) -> Value:
    return x.session.src_port or None


@fetch("dst", Kind.ADDR)
def _dst(x: Context) -> Value:
    return address(x.session.dst)


@fetch("dst_port", Kind.INT)
def _dst_port(x: Context) -> Value:
    return x.session.dst_port or None


def _register_original(name: str, place: int) -> None:
    """What rules have not changed (actions/connection.py)."""
    is_port = name.endswith("port")

    @fetch(f"fc_{name}", Kind.INT if is_port else Kind.ADDR)
    def _original(x: Context) -> Value:
        session: Any = x.session
        original = getattr(session, "original", None)
        value = getattr(session, name) if original is None else original[place]
        return (int(value) or None) if is_port else address(value)


for _place, _name in enumerate(("src", "src_port", "dst", "dst_port")):
    _register_original(_name, _place)


@fetch("fc_http_major", Kind.INT)
def _fc_http_major(_x: Context) -> Value:
    return 1


@fetch("http_first_req", Kind.BOOL, Needs.STREAM)
def _http_first_req(x: Context) -> Value:
    return x.session.requests <= 1


@fetch("fe_name", Kind.STR)
def _fe_name(x: Context) -> Value:
    return x.frontend.name.encode()


@fetch_with("fe_defbe", Kind.STR)
def _fe_defbe(_args: tuple[Any, ...], scope: Scope) -> Getter:
    name = getattr(scope.proxy, "default_backend", None)
    value = None if name is None else name.encode()
    return lambda _x: value


@fetch("fe_id", Kind.INT)
def _fe_id(x: Context) -> Value:
    number: int | None = x.frontend.model.id
    return number


@fetch("be_name", Kind.STR, Needs.STREAM)
def _be_name(x: Context) -> Value:
    return (x.frontend if x.backend is None else x.backend).name.encode()


@fetch("be_id", Kind.INT, Needs.STREAM)
def _be_id(x: Context) -> Value:
    return None if x.backend is None else x.backend.model.id


@fetch("srv_name", Kind.STR, Needs.STREAM)
def _srv_name(x: Context) -> Value:
    return None if x.server is None else x.server.name.encode()


@fetch("srv_id", Kind.INT, Needs.STREAM)
def _srv_id(x: Context) -> Value:
    number: int | None = None if x.server is None else x.server.sid
    return number


@fetch("prio_class", Kind.INT, Needs.STREAM)
def _prio_class(x: Context) -> Value:
    return x.priority_class


@fetch("prio_offset", Kind.INT, Needs.STREAM)
def _prio_offset(x: Context) -> Value:
    return x.priority_offset


# ------------------------------------------------------------------------------------------------ what went wrong

PROXY_CLOSED, PROXY_ERROR, PROXY_TIMEOUT, PROXY_CUT, NO_PROXY_HEADER = 11, 12, 13, 14, 15
TLS_CLOSED, TLS_TIMEOUT, NO_CLIENT_CA, NO_CLIENT_CERTIFICATE, NO_HANDSHAKE = 24, 26, 30, 31, 34
CONNECTION_ERRORS = {
    0: "Success",
    PROXY_CLOSED: "Connection closed while waiting for PROXY protocol header",
    PROXY_ERROR: "Connection error while waiting for PROXY protocol header",
    PROXY_TIMEOUT: "Timeout while waiting for PROXY protocol header",
    PROXY_CUT: "Truncated PROXY protocol header received",
    NO_PROXY_HEADER: "Received something which does not look like a PROXY protocol header",
    TLS_CLOSED: "Connection closed during SSL handshake",
    TLS_TIMEOUT: "Timeout during SSL handshake",
    NO_CLIENT_CA: "SSL client CA chain cannot be verified",
    NO_CLIENT_CERTIFICATE: "SSL client certificate not trusted",
    NO_HANDSHAKE: "SSL handshake failure",
}
"""The numbers and names of HAProxy 2.6 for what pylb tells apart (manual: fc_err, fc_err_str)."""


@fetch("fc_err", Kind.INT)
def _fc_err(x: Context) -> Value:
    # Only what error-log-format is written from has one: a connection that failed has no exchange.
    return getattr(x, "connection_error", 0)


@fetch("fc_err_str", Kind.STR)
def _fc_err_str(x: Context) -> Value:
    return CONNECTION_ERRORS[getattr(x, "connection_error", 0)].encode()
