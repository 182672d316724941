"""What a run leaves behind for the next one, should it end without a word.

`addresses.json` lists every virtual address and route this run may set; it is written at start and reload, so
that a takeover writes nothing. `alive` is a memory-mapped file: the time of the last sign of life (seconds of
the boot clock) and one byte per instance that is 1 while it is master. Both survive SIGKILL in the page
cache. The next start takes the leftovers away, or goes on as master if the silence was short.

A lock on `lock` keeps a second daemon out; it ends with the process, so nothing can be stale.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SIZE = 8 + 4096
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class AlreadyRunning(Exception):
    """Another daemon holds the state directory; the text names its process."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """An address that a former run may have left on an interface."""

    instance: str
    interface: str
    address: str
    prefix: int


@dataclass(frozen=True, slots=True)
class LeftRoute:
    """A route or rule that a former run may have left."""

    instance: str
    what: str
    """For the log."""
    removal: bytes
    """The netlink message that removes it."""


@dataclass(frozen=True, slots=True)
class Former:
    """What is known of the run before."""

    leftovers: tuple[Leftover, ...] = ()
    routes: tuple[LeftRoute, ...] = ()
    masters: frozenset[str] = frozenset()
    """Instances that were master at the last sign of life."""
    silence: float = float("inf")
    """Seconds since then."""
    filtered: bool = False
    """It had set packet filter rules (accept = false)."""


class StateFile:
    """The state directory of one daemon. AlreadyRunning or OSError when it cannot be had."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._lock = (directory / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            holder = self._lock.read().strip()
            self._lock.close()
            raise AlreadyRunning(f"vrrpd is already running (pid {holder}, state in {directory})") from None
        self.former = self._read_former()
        self._slots: dict[str, int] = {}
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()
        with (directory / "alive").open("a+b") as file:
            file.truncate(SIZE)
            self._memory = mmap.mmap(file.fileno(), SIZE)

    def _read_former(self) -> Former:
        try:
            saved = json.loads((self._directory / "addresses.json").read_text())
            alive = (self._directory / "alive").read_bytes()
            if saved["boot"] != BOOT_ID.read_text().strip() or len(alive) != SIZE:
                return Former()
            (last,) = struct.unpack_from("=d", alive)
            masters = (name for slot, name in enumerate(saved["instances"]) if alive[8 + slot])
            leftovers = tuple(Leftover(*entry) for entry in saved["addresses"])
            silence = max(0.0, _boot_time() - last)
            routes = tuple(LeftRoute(name, what, bytes.fromhex(code)) for name, what, code in saved["routes"])
            return Former(leftovers, routes, frozenset(masters), silence, bool(saved["filtered"]))
        except (OSError, ValueError, KeyError, TypeError):
            return Former()

    def write(
        self, instances: list[str], addresses: list[Leftover], routes: Iterable[LeftRoute] = (), filtered: bool = False
    ) -> None:
        """Say what this run may set. Call before anything is set."""
        saved: dict[str, Any] = {
            "boot": BOOT_ID.read_text().strip(),
            "instances": instances,
            "filtered": filtered,
            "addresses": [[entry.instance, entry.interface, entry.address, entry.prefix] for entry in addresses],
            "routes": [[entry.instance, entry.what, entry.removal.hex()] for entry in routes],
        }
        masters = {name for name, slot in self._slots.items() if self._memory[8 + slot]}
        self._slots = {name: slot for slot, name in enumerate(instances[: SIZE - 8])}
        for name, slot in self._slots.items():
            self._memory[8 + slot] = name in masters
        temporary = self._directory / "addresses.json.new"
        temporary.write_text(json.dumps(saved))
        temporary.replace(self._directory / "addresses.json")

    def alive(self) -> None:
        """Note a sign of life: one store into memory."""
        self._memory[:8] = struct.pack("=d", _boot_time())  # pack_into would write zeros first

    def master(self, instance: str, is_master: bool) -> None:
        """Note whether an instance is master."""
        slot = self._slots.get(instance)
        if slot is not None:
            self._memory[8 + slot] = is_master

    def close(self, clean: bool) -> None:
        """End; after a clean stop nothing is left for the next run."""
        self._memory.close()
        if clean:
            for name in ("addresses.json", "alive"):
                with contextlib.suppress(FileNotFoundError):
                    (self._directory / name).unlink()
        self._lock.close()


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
