"""All checks of a configuration together: scripts, files and processes, started and compared on reload."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from vrrpd.config.model import Config, TrackFile, TrackKind, TrackProcess, TrackScript
from vrrpd.core.actions import Level
from vrrpd.system.files import FileWatcher
from vrrpd.system.procwatch import ProcessWatcher
from vrrpd.system.scripts import ScriptRunner, default_user, insecure, missing

Result = Callable[[TrackKind, str, bool | int], None]
Say = Callable[[Level, str], None]


class Tracking:
    """Runs what a configuration tracks; `result(kind, name, value)` is called when something changes."""

    def __init__(self, result: Result, say: Say) -> None:
        self.results: dict[tuple[TrackKind, str], bool | int] = {}
        self.dropped: dict[str, str] = {}
        """Scripts that do not run at all, with the reason (script_missing = "ignore")."""
        self._result, self._say = result, say
        self._scripts: dict[str, ScriptRunner] = {}
        self._files: tuple[FileWatcher, tuple[TrackFile, ...]] | None = None
        self._processes: tuple[ProcessWatcher, tuple[TrackProcess, ...]] | None = None

    def plan(self, config: Config) -> None:
        """Find out which scripts will not run at all; before the instances that track them are made."""
        former = self.dropped
        self.dropped = unusable(config) if config.globals.script_missing == "ignore" else {}
        for name in sorted(self.dropped.keys() & used_names(config) - former.keys()):
            self._say(Level.WARNING, f"Disabling track script {name} since not found/accessible")

    def apply(self, config: Config) -> None:
        """Start what is new, stop what is gone, leave alone what stayed as it was. Follows `plan`."""
        used = used_names(config)
        self._apply_scripts([s for s in config.scripts if s.name in used and s.name not in self.dropped], config)
        self._apply_files(tuple(spec for spec in config.files if spec.name in used))
        self._apply_processes(tuple(spec for spec in config.processes if spec.name in used))

    def _apply_scripts(self, specs: list[TrackScript], config: Config) -> None:
        user, group = default_user(config.globals.script_user), config.globals.script_group
        wanted = {spec.name: spec for spec in specs}
        for name, runner in list(self._scripts.items()):
            if wanted.get(name) != runner.spec:
                runner.stop()
                del self._scripts[name]
                self.results.pop((TrackKind.SCRIPT, name), None)
        for name, spec in wanted.items():
            if name not in self._scripts:
                runner = self._scripts[name] = ScriptRunner(spec, self._script_result, self._say, user, group)
                runner.start()

    def _apply_files(self, specs: tuple[TrackFile, ...]) -> None:
        if self._files is not None and self._files[1] == specs:
            return
        loop = asyncio.get_running_loop()
        if self._files is not None:
            loop.remove_reader(self._files[0].fileno())
            self._files[0].close()
            self._files = None
        if specs:
            watcher = FileWatcher(specs, self._file_result)
            self._files = (watcher, specs)
            loop.add_reader(watcher.fileno(), watcher.read)
            watcher.start()

    def _apply_processes(self, specs: tuple[TrackProcess, ...]) -> None:
        if self._processes is not None and self._processes[1] == specs:
            return
        if self._processes is not None:
            self._processes[0].stop()
            self._processes = None
        if specs:
            watcher = ProcessWatcher(specs, self._process_result)
            self._processes = (watcher, specs)
            if not watcher.has_connector:
                self._say(Level.INFO, "No process connector here: new processes are noticed within a second")
            watcher.start()

    def _script_result(self, name: str, passed: bool) -> None:
        self._keep(TrackKind.SCRIPT, name, passed)

    def _file_result(self, name: str, number: int) -> None:
        self._keep(TrackKind.FILE, name, number)

    def _process_result(self, name: str, enough: bool) -> None:
        self._keep(TrackKind.PROCESS, name, enough)

    def _keep(self, kind: TrackKind, name: str, value: bool | int) -> None:
        self.results[kind, name] = value
        self._result(kind, name, value)

    def stop(self) -> None:
        """Stop all checks and end their processes."""
        for runner in self._scripts.values():
            runner.stop()
        self._scripts.clear()
        self._apply_files(())
        self._apply_processes(())

    def status(self) -> dict[str, Any]:
        """For the status table and metrics."""
        scripts = [runner.status() for runner in self._scripts.values()]
        scripts += [{"name": n, "passed": None, "last": f"not run: {why}"} for n, why in self.dropped.items()]
        files = [] if self._files is None else self._files[0].numbers.items()
        return {
            "scripts": scripts,
            "files": [{"name": name, "number": number} for name, number in files],
            "processes": [] if self._processes is None else self._processes[0].status(),
        }


def used_names(config: Config) -> set[str]:
    """The names of all checks that an instance or a group tracks."""
    names = {track.name for instance in config.instances for track in instance.tracks}
    return names | {track.name for group in config.groups for track in group.tracks}


def unusable(config: Config) -> dict[str, str]:
    """Track scripts whose program cannot run, with the reason."""
    user, secure = default_user(config.globals.script_user), config.globals.script_security
    reasons = {
        spec.name: missing(spec.command) or (insecure(spec.command, user) if secure else None)
        for spec in config.scripts
    }
    return {name: reason for name, reason in reasons.items() if reason is not None}
