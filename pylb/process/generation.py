"""One start or reload, as the master sees it: the steward's process, what it has told, whether it lives."""

from __future__ import annotations

import mmap
import os
import signal
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field

from pylb.process.forking import fork
from pylb.process.kept_sockets import remove_provisional
from pylb.process.order import Order
from pylb.process.packets import Packets
from pylb.process.steward import serve

_BEAT = struct.Struct("d")


class Heartbeat:
    """A steward's signs of life: a time of CLOCK_MONOTONIC, in memory that it shares with the master."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, mmap.PAGESIZE)
        self.beat(time.monotonic())

    def beat(self, now: float) -> None:
        """The steward lives."""
        self._memory[: _BEAT.size] = _BEAT.pack(now)  # pack_into would write a zero first, which may be read

    @property
    def last(self) -> float:
        """When it did so last."""
        return float(_BEAT.unpack_from(self._memory)[0])


@dataclass(slots=True)
class Generation:
    """See the module."""

    number: int
    pid: int
    pidfd: int
    packets: Packets
    heartbeat: Heartbeat
    uses: set[str] = field(default_factory=set)
    """Keys of the sockets it listens on."""
    opened: dict[str, socket.socket] = field(default_factory=dict)
    """What it has bound and the master does not have yet for good."""
    workers: list[int] = field(default_factory=list)
    """Their pids."""
    reason: str = ""
    """Why it could not start."""
    wants_state: bool = False
    """It waits for what the generation before it knows."""
    ready: bool = False
    retiring: bool = False
    began: float = field(default_factory=time.monotonic)

    @classmethod
    def start(cls, number: int, order: Order, heartbeat: Heartbeat, keep: set[int]) -> Generation:
        """Fork its steward, in which the descriptors `keep` stay open. The loop must not run. Raises OSError."""
        ours, theirs = Packets.pair()
        try:
            pid = fork(lambda: serve(order, theirs), keep | {theirs.sock.fileno()})
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.sock.setblocking(False)
        return cls(number, pid, os.pidfd_open(pid), ours, heartbeat)

    def signal(self, number: int, workers: bool = False) -> None:
        """To its steward, and to its workers, too."""
        for pid in (self.pid, *(self.workers if workers else ())):
            with suppress(OSError):
                os.kill(pid, number)

    def stop(self) -> None:
        """End at once."""
        self.packets.send("stop")
        if not self.ready:  # it is not listening yet
            self.signal(signal.SIGTERM)

    def bury(self) -> int:
        """Its process has ended: give back what was kept for it. The exit status, negative for a signal."""
        os.close(self.pidfd)
        status = 1
        with suppress(ChildProcessError):
            status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.packets.close()
        remove_provisional(self.opened, self.pid)
        for sock in self.opened.values():
            sock.close()
        return status
