"""Fetches about both TCP connections of an exchange, as the kernel and the configuration know them (manual 7.3.3)."""

from __future__ import annotations

import socket
import struct
from typing import Any

from pylb.rules.kinds import Kind, Value, address
from pylb.rules.registry import BadArgument, Getter, Needs, fetch, fetch_with
from pylb.rules.scope import Scope

# ------------------------------------------------------------------------------------------------- the server's side


def _end(x: Any, which: str) -> Any:
    """The address of an end of the connection to the server; None without one."""
    upstream = getattr(x, "upstream", None) or getattr(x, "worn", None)
    if upstream is None or upstream.transport is None:
        return None
    found = upstream.transport.get_extra_info(which)
    return found if isinstance(found, tuple) else None


def _register_end(name: str, which: str) -> None:
    @fetch(name, Kind.ADDR, Needs.STREAM)
    def _host(x: Any) -> Value:
        found = _end(x, which)
        return None if found is None else address(found[0])

    @fetch(f"{name}_port", Kind.INT, Needs.STREAM)
    def _port(x: Any) -> Value:
        found = _end(x, which)
        return None if found is None else int(found[1])


_register_end("bc_src", "sockname")
_register_end("bc_dst", "peername")


@fetch("bc_http_major", Kind.INT, Needs.STREAM)
def _bc_http_major(x: Any) -> Value:
    return None if _end(x, "peername") is None else 1


@fetch("ssl_bc", Kind.BOOL, Needs.STREAM)
def _ssl_bc(x: Any) -> Value:
    upstream = getattr(x, "upstream", None) or getattr(x, "worn", None)
    return upstream is not None and upstream.tls is not None


# ------------------------------------------------------------------------------------------------- the client's side


def is_local(text: str) -> bool:
    """Whether an address is one of this machine's: whether a socket can be bound to it, as HAProxy asks."""
    found = address(text)
    if found is None:
        return False
    family = socket.AF_INET if found.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((text, 0))
        except OSError:
            return False
    return True


@fetch("src_is_local fc_src_is_local", Kind.BOOL)
def _src_is_local(x: Any) -> Value:
    return is_local(x.session.src)


@fetch("dst_is_local fc_dst_is_local", Kind.BOOL)
def _dst_is_local(x: Any) -> Value:
    return is_local(x.session.dst)


@fetch("so_name", Kind.STR)
def _so_name(x: Any) -> Value:
    name = x.session.listener.bind.name
    return None if name is None else name.encode()


@fetch("so_id", Kind.INT)
def _so_id(x: Any) -> Value:
    bind = x.session.listener.bind
    return next((number for number, each in enumerate(x.frontend.model.binds, 1) if each is bind), None)


@fetch("fc_rcvd_proxy", Kind.BOOL)
def _fc_rcvd_proxy(x: Any) -> Value:
    return bool(x.session.listener.bind.accept_proxy)


# linux/tcp.h, struct tcp_info: eight bytes, then 32-bit fields; the number is the field's place among those.
_TCP_INFO = {
    "unacked": 4,
    "sacked": 5,
    "lost": 6,
    "retrans": 7,
    "fackets": 8,
    "rtt": 15,
    "rttvar": 16,
    "reordering": 20,
}


def _tcp_info(x: Any, place: int) -> int | None:
    """A field of the kernel's account of the client's connection; None where it keeps none."""
    sock = x.session.transport.get_extra_info("socket")
    if sock is None or sock.family == socket.AF_UNIX or sock.fileno() < 0:
        return None
    own = socket.socket(sock.family, socket.SOCK_STREAM, 0, fileno=sock.fileno())  # the loop's lets nobody ask
    try:
        info = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    except OSError:
        return None
    finally:
        own.detach()
    field: int = struct.unpack_from("=I", info, 8 + 4 * place)[0]
    return field


def _register_info(name: str, place: int) -> None:
    @fetch(f"fc_{name}", Kind.INT)
    def _count(x: Any) -> Value:
        return _tcp_info(x, place)


def _register_time(name: str, place: int) -> None:
    @fetch_with(f"fc_{name}", Kind.INT, "str?")
    def _time(args: tuple[Any, ...], _scope: Scope) -> Getter:
        if args[0] not in (None, "ms", "us"):
            raise BadArgument(f'"{args[0]}" is no unit; ms and us are')
        scale = 1 if args[0] == "us" else 1000

        def get(x: Any) -> Value:
            found = _tcp_info(x, place)
            return None if found is None else found // scale

        return get


for _name, _place in _TCP_INFO.items():
    (_register_time if _name.startswith("rtt") else _register_info)(_name, _place)


# ---------------------------------------------------------------------------------------------------------- timeouts


def _milliseconds(seconds: float | None) -> Value:
    return None if seconds is None or seconds == float("inf") else round(seconds * 1000)


@fetch("fe_client_timeout", Kind.INT)
def _fe_client_timeout(x: Any) -> Value:
    return _milliseconds(x.frontend.model.timeouts.client)


@fetch("be_server_timeout", Kind.INT, Needs.STREAM)
def _be_server_timeout(x: Any) -> Value:
    return None if x.backend is None else _milliseconds(x.backend.model.timeouts.server)


@fetch("be_tunnel_timeout", Kind.INT, Needs.STREAM)
def _be_tunnel_timeout(x: Any) -> Value:
    return None if x.backend is None else _milliseconds(x.backend.model.timeouts.tunnel)


@fetch("cur_server_timeout", Kind.INT, Needs.STREAM)
def _cur_server_timeout(x: Any) -> Value:
    return None if x.backend is None else _milliseconds(x.plan.server_timeout)


@fetch("cur_tunnel_timeout", Kind.INT, Needs.STREAM)
def _cur_tunnel_timeout(x: Any) -> Value:
    return None if x.backend is None else _milliseconds(x.plan.own_tunnel_limit)
