"""Listening sockets from `bind` and `stats socket` lines.

Everything is bound before privileges are dropped, and all failures are reported together, each with its place.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import stat
from contextlib import suppress
from pathlib import Path

from pylb.config.model import Address, Bind
from pylb.config.words import Report

BACKLOG = 4096
"""Without `backlog` on the bind or the frontend; the kernel lowers it to net.core.somaxconn."""


def listen(bind: Bind, report: Report, backlog: int | None = None) -> list[socket.socket]:
    """The listening sockets of one bind: one, or one per port of a range. Errors go to `report`."""
    address = bind.address
    sockets = []
    last = address.port_end or address.port or 0
    for port in range(address.port or 0, last + 1):
        try:
            sockets.append(_open(bind, address, port, backlog or BACKLOG))
        except (OSError, KeyError, OverflowError) as error:
            report(bind.at, f'cannot bind "{describe(address, port)}": {_reason(error)}', _advice(error, address, port))
    return sockets


def describe(address: Address, port: int | None = None) -> str:
    """An address for people."""
    if address.kind == "unix":
        return f"unix@{address.path}"
    if address.kind == "abns":
        return f"abns@{address.path}"
    if address.kind == "fd":
        return f"fd@{address.fd}"
    host = f"[{address.host}]" if ":" in address.host else address.host or "*"
    return f"{host}:{address.port if port is None else port}"


def _open(bind: Bind, address: Address, port: int, backlog: int) -> socket.socket:
    if address.kind == "fd":
        return _inherited(address.fd)
    if address.kind in ("unix", "abns"):
        return _open_unix(bind, address, backlog)
    return _open_inet(bind, address, port, backlog)


def _inherited(fd: int) -> socket.socket:
    sock = socket.socket(fileno=os.dup(fd))
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.close()
        raise OSError(f"descriptor {fd} is not a listening socket")
    sock.setblocking(False)
    return sock


def _open_inet(bind: Bind, address: Address, port: int, backlog: int) -> socket.socket:
    family = _family(address)
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited by the connections
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if bind.v4v6 and not bind.v6only else 1)
        if bind.interface is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, bind.interface.encode() + b"\0")
        if bind.transparent:
            sock.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_TRANSPARENT", 19), 1)
        if bind.defer_accept:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
        if bind.tfo:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, backlog)
        sock.bind((address.host or ("::" if family == socket.AF_INET6 else "0.0.0.0"), port))
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def _family(address: Address) -> socket.AddressFamily:
    if address.family == "ipv6" or ":" in address.host:
        return socket.AF_INET6
    return socket.AF_INET


def _open_unix(bind: Bind, address: Address, backlog: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if address.kind == "abns":
            sock.bind("\0" + address.path)
        else:
            _bind_path(sock, bind, Path(address.path), backlog)
            return sock
        sock.listen(backlog)
    except (OSError, KeyError):
        sock.close()
        raise
    return sock


def _bind_path(sock: socket.socket, bind: Bind, path: Path, backlog: int) -> None:
    """Under a name of its own first, then renamed over a leftover socket, so that there is always one in place and the
    permissions are right before anybody can reach it."""
    if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
        raise FileExistsError(17, "a file that is no socket is in the way")
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with suppress(FileNotFoundError):
        temporary.unlink()
    sock.bind(str(temporary))
    if bind.mode is not None:
        temporary.chmod(bind.mode)
    uid = pwd.getpwnam(bind.user).pw_uid if bind.user else -1 if bind.uid is None else bind.uid
    gid = grp.getgrnam(bind.group).gr_gid if bind.group else -1 if bind.gid is None else bind.gid
    if (uid, gid) != (-1, -1):
        os.chown(temporary, uid, gid)
    sock.listen(backlog)
    temporary.rename(path)


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return str(error.args[0])
    return getattr(error, "strerror", None) or str(error)


def _advice(error: Exception, address: Address, port: int) -> str:
    if isinstance(error, PermissionError) and address.kind == "inet" and port < 1024:
        return "ports below 1024 need root or CAP_NET_BIND_SERVICE; take a higher one to try"
    if isinstance(error, OSError) and error.errno == 98:
        return f"another program listens there: ss -ltnp 'sport = :{port}' names it"
    if isinstance(error, OSError) and error.errno == 99:
        return "this address belongs to no interface of this machine"
    if isinstance(error, FileNotFoundError):
        return "its directory does not exist"
    return ""
