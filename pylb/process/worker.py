"""A worker: one event loop that carries traffic, and nothing that another process could do for it.

It is forked from its steward with everything compiled, takes the listening sockets, and from then on hears of servers'
states and operators' orders over its channel. Ends by an order or, when the steward has died, by a signal: SIGUSR1
softly, SIGTERM at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import uvloop

from pylb.admin.world import Reload
from pylb.backend.health import Event
from pylb.backend.server import Server
from pylb.process import control, courtesy, pattern_news, replicate, sticks
from pylb.process.books import TICK, WorkersBook
from pylb.process.channel import Channel, Kind, number_of, numbered
from pylb.process.piecemeal import Hurry, Pace, piecemeal
from pylb.process.tallies import MOST, WorkersTally, later

if TYPE_CHECKING:
    from pylb.process.balancer import Balancer
    from pylb.process.counters import SharedCounters

LOOK_AGAIN = 0.05
"""Seconds between two looks whether all clients have gone. The first look is that late, too: what the loop has accepted
a moment ago is not among the connections before its next turn."""

WATCH_PARENT = 2.0
"""Seconds between two looks for the master, once the steward is gone."""


class Worker:
    """See the module. `main` is run in a process of its own."""

    def __init__(
        self,
        balancer: Balancer,
        shared: SharedCounters,
        slot: int,
        channel: socket.socket,
        master: int,
        ready: Callable[[], None],
        pace: Pace,
    ) -> None:
        """`slot`: its place among the workers, from 1; `master`: the master's pid; `ready` is called once it accepts
        connections, which `pace` may put off."""
        self.balancer = balancer
        self.shared = shared
        self.slot = slot
        self._sock = channel
        self._master, self._steward = master, os.getppid()
        self._ready = ready
        self._pace = pace
        self._channel: Channel | None = None
        self._tally = WorkersTally(balancer.tables, self._tell_tally, None if shared.usage is None else later)
        self._finished = asyncio.Event()
        self._open = self._retire_when_open = False
        self._parting: Pace = Hurry()
        """At which the last things are done."""

    def main(self) -> int:
        """Serve to the end; the exit status."""
        uvloop.run(self._serve())
        return 0

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        balancer = self.balancer
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the master's to handle
        loop.add_signal_handler(signal.SIGTERM, self._stop)
        loop.add_signal_handler(signal.SIGUSR1, self._soft_stop)
        self._book = book = WorkersBook(self.shared, balancer.entries, self.slot)
        await self._pace.all(book.beginning())
        await self._pace.all(balancer.joining(book))
        for backend in balancer.backends:
            backend.report = self._report
        balancer.order = self._order
        self._channel = await Channel.over(self._sock, self._receive, self._orphaned)
        self._beat(loop)
        await balancer.open(self._pace)
        self._open = True
        courtesy.come_first()
        if self._channel is not None:  # else the steward has died meanwhile
            self._channel.send(Kind.READY)
        self._ready()
        if self._retire_when_open:
            self._soft_stop()
        await self._finished.wait()
        if not balancer.stopping:
            for _ in balancer.close_listeners():
                pass
        await self._parting.all(balancer.settling())
        await self._last_words()
        balancer.close()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self.balancer.tick(now)
        self._tell(now, MOST)
        self.shared.beat(self.slot, now, os.getpid())
        loop.call_later(TICK, self._beat, loop)

    # ------------------------------------------------------------------------------------------------------- messages

    def _receive(self, kind: Kind, payload: bytes) -> None:
        balancer = self.balancer
        if kind is Kind.STATES:
            now = balancer.now()
            for record in json.loads(payload):
                replicate.apply(balancer.world.backends, replicate.Record.read(record), now)
        elif kind is Kind.COMMAND:
            number, command = number_of(payload)
            answer = control.perform(command.decode("utf-8", "surrogateescape"), balancer)
            self._answer(number, answer)
        elif kind is Kind.STICK:
            sticks.apply(balancer.tables, json.loads(payload), balancer.now())
        elif kind is Kind.PATTERNS:
            slot, records = json.loads(payload)
            pattern_news.apply(balancer.patterns, records, slot == self.slot)
        elif kind is Kind.TALLY:
            self._tally.take(payload, balancer.now())
        elif kind is Kind.SETTLE:
            piecemeal(asyncio.get_running_loop(), self._book.settling(), partial(self._settled, number_of(payload)[0]))
        elif kind is Kind.NEWS:
            balancer.reload = Reload(**json.loads(payload))
        elif kind is Kind.RETIRE:
            self._soft_stop()
        elif kind is Kind.STOP:
            self._stop()

    def _answer(self, number: int, data: bytes) -> None:
        if self._channel is not None:
            self._channel.send(Kind.ANSWER, numbered(number, data))

    def _tell(self, now: float, most: int | None = None) -> None:
        """What rules have stored and changed since the last time, and counted in at most `most` entries of a table."""
        if self._channel is not None:
            for batch in sticks.batches(sticks.collect(self.balancer.tables.values(), now)):
                self._channel.tell(Kind.STICK, batch)
            for batch in pattern_news.collect(self.balancer.patterns):
                self._channel.tell(Kind.PATTERNS, batch)
        self._tally.tell(most)

    def _settled(self, number: int) -> None:
        """All rows have been written."""
        balancer = self.balancer
        self._book.write_process(balancer, balancer.now())
        self._tell(balancer.now())
        self._answer(number, b"")

    def _tell_tally(self, payload: bytes) -> None:
        if self._channel is not None:
            self._channel.send(Kind.TALLY, payload)

    async def _last_words(self) -> None:
        """What the steward has not heard yet."""
        self._tell(self.balancer.now())
        if self._channel is not None:
            await self._channel.finish()

    def _report(self, server: Server, event: Event) -> None:
        if self._channel is not None:
            self._channel.tell(Kind.OBSERVED, [server.backend.name, server.name, event.name])

    def _order(self, backend: str, server: str, action: str) -> None:
        if self._channel is not None:
            self._channel.tell(Kind.ORDER, [backend, server, action])

    def _orphaned(self) -> None:
        """The steward is gone. The master starts another generation and then ends this one; without it there is no
        reason to go on."""
        self._channel = None
        parent, loop = os.getppid(), asyncio.get_running_loop()
        if parent == self._steward:  # its end closes its sockets before it gives its children away
            loop.call_later(LOOK_AGAIN, self._orphaned)
        elif parent == self._master:
            loop.call_later(WATCH_PARENT, self._orphaned)
        else:
            self._finished.set()

    # ----------------------------------------------------------------------------------------------------------- end

    def _stop(self) -> None:
        self._parting.hurry()
        self._finished.set()

    def _soft_stop(self) -> None:
        balancer = self.balancer
        if not self._open:  # a reload came right after this worker had been made for one that died
            self._retire_when_open = True
            return
        if balancer.stopping:
            return
        if not self._finished.is_set():  # else it ends at once
            self._parting = Pace()
        loop = asyncio.get_running_loop()
        piecemeal(loop, balancer.close_listeners(), lambda: loop.call_later(LOOK_AGAIN, self._when_empty, loop))
        if balancer.config.globals.hard_stop_after is not None:
            loop.call_later(balancer.config.globals.hard_stop_after, self._finished.set)

    def _when_empty(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.balancer.listeners.empty:
            self._finished.set()
        else:
            loop.call_later(LOOK_AGAIN, self._when_empty, loop)
