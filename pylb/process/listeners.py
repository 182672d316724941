"""Where clients come in: the sockets of all binds, the door of each frontend, the limits of the process.

bind    (steward, as root)   a listening socket for every bind, inherited or new
fit     (steward)            no more clients than descriptors
open    (worker)             a net.Listener for every bind: from here on traffic comes
close   (worker)             no new connections; running ones go on
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pylb.config import model
from pylb.config.words import Report
from pylb.http1.head import Limits
from pylb.net.clock import Clock
from pylb.net.door import Door, House, RateLimits
from pylb.net.listener import EARS, Listener
from pylb.process import binding
from pylb.process.usage import DESCRIPTORS

if TYPE_CHECKING:
    from pylb.process.piecemeal import Pace
    from pylb.rules.frontend import Frontend
    from pylb.trace.tracer import Tracer

DEFAULT_MAXCONN = 4000
"""Connections of the process without `maxconn`; HAProxy derives its own from the descriptor limit."""

SPARE_DESCRIPTORS = 100
"""For checks, logs and the admin socket, as in HAProxy's own calculation."""


class Listeners:
    """All of one process."""

    def __init__(self, config: model.Config) -> None:
        general = config.globals
        self._config = config
        self.limits = Limits(general.tune.bufsize, general.tune.maxrewrite, general.tune.max_headers)
        self.maxconn = self.hard_maxconn = general.maxconn or DEFAULT_MAXCONN
        """Of all workers together."""
        self.rate_limits = RateLimits(connections=general.max_rate or 0)
        self.house = House(self.maxconn, self.rate_limits)
        self.doors = {
            frontend.name: Door(self.house, frontend.maxconn or self.maxconn)
            for frontend in config.frontends
            if not frontend.disabled
        }
        """The connections of each frontend, by its name."""
        self._sockets: dict[int, list[socket.socket]] = {}
        """By the id of the bind."""
        self._listeners: list[Listener] = []
        self._afterwards: list[Callable[[], None]] = []

    # ----------------------------------------------------------------------------------------- sockets, in the steward

    def bind(self, report: Report, sockets: binding.Sockets) -> None:
        """Have listening sockets for every bind; those that cannot be had are reported."""
        self._sockets = {
            id(bind): sockets.listen(bind, report, bind.backlog or frontend.backlog)
            for frontend in self._config.frontends
            if not frontend.disabled
            for bind in frontend.binds
        }

    def own(self, frontends: Sequence[Frontend]) -> None:
        """This process has the sockets: what is ordered at a frontend's door happens to them."""
        for frontend in frontends:
            frontend.counters.slim = frontend.model.maxconn or self.maxconn
            if frontend.name in self.doors:
                self.doors[frontend.name].frontend = frontend
                self.doors[frontend.name].changed = self._door_changed

    def _door_changed(self, door: Door) -> None:
        """Listen before the workers do; refuse after the last of them has stopped accepting, since to shut a socket
        down under an event loop that accepts from it is an error for that loop."""
        assert door.frontend is not None
        model = door.frontend.model
        if door.state == "":
            for bind in model.binds:
                binding.listen_again(self._sockets[id(bind)], bind.backlog or model.backlog)
        else:
            sockets = [sock for bind in model.binds for sock in self._sockets[id(bind)]]
            self._afterwards.append(lambda: binding.refuse(sockets))

    def disown(self) -> None:
        """Be a worker's: sockets and their states are the steward's to care for."""
        for door in self.doors.values():
            door.changed = _not_here

    def carried_out(self) -> None:
        """All workers have carried out an operator's command."""
        afterwards, self._afterwards = self._afterwards, []
        for do in afterwards:
            do()

    @property
    def count(self) -> int:
        """Listening sockets."""
        return sum(len(sockets) for sockets in self._sockets.values())

    def sockets(self) -> list[socket.socket]:
        """The listening sockets that are open."""
        return [sock for sockets in self._sockets.values() for sock in sockets if sock.fileno() >= 0]

    # --------------------------------------------------------------------------------------------------------- limits

    @property
    def spare_descriptors(self) -> int:
        """How many are needed beside those of clients and their servers."""
        workers = self._config.globals.workers
        if workers == 0:  # as many as there are processors
            workers = len(os.sched_getaffinity(0))
        binds = sum(len(frontend.binds) for frontend in self._config.frontends)
        return SPARE_DESCRIPTORS + EARS * binds + DESCRIPTORS * (workers or 1)

    def fit(self, descriptors: int) -> str | None:
        """Let in no more clients than there are descriptors for, two each: without one, accepting would turn clients
        away in place of letting them wait. What to say about it when that is less than maxconn."""
        room = self.house.descriptors = max(1, (descriptors - self.spare_descriptors) // 2)
        if room >= self.maxconn:
            return None
        return (
            f"only {descriptors} file descriptors for maxconn {self.maxconn}: {room} clients are let in at a time, "
            "others wait (raise ulimit -n or lower maxconn)"
        )

    def set_maxconn(self, limit: int) -> None:
        """`set maxconn global`: whoever waits comes in as far as there is room now."""
        self.maxconn = limit
        self.house.maxconn = limit
        self.house.next()

    # -------------------------------------------------------------------------------------------- clients, in a worker

    async def open(
        self,
        frontends: Sequence[Frontend],
        contexts: Mapping[int, ssl.SSLContext | None],
        pace: Pace,
        tracer: Tracer | None = None,
    ) -> None:
        """Listen: from here on traffic comes. `contexts`: what clients get at a bind with TLS, by the bind's id."""
        loop = asyncio.get_running_loop()
        clock = Clock(loop)
        for frontend in frontends:
            if frontend.model.disabled or self.doors[frontend.name].state == "STOP":
                continue
            door = self.doors[frontend.name]
            frontend.counters.slim = door.maxconn
            for bind in frontend.model.binds:
                listener = Listener(
                    bind, frontend, door, loop, clock, self.limits, contexts[id(bind)], self._sockets[id(bind)]
                )
                if tracer is not None:
                    tracer.listen(listener)
                door.listeners.append(listener)
                self._listeners.append(listener)
                await listener.open()
                await pace.step()
            if door.state:  # ordered before this worker was made
                door.disable()
        if self.house.spread is not None:
            self.house.spread.start()

    def close(self) -> Iterator[None]:
        """No new connections; running ones go on. There may be thousands of listeners, so it is done step by step, and
        clients can be served in between."""
        if self.house.spread is not None:
            self.house.spread.stop()
        for listener in self._listeners:
            listener.close()
            yield
        for door in self.house.doors:
            for session in tuple(door.sessions):
                session.wind_down()
            yield

    @property
    def empty(self) -> bool:
        """No client is inside, waits, or shakes hands."""
        house = self.house
        if house.connections or house.waiting:
            return False
        if self.house.spread is not None and self.house.spread.expecting:
            return False
        return not any(listener.greeting for listener in self._listeners)


def _not_here(door: Door) -> None:
    """The steward sees to it."""
