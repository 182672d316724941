"""Track scripts: started on time, never two copies at once, killed when they outlive their timeout.

The invariant is one process per script. A run that is due while the last one still works is left out and
counted; the next due time does not shift. A program that cannot be executed has failed, like one that exits
with an error: a check that says nothing is not a check that passed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vrrpd.config.model import Command, TrackScript
from vrrpd.core.actions import Level
from vrrpd.system.health import Health, Outcome, outcome_of
from vrrpd.system.processes import Running

Report = Callable[[str, bool], None]
Say = Callable[[Level, str], None]


def missing(command: Command) -> str | None:
    """Why a command cannot run ("No such file or directory", "not executable"), or None."""
    program = command.argv[0]
    if "/" not in program:
        return None if shutil.which(program) else "not found in PATH"
    path = Path(program)
    if not path.exists():
        return "No such file or directory"
    if path.is_dir() or not os.access(path, os.X_OK):
        return "not executable"
    return None


def default_user(configured: str | None) -> str | None:
    """Who runs scripts that name nobody: script_user, else keepalived_script if there is such a user, else we."""
    if configured is not None:
        return configured
    import pwd

    try:
        return pwd.getpwnam("keepalived_script").pw_name
    except KeyError:
        return None


def insecure(command: Command, user: str | None) -> str | None:
    """Why a program that root is to run is not safe: somebody else may change it. None for other users' programs."""
    if (command.user or user) not in (None, "root") or os.geteuid() != 0:
        return None
    found = shutil.which(command.argv[0])
    if found is None:
        return None
    path = Path(found).resolve()
    for part in (path, *path.parents):
        status = part.stat()
        others = status.st_mode & 0o022 and not status.st_mode & 0o1000
        if status.st_uid != 0 or others:
            return f"unsafe permissions: {part} can be changed by others than root"
    return None


class ScriptRunner:
    """Runs one track script for ever and reports when its verdict changes.

    `report(name, passed)` is called from the event loop; `say` takes log lines in keepalived's words.
    """

    def __init__(
        self, spec: TrackScript, report: Report, say: Say, user: str | None = None, group: str | None = None
    ) -> None:
        self.spec = spec
        self.health = Health(spec.rise, spec.fall, init_fail=spec.init_fail, settle_first=spec.first_result == "counts")
        self.last: Outcome | None = None
        self.runs = self.skipped = self.timeouts = 0
        self._report, self._say = report, say
        self._user = spec.command.user or user
        self._group = spec.command.group or (None if spec.command.user else group)
        self._running: Running | None = None
        self._due_timer: asyncio.TimerHandle | None = None
        self._timeout_timer: asyncio.TimerHandle | None = None
        self._timed_out = False
        self._due = 0.0

    def start(self) -> None:
        """Run it now and then at every interval."""
        self._due = asyncio.get_running_loop().time()
        self._run_is_due()

    def stop(self) -> None:
        """No further runs; a process that is still there is killed with all its group."""
        for timer in (self._due_timer, self._timeout_timer):
            if timer is not None:
                timer.cancel()
        if self._running is not None:
            self._running.kill()
            self._running = None

    def _run_is_due(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = max(self._due + self.spec.interval, loop.time())
        self._due_timer = loop.call_at(self._due, self._run_is_due)
        if self._running is not None:
            self.skipped += 1
            if self.skipped == 1:
                name = self.spec.name
                self._say(Level.INFO, f"Track script {name} is already running, expect idle - skipping run")
            return
        self._run()

    def _run(self) -> None:
        self.runs += 1
        self._timed_out = False
        try:
            self._running = Running(self.spec.command.argv, self._ended, self._user, self._group)
        except (OSError, KeyError) as error:
            reason = error.strerror if isinstance(error, OSError) else f"user {error} does not exist"
            self._take(Outcome(False, f"cannot run: {reason}"))
            return
        loop = asyncio.get_running_loop()
        self._timeout_timer = loop.call_later(self.spec.kill_after, self._too_long)

    def _too_long(self) -> None:
        if self._running is not None and not self._timed_out:
            self._timed_out = True
            self.timeouts += 1
            self._running.terminate()
            self._take(Outcome(False, "timed_out"))

    def _ended(self, status: int) -> None:
        self._running = None
        if self._timeout_timer is not None:
            self._timeout_timer.cancel()
        if not self._timed_out:
            self._take(outcome_of(status))

    def _take(self, outcome: Outcome) -> None:
        name, before = self.spec.name, self.last
        self.last = outcome
        changed = self.health.result(outcome.good)
        if before is not None and before.status != outcome.status and outcome.status is not None:
            self._say(Level.INFO, f"Script `{name}` now returning {outcome.status}")
        if not changed:
            return
        if outcome.good:
            self._say(Level.INFO, f"VRRP_Script({name}) succeeded")
        elif outcome.reason == "timed_out":
            self._say(Level.INFO, f"VRRP_Script({name}) timed_out")
        else:
            self._say(Level.INFO, f"VRRP_Script({name}) failed ({outcome.reason})")
        self._report(name, outcome.good)

    def _state(self) -> str:
        """What its process is at, in the words of keepalived's dump."""
        if self._running is None:
            return "idle"
        return "requested termination" if self._timed_out else "running"

    def status(self) -> dict[str, Any]:
        """For the status table and metrics."""
        return {
            "name": self.spec.name,
            "command": " ".join(self.spec.command.argv),
            "passed": self.health.verdict,
            "last": self.last.reason if self.last else None,
            "runs": self.runs,
            "skipped": self.skipped,
            "timeouts": self.timeouts,
            "interval": self.spec.interval,
            "state": self._state(),
        }
