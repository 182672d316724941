"""Logs over TCP to a syslog server (RFC 6587), out of a bounded buffer: `log tcp@HOST:PORT`, and rings with a server.

    send ─► buffer ─► socket      at once while the server takes it, when it takes more otherwise
              │
              └ full: the line is dropped and counted

The connection is made when the first line comes, by the process that has it: a steward's is not its workers'. Lost, it
is made anew, at most once a second, and what is buffered goes out then, from the beginning of a line. What the kernel
had taken and the server had not is lost, as RFC 6587 1 warns.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from contextlib import suppress

from pylb.admin.logsinks import REOPEN_EVERY, SocketAddress

BUFFER = 1 << 20
"""Bytes that wait for the server."""

LAST_WORDS = 0.5
"""Seconds that a process which ends waits for the server to take its last lines."""


class TcpSink:
    """See the module. `counts_octets`: a line's length stands before it (RFC 6587 3.4.1), else LF ends it (3.4.2)."""

    __slots__ = (
        "_address", "_connected", "_counts", "_family", "_lines", "_loop", "_pid", "_rest", "_retry", "_size",
        "_socket", "_watching",
    )  # fmt: skip

    def __init__(self, family: int, address: SocketAddress, counts_octets: bool = False) -> None:
        """`address` is numeric: no name is looked up here."""
        self._family, self._address, self._counts = family, address, counts_octets
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._socket: socket.socket | None = None
        self._connected = self._watching = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._rest = b""
        """What the server still has to take of a line that it has begun."""

    def send(self, line: bytes) -> bool:
        """Buffer a line, and write what the server takes now; False when there is no room."""
        if self._pid != os.getpid():  # forked: the connection is the parent's
            if self._socket is not None:
                self._socket.detach()
            self._begin()
        if self._counts:
            line = line.removesuffix(b"\n")
            line = b"%d %b" % (len(line), line)
        if self._size + len(line) > BUFFER:
            return False
        self._lines.append(line)
        self._size += len(line)
        if self._socket is None:
            if self._retry is None:
                self._open()  # without a loop, a later line does it
        elif self._connected and not self._watching:
            self._write()
        return True

    def close(self) -> None:
        """Give the server a moment for the last lines, then close for good."""
        if self._pid == os.getpid():
            if self._retry is not None:
                self._retry.cancel()
            if self._size and self._retry is None:
                self._say_the_rest()
            self._forget()
        self._lines.clear()
        self._size = BUFFER

    def _say_the_rest(self) -> None:
        sock = self._socket if self._connected else None
        if sock is None:
            self._forget()
            sock = self._socket = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._unwatch()
        sock.settimeout(LAST_WORDS)
        with suppress(OSError):
            if not self._connected:
                sock.connect(self._address)
            sock.sendall(self._rest + b"".join(self._lines))

    # ----------------------------------------------------------------------------------------------- the connection

    def _open(self) -> None:
        self._retry = None
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        sock = self._socket = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        sock.setblocking(False)
        try:
            sock.connect(self._address)
        except BlockingIOError:
            pass
        except OSError:
            self._lost()
            return
        self._watch()

    def _writable(self) -> None:
        sock = self._socket
        if sock is None:
            return
        if not self._connected:
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._lost()
                return
            self._connected = True
            if self._loop is not None:
                self._loop.add_reader(sock.fileno(), self._readable)
        self._unwatch()
        self._write()

    def _readable(self) -> None:
        """A syslog server has nothing to say but that it ends."""
        sock = self._socket
        try:
            if sock is not None and sock.recv(4096):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._lost()

    def _write(self) -> None:
        sock = self._socket
        assert sock is not None
        try:
            while self._size:
                if not self._rest:
                    self._rest = self._lines.popleft()
                taken = sock.send(self._rest)
                self._size -= taken
                self._rest = self._rest[taken:]
        except BlockingIOError:
            self._watch()
        except OSError:
            self._lost()

    def _lost(self) -> None:
        """Try again in a moment; a line that was cut is gone."""
        self._forget()
        self._size -= len(self._rest)
        self._rest = b""
        if self._loop is not None and not self._loop.is_closed():
            self._retry = self._loop.call_later(REOPEN_EVERY, self._open)

    def _forget(self) -> None:
        sock, self._socket = self._socket, None
        self._connected = False
        if sock is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(sock.fileno())
                self._loop.remove_writer(sock.fileno())
            self._watching = False
            sock.close()

    def _watch(self) -> None:
        if self._loop is not None and self._socket is not None and not self._watching:
            self._watching = True
            self._loop.add_writer(self._socket.fileno(), self._writable)

    def _unwatch(self) -> None:
        if self._watching and self._loop is not None and self._socket is not None:
            self._watching = False
            if not self._loop.is_closed():
                self._loop.remove_writer(self._socket.fileno())
