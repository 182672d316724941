"""Messages between the master and a steward: one packet each, with descriptors where they have to be handed over.

    steward ─► bound keys + sockets      these are new; the master keeps them for the next generation
            ─► wants_state               send me what the generation before knows
            ─► state + lines             (the generation before) here it is
            ─► workers pids, ready       it serves; the generation before may retire
            ─► counted + memory          what my retiring workers have counted since `state`
            ─► failed reason             it cannot start; the process ends
    master  ─► send_state, state + lines, counted + memory
            ─► news                      how the last reload went
            ─► operator + connection     somebody at the master socket asks (admin/control/master.py)
            ─► retire, stop              softly; at once

What does not fit into a packet travels as a piece of memory with a descriptor: one JSON value, or lines of them where
writing takes long. The master passes it on unread, so it needs to understand nothing of a generation's insides, nor to
trust it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

Message = dict[str, Any]

MOST_DESCRIPTORS = 100
"""Per packet; the kernel takes 253."""

_LARGEST = 1 << 18


class Packets:
    """One end of the packet socket."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    @classmethod
    def pair(cls) -> tuple[Packets, Packets]:
        """Two ends, to be divided by a fork."""
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in ends:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * _LARGEST)
        return cls(ends[0]), cls(ends[1])

    def send(self, kind: str, descriptors: Sequence[int] = (), **more: Any) -> None:
        """Send a message; lost when the other side is gone."""
        data = json.dumps({"kind": kind, **more}).encode()
        with suppress(OSError):
            socket.send_fds(self.sock, [data], list(descriptors))

    def send_value(self, kind: str, value: Any) -> None:
        """Send a message with a value of any size, as a piece of memory."""
        fd = in_memory(value)
        self.send(kind, [fd])
        os.close(fd)

    def receive(self) -> tuple[Message, list[int]] | None:
        """The next message with its descriptors; None when the other side is gone.

        Raises BlockingIOError on a non-blocking socket without a message.
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(self.sock, _LARGEST, MOST_DESCRIPTORS)
        except BlockingIOError:
            raise
        except OSError:
            return None
        if not data:
            return None
        return json.loads(data), descriptors

    def close(self) -> None:
        """Close this end."""
        self.sock.close()


class Lines:
    """Many values, written one by one to a piece of memory."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.memfd_create("pylb"), "wb")
        self._encode = json.JSONEncoder(separators=(",", ":")).encode

    def append(self, value: Any) -> None:
        """One more."""
        self._file.write(self._encode(value).encode() + b"\n")

    def send(self, packets: Packets, kind: str) -> None:
        """Send a message with them: there will be no more."""
        with self._file:
            self._file.flush()
            packets.send(kind, [self._file.fileno()])

    def close(self) -> None:
        """They are not sent after all."""
        self._file.close()


def lines_from(fd: int) -> Iterator[Any]:
    """The values of Lines; closes the descriptor."""
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        yield from map(json.loads, file)


def in_memory(value: Any) -> int:
    """A descriptor of memory that holds the value as JSON; the caller closes it."""
    fd = os.memfd_create("pylb")
    data = memoryview(json.dumps(value, separators=(",", ":")).encode())
    while data:
        data = data[os.write(fd, data) :]
    return fd


def from_memory(fd: int) -> Any:
    """The value in that memory; closes the descriptor."""
    with os.fdopen(fd, "rb") as file:
        file.seek(0)
        return json.load(file)
