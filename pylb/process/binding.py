"""Listening sockets from `bind` and `stats socket` lines.

Everything is bound before privileges are dropped, and all failures are reported together, each with its place.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pylb.config.model import Address, Bind
from pylb.config.words import Report
from pylb.net.listener import BACKLOG
from pylb.process import adopt

IP_FREEBIND, IP_TRANSPARENT = 15, 19
"""Linux's numbers; Python has no names for them before 3.14."""

INSISTS = 2.0
"""Seconds in which a process that is replaced may make room; HAProxy tries as long."""


class Sockets:
    """The listening sockets of a generation: those that the one before had, and new ones where there was none.

    Sockets are known by their address and what else decides which connections reach them, so that a reload takes them
    over as they are, with the connections that wait in them.
    """

    def __init__(
        self,
        inherited: dict[str, socket.socket] | None = None,
        adopted: Sequence[socket.socket] = (),
        old: Sequence[int] = (),
    ) -> None:
        """`adopted` are those of another process, known by nothing but where they listen; `old` are processes that this
        one takes the place of, whose sockets may not be known at all."""
        self._inherited = dict(inherited or {})
        self._adopted = list(adopted)
        self._old = old
        self.used: dict[str, socket.socket] = {}
        """All that are listened on, by key."""
        self.opened: dict[str, socket.socket] = {}
        """Those among them that are new."""

    def listen(self, bind: Bind, report: Report, backlog: int | None = None) -> list[socket.socket]:
        """The listening sockets of one bind: one, or one per port of a range; without a `backlog` (connections that may
        wait) it is BACKLOG. Errors go to `report`."""
        address = bind.address
        sockets = []
        last = address.port_end or address.port or 0
        for port in range(address.port or 0, last + 1):
            try:
                sockets.append(self._socket(bind, address, port, backlog or BACKLOG))
            except (OSError, KeyError, OverflowError) as error:
                what = f'cannot bind "{describe(address, port)}": {_reason(error)}'
                report(bind.at, what, _advice(error, bind, address, port))
        return sockets

    def _socket(self, bind: Bind, address: Address, port: int, backlog: int) -> socket.socket:
        name = key(bind, address, port)
        if name in self.used:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        sock = self._inherited.get(name)
        if sock is not None:
            with suppress(OSError):
                sock.listen(backlog)  # it may have changed
        else:
            sock = self.opened[name] = self._adopt(address, port) or self._bind(bind, address, port, backlog)
        # It may come from a descriptor, of which Python thinks that it blocks; and a `dup()` makes it do so, in every
        # process at once. Then who accepts what another worker has taken already waits, in the middle of its loop.
        sock.setblocking(False)
        self.used[name] = sock
        return sock

    def _bind(self, bind: Bind, address: Address, port: int, backlog: int) -> socket.socket:
        """A new socket. Where one of ours is in the way, as `10.0.0.1:80` is in that of `*:80`, both stand side by
        side: over a reload that changes the one into the other, or for good, as HAProxy's do. The kernel prefers the
        more exact address."""
        try:
            return _open(bind, address, port, backlog)
        except OSError as error:
            ours = self._at(port) if address.kind == "inet" and error.errno == errno.EADDRINUSE else []
            taken = address.kind == "inet" and error.errno == errno.EADDRINUSE
            if not (ours or (taken and self._old)):
                raise
        share(ours, True)
        try:
            return _open_inet(bind, address, port, backlog, beside=True)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not self._old:
                raise
        return self._insist(bind, address, port, backlog)

    def _insist(self, bind: Bind, address: Address, port: int, backlog: int) -> socket.socket:
        """Those that this process replaces are asked to let it bind beside them, as HAProxy asks (SIGTTOU)."""
        adopt.ask_to_share(self._old, True)
        until = time.monotonic() + INSISTS
        while True:
            try:
                return _open_inet(bind, address, port, backlog, beside=True)
            except OSError as error:
                if error.errno != errno.EADDRINUSE or time.monotonic() > until:
                    adopt.ask_to_share(self._old, False)
                    self._old = ()
                    raise
            time.sleep(0.01)

    def _at(self, port: int) -> list[socket.socket]:
        """Ours on this port of any address."""
        ours = {id(sock): sock for sock in (*self._inherited.values(), *self.used.values(), *self._adopted)}
        return [sock for sock in ours.values() if sock.family != socket.AF_UNIX and sock.getsockname()[1] == port]

    def forget_unused(self) -> None:
        """Close what the generation before listened on and this one does not."""
        for name, sock in self._inherited.items():
            if name not in self.used:
                sock.close()
        self._inherited.clear()
        for sock in self._adopted:
            sock.close()
        self._adopted.clear()

    def _adopt(self, address: Address, port: int) -> socket.socket | None:
        wanted: tuple[str, int] | str
        if address.kind == "inet":
            wanted = (address.host or ("::" if _family(address) == socket.AF_INET6 else "0.0.0.0"), port)
        elif address.kind in ("unix", "abns"):
            wanted = address.socket_path
        else:
            return None
        for sock in self._adopted:
            name = sock.getsockname()
            at = tuple(name[:2]) if isinstance(name, tuple) else name
            if at == wanted or (isinstance(at, bytes) and at == str(wanted).encode()):
                self._adopted.remove(sock)
                return sock
        return None

    def closing(self) -> Iterator[None]:
        """Close all that are used, one by one; another process may still have them."""
        while self.used:
            self.used.popitem()[1].close()
            yield


def share(sockets: Iterable[socket.socket], wanted: bool) -> None:
    """Let other sockets of this user be bound to the ports of these, or no longer."""
    for sock in sockets:
        if sock.family != socket.AF_UNIX:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, wanted)


def refuse(sockets: Sequence[socket.socket]) -> None:
    """Refuse clients but keep the address: a TCP socket that is shut down listens no more and stays bound."""
    for sock in sockets:
        if sock.family != socket.AF_UNIX:  # those cannot be woken again: clients wait in the backlog
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RD)


def listen_again(sockets: Sequence[socket.socket], backlog: int | None) -> None:
    """Accept clients after `refuse`; `backlog` as for `Sockets.listen`."""
    for sock in sockets:
        sock.listen(backlog or BACKLOG)


def key(bind: Bind, address: Address, port: int) -> str:
    """What a socket is known by. For unix sockets the path comes last, for whoever removes it."""
    if address.kind == "inet":
        options = f"{bind.interface or ''} {bind.v6only:d}{bind.v4v6:d}{bind.transparent:d}"
        return f"{_family(address).name} {options} {address.host} {port}"
    if address.kind == "unix":
        return f"unix {bind.mode} {bind.user} {bind.group} {bind.uid} {bind.gid} {address.path}"
    return describe(address)


def path_of(name: str) -> str | None:
    """The path of a unix socket, of its key; None for other sockets."""
    return name.split(" ", 6)[6] if name.startswith("unix ") else None


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
    return sock


def _open_inet(bind: Bind, address: Address, port: int, backlog: int, beside: bool = False) -> socket.socket:
    family = _family(address)
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if beside:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited by the connections
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if bind.v4v6 and not bind.v6only else 1)
        if bind.interface is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, bind.interface.encode() + b"\0")
        if bind.transparent:
            _let_be_foreign(sock)
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


def _let_be_foreign(sock: socket.socket) -> None:
    """Let it be bound to an address that this machine does not have, or not yet: IP_FREEBIND takes no rights."""
    try:
        sock.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
    except PermissionError:
        sock.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)


def _family(address: Address) -> socket.AddressFamily:
    if address.family == "ipv6" or ":" in address.host:
        return socket.AF_INET6
    return socket.AF_INET


def _open_unix(bind: Bind, address: Address, backlog: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if address.kind == "abns":
            sock.bind(address.socket_path)
        else:
            _bind_path(sock, bind, Path(address.path), backlog)
            return sock
        sock.listen(backlog)
    except (OSError, KeyError):
        sock.close()
        raise
    return sock


def provisional(path: str, pid: int) -> Path:
    """What a unix socket is called before it gets its path, and with it the clients of the one that was there; `pid` is
    the steward's."""
    target = Path(path)
    return target.with_name(f"{target.name}.{pid}.tmp")


def _bind_path(sock: socket.socket, bind: Bind, path: Path, backlog: int) -> None:
    """Under a provisional name: the master gives it its path (kept_sockets.place), so that there always is a socket
    there, a generation that fails takes nobody's, and the permissions are right before anybody can reach it."""
    if path.exists() and not stat.S_ISSOCK(path.stat().st_mode):
        raise FileExistsError(errno.EEXIST, "a file that is no socket is in the way")
    temporary = provisional(str(path), os.getpid())
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


def _first_free_port() -> int:
    """From which on ports are anybody's."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except (OSError, ValueError):
        return 1024


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return str(error.args[0])
    return getattr(error, "strerror", None) or str(error)


def _advice(error: Exception, bind: Bind, address: Address, port: int) -> str:
    if isinstance(error, PermissionError) and address.kind == "inet":
        if port < _first_free_port():
            return (
                "ports below 1024 take CAP_NET_BIND_SERVICE: start as root, or as a user with AmbientCapabilities="
                "CAP_NET_BIND_SERVICE in the unit file; take a higher port to try"
            )
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"another program listens there: ss -ltnp 'sport = :{port}' names it"
    if isinstance(error, OSError) and error.errno == errno.EADDRNOTAVAIL:
        return "this address belongs to no interface of this machine; transparent binds it all the same"
    if isinstance(error, FileNotFoundError):
        return "its directory does not exist"
    return ""
