"""The real HAProxy beside us, for comparison."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import require_program, wait_for, wait_for_port


@contextmanager
def haproxy(directory: Path, config: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run it in the foreground until the block ends; `port` is one that it listens on. Output goes to out and err."""
    program = require_program("haproxy")
    path = directory / "haproxy.cfg"
    path.write_text(config)
    with (directory / "out").open("wb") as out, (directory / "err").open("wb") as err:
        process = subprocess.Popen([program, "-db", "-f", str(path)], stdout=out, stderr=err)
        try:
            wait_for_port(port)
            yield process
        finally:
            process.terminate()
            wait_for(lambda: process.poll() is not None, 10, "haproxy to end")
