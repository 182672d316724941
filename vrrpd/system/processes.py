"""Programs that the daemon starts: no shell, their own process group, watched through a pidfd.

A pidfd becomes readable when the process ends, so nothing is polled and SIGCHLD stays free. A program that
has to go is asked first (SIGTERM to its whole group) and killed two seconds later, as keepalived does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

KILL_GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""


class Running:
    """One started program.

    `on_exit` receives the status as `subprocess` has it: the exit status, or minus the signal's number.
    Raises OSError when the program cannot be executed, KeyError for an unknown user.
    """

    def __init__(
        self,
        argv: Sequence[str],
        on_exit: Callable[[int], None],
        user: str | None = None,
        group: str | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_exit = on_exit
        self._kill_timer: asyncio.TimerHandle | None = None
        self._process: subprocess.Popen[bytes] = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
            **_identity(user, group),
        )
        self._fd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._fd, self._ended)

    @property
    def pid(self) -> int:
        """The process's id, also the id of its group."""
        pid: int = self._process.pid
        return pid

    def terminate(self) -> None:
        """End the whole process group, politely first; a second call changes nothing."""
        if self._kill_timer is None and self._fd >= 0:
            self._signal(signal.SIGTERM)
            self._kill_timer = self._loop.call_later(KILL_GRACE, self._signal, signal.SIGKILL)

    def kill(self) -> None:
        """End the whole process group at once and forget it: `on_exit` is not called any more."""
        self._forget()
        self._signal(signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _ended(self) -> None:
        status = self._process.wait()
        self._forget()
        self._on_exit(status)

    def _forget(self) -> None:
        if self._kill_timer is not None:
            self._kill_timer.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


def _identity(user: str | None, group: str | None) -> dict[str, Any]:
    """Popen's arguments to run as another user, with none of our supplementary groups."""
    if user is None:
        return {}
    import pwd

    entry = pwd.getpwnam(user)
    if entry.pw_uid == os.geteuid() and group is None:
        return {}
    return {"user": entry.pw_uid, "group": group or entry.pw_gid, "extra_groups": []}
