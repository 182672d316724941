"""Telling others of changes: notify programs and named pipes, with keepalived's arguments, in order.

keepalived starts notify programs side by side, so that a BACKUP may overtake the MASTER before it. Here each
instance or group has a queue and one program runs at a time in it. A program that hangs is ended after
`LIMIT` seconds, so that the queue moves on.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pwd
import shutil
import stat
from collections import deque
from collections.abc import Callable
from pathlib import Path

from vrrpd.config.model import Command, Fifo, Notify
from vrrpd.core.actions import Event, Level
from vrrpd.system.processes import Running

Say = Callable[[Level, str], None]
LIMIT = 60.0
"""Seconds a notify program may take."""
QUEUE_LIMIT = 100
"""Programs waiting per instance; beyond it the oldest is left out, and said."""

_COMMAND_OF = {
    Event.MASTER: "master",
    Event.BACKUP: "backup",
    Event.FAULT: "fault",
    Event.STOP: "stop",
    Event.DELETED: "deleted",
    Event.MASTER_RX_LOWER_PRI: "master_rx_lower_pri",
}


def commands_for(notify: Notify, event: Event, group: bool, name: str, priority: int) -> list[Command]:
    """The programs an event starts: the specific one first, then the general one with its arguments."""
    wanted: list[Command] = []
    specific = _COMMAND_OF.get(event)
    command: Command | None = getattr(notify, specific) if specific else None
    if command is not None:
        wanted.append(command)
    if notify.any is not None and specific is not None:
        arguments = ("GROUP" if group else "INSTANCE", name, event.value, str(priority))
        general = notify.any
        wanted.append(Command(general.argv + arguments, general.user, general.group))
    return wanted


class ProgramQueue:
    """Programs of one instance or group, one after the other."""

    def __init__(self, say: Say, user: str | None, group: str | None = None) -> None:
        self._say, self._user, self._group = say, user, group
        self._waiting: deque[Command] = deque()
        self._running: Running | None = None
        self._limit: asyncio.TimerHandle | None = None
        self._when_idle: Callable[[], None] | None = None

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return self._running is None and not self._waiting

    def add(self, command: Command) -> None:
        """Run it after those before it."""
        if len(self._waiting) >= QUEUE_LIMIT:
            dropped = self._waiting.popleft()
            self._say(Level.WARNING, f"Too many notify scripts waiting, left out: {' '.join(dropped.argv)}")
        self._waiting.append(command)
        self._next()

    def _next(self) -> None:
        while self._running is None and self._waiting:
            command = self._waiting.popleft()
            group = command.group or (None if command.user else self._group)
            try:
                self._running = Running(command.argv, self._ended, command.user or self._user, group)
            except (OSError, KeyError) as error:
                self._say(Level.ERROR, f"Unable to run notify script {command.argv[0]}: {error}")
                continue
            self._limit = asyncio.get_running_loop().call_later(LIMIT, self._running.terminate)

    def _ended(self, status: int) -> None:
        del status
        self._running = None
        if self._limit is not None:
            self._limit.cancel()
        self._next()
        if self.idle and self._when_idle is not None:
            self._when_idle()

    def watch(self, when_idle: Callable[[], None]) -> None:
        """Call this whenever nothing runs and nothing waits any more."""
        self._when_idle = when_idle


def _line(group: bool, name: str, state: str, priority: int) -> str:
    return f'{"GROUP" if group else "INSTANCE"} "{name}" {state} {priority}\n'


class Pipe:
    """A named pipe that gets a line per change; lines that nobody reads are counted, never waited for.

    Raises OSError when the path cannot be made a pipe.
    """

    def __init__(self, spec: Fifo, say: Say) -> None:
        self.spec = spec
        self.lost = 0
        self._say = say
        self._reader: Running | None = None
        path = Path(spec.path)
        self._made = not path.exists()
        if self._made:
            os.mkfifo(path, 0o600)
            if spec.user:
                shutil.chown(path, pwd.getpwnam(spec.user).pw_uid, spec.group)
        elif not stat.S_ISFIFO(path.stat().st_mode):
            raise OSError(errno.EEXIST, "exists and is no named pipe", spec.path)
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        if spec.reader is not None:
            argv = (*spec.reader.argv, spec.path)
            self._reader = Running(argv, self._reader_ended, spec.reader.user, spec.reader.group)

    def _reader_ended(self, status: int) -> None:
        self._reader = None
        self._say(Level.WARNING, f"Notify fifo script for {self.spec.path} ended with status {status}")

    def write(self, line: str) -> None:
        """Write one line; a full pipe loses it."""
        try:
            os.write(self._fd, line.encode())
        except BlockingIOError:
            self.lost += 1
            if self.lost == 1:
                self._say(Level.WARNING, f"Notify fifo {self.spec.path} is full, its reader is too slow")

    def close(self) -> None:
        """End the reading program and remove the pipe if it was made here."""
        if self._reader is not None:
            self._reader.terminate()
        os.close(self._fd)
        if self._made:
            with contextlib.suppress(FileNotFoundError):
                Path(self.spec.path).unlink()


class Notifier:
    """Carries `Notify` actions out."""

    def __init__(self, say: Say, user: str | None = None, group: str | None = None) -> None:
        self._say, self._user, self._group = say, user, group
        self._pipes: list[Pipe] = []
        self._queues: dict[tuple[bool, str], ProgramQueue] = {}
        self._all_idle = asyncio.Event()

    def open(self, fifos: tuple[Fifo, ...]) -> None:
        """Open the pipes of a configuration; those that stay the same are kept. OSError as `Pipe`."""
        for pipe in self._pipes:
            if pipe.spec not in fifos:
                pipe.close()
        kept = {pipe.spec: pipe for pipe in self._pipes if pipe.spec in fifos}
        self._pipes = [kept[spec] if spec in kept else Pipe(spec, self._say) for spec in fifos]

    def tell(self, notify: Notify, event: Event, group: bool, name: str, priority: int) -> None:
        """Write to the pipes, then start or queue the programs."""
        for pipe in self._pipes:
            pipe.write(_line(group, name, event.value, priority))
        for command in commands_for(notify, event, group, name, priority):
            queue = self._queues.setdefault((group, name), ProgramQueue(self._say, self._user, self._group))
            queue.add(command)

    def restate(self, name: str, state: str, priority: int) -> None:
        """After a reload: tell the pipes that ask for it what an instance is, though nothing changed."""
        for pipe in self._pipes:
            if pipe.spec.states_on_reload:
                pipe.write(_line(False, name, state, priority))

    async def finish(self, seconds: float) -> None:
        """Wait until no program runs or waits, but not longer than this."""
        for queue in self._queues.values():
            queue.watch(self._idle)
        self._idle()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all_idle.wait(), seconds)

    def _idle(self) -> None:
        if all(queue.idle for queue in self._queues.values()):
            self._all_idle.set()

    def close(self) -> None:
        """Close the pipes; programs that run are left to finish."""
        for pipe in self._pipes:
            pipe.close()
        self._pipes = []
