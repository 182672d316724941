"""The listening sockets that the master keeps over all reloads, and the paths of those that have one.

Because it holds them, none is ever closed and opened again: clients in their backlogs are accepted by whichever
generation is there.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from pylb.process.binding import path_of, provisional


class KeptSockets:
    """By their keys (binding.key)."""

    def __init__(self) -> None:
        self.by_key: dict[str, socket.socket] = {}
        self._inodes: dict[str, int] = {}
        """Of the paths of unix sockets, by key: another process may have put its own in their place."""

    def descriptors(self) -> Iterator[int]:
        """Of all that are open."""
        return (sock.fileno() for sock in self.by_key.values())

    def follow(self, opened: dict[str, socket.socket], used: set[str], steward: int) -> None:
        """A generation serves: keep what it has opened, which is taken out, give that its path, and close what the
        generation does not use."""
        for key in opened:
            place(key, steward)
            self._inodes[key] = _inode(key)
        self.by_key.update(opened)
        opened.clear()
        paths = {path_of(key) for key in used}
        for key in [key for key in self.by_key if key not in used]:
            self.by_key.pop(key).close()
            if path_of(key) not in paths:
                _remove_path(key)

    def leave(self) -> None:
        """Close all. Paths stay, as HAProxy's do: another process may have taken the sockets over."""
        for sock in self.by_key.values():
            sock.close()
        self.by_key.clear()

    def end(self) -> None:
        """Close all, and remove their paths where they are still ours."""
        for key, sock in self.by_key.items():
            sock.close()
            if _inode(key) == self._inodes.get(key):
                _remove_path(key)
        self.by_key.clear()


def place(key: str, steward: int) -> None:
    """A unix socket gets its path, if it does not have it yet."""
    path = path_of(key)
    if path is not None:
        try:
            provisional(path, steward).rename(path)
        except FileNotFoundError:
            pass  # it has; so has one of another process
        except OSError as error:
            sys.stderr.write(f'pylb: error: cannot bind "unix@{path}": {error.strerror}\n')


def remove_provisional(keys: Iterable[str], steward: int) -> None:
    """Of a generation that has never served."""
    for path in filter(None, map(path_of, keys)):
        with suppress(OSError):
            provisional(path, steward).unlink()


def _inode(key: str) -> int:
    path = path_of(key)
    try:
        return Path(path).stat().st_ino if path is not None else 0
    except OSError:
        return 0


def _remove_path(key: str) -> None:
    path = path_of(key)
    if path is not None:
        with suppress(OSError):
            Path(path).unlink()
