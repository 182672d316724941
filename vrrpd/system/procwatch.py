"""Track processes: is a program running? The kernel tells; nobody asks in a loop.

Ends are learned from a pidfd per matching process. Beginnings come from the netlink process connector
(exec, fork and rename events), which exists only in the host's first network and PID namespace; elsewhere
/proc is read once a second, but only while processes are missing or one too many would matter.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from vrrpd.config.model import TrackProcess

NETLINK_CONNECTOR = 11
CN_IDX_PROC = CN_VAL_PROC = 1
PROC_CN_MCAST_LISTEN = 1
EVENT_FORK, EVENT_EXEC, EVENT_COMM = 0x1, 0x2, 0x200
RESCAN = 1.0
"""Seconds between two looks at /proc where the connector is missing."""
COMM_LENGTH = 15


def matches(spec: TrackProcess, comm: str, argv: list[str]) -> bool:
    """Whether a process, by its name and its command line, is what `spec` looks for."""
    name, parameters = spec.command[0], list(spec.command[1:])
    if spec.full_command:
        if not argv or argv[0] != name:
            return False
    elif name != Path(argv[0]).name if argv and len(name) > COMM_LENGTH else name[:COMM_LENGTH] != comm:
        return False
    given = argv[1:]
    if spec.match_parameters == "exact":
        return given == parameters
    if spec.match_parameters == "initial":
        return given[: len(parameters)] == parameters
    if spec.match_parameters == "partial":
        wanted, having = " ".join(parameters), " ".join(given)
        return having.startswith(wanted)
    return True


def identify(pid: int) -> tuple[str, list[str]] | None:
    """A process's name and arguments, None when it is gone."""
    base = Path(f"/proc/{pid}")
    try:
        comm = (base / "comm").read_bytes().rstrip(b"\n")
        raw = (base / "cmdline").read_bytes()
    except OSError:
        return None
    return os.fsdecode(comm), [os.fsdecode(part) for part in raw.split(b"\0")[:-1]]


class Counted:
    """One tracked program: its living processes and the verdict, delayed as the configuration wants."""

    def __init__(self, spec: TrackProcess, report: Callable[[str, bool], None]) -> None:
        self.spec = spec
        self.pids: set[int] = set()
        self.verdict: bool | None = None
        self._report = report
        self._timer: asyncio.TimerHandle | None = None

    @property
    def enough(self) -> bool:
        """Whether the quorum is met right now, without any delay."""
        most = self.spec.quorum_max
        return len(self.pids) >= self.spec.quorum and (most is None or len(self.pids) <= most)

    def judge(self, at_once: bool = False) -> None:
        """Compare the count with the quorum; a change is reported after its delay if it lasts."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now_enough = self.enough
        if now_enough is self.verdict:
            return
        delay = self.spec.fork_delay if now_enough else self.spec.terminate_delay
        if at_once or delay == 0:
            self._decide(now_enough)
        else:
            self._timer = asyncio.get_running_loop().call_later(delay, self._decide, now_enough)

    def _decide(self, verdict: bool) -> None:
        self._timer = None
        self.verdict = verdict
        self._report(self.spec.name, verdict)

    def cancel(self) -> None:
        """Drop a pending decision."""
        if self._timer is not None:
            self._timer.cancel()


class ProcessWatcher:
    """Watches all tracked programs; `report(name, enough)` is called when a verdict changes."""

    def __init__(self, specs: Iterable[TrackProcess], report: Callable[[str, bool], None]) -> None:
        self.tracked = [Counted(spec, report) for spec in specs]
        self._loop = asyncio.get_running_loop()
        self._fds: dict[int, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._connector = _open_connector()
        if self._connector is not None:
            self._loop.add_reader(self._connector.fileno(), self._events)

    @property
    def has_connector(self) -> bool:
        """Whether the kernel reports new processes."""
        return self._connector is not None

    def start(self) -> None:
        """Look at everything that runs already and report each verdict."""
        self._scan()
        for counted in self.tracked:
            counted.judge(at_once=True)
        self._plan_rescan()

    def stop(self) -> None:
        """Watch nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        for counted in self.tracked:
            counted.cancel()
        for pid in list(self._fds):
            self._drop(pid)
        if self._connector is not None:
            self._loop.remove_reader(self._connector.fileno())
            self._connector.close()

    def _plan_rescan(self) -> None:
        curious = any(not c.enough or c.spec.quorum_max is not None for c in self.tracked)
        if not self.has_connector and curious and self._timer is None:
            self._timer = self._loop.call_later(RESCAN, self._rescan)

    def _rescan(self) -> None:
        self._timer = None
        self._scan()
        for counted in self.tracked:
            counted.judge()
        self._plan_rescan()

    def _scan(self) -> None:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) not in self._fds:
                self._consider(int(entry.name))

    def _consider(self, pid: int) -> bool:
        """Take a process into the counts it belongs to; True when it changed one."""
        identity = identify(pid)
        if identity is None or not identity[1]:
            return False
        changed = False
        for counted in self.tracked:
            wanted = matches(counted.spec, *identity)
            if wanted is not (pid in counted.pids):
                changed = True
                (counted.pids.add if wanted else counted.pids.discard)(pid)
        if pid not in self._fds and any(pid in counted.pids for counted in self.tracked):
            self._follow(pid)
        return changed

    def _follow(self, pid: int) -> None:
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            self._forget(pid)
            return
        self._fds[pid] = fd
        self._loop.add_reader(fd, self._ended, pid)

    def _ended(self, pid: int) -> None:
        self._drop(pid)
        self._forget(pid)
        for counted in self.tracked:
            counted.judge()
        self._plan_rescan()

    def _drop(self, pid: int) -> None:
        fd = self._fds.pop(pid)
        self._loop.remove_reader(fd)
        os.close(fd)

    def _forget(self, pid: int) -> None:
        for counted in self.tracked:
            counted.pids.discard(pid)

    def _events(self) -> None:
        assert self._connector is not None
        changed = False
        with contextlib.suppress(BlockingIOError):
            while True:
                pid = started_process(self._connector.recv(4096))
                changed = (pid is not None and self._consider(pid)) or changed
        if changed:
            for counted in self.tracked:
                counted.judge()

    def status(self) -> list[dict[str, Any]]:
        """For the status table."""
        return [
            {"name": c.spec.name, "enough": c.verdict, "running": len(c.pids), "quorum": c.spec.quorum}
            for c in self.tracked
        ]


def started_process(message: bytes) -> int | None:
    """The process that a connector message says has begun to be something else, None for other events.

    Layout: nlmsghdr (16), cn_msg (20), then what (4), cpu (4), timestamp (8) and the event's own fields, which
    start with pid and tgid; for a fork those of the parent come first.
    """
    if len(message) < 16 + 20 + 16 + 8:
        return None
    what = struct.unpack_from("=I", message, 36)[0]
    offset = 52 + (8 if what == EVENT_FORK else 0)
    if what not in (EVENT_FORK, EVENT_EXEC, EVENT_COMM) or len(message) < offset + 8:
        return None
    pid, tgid = struct.unpack_from("=II", message, offset)
    return int(tgid) if pid == tgid else None


def _open_connector() -> socket.socket | None:
    try:
        sock = socket.socket(
            socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, NETLINK_CONNECTOR
        )
    except OSError:
        return None
    try:
        sock.bind((0, CN_IDX_PROC))
        body = struct.pack("=IIIIHHI", CN_IDX_PROC, CN_VAL_PROC, 0, 0, 4, 0, PROC_CN_MCAST_LISTEN)
        sock.send(struct.pack("=IHHII", 16 + len(body), 3, 0, 0, os.getpid()) + body)
    except OSError:
        sock.close()
        return None
    return sock
