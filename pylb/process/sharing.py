"""A worker's part in what holds for all workers: limits, queues, rates, and the loads that balance algorithms compare.

What is held here is written to the shared memory as it changes (process/usage.py); limits look at the others' cells
when they are asked for, and loads are brought up to date a few times a second. Only backends that have a limit or
compare loads take part: to all others it is as if there were one worker.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from pylb.backend.backend import Backend
from pylb.backend.queue import Ticket, microseconds
from pylb.backend.server import Server
from pylb.process import usage as rows
from pylb.process.spread import Spread
from pylb.process.usage import GRACE, RateShare, Share, Usage, order

if TYPE_CHECKING:
    from pylb.net.door import Door, House
    from pylb.process.balancer import Balancer

LOOK = 0.1
"""Seconds between two looks at the others' loads."""

MANY = 1000
"""Servers above which loads are looked at less often, in proportion."""

COMPARE_LOADS = ("leastconn", "random")
TAKE_TURNS = ("roundrobin", "static-rr")


class Sharing:
    """See the module; `loop` is the worker's."""

    def __init__(self, usage: Usage, slot: int, loop: asyncio.AbstractEventLoop) -> None:
        self._usage = usage
        self._slot = slot
        self._loop = loop
        self._counted = usage.counted
        self._backends: dict[Backend, Share] = {}
        """Those that take part, with their own rows."""
        self._compared: list[Backend] = []
        """Backends whose servers' loads are compared, or limited by the backend's load."""
        self._waiting: set[Server | Backend] = set()
        """Those with a queue."""
        self._house: House | None = None
        self._polling = self._looking = False
        loop.add_reader(usage.bells[slot - 1], self._rung)

    # ----------------------------------------------------------------------------------------------------- joining in

    def add_house(self, house: House) -> None:
        """Connections and rates of the process, connections of frontends."""
        self._house = house
        house.shared = Share(self._usage, self._counted + rows.PROCESS, self._slot)
        house.rate_shares = (self._rate(rows.CONNECTIONS), self._rate(rows.SESSIONS), self._rate(rows.SSL))
        house.rates_changed()
        for door in house.doors:
            if door.frontend is not None and door.frontend.counters.row >= 0:
                door.shared = Share(self._usage, door.frontend.counters.row, self._slot)
        house.moved, house.queued = self._door_moved, self._door_queued
        house.spread = Spread(self._usage, self._slot, house, self._loop)

    def _rate(self, row: int) -> RateShare:
        return RateShare(self._usage, self._counted + row, self._slot)

    def add_backend(self, backend: Backend) -> None:
        """Its servers and queues, if there is anything to share; again when that may have changed."""
        if backend not in self._backends:
            compares = backend.model.balance.algorithm.partition("(")[0] in COMPARE_LOADS
            if not compares and not any(server.maxconn for server in backend.servers):
                return
            backend.shared = self._backends[backend] = Share(self._usage, backend.counters.row, self._slot)
            backend.share(self._moved, self._queued, iter(microseconds, None))
            self._compare(backend, compares)
        for server in backend.servers:
            if server.shared is None:
                self._add_server(server)

    def _compare(self, backend: Backend, compares: bool) -> None:
        if compares or any(server.minconn != server.maxconn for server in backend.servers):
            self._compared.append(backend)
            if not self._looking:
                self._looking = True
                self._loop.call_later(LOOK, self._look)

    def _add_server(self, server: Server) -> None:
        line = self._backends[server.backend]
        shared = Share(self._usage, server.counters.row, self._slot, line)
        shared.use(server.counters.scur)
        shared.wait(0, 0)
        server.share(shared)

    def remove_server(self, server: Server) -> None:
        """It is deleted: its row may be another's from now on."""
        server.shared = None
        self._waiting.discard(server)

    # ------------------------------------------------------------------------------------------------- what has changed

    def _moved(self, server: Server) -> None:
        shared = server.shared
        if shared is None:
            return
        less = shared.use(server.counters.scur)
        if less and server.maxconn and not (server.queue.length or server.backend.queue.length):
            shared.pass_on()

    def _queued(self, holder: Server | Backend) -> None:
        shared = holder.shared
        first = holder.queue.first()
        if shared is not None:
            shared.wait(holder.queue.length, 0 if first is None else order(first[0]))
        if first is None:
            self._waiting.discard(holder)
        else:
            self._waiting.add(holder)
            self._poll()

    def _door_moved(self, door: Door) -> None:
        house, shared = door.house, door.shared
        if shared is not None and shared.use(door.inside) and door.maxconn < house.maxconn and not door.waiting:
            shared.pass_on()
        shared = house.shared
        if shared is not None and shared.use(house.connections) and not door.waiting:
            shared.pass_on()

    def _door_queued(self, door: Door) -> None:
        house = door.house
        if door.shared is not None:
            door.shared.wait(len(door.waiting), _first_of(door))
        if house.shared is not None:
            firsts = [_first_of(each) for each in house.doors if each.waiting and not each.full]
            house.shared.wait(len(firsts), min(firsts, default=0))
        if door.waiting:
            self._poll()

    # ------------------------------------------------------------------------------------------------ those who wait

    def _rung(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self._usage.bells[self._slot - 1])
        self._serve()

    def _poll(self) -> None:
        """Should nobody ring, look all the same."""
        if not self._polling:
            self._polling = True
            self._loop.call_later(GRACE, self._polled)

    def _polled(self) -> None:
        self._polling = False
        self._serve()
        house = self._house
        for door in house.doors if house is not None else ():
            if door.waiting:
                self._door_queued(door)
        if self._waiting:
            self._poll()

    def _serve(self) -> None:
        """Whoever waits here gets what is free."""
        now = self._loop.time()
        for holder in tuple(self._waiting):
            if isinstance(holder, Backend):
                holder.serve_waiting(now)
            else:
                holder.backend.serve(holder, now)
        if self._house is not None:
            self._house.next()

    # ---------------------------------------------------------------------------------------------------------- loads

    def _look(self) -> None:
        servers = 0
        for backend in self._compared:
            servers += len(backend.servers)
            if backend.shared is not None:
                backend.shared.use(backend.counters.scur)
                backend.elsewhere = backend.shared.used_elsewhere()
            backend.compare([_load_elsewhere(server) for server in backend.servers])
        self._loop.call_later(LOOK * max(1.0, servers / MANY), self._look)


def _load_elsewhere(server: Server) -> int:
    shared = server.shared
    return 0 if shared is None else shared.used_elsewhere() + shared.queued_elsewhere()


def _first_of(door: Door) -> int:
    return order(Ticket(0, int(door.waiting[0].accepted * 1e6))) if door.waiting else 0


def joining(balancer: Balancer, usage: Usage, slot: int) -> Iterator[None]:
    """Make this process's Balancer the one of worker `slot`, step by step; its loop runs."""
    sharing = Sharing(usage, slot, asyncio.get_running_loop())
    sharing.add_house(balancer.house)

    def changed(server: Server) -> None:
        if server.maxconn and server.shared is None:  # it has had no limit so far
            sharing.add_backend(server.backend)

    def added(server: Server) -> None:
        server.changed = changed
        sharing.add_backend(server.backend)

    for backend in balancer.backends:
        sharing.add_backend(backend)
        if backend.model.balance.algorithm in TAKE_TURNS:
            backend.skip((slot - 1) * len(backend.candidates) // usage.workers)
        for server in backend.servers:
            server.changed = changed
        yield
    balancer.server_added.append(added)
    balancer.server_removed.append(sharing.remove_server)
