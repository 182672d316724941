"""Telling systemd how we are: the sd_notify datagrams, and nothing when nobody asked for them."""

from __future__ import annotations

import contextlib
import os
import socket


class Supervisor:
    """Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID once, at creation; programs that we start do not get them."""

    def __init__(self) -> None:
        path = os.environ.pop("NOTIFY_SOCKET", "")
        self._path = "\0" + path[1:] if path.startswith("@") else path
        wanted, of_whom = os.environ.pop("WATCHDOG_USEC", ""), os.environ.pop("WATCHDOG_PID", "")
        ours = wanted.isdecimal() and of_whom in ("", str(os.getpid()))
        self.watchdog = int(wanted) / 2e6 if ours and self._path else 0.0
        """Seconds between two signs of life, half of what systemd allows; 0: none wanted."""

    def say(self, *lines: str) -> None:
        """Send lines such as "READY=1"."""
        if not self._path:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto("\n".join(lines).encode(), self._path)
