"""The pid file (manual: pidfile; -p): there once the process serves, so that one that cannot takes nobody's."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

from pylb.process.privileges import StartError


class PidFile:
    """Of this process. Devices such as /dev/null are written to, and stay what they are."""

    def __init__(self, path: str) -> None:
        """Whatever may fail fails here, in a file beside it. Raises StartError.

        A full disk is told of and keeps nobody from serving, as with HAProxy.
        """
        self._path = Path(path)
        self._regular = self._path.is_file() or not self._path.exists()
        self._beside = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp") if self._regular else self._path
        try:
            self._beside.write_text(f"{os.getpid()}\n")
        except OSError as error:
            text = f'cannot write the pid file "{path}": {error.strerror}'
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise StartError(text) from error
            sys.stderr.write(f"pylb: warning: {text}\n")
            if self._regular:
                self._beside.unlink(missing_ok=True)

    def publish(self) -> None:
        """This process serves. An old file goes, also where there was no room for ours."""
        if self._regular:
            with suppress(OSError):
                if self._beside.exists():
                    self._beside.rename(self._path)
                else:
                    self._path.unlink()

    def remove(self) -> None:
        """Unless another process has taken our place, or we never had it."""
        if self._regular:
            with suppress(OSError, ValueError):
                self._beside.unlink(missing_ok=True)
                if int(self._path.read_text()) == os.getpid():
                    self._path.unlink()
