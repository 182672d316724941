"""Where log lines go: datagram sockets and inherited descriptors that take bytes at once or not at all.

`send` never blocks and never raises OSError. What cannot be delivered now is dropped, and the caller told: a log line
is worth less than the request that is waiting behind it.

All log targets of one address share a sink: one socket, and on a pipe no line in the middle of another.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Callable
from typing import Any, Protocol

from pylb.config.model.binds import abstract

REOPEN_EVERY = 1.0
"""Seconds between attempts while a socket cannot be opened."""

SYSLOG_PORT = 514
"""RFC 5426 3.3, and what HAProxy takes when a `log` address has no port."""

Clock = Callable[[], float]
SocketAddress = str | tuple[Any, ...]
"""A path, or what getaddrinfo gives."""


class TargetError(ValueError):
    """The address of a `log` line that leads nowhere."""


class Sink(Protocol):
    """Takes whole lines, newline included."""

    def send(self, line: bytes) -> bool:
        """Whether the line was taken."""

    def close(self) -> None:
        """For good; what comes later is not taken. A second time does nothing."""


def _not_open(line: bytes) -> int:
    raise ConnectionError


def _nothing() -> None:
    pass


class DatagramSink:
    """A UDP or unix datagram socket; connected, so that the kernel looks the way up once and not per line.

    Failures that pass: UDP reports the ICMP error of an *earlier* datagram instead of sending the present one, so that
    is sent again; a restarted syslog daemon leaves a dead unix socket or a new one under the same path, so that is
    opened again.
    """

    __slots__ = ("_address", "_clock", "_family", "_next_open", "_send", "_socket")

    def __init__(self, family: int, address: SocketAddress, clock: Clock = time.monotonic) -> None:
        """`address` is numeric (or a path): no name is looked up here."""
        self._family = family
        self._address = address
        self._clock = clock
        self._socket: socket.socket | None = None
        self._send: Callable[[bytes], int] = _not_open
        self._next_open = 0.0
        self._open()

    def send(self, line: bytes) -> bool:
        """Hand one datagram to the kernel; False when it is lost."""
        try:
            self._send(line)
        except BlockingIOError:
            return False
        except OSError as error:
            return self._send_again(
                line, keep=self._family != socket.AF_UNIX and isinstance(error, ConnectionRefusedError)
            )
        return True

    def close(self) -> None:
        """Close for good."""
        self._forget()
        self._next_open = float("inf")

    def _send_again(self, line: bytes, keep: bool) -> bool:
        if not keep:
            self._forget()
            self._open()
        try:
            self._send(line)
        except OSError:
            return False
        return True

    def _open(self) -> None:
        now = self._clock()
        if now < self._next_open:
            return
        sock = socket.socket(self._family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            sock.setblocking(False)
            sock.connect(self._address)
        except OSError:
            sock.close()
            self._next_open = now + REOPEN_EVERY
            return
        self._socket, self._send = sock, sock.send

    def _forget(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._send = None, _not_open


class StreamSink:
    """Standard output or another inherited descriptor.

    Lines stay whole: when a pipe takes only part of one, the rest goes out before anything else, and what comes
    meanwhile is dropped.
    """

    __slots__ = ("_close", "_rest", "_write")

    def __init__(self, fd: int) -> None:
        """Raises TargetError when `fd` is not open."""
        self._write, self._close = _own_writer(fd)
        self._rest = b""

    def send(self, line: bytes) -> bool:
        """Write one line; False when it is lost."""
        if self._rest and not self._finish():
            return False
        try:
            sent = self._write(line)
        except OSError:
            return False
        if sent < len(line):
            self._rest = line[sent:]
        return True

    def close(self) -> None:
        """Close our copy; the descriptor we were given stays open."""
        self._write = _not_open
        self._close()
        self._close = _nothing

    def _finish(self) -> bool:
        try:
            self._rest = self._rest[self._write(self._rest) :]
        except OSError:
            return False
        return not self._rest


def _own_writer(fd: int) -> tuple[Callable[[bytes], int], Callable[[], None]]:
    """A call that writes to what `fd` leads to without waiting, and one that closes our side of it.

    Pipes and terminals are opened anew through /proc, because O_NONBLOCK on the one we inherited would also change it
    for the programs we share it with. Regular files never wait.
    """
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISSOCK(mode):
            sock = socket.socket(fileno=os.dup(fd))
            return lambda line: sock.send(line, socket.MSG_DONTWAIT), sock.close
        own = _reopen(fd) if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) else os.dup(fd)
    except OSError as error:
        raise TargetError(f"file descriptor {fd} cannot take logs: {error.strerror}") from None
    return lambda line: os.write(own, line), lambda: os.close(own)


def _reopen(fd: int) -> int:
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:  # another user's terminal, or no /proc: share the descriptor as it is
        return os.dup(fd)


def open_sink(address: str) -> Sink:
    """The sink for the address of a `log` line, as written. Raises TargetError."""
    if address in ("stdout", "stderr"):
        return StreamSink(1 if address == "stdout" else 2)
    kind, at, rest = address.partition("@")
    if kind == "fd" and rest.isdecimal():
        return StreamSink(int(rest))
    if kind == "abns" and at:
        return DatagramSink(socket.AF_UNIX, abstract(rest))
    if kind == "unix" and at:
        return DatagramSink(socket.AF_UNIX, rest)
    if address.startswith("/"):
        return DatagramSink(socket.AF_UNIX, address)
    family = {"ipv4": socket.AF_INET, "udp4": socket.AF_INET, "ipv6": socket.AF_INET6, "udp6": socket.AF_INET6}.get(
        kind
    )
    if at and kind in ("tcp", "tcp4", "tcp6", "tcp-octets"):
        from pylb.admin.logstream import TcpSink  # its socket needs a loop, unlike all others

        wanted = {"tcp4": socket.AF_INET, "tcp6": socket.AF_INET6}.get(kind, socket.AF_UNSPEC)
        return TcpSink(*_resolve(address, rest, wanted), counts_octets=kind == "tcp-octets")
    if at and family is None and kind != "udp":
        raise TargetError(f"log address {address!r}: unknown prefix {kind}@")
    return DatagramSink(*_resolve(address, rest if at else address, family or socket.AF_UNSPEC))


def _resolve(address: str, text: str, family: int) -> tuple[int, SocketAddress]:
    """Family and numeric address of `HOST[:PORT]`; looked up once, at load, as HAProxy does."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, ""
    if port and not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise TargetError(f"log address {address!r}: {port!r} is not a port number")
    try:
        found = socket.getaddrinfo(host.strip("[]") or None, int(port or SYSLOG_PORT), family, socket.SOCK_DGRAM)
    except OSError as error:
        raise TargetError(f"log address {address!r} cannot be resolved: {error}") from None
    return found[0][0], found[0][4]
