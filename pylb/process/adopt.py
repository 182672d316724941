"""Listening sockets of another process, pylb or HAProxy, that this one takes the place of (management manual: -x, -sf).

Either the other hands them over (`stats socket … expose-fd listeners`), or, with the right to look into it, they are
copied out of it. Both leave the queues of waiting clients as they are, so that nobody is refused in between. Where
neither can be, the other is asked to have new sockets beside its own.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PATIENCE = 2.0
"""Seconds for each answer of the other process."""
MOST = 253
"""Descriptors in one message."""
_PIDFD_GETFD = 438


def from_socket(path: str) -> list[socket.socket]:
    """What the admin socket of the other process hands over. Raises OSError."""
    found: list[int] = []
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(path)
        sock.sendall(b"_getsocks\n")
        head = sock.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            raise ConnectionError(f'"{path}" hands over no sockets: it needs "expose-fd listeners"')
        (count,) = struct.unpack("i", head)
        while len(found) < count:
            data, descriptors, _, _ = socket.recv_fds(sock, 65536, MOST)
            if not data:
                break
            found += descriptors
            sock.sendall(struct.pack("i", len(found)))
    return [socket.socket(fileno=fd) for fd in found]


def from_processes(pids: Iterable[int], paths: bool) -> list[socket.socket]:
    """Copies of the listening sockets of these processes, unix sockets among them if `paths`; what may not be looked
    into is left out."""
    libc = ctypes.CDLL(None, use_errno=True)
    found: list[socket.socket] = []
    for pid in pids:
        with suppress(OSError):
            handle = os.pidfd_open(pid)
            try:
                for link in list(Path(f"/proc/{pid}/fd").iterdir()):
                    if str(link.readlink()).startswith("socket:"):
                        fd = libc.syscall(_PIDFD_GETFD, handle, int(link.name), 0)
                        if fd >= 0:
                            found.append(socket.socket(fileno=fd))
            finally:
                os.close(handle)
    return [sock for sock in found if _listens(sock) and (paths or sock.family != socket.AF_UNIX)]


def ask_to_share(pids: Iterable[int], wanted: bool) -> None:
    """Have these processes let others bind their ports, or have them for themselves again: SIGTTOU and SIGTTIN, which
    stop whoever does not handle them and so go only to those that do."""
    number = signal.SIGTTOU if wanted else signal.SIGTTIN
    for pid in pids:
        with suppress(OSError):
            caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
            if caught is not None and int(caught[1], 16) >> (number - 1) & 1:
                os.kill(pid, number)


def _listens(sock: socket.socket) -> bool:
    with suppress(OSError):
        if sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return True
    sock.close()
    return False
