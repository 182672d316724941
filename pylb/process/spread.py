"""Connections that one worker has accepted go to another that clearly has fewer, as HAProxy's threads do it.

All workers accept from the same sockets, and whoever is awake takes what is there: 50 clients that come at once and
stay may all end up in one worker while the other's core idles. So a worker that has accepted a connection and has many
more than another passes the descriptor on to that one (SCM_RIGHTS, unix(7)), before a byte has been read. Loads are the
cells of process/usage.py; nothing is passed while they differ by less than SLACK and a quarter.

Each worker has a packet socket, whose both ends all processes of a generation keep: what waits in it when the worker
dies is found there by the one that replaces it. A connection is counted before it is passed and after it is taken. So a
worker that does not take what it was given gets no more, and one that ends says first that it takes nothing, and then
waits for what is on its way.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pylb.process.usage import PROCESS, Usage

if TYPE_CHECKING:
    from pylb.net.door import House
    from pylb.net.listener import Listener

SLACK = 4
"""Connections by which workers may always differ."""

ON_THE_WAY = 32
"""Connections that a worker may have been given and not taken yet, by each of the others."""

PATIENCE = 0.05
"""Seconds after which a worker that has taken none of them is given no more."""

ARRIVAL = 5.0
"""Seconds in which what is on its way has come: a giver that hangs is ended by then (crew.HUNG)."""

_ADDRESS = struct.Struct("=HIH")
"""Whose connection it was (slot), which frontend's, which of its binds'."""


class Spread:
    """One worker's part in it."""

    def __init__(self, usage: Usage, slot: int, house: House, loop: asyncio.AbstractEventLoop) -> None:
        self._usage = usage
        self._slot = slot
        self._house = house
        self._loop = loop
        self._row = usage.counted + PROCESS
        self._memory, self._offset, self._read = usage.reading(self._row)
        self._passing, self._stopped = True, 0.0
        """Until it ends."""
        self._since = [0.0] * usage.workers
        """By worker: when it was given the first of those that it has not taken yet."""
        self._taken = [0] * usage.workers
        """By worker: how many it had taken of ours when we last looked."""

    def start(self) -> None:
        """All listeners are there: take what comes."""
        self._loop.add_reader(self._usage.chutes[self._slot - 1][0].fileno(), self._receive)
        self._usage.take(self._slot - 1, True)

    def stop(self) -> None:
        """Connections that others pass from now on stay with them."""
        self._usage.take(self._slot - 1, False)
        self._passing, self._stopped = False, time.monotonic()

    @property
    def expecting(self) -> bool:
        """Something is on its way here. A giver that was killed between counting and passing has counted what never
        comes, so this ends some time after `stop`."""
        if not self._passing and time.monotonic() - self._stopped > ARRIVAL:
            return False
        others = (slot for slot in range(1, self._usage.workers + 1) if slot != self._slot)
        return any(self._usage.on_the_way(slot, self._slot - 1) for slot in others)

    def passes(self, listener: Listener, transport: Any) -> int:
        """Give a connection to a worker with clearly fewer: its slot; 0: it stays here."""
        mine = self._house.connections
        least = min(self._read(self._memory, self._offset))  # a first look, as every connection comes by here
        if mine < least + SLACK + least // 4 or not self._passing:
            return 0
        place, load = self._idlest()
        if mine < load + SLACK + load // 4:
            return 0
        connection = transport.get_extra_info("socket").fileno()
        door = listener.door
        where = _ADDRESS.pack(self._slot, self._house.doors.index(door), door.listeners.index(listener))
        self._usage.given(self._slot, place, 1)
        with suppress(OSError):  # as full as can be: it stays here
            if self._usage.takes(place):
                socket.send_fds(self._usage.chutes[place][1], [where], [connection])
                return place + 1
        self._usage.given(self._slot, place, -1)
        return 0

    def _idlest(self) -> tuple[int, int]:
        """Another worker and how many connections it has or will have; only one that takes what it is given."""
        found, least = 0, 1 << 30
        for place, used in enumerate(self._read(self._memory, self._offset)):
            if place == self._slot - 1 or not self._usage.takes(place):
                continue
            waiting = self._usage.on_the_way(self._slot, place)
            if used + waiting < least and (not waiting or self._takes(place, waiting)):
                found, least = place, used + waiting
        return found, least

    def _takes(self, place: int, waiting: int) -> bool:
        now, taken = time.monotonic(), self._usage.taken_of(self._slot, place)
        if taken != self._taken[place] or not self._since[place]:
            self._taken[place], self._since[place] = taken, now
        return waiting < ON_THE_WAY and now - self._since[place] < PATIENCE

    def _receive(self) -> None:
        """Connections from other workers."""
        chute = self._usage.chutes[self._slot - 1][0]
        for _ in range(ON_THE_WAY):
            try:
                data, descriptors, _, _ = socket.recv_fds(chute, _ADDRESS.size, 1)
            except OSError:
                return
            if len(data) != _ADDRESS.size:
                return
            giver, door, number = _ADDRESS.unpack(data)
            self._usage.taken(giver, self._slot)
            for descriptor in descriptors:
                self._take(descriptor, door, number, giver)

    def _take(self, descriptor: int, door: int, number: int, giver: int) -> None:
        try:
            listener = self._house.doors[door].listeners[number]
        except IndexError:  # this worker does not listen there
            with suppress(OSError):
                os.close(descriptor)
            return
        sock = socket.socket(fileno=descriptor)
        sock.setblocking(False)
        listener.take(sock, giver)
