"""The steward of a generation: what is done once for all its workers.

    read, check, compile ─► bind ─► take over state ─► shed privileges ─► fork workers ─► serve ─► retire

It runs the health checks, holds the authoritative state of servers and tells workers of it, keeps the sums of counters,
answers the admin sockets, and replaces workers that die or hang. It takes no traffic, so a burst of requests delays no
check and no answer to an operator.

A worker is forked from the steward, always: a replacement has every change that was made since the start (states, maps,
certificates) because its parent has, and needs no privileges to be made. The loop is left for the fork, so that no loop
runs in two processes.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import uvloop

from pylb.admin.actions import act
from pylb.admin.control.session import Level
from pylb.admin.world import Reload
from pylb.backend import operate
from pylb.config.model import Config, ConfigError, Finding, StatsSocket
from pylb.config.words import Report
from pylb.net.checker import Checker
from pylb.net.tls import silence_bad_names
from pylb.process import binding, control, packets, pattern_news, privileges, replicate, server_states, sticks
from pylb.process.balancer import Balancer
from pylb.process.books import SPARE, TICK, StewardsBook, entries_of
from pylb.process.carry import Inheritance, take_over
from pylb.process.channel import Channel, Kind
from pylb.process.counters import SharedCounters
from pylb.process.examine import examine, worst
from pylb.process.forking import fork, open_descriptors
from pylb.process.relay import Relay
from pylb.process.worker import Worker, observed

if TYPE_CHECKING:
    from pylb.trace.tracer import Tracer

GC_THRESHOLDS = (50_000, 20, 50)
"""Exchanges leave no cycles behind, so collections are rare; what exists at the start is not looked at again."""

HUNG = 5.0
"""Seconds without a sign of life after which a worker is taken for hung: aborted, then replaced."""

PARTING = 1.0
"""Seconds in which an operator who is connected may still have a command answered by a generation that retires."""

LAST_WORDS = 1.0
"""Seconds between SIGABRT, on which a worker writes where it hangs, and SIGKILL."""

SHORT_LIFE, PAUSE = 1.0, 1.0
"""After two workers in the same place that lived shorter than SHORT_LIFE seconds the next one is made only after PAUSE
seconds, not to fork in a circle."""

EMERG, ALERT, WARNING, NOTICE = 0, 1, 4, 5


@dataclass(frozen=True, slots=True)
class Order:
    """What the master wants served."""

    files: Sequence[str]
    config: Config | None
    """Read already; None: read the files."""
    inherited: dict[str, socket.socket]
    """Listening sockets of the generation before, by key."""
    adopted: list[socket.socket]
    """Listening sockets of a process that this one takes the place of."""
    maxconn: int | None
    """In the place of the file's."""
    master: int
    """Its pid."""
    quiet: bool
    trace: bool
    """Workers tell the life of each request (pylb/trace)."""
    show: Callable[[Sequence[Finding]], None]
    null: int | None
    """Of a daemon: a descriptor of /dev/null, which takes the place of the standard streams."""
    last_reload: dict[str, Any]
    """How the last reload went (admin.world.Reload)."""
    succeeds: bool
    """There is a generation before, which knows things."""
    beat: Callable[[float], None]
    """Tells the master of a sign of life."""


@dataclass(slots=True)
class Employed:
    """A worker process as its steward sees it."""

    slot: int
    pid: int
    pidfd: int
    sock: socket.socket
    began: float
    channel: Channel | None = None
    ready: bool = False
    aborted: float = 0.0


def check_start(config: Config) -> None:
    """Everything that starting would check, without binding. Raises ConfigError."""
    Balancer(config, Report()).close()


def _tracer() -> Tracer:
    from pylb.trace.printer import Printer
    from pylb.trace.tracer import Tracer

    return Tracer(Printer(sys.stdout))


class Steward:
    """See the module. `main` is run in a process of its own."""

    def __init__(self, order: Order, master: packets.Packets) -> None:
        self._order = order
        self._master = master
        self._workers: dict[int, Employed] = {}
        self._jobs: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        """"employ" and a slot, "end" and a status: what is done outside of the loop."""
        self._relay = Relay()
        self._short_lived: set[int] = set()
        """Slots whose last worker did not live for long."""
        self._retiring = False
        self._served = False
        self._admin: control.AdminSockets | None = None
        """From the moment it serves."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._news: dict[str, Any] | None = None
        """How the last reload went."""

    # ------------------------------------------------------------------------------------------------------- starting

    def main(self) -> int:
        """Serve to the end; the exit status."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the master's to handle
        faulthandler.enable()
        try:
            self._prepare()
        except ConfigError as error:
            self._fail([str(finding) for finding in error.findings], error.findings)
            return 1
        except (privileges.StartError, OSError, ValueError) as error:
            self._fail([f"pylb: error: {error}"], ())
            return 1
        return self._run()

    def _fail(self, lines: list[str], findings: Sequence[Finding]) -> None:
        if findings:
            self._order.show(findings)
        else:
            sys.stderr.write("".join(f"{line}\n" for line in lines))
        self._master.send("failed", reason="\n".join(lines[:50])[:8000])

    def _prepare(self) -> None:
        if self._order.succeeds:  # others serve meanwhile: they come first
            with suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        config = self._config()
        if self._order.maxconn is not None:
            config = replace(config, globals=replace(config.globals, maxconn=self._order.maxconn))
        report = Report()
        self._balancer = balancer = Balancer(config, report, _tracer() if self._order.trace else None)
        balancer.reload = Reload(**self._order.last_reload)
        sockets = binding.Sockets(self._order.inherited, self._order.adopted)
        balancer.bind(report, sockets)
        self._control: list[tuple[StatsSocket, list[socket.socket]]] = [
            (stats, sockets.listen(stats.bind, report)) for stats in config.globals.stats_sockets
        ]
        report.raise_errors()
        self._sockets = sockets
        self._hand_over(sockets)
        self._shared = SharedCounters(
            balancer.workers + 1, len(entries_of(balancer.frontends, balancer.backends)) + SPARE
        )
        self._book = StewardsBook(self._shared, entries_of(balancer.frontends, balancer.backends))
        balancer.begin(time.monotonic(), self._order.master, self._book)
        if self._order.succeeds:
            self._take_over()
        else:
            for remark in server_states.load(balancer.backends, config.globals, time.monotonic()):
                sys.stderr.write(f"pylb: warning: {remark}\n")
        self._inheritance = Inheritance(balancer)
        self._checker = Checker(balancer.backends, config.globals, balancer.node)
        silence_bad_names()
        for remark in self._become(config):
            if not self._order.quiet:
                sys.stderr.write(f"pylb: warning: {remark}\n")
        gc.collect()
        gc.freeze()
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        gc.set_threshold(*GC_THRESHOLDS)
        for slot in range(1, balancer.workers + 1):
            self._employ(slot)

    def _config(self) -> Config:
        order = self._order
        if order.config is not None:
            return order.config
        config, findings = examine(order.files, compiled=False)
        if config is None:
            raise ConfigError(tuple(worst(findings)))
        if not order.quiet and findings:
            order.show(findings)
        return config

    def _hand_over(self, sockets: binding.Sockets) -> None:
        """The master keeps what is new, and learns what is still used."""
        opened = list(sockets.opened.items())
        step = packets.MOST_DESCRIPTORS
        for first in range(0, len(opened), step):
            part = opened[first : first + step]
            self._master.send("bound", [sock.fileno() for _, sock in part], keys=[name for name, _ in part])
        used = list(sockets.used)
        for first in range(0, len(used), 1000):
            self._master.send("uses", keys=used[first : first + 1000])
        sockets.forget_unused()

    def _take_over(self) -> None:
        """Wait for what the generation before knows; without it, begin at nothing."""
        self._master.send("wants_state")
        received = self._master.receive()
        if received is None:
            raise OSError("the master is gone")
        message, descriptors = received
        if message["kind"] == "state" and descriptors:
            take_over(self._balancer, self._book, packets.from_memory(descriptors[0]), time.monotonic())

    def _become(self, config: Config) -> list[str]:
        have = privileges.raise_file_limit(2 * self._balancer.maxconn + self._balancer.spare_descriptors)
        self._descriptors = open_descriptors() - {self._master.sock.fileno()}
        self._descriptors -= {sock.fileno() for _, group in self._control for sock in group}
        remarks = privileges.drop(config.globals)
        if (remark := self._balancer.fit(have)) is not None:
            remarks.append(remark)
        return remarks

    # -------------------------------------------------------------------------------------------------------- workers

    def _employ(self, slot: int) -> Employed:
        """Fork a worker. The loop must not run."""
        ours, theirs = socket.socketpair()
        self._shared.beat(slot, time.monotonic(), 0)
        null = self._order.null

        def main() -> int:
            ours.detach()  # closed already, as all descriptors but those that are kept
            faulthandler.enable()
            gc.freeze()  # what is the steward's must not be freed: its descriptors are other ones here
            worker = Worker(
                self._balancer, self._shared, slot, theirs, self._order.master,
                lambda: None if null is None else privileges.silence(null),
            )  # fmt: skip
            return worker.main()

        pid = fork(main, self._descriptors | {theirs.fileno()})
        theirs.close()
        worker = Employed(slot, pid, os.pidfd_open(pid), ours, time.monotonic())
        self._workers[slot] = worker
        worker.channel = Channel(partial(self._heard, worker), lambda: None)
        self._relay.attach(slot, worker.channel)  # at once: what changes from now on, the child does not know
        if self._news is not None:
            worker.channel.tell(Kind.NEWS, self._news)
        return worker

    async def _attend(self, worker: Employed) -> None:
        """Talk to a worker that has been forked, and notice its end."""
        assert worker.channel is not None
        await worker.channel.open(worker.sock)
        asyncio.get_running_loop().add_reader(worker.pidfd, self._died, worker)

    def _heard(self, worker: Employed, kind: Kind, payload: bytes) -> None:
        backends = self._balancer.world.backends
        now = self._balancer.now()
        if kind is Kind.ANSWER:
            self._relay.answered(worker.slot, payload)
        elif kind is Kind.READY:
            worker.ready = True
            if not self._served and all(other.ready for other in self._workers.values()):
                self._served = True
                self._spawn(self._open())
            elif self._served:
                self._tell_master_who_works("workers")
        elif kind is Kind.STICK:
            self._stick(worker, json.loads(payload), now)
        elif kind is Kind.PATTERNS:
            told = pattern_news.merge(self._balancer.patterns, json.loads(payload))
            self._relay.send(Kind.PATTERNS, json.dumps([worker.slot, told]).encode())
        elif kind is Kind.OBSERVED:
            observed(backends, payload, now)
        elif kind is Kind.ORDER:
            backend_name, name, action = json.loads(payload)
            server = backends[backend_name].by_name.get(name) if backend_name in backends else None
            if server is not None:
                with suppress(operate.Refused):
                    act(server, action, now)

    def _stick(self, worker: Employed, records: list[sticks.Record], now: float) -> None:
        others, teller = sticks.merge(self._balancer.tables, records, now)
        if others:
            self._relay.send(Kind.STICK, json.dumps(others).encode(), but=worker.slot)
        if teller and worker.channel is not None:
            worker.channel.tell(Kind.STICK, teller)

    def _died(self, worker: Employed) -> None:
        """A worker has ended, whatever the reason."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(worker.pidfd)
        os.close(worker.pidfd)
        status = 0
        with suppress(ChildProcessError):
            status = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
        if worker.channel is not None:
            worker.channel.close()
        self._relay.detach(worker.slot)
        del self._workers[worker.slot]
        if self._retiring:
            if not self._workers:
                self._jobs.put_nowait(("end", 0))
            return
        self._shared.leave(worker.slot)
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        if not self._served:
            self._master.send("failed", reason=f"worker {worker.slot} {how} at its start")
            self._jobs.put_nowait(("end", 1))
            return
        self.say(ALERT, f"Worker {worker.slot} (pid {worker.pid}) {how}; it is replaced.")
        short = time.monotonic() - worker.began < SHORT_LIFE
        again = worker.slot in self._short_lived
        (self._short_lived.add if short else self._short_lived.discard)(worker.slot)
        loop.call_later(PAUSE if short and again else 0.0, self._jobs.put_nowait, ("employ", worker.slot))

    def _look_after_workers(self, now: float) -> None:
        """Hung ones write their last words and are killed; `_died` does the rest."""
        for worker in self._workers.values():
            if worker.aborted:
                if now - worker.aborted > LAST_WORDS:
                    _kill(worker.pid, signal.SIGKILL)
            elif now - self._shared.heartbeat(worker.slot) > HUNG and worker.ready:
                worker.aborted = now
                self.say(ALERT, f"Worker {worker.slot} (pid {worker.pid}) shows no sign of life; it is ended.")
                _kill(worker.pid, signal.SIGABRT)

    # -------------------------------------------------------------------------------------------------------- serving

    def _run(self) -> int:
        """Run the loop, leaving it for each fork; the exit status."""
        loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        begun = loop.create_task(self._begin())
        while True:
            what, number = loop.run_until_complete(self._jobs.get())
            if what == "end":
                break
            loop.create_task(self._attend(self._employ(number)))
        loop.run_until_complete(self._end(begun))
        loop.close()
        return int(number)

    async def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._balancer.attend(loop)
        herald = replicate.Herald(self._balancer.backends, self._tell_states)
        self._balancer.server_added.append(herald.watch)
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGUSR1, self._retire)
        self._master.sock.setblocking(False)
        loop.add_reader(self._master.sock.fileno(), self._ordered)
        for worker in tuple(self._workers.values()):
            await self._attend(worker)
        self._last_tick = loop.time()
        self._tick(loop)

    async def _open(self) -> None:
        """All workers serve: so does the steward."""
        if self._retiring:  # told to stop before it had begun
            return
        self._admin = control.AdminSockets(self._control, self._balancer, self._relay, self._balancer.listening)
        self._checker.start()
        self._balancer.server_added.append(self._checker.add)
        self._balancer.server_removed.append(self._checker.remove)
        if self._order.null is not None:
            privileges.silence(self._order.null)
        self._tell_master_who_works("ready")

    def _tell_master_who_works(self, kind: str) -> None:
        config = self._balancer.config
        self._master.send(
            kind,
            pids=[worker.pid for worker in self._workers.values()],
            status=f"{len(config.frontends)} frontends, {len(config.backends)} backends, {len(self._workers)} workers",
        )

    def _tell_states(self, records: list[replicate.Record]) -> None:
        for first in range(0, len(records), 500):
            self._relay.send(Kind.STATES, json.dumps(records[first : first + 500]).encode())

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self._balancer.tick(now)
        self._shared.beat(0, now, os.getpid())
        self._order.beat(now)
        if now - self._last_tick < 4 * TICK:  # else this process, and so perhaps the whole machine, stood still
            self._look_after_workers(now)
        self._last_tick = now
        if self._retiring:
            self._tell_counted()
        loop.call_later(TICK, self._tick, loop)

    # --------------------------------------------------------------------------------------------------- the master's

    def _ordered(self) -> None:
        """Messages from the master."""
        while True:
            try:
                received = self._master.receive()
            except BlockingIOError:
                return
            if received is None:
                asyncio.get_running_loop().remove_reader(self._master.sock.fileno())
                self._stop()
                return
            self._obey(*received)

    def _obey(self, message: packets.Message, descriptors: list[int]) -> None:
        kind = message["kind"]
        if kind == "send_state":
            self._spawn(self._send_state())
        elif kind == "counted" and descriptors:
            self._balancer.add_counts(packets.from_memory(descriptors[0]))
        elif kind == "news":
            self._news = message["reload"]
            self._balancer.reload = Reload(**message["reload"])
            self._relay.send(Kind.NEWS, json.dumps(message["reload"]).encode())
        elif kind == "operator" and descriptors:
            connection = socket.socket(fileno=descriptors[0])
            if self._admin is not None:
                self._admin.admit(connection, Level[message["level"]])
        elif kind == "retire":
            self._retire()
        elif kind == "stop":
            self._stop()

    async def _send_state(self) -> None:
        await self._relay.settle()
        self._book.settle()
        self._send_memory("state", self._inheritance.state())

    def _tell_counted(self) -> None:
        self._book.settle()
        counted = self._inheritance.counted()
        if counted:
            self._send_memory("counted", counted)

    def _send_memory(self, kind: str, value: Any) -> None:
        fd = packets.in_memory(value)
        self._master.send(kind, [fd])
        os.close(fd)

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ----------------------------------------------------------------------------------------------------------- end

    def _retire(self) -> None:
        """Softly: no new connections, and the end when the last one has gone."""
        if self._retiring:
            return
        self._retiring = True
        self._leave_the_scene(PARTING)
        self._relay.send(Kind.RETIRE)
        if not self._workers:
            self._jobs.put_nowait(("end", 0))
        limit = self._balancer.config.globals.hard_stop_after
        if limit is not None:
            asyncio.get_running_loop().call_later(limit + LAST_WORDS, self._kill_workers)

    def _stop(self) -> None:
        """At once."""
        if not self._retiring:
            self._retiring = True
            self._leave_the_scene(0.0)
        self._relay.send(Kind.STOP)
        if not self._workers:
            self._jobs.put_nowait(("end", 0))
        asyncio.get_running_loop().call_later(LAST_WORDS, self._kill_workers)

    def _leave_the_scene(self, grace: float) -> None:
        """What another generation does from now on, or nobody; operators have `grace` seconds for a last command."""
        if self._admin is not None:
            self._admin.close(grace)
        self._spawn(self._checker.stop())
        self._sockets.close()
        self._balancer.stopping = True
        self._spawn(self._log_the_end())

    async def _log_the_end(self) -> None:
        await self._relay.settle()
        self._book.settle()
        self._balancer.log_stop()

    def _kill_workers(self) -> None:
        for worker in self._workers.values():
            _kill(worker.pid, signal.SIGKILL)

    async def _end(self, begun: asyncio.Task[None]) -> None:
        self._tell_counted()
        self._balancer.close()
        if self._admin is not None:
            await self._admin.closed()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await begun

    def say(self, level: int, text: str) -> None:
        """A line of the process itself: to the log, and to stderr while there is one."""
        sys.stderr.write(f"pylb: {text}\n")
        for logger in self._balancer.loggers[:1]:
            logger.text(level, text)


def _kill(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
