"""Track files: a number in a file, read again when inotify says that the file changed.

The directory is watched, not the file, so that a file that is replaced, deleted or created later is noticed
like one that is written to. A missing file or one without a number counts as 0, as in keepalived.
"""

from __future__ import annotations

import ctypes
import os
import re
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from vrrpd.config.model import TrackFile

IN_CLOSE_WRITE, IN_MOVED_FROM, IN_MOVED_TO, IN_DELETE, IN_Q_OVERFLOW = 0x8, 0x40, 0x80, 0x200, 0x4000
WATCHED = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE
NUMBER = re.compile(rb"\s*([+-]?\d{1,9})")
_libc = ctypes.CDLL(None, use_errno=True)


def read_number(path: str) -> int:
    """The number a track file holds; 0 where there is none."""
    try:
        with Path(path).open("rb") as file:
            found = NUMBER.match(file.read(64))
    except OSError:
        return 0
    return int(found[1]) if found else 0


class FileWatcher:
    """One inotify instance for all track files; `report(name, number)` is called on changes.

    Raises OSError when inotify is not to be had, or a file's directory does not exist.
    """

    def __init__(self, specs: Iterable[TrackFile], report: Callable[[str, int], None]) -> None:
        self._report = report
        self._fd: int = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self.numbers: dict[str, int] = {}
        self._files: dict[tuple[int, str], list[TrackFile]] = defaultdict(list)
        for spec in specs:
            self._add(spec)

    def _add(self, spec: TrackFile) -> None:
        path = Path(spec.path)
        if spec.initial is not None and (spec.overwrite or not path.exists()):
            path.write_text(f"{spec.initial}\n")
        watch = _libc.inotify_add_watch(self._fd, os.fsencode(path.parent), WATCHED)
        if watch < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path.parent))
        self._files[watch, path.name].append(spec)

    def start(self) -> None:
        """Read and report every file once."""
        self._look_at_all(always=True)

    def _look_at_all(self, always: bool = False) -> None:
        for specs in self._files.values():
            for spec in specs:
                self._look(spec, always)

    def fileno(self) -> int:
        """For the event loop: readable when a directory changed."""
        return self._fd

    def read(self) -> None:
        """Handle what inotify has to say."""
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        offset = 0
        while offset + 16 <= len(data):
            watch, events, _, length = struct.unpack_from("=iIII", data, offset)
            if events & IN_Q_OVERFLOW:  # some were lost: any file may have changed
                self._look_at_all()
            name = os.fsdecode(data[offset + 16 : offset + 16 + length].rstrip(b"\0"))
            for spec in self._files.get((watch, name), ()):
                self._look(spec)
            offset += 16 + length

    def _look(self, spec: TrackFile, always: bool = False) -> None:
        number = read_number(spec.path)
        if always or self.numbers.get(spec.name) != number:
            self.numbers[spec.name] = number
            self._report(spec.name, number)

    def close(self) -> None:
        """Stop watching."""
        os.close(self._fd)
