"""`python -m bench.lab` in the background, and which stacks can be had."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

from support import require_program

ROOT = Path(__file__).parents[2]
AS_USER = ("unshare", "-U", "--map-user=1000", "--map-group=1000")
"""What runs behind these words is nobody special, also for a test that is run by root."""
ONLY_OURS = "pylb+vrrpd"


class Runs:
    """`python -m bench.lab …` in the background, each with a mark in its environment that all its children inherit."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self, *words: str, before: tuple[str, ...] = ()) -> Run:
        """Start one."""
        mark, log = uuid.uuid4().hex, self.logs / f"{len(self._running)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*before, sys.executable, "-m", "bench.lab", *words],
                cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, "LAB_TEST_MARK": mark, "LAB_SLACK": "6", "XDG_RUNTIME_DIR": str(self.logs)},
            )  # fmt: skip
        self._running.append(process)
        return Run(process, log, mark)

    def close(self) -> None:
        """End what a failed test has left."""
        for process in self._running:
            if process.poll() is None:
                process.terminate()
                process.wait(40)


class Run:
    """One of them."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, mark: str) -> None:
        self.process, self._log, self.mark = process, log, mark

    @property
    def output(self) -> str:
        """What it has said."""
        return self._log.read_text(errors="replace")

    def ended(self, timeout: float = 100.0) -> int:
        """Wait for its end; the exit status."""
        return self.process.wait(timeout)

    def left(self) -> list[str]:
        """The processes with its mark that still run."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if f"LAB_TEST_MARK={self.mark}".encode() in (path / "environ").read_bytes():
                    found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found

    def nothing_left(self, timeout: float = 20.0) -> bool:
        """Whether all of them end."""
        deadline = time.monotonic() + timeout
        while self.left() and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.left()


def stacks() -> list[str]:
    """Those whose programs are installed and work here: keepalived wants more than one user."""
    if os.geteuid():
        return [ONLY_OURS]
    for program in ("haproxy", "keepalived", "nginx"):
        require_program(program)
    return [ONLY_OURS, "haproxy+keepalived", "mixed"]
