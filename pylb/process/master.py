"""The master: keeps the listening sockets, starts generations and sees to it that there always is one that serves.

    start   ─► generation 1
    reload  ─► generation n+1 is started beside n: reads the configuration, binds what is new, takes over what n knows
               ├─► it serves:  n retires, sockets that it does not use are closed
               └─► it cannot:  nothing has changed; why not is kept for whoever asks
    the steward dies ─► another generation is started from the same files; the orphaned workers serve until it does

The master reads no configuration, parses nothing that a peer or a worker has made, and has no traffic; operators reach
it by signals and, where it is asked for, by the master socket. Its pid and its pid file stay the same over all reloads.
It holds every listening socket (kept_sockets.py), so that none is ever closed and opened again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pylb.admin.control.master import Member
from pylb.config.model import Config
from pylb.process import privileges
from pylb.process.attempts import Attempts
from pylb.process.binding import share
from pylb.process.generation import Generation, Heartbeat
from pylb.process.kept_sockets import KeptSockets, place
from pylb.process.kernel import become_subreaper
from pylb.process.order import Order
from pylb.process.orphans import Orphans, tell
from pylb.process.packets import Message
from pylb.process.supervisor import Supervisor

if TYPE_CHECKING:
    from pylb.process.master_socket import MasterSocket
    from pylb.process.pidfile import PidFile
    from pylb.process.start import Options

HUNG = 10.0
"""Seconds without a sign of life after which a steward is aborted, then killed, and another generation started."""

LAST_WORDS = 3.0
"""Seconds that a generation has to end at once; then it is killed."""

RETRY = 1.0
"""Seconds between attempts to start a generation in the place of one that has died."""


class Master:
    """See the module."""

    def __init__(
        self,
        config: Config,
        options: Options,
        given: set[int],
        daemon: privileges.Daemon | None,
        adopted: list[socket.socket],
        master_socket: MasterSocket | None = None,
        pidfile: PidFile | None = None,
    ) -> None:
        """`given`: descriptors that stay open in all processes; `adopted`: listening sockets of another process."""
        self.pid = os.getpid()
        self.began = time.monotonic()
        self._config: Config | None = config
        self._options = options
        self._given = given
        self._daemon = daemon
        self._adopted = adopted
        self._master_socket = master_socket
        self._pidfile = pidfile
        self._sockets = KeptSockets()
        self._attempts = Attempts()
        self._generations: list[Generation] = []
        self._current: Generation | None = None
        self._numbers = 0
        self._orphans = Orphans()
        self._jobs: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        """"start" a generation, "end" with a status: what is done outside of the loop."""
        self._served = False
        self._stopping = 0
        """SIGUSR1: softly; SIGTERM: at once; as workers are told that have no steward any more."""
        self._looked = self.began
        """When stewards were last looked after."""
        self._supervisor = Supervisor()

    def run(self) -> int:
        """Until a signal ends it; the exit status."""
        become_subreaper()  # workers whose steward has died stay ours
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._watch_signals(loop)
        if self._config is not None:
            privileges.restrict_master(self._config)
        if self._master_socket is not None:
            self._master_socket.attend(loop, self)
        self._attempts.ask()
        self._start(loop)
        self._look_after_stewards(loop)
        while True:
            what, number = loop.run_until_complete(self._jobs.get())
            if what == "end":
                break
            self._start(loop)
        if self._master_socket is not None:
            self._master_socket.close()
        self._sockets.end()
        loop.close()
        return number

    def _watch_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        for number in (signal.SIGUSR2, signal.SIGHUP):
            loop.add_signal_handler(number, self.reload)
        loop.add_signal_handler(signal.SIGUSR1, self._soft_stop)
        for number, wanted in ((signal.SIGTTOU, True), (signal.SIGTTIN, False)):
            loop.add_signal_handler(number, self._share, wanted)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # some have been waiting

    # ---------------------------------------------------------------------------------------------------- generations

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Fork the steward of another generation. The loop must not run."""
        self._numbers += 1
        heartbeat = Heartbeat()
        order = Order(
            files=self._options.files,
            config=self._config,
            inherited=self._sockets.by_key,
            adopted=self._adopted,
            old=() if self._served else self._options.old,
            last_reload=self._attempts.last,
            presets=self._options.presets,
            master=self.pid,
            quiet=self._options.quiet,
            trace=self._options.trace,
            show=self._options.show,
            null=self._daemon.null if self._daemon is not None else None,
            succeeds=self._current is not None,
            beat=heartbeat.beat,
        )
        keep = {*self._given, *self._sockets.descriptors(), *(sock.fileno() for sock in self._adopted)}
        if self._daemon is not None:
            keep.add(self._daemon.null)
        try:
            generation = Generation.start(self._numbers, order, heartbeat, keep)
        except OSError as error:  # no room for another process
            if not self._served:
                raise
            self._failed(f"cannot start another process: {error.strerror}", loop)
            return
        self._config = None  # read once: a reload reads the files again, and does so in a process of its own
        self._generations.append(generation)
        loop.add_reader(generation.packets.sock.fileno(), self._heard, generation)
        loop.add_reader(generation.pidfd, self._died, generation)

    def _heard(self, generation: Generation) -> None:
        """Messages from a steward."""
        while True:
            try:
                received = generation.packets.receive()
            except BlockingIOError:
                return
            if received is None:
                asyncio.get_running_loop().remove_reader(generation.packets.sock.fileno())
                return
            message, descriptors = received
            try:
                self._handle(generation, message, descriptors)
            finally:
                for fd in descriptors:
                    os.close(fd)

    def _handle(self, generation: Generation, message: Message, descriptors: list[int]) -> None:
        """One message; descriptors are closed afterwards."""
        kind = message["kind"]
        current = self._current
        if kind == "bound":
            for key, fd in zip(message["keys"], descriptors, strict=True):
                generation.opened[key] = socket.socket(fileno=os.dup(fd))
                if not self._served:  # else it gets its path once the generation serves
                    place(key, generation.pid)
        elif kind == "uses":
            generation.uses.update(message["keys"])
        elif kind == "wants_state":
            generation.wants_state = True
            if current is not None:
                current.packets.send("send_state")
            else:
                generation.packets.send("state")
        elif kind == "state":
            for other in self._generations:
                if other.wants_state:
                    other.wants_state = False
                    other.packets.send("state", descriptors)
        elif kind == "counted":
            if current is not None and current is not generation:
                current.packets.send("counted", descriptors)
        elif kind == "workers":
            generation.workers = message["pids"]
        elif kind == "ready":
            generation.workers = message["pids"]
            self._take_over(generation)
            if not self._stopping:
                self._supervisor.say("READY=1", f"MAINPID={self.pid}", f"STATUS={message['status']}")
        elif kind == "failed":
            generation.reason = message["reason"]

    def _take_over(self, generation: Generation) -> None:
        """It serves: the one before retires."""
        generation.ready, generation.reason, self._served = True, "", True
        before, self._current = self._current, generation
        self._sockets.follow(generation.opened, generation.uses, generation.pid)
        if before is not None:
            before.retiring = True
            before.packets.send("retire")
        self._orphans.dismiss()
        if generation.number == 1:
            if self._pidfile is not None:
                self._pidfile.publish()
            self._replace_others()
            if self._daemon is not None:
                self._daemon.serves()
        self._conclude(True, "")
        if self._stopping:
            generation.packets.send("retire")

    def _replace_others(self) -> None:
        """This process serves: those that it was started to replace may go (-sf, -st)."""
        for sock in self._adopted:
            sock.close()
        self._adopted = []
        for pid in self._options.old:
            with suppress(OSError):
                os.kill(pid, self._options.old_signal)

    def _died(self, generation: Generation) -> None:
        """A steward's process has ended."""
        loop = asyncio.get_running_loop()
        self._heard(generation)  # its last words
        loop.remove_reader(generation.pidfd)
        loop.remove_reader(generation.packets.sock.fileno())
        status = generation.bury()
        self._generations.remove(generation)
        left = self._orphans.new(self._stewards(), generation.workers)
        self._orphans.adopt(left)
        if not generation.ready:
            tell(left, signal.SIGKILL)
            reason = generation.reason or f"the process that read the configuration ended with status {status}"
            self._failed(reason, loop)
        else:
            if generation is not self._current or self._stopping:
                tell(left, self._stopping or signal.SIGUSR1)
            if generation is self._current:
                self._current = None
                self._replace(generation, status)
        self._reap()

    def _stewards(self) -> set[int]:
        return {generation.pid for generation in self._generations}

    def _reap(self) -> None:
        """Children have ended. When none is left of one that stops, so does this process."""
        self._orphans.reap(self._stewards())
        if self._stopping and not self._generations and not self._orphans:
            self._jobs.put_nowait(("end", 0))

    def _failed(self, reason: str, loop: asyncio.AbstractEventLoop) -> None:
        """A generation could not start."""
        if self._stopping:
            return
        if not self._served:
            self._jobs.put_nowait(("end", 1))
            return
        sys.stderr.write(f"pylb: the reload failed, nothing has changed: {reason}\n")
        self._supervisor.say("READY=1", "STATUS=serving; the last reload failed")
        self._conclude(False, reason)
        if self._current is None:
            loop.call_later(RETRY, self.reload)

    def _replace(self, generation: Generation, status: int) -> None:
        """The steward of the current generation has died; its workers go on until another one serves."""
        for other in self._generations:
            if other.wants_state:  # nobody knows it any more
                other.wants_state = False
                other.packets.send("state")
        if not self._stopping:
            how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
            sys.stderr.write(f"pylb: the steward (pid {generation.pid}) {how}; another generation is started\n")
            self.reload()

    def _look_after_stewards(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        if self._current is not None:
            self._supervisor.say("WATCHDOG=1")
        stood_still = now - self._looked > HUNG / 2  # this process, and so perhaps the whole machine
        for generation in self._generations:
            silence = now - generation.heartbeat.last
            if generation.ready and silence > HUNG and not stood_still:
                generation.signal(signal.SIGABRT if silence < HUNG + LAST_WORDS else signal.SIGKILL)
        self._looked = now
        loop.call_later(1.0, self._look_after_stewards, loop)

    # ------------------------------------------------------------------------------------------ for the master socket

    @property
    def reloads(self) -> int:
        """How many were asked for, those in the place of a dead steward among them."""
        return self._numbers - 1

    @property
    def failed(self) -> int:
        """Reloads, since the last one that succeeded."""
        return self._attempts.failed

    def members(self) -> list[Member]:
        """The generations that serve or retire."""
        return [
            Member(each.pid, self._numbers - each.number, each.began, each.retiring)
            for each in self._generations
            if each.ready
        ]

    def serving(self, number: int) -> Generation | None:
        """The set of workers with this relative number: there is one, 1."""
        return self._current if number == 1 else None

    def with_process(self, pid: int) -> Generation | None:
        """The generation that a steward or worker belongs to."""
        return next((each for each in self._generations if each.ready and pid in (each.pid, *each.workers)), None)

    async def settled(self) -> None:
        """Wait for the end of the reload under way, if there is one, and of what was asked for meanwhile."""
        await self._attempts.settled()

    # ------------------------------------------------------------------------------------------------------- requests

    def reload(self) -> None:
        """Start another generation beside the one that serves."""
        if not self._stopping:
            if self._attempts.ask():
                self._supervisor.say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
                self._jobs.put_nowait(("start", 0))
            self._tell_news()

    def _conclude(self, success: bool, reason: str) -> None:
        """A start or reload has come to its end."""
        again = self._attempts.conclude(success, reason, reload=self._numbers > 1)
        self._tell_news()
        if again:
            self.reload()

    def _tell_news(self) -> None:
        """How the last reload went, and whether one is under way: whoever asks the current generation is told."""
        if self._current is not None:
            self._current.packets.send("news", reload=self._attempts.last)

    def _share(self, wanted: bool) -> None:
        """Another process, which takes the place of this one, cannot have its sockets and binds the same ports; or it
        has failed. HAProxy says so by SIGTTOU and SIGTTIN (-sf, -st)."""
        share(self._sockets.by_key.values(), wanted)

    def _soft_stop(self) -> None:
        """Finish what runs; nothing new."""
        if self._stopping:
            return
        self._stopping = signal.SIGUSR1
        self._supervisor.say("STOPPING=1", "STATUS=finishing what runs")
        if self._master_socket is not None:
            self._master_socket.part()
        self._sockets.leave()
        for generation in self._generations:
            if generation.ready:
                generation.packets.send("retire")
        self._orphans.dismiss()
        self._reap()

    def _stop(self) -> None:
        """At once."""
        self._stopping = signal.SIGTERM
        self._supervisor.say("STOPPING=1")
        for generation in self._generations:
            generation.stop()
        self._orphans.signal(signal.SIGTERM)
        self._reap()
        asyncio.get_running_loop().call_later(LAST_WORDS, self._kill)

    def _kill(self) -> None:
        for generation in self._generations:
            generation.signal(signal.SIGKILL, workers=True)
        self._orphans.signal(signal.SIGKILL)
