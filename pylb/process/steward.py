"""The steward of a generation: what is done once for all its workers.

    prepare ─► fork workers ─► serve ─► retire

It runs the health checks, holds the authoritative state of servers and tells workers of it, keeps the sums of counters,
answers the admin sockets, and replaces workers that die or hang (crew.py). It takes no traffic, so a burst of requests
delays no check and no answer to an operator.

The loop is left for each fork, so that no loop runs in two processes.
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
from collections.abc import Sequence
from typing import Any

import uvloop

from pylb.admin.control.session import Level
from pylb.admin.world import Reload
from pylb.config.model import ConfigError, Finding
from pylb.process import control, packets, privileges, replicate
from pylb.process.books import TICK
from pylb.process.carry import add_counted
from pylb.process.channel import Kind
from pylb.process.courtesy import without_collections
from pylb.process.crew import LAST_WORDS, PAUSE, Crew
from pylb.process.order import Order
from pylb.process.piecemeal import Hurry, Leisure, Pace
from pylb.process.preparation import Prepared, prepare
from pylb.process.relay import Relay

PARTING = 1.0
"""Seconds in which an operator who is connected may still have a command answered by a generation that retires."""

ALERT = 1


def serve(order: Order, master: packets.Packets) -> int:
    """Serve to the end, in a process of its own; the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the master's to handle
    faulthandler.enable()
    try:
        steward = Steward(prepare(order, master), order, master)
        steward.employ_all()
    except ConfigError as error:
        _fail(order, master, [str(finding) for finding in error.findings], error.findings)
        return 1
    except (privileges.StartError, OSError, ValueError) as error:
        _fail(order, master, [f"pylb: error: {error}"], ())
        return 1
    return steward.run()


def _fail(order: Order, master: packets.Packets, lines: list[str], findings: Sequence[Finding]) -> None:
    if findings:
        order.show(findings)
    else:
        sys.stderr.write("".join(f"{line}\n" for line in lines))
    master.send("failed", reason="\n".join(lines[:50])[:8000])


class Steward:
    """See the module; a crew.Employer."""

    def __init__(self, prepared: Prepared, order: Order, master: packets.Packets) -> None:
        self._order = order
        self._master = master
        self._prepared = prepared
        self._balancer = prepared.balancer
        self._book = prepared.book
        self._relay = Relay()
        self._crew = Crew(prepared, self._relay, self, order)
        self._jobs: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        """"employ" and a slot, "end" and a status: what is done outside of the loop."""
        self._retiring = False
        self._parting: Pace = Hurry()
        """At which the last things are done."""
        self._admin: control.AdminSockets | None = None
        """From the moment it serves."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._telling = asyncio.Lock()
        """Held while the next generation is told what there is, or what has been counted since."""
        self._last_tick = 0.0

    # ------------------------------------------------------------------------------------------------------- the loop

    def employ_all(self) -> None:
        """Fork the first workers. Raises OSError where there is no room for them."""
        for slot in range(1, self._balancer.workers + 1):
            self._crew.employ(slot)

    def run(self) -> int:
        """Run the loop, leaving it for each fork; the exit status."""
        loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        begun = loop.create_task(self._begin())
        while True:
            what, number = loop.run_until_complete(self._jobs.get())
            if what == "end":
                break
            if self._retiring:  # since the one that it should replace has died: there is nothing left to accept from
                continue
            try:
                loop.create_task(self._crew.attend(self._crew.employ(number)))
            except OSError as error:  # no room for another process
                self._say(ALERT, f"Worker {number} cannot be started: {error.strerror}.")
                loop.call_later(PAUSE, self._jobs.put_nowait, ("employ", number))
        loop.run_until_complete(self._end(begun))
        loop.close()
        return number

    async def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        self._balancer.attend(loop)
        pace, herald = self._order.pace(), replicate.Herald(self._tell_states)
        await pace.all(herald.watching(self._balancer.backends))
        self._balancer.server_added.append(herald.watch)
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGUSR1, self._retire)
        self._master.sock.setblocking(False)
        loop.add_reader(self._master.sock.fileno(), self._ordered)
        await self._crew.attend_all()
        self._last_tick = loop.time()
        self._tick(loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self._balancer.tick(now)
        self._crew.tally.look()
        self._prepared.shared.beat(0, now, os.getpid())
        self._order.beat(now)
        if now - self._last_tick < 4 * TICK:  # else this process, and so perhaps the whole machine, stood still
            self._crew.look_after(now)
        self._last_tick = now
        if self._retiring and not self._telling.locked():
            self._spawn(self._tell_counted())
        loop.call_later(TICK, self._tick, loop)

    def _tell_states(self, records: list[replicate.Record]) -> None:
        for first in range(0, len(records), 500):
            self._relay.send(Kind.STATES, json.dumps(records[first : first + 500]).encode())

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _say(self, level: int, text: str) -> None:
        """A line of the process itself: to the log, and to stderr while there is one."""
        sys.stderr.write(f"pylb: {text}\n")
        for logger in self._balancer.loggers[:1]:
            logger.text(level, text)

    # -------------------------------------------------------------------------------------------------------- workers

    def all_serve(self) -> None:
        """So does the steward: it checks servers and answers operators."""
        if self._retiring:  # told to stop before it had begun
            return
        balancer, checker = self._balancer, self._prepared.checker
        self._admin = control.AdminSockets(self._prepared.operators, balancer, self._relay)
        self._spawn(self._start_checks())
        balancer.server_added.append(checker.add)
        balancer.server_removed.append(checker.remove)
        if self._order.null is not None:
            privileges.silence(self._order.null)
        self._tell_master_who_works("ready")

    async def _start_checks(self) -> None:
        with without_collections():
            await self._order.pace().all(self._prepared.checker.starting())
            gc.freeze()  # they stay

    def another_serves(self) -> None:
        """The master knows the pids of all: it ends them if this process dies."""
        self._tell_master_who_works("workers")

    def _tell_master_who_works(self, kind: str) -> None:
        config, crew = self._balancer.config, self._crew
        status = f"{len(config.frontends)} frontends, {len(config.backends)} backends, {len(crew)} workers"
        self._master.send(kind, pids=crew.pids, status=status)

    def cannot_start(self, reason: str) -> None:
        """Without it there is no generation."""
        self._master.send("failed", reason=reason)
        self._jobs.put_nowait(("end", 1))

    def is_lost(self, slot: int, text: str, pause: float) -> None:
        """Replaced as soon as the loop can be left."""
        self._say(ALERT, text)
        asyncio.get_running_loop().call_later(pause, self._jobs.put_nowait, ("employ", slot))

    def is_hung(self, text: str) -> None:
        """Its end follows."""
        self._say(ALERT, text)

    def all_gone(self) -> None:
        """The generation has ended."""
        self._jobs.put_nowait(("end", 0))

    # ----------------------------------------------------------------------------------------------------- the master

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
            counted = packets.from_memory(descriptors[0])
            self._crew.tally.inherit(counted.pop("tables", []))
            add_counted(self._balancer, self._book, counted)
        elif kind == "news":
            self._balancer.reload = Reload(**message["reload"])
            self._crew.tell_news(message["reload"])
        elif kind == "operator" and descriptors:
            connection = socket.socket(fileno=descriptors[0])
            if self._admin is not None:
                self._admin.admit(connection, Level[message["level"]])
        elif kind == "retire":
            self._retire()
        elif kind == "stop":
            self._stop()

    async def _send_state(self) -> None:
        """All that is known, beside workers that serve: this takes as long as it takes."""
        if self._telling.locked():
            return  # what is being told answers this, too
        async with self._telling:
            lines = packets.Lines()
            try:
                await self._write_state(lines)
            except Exception as error:  # a mistake of ours: the next generation must not wait for ever
                lines.close()
                self._say(ALERT, f"The next generation begins at nothing: {error!r} while this one's state was read.")
                self._master.send("state")
            else:
                lines.send(self._master, "state")

    async def _write_state(self, lines: packets.Lines) -> None:
        pace = Pace()
        await self._relay.settle()
        await pace.all(self._book.settling())
        self._crew.tally.begin_to_carry()
        with without_collections():
            for part in self._prepared.inheritance.state():
                lines.append(part)
                await pace.step()

    async def _tell_counted(self) -> None:
        async with self._telling:
            await self._parting.all(self._book.settling())
            counted: dict[str, Any] = dict(await self._prepared.inheritance.counted(self._parting))
            if tables := self._crew.tally.carried():
                counted["tables"] = tables
            if counted:
                self._master.send_value("counted", counted)

    # -------------------------------------------------------------------------------------------------------- the end

    def _retire(self) -> None:
        """Softly: no new connections, and the end when the last one has gone."""
        if self._retiring:
            return
        self._parting = Leisure()  # another generation serves
        self._leave_the_scene(PARTING)
        self._crew.dismiss(Kind.RETIRE)
        limit = self._balancer.config.globals.hard_stop_after
        if limit is not None:
            asyncio.get_running_loop().call_later(limit + LAST_WORDS, self._crew.kill)

    def _stop(self) -> None:
        """At once."""
        self._parting.hurry()
        if not self._retiring:
            self._leave_the_scene(0.0)
        self._crew.dismiss(Kind.STOP)
        asyncio.get_running_loop().call_later(LAST_WORDS, self._crew.kill)

    def _leave_the_scene(self, grace: float) -> None:
        """What another generation does from now on, or nobody; operators have `grace` seconds for a last command."""
        self._retiring = True
        if self._admin is not None:
            self._admin.close(grace)
        self._balancer.stopping = True
        self._spawn(self._clear_away())

    async def _clear_away(self) -> None:
        await self._parting.all(self._prepared.sockets.closing())
        await self._parting.all(self._prepared.checker.stopping())
        await self._prepared.checker.stop()
        await self._relay.settle()
        await self._parting.all(self._book.settling())
        self._balancer.log_stop()

    async def _end(self, begun: asyncio.Task[None]) -> None:
        await self._tell_counted()
        self._balancer.close()
        if self._admin is not None:
            await self._admin.closed()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await begun
