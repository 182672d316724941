"""What the master has a steward do."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pylb.config.model import Config, Finding
from pylb.config.presets import Presets
from pylb.process.piecemeal import Hurry, Leisure, Pace


@dataclass(frozen=True, slots=True)
class Order:
    """One generation to be started."""

    files: Sequence[str]
    config: Config | None
    """Read already; None: read the files."""
    inherited: dict[str, socket.socket]
    """Listening sockets of the generation before, by key."""
    adopted: list[socket.socket]
    """Listening sockets of a process that this one takes the place of."""
    old: Sequence[int]
    """Processes that this one takes the place of; no more once it serves."""
    presets: Presets
    """Under which the files are read."""
    master: int
    """Its pid."""
    quiet: bool
    trace: bool
    """Workers tell the life of each request (pylb/trace)."""
    show: Callable[[Sequence[Finding]], None]
    null: int | None
    """Of a daemon: a descriptor of /dev/null, which takes the place of the standard streams."""
    last_reload: dict[str, Any]
    """How the last reload went (admin.world.Reload)."""
    succeeds: bool
    """There is a generation before, which knows things."""
    beat: Callable[[float], None]
    """Tells the master of a sign of life, at a time of CLOCK_MONOTONIC."""

    def pace(self) -> Pace:
        """At which what is to serve gets ready."""
        return Leisure() if self.succeeds else Hurry()
