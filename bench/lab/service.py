"""One program on one host, started and stopped as often as a scenario likes; what it says goes to a file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.lab.journal import Journal
from bench.lab.net import LabError, Namespace, Process
from bench.lab.programs import ENVIRONMENT, Kind

START_TIMEOUT = 30.0
"""Seconds; a loaded machine takes seconds to start Python."""
Listener = Callable[[str], None]


class Service:
    """`kind` may be exchanged while it does not run."""

    def __init__(
        self, host: Namespace, kind: Kind, journal: Journal, directory: Path, listener: Listener | None = None
    ):
        self.host, self.kind, self.journal = host, kind, journal
        self._directory, self._listener = directory, listener
        self._process: Process | None = None
        self._leaving: list[Process] = []
        self._said = ""
        self.frozen = False

    @property
    def log(self) -> Path:
        """Everything it has ever said."""
        return self._directory / f"{self.host.name}-{self.kind.name.replace(' ', '-')}.log"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """Its process id outside; 0: it does not run."""
        return self._process.pid if self._process is not None and self.running else 0

    async def start(self, kind: Kind | None = None) -> None:
        """Start it, as another kind if wanted, and wait until it does its work. LabError if it does not."""
        if self.running:
            raise LabError(f"{self.kind.name} runs on {self.host.name} already")
        self.kind = kind or self.kind
        self.frozen = False
        await asyncio.to_thread(self.kind.install, self.host)
        self._process = await self._launch()
        await self.ready()
        self._note("started")

    async def ready(self) -> None:
        """Wait until it does its work. LabError if it ends instead."""
        deadline = time.monotonic() + START_TIMEOUT
        while not await asyncio.to_thread(self.kind.ready, self.host, self._said):
            if not self.running or time.monotonic() > deadline:
                how = "does not get ready" if self.running else "ended at once"
                raise LabError(f"{self.kind.name} on {self.host.name} {how}:\n{self._said[-2000:]}")
            await asyncio.sleep(0.02)

    async def _launch(self) -> Process:
        self._said = ""
        argv = await asyncio.to_thread(self.kind.argv, self.host)
        reader, writer = os.pipe()
        try:
            process = await asyncio.to_thread(Process, self.host, argv, writer, ENVIRONMENT)
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        asyncio.get_running_loop().add_reader(reader, self._hear, reader, process)
        return process

    def _hear(self, reader: int, process: Process) -> None:
        data = os.read(reader, 1 << 16)
        if not data:
            asyncio.get_running_loop().remove_reader(reader)
            os.close(reader)
            return
        with self.log.open("ab") as file:
            file.write(data)
        text = data.decode(errors="replace")
        if process is self._process or self._process is None or not self._process.running:
            self._said += text
        if self._listener is not None:
            for line in text.splitlines():
                self._listener(line)

    async def stop(self) -> None:
        """End it in order; killed if it does not want to."""
        process, self._process = self._process, None
        for one in filter(None, (process, *self._leaving)):
            try:
                await asyncio.to_thread(one.stop)
            except subprocess.TimeoutExpired:
                await asyncio.to_thread(one.crash)
        self._leaving.clear()
        if process is not None:
            self._note("stopped")

    def kill(self) -> None:
        """SIGKILL for all its processes."""
        process, self._process = self._process, None
        for one in filter(None, (process, *self._leaving)):
            if one.running:
                one.crash()
        self._leaving.clear()
        self._note("killed")

    def freeze(self) -> None:
        """SIGSTOP."""
        self._need().freeze()
        self.frozen = True
        self._note("frozen")

    def thaw(self) -> None:
        """SIGCONT."""
        self._need().thaw()
        self.frozen = False
        self._note("thawed")

    async def reload(self) -> None:
        """Have it read its files again, and wait until it does its work with them."""
        old = self._need()
        await asyncio.to_thread(self.kind.install, self.host)
        loop = asyncio.get_running_loop()

        def again() -> Process:
            return asyncio.run_coroutine_threadsafe(self._launch(), loop).result()

        self._process = await asyncio.to_thread(self.kind.reload, self.host, old, again)
        if self._process is not old:
            self._leaving = [one for one in (*self._leaving, old) if one.running]
            await self.ready()
        self._note("reloaded")

    def _need(self) -> Process:
        if self._process is None or not self._process.running:
            raise LabError(f"{self.kind.name} does not run on {self.host.name}")
        return self._process

    def _note(self, text: str) -> None:
        with contextlib.suppress(ValueError):
            self.journal.note(self.host.name, "program", f"{self.kind.name} {text}")
