"""Telling systemd how we are: the datagrams of sd_notify(3), and nothing when nobody asked for them."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


class Supervisor:
    """Opened before chroot hides the socket's path, so that it can be told later too."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._socket: socket.socket | None = None
        path = environment.get("NOTIFY_SOCKET", "")
        if path:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            try:
                self._socket.connect("\0" + path[1:] if path.startswith("@") else path)
            except OSError:
                self.close()

    def say(self, *lines: str) -> None:
        """Send lines such as "READY=1"; what cannot be delivered is lost."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.send("\n".join(lines).encode())

    def close(self) -> None:
        """Say nothing any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
