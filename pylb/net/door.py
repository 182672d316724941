"""maxconn and rate limits: how many connections may be inside, in the whole process and per frontend, and how many may
begin in a second (manual: maxconn, maxconnrate).

`enter` either lets a session in or keeps it in order of arrival; `leave` makes room and lets the next one in. A few
may wait inside the process, unread; when more do, the frontend's listeners stop accepting until nobody waits, so that a
busy limit does not stop and start them with every connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from sys import maxsize
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pylb.backend.server import Shared
    from pylb.net.listener import Listener
    from pylb.net.session import Session
    from pylb.rules.frontend import Frontend


WAITING_ROOM = 64
"""Connections that may wait accepted but unread before accepting stops."""


RETRY = 0.02
"""Seconds after which those whom a rate limit keeps waiting are looked at again."""


@dataclass(slots=True)
class RateLimits:
    """How many of each may begin in a second, in the whole process; 0: any number (`set rate-limit`)."""

    connections: int = 0
    """maxconnrate"""
    sessions: int = 0
    """maxsessrate"""
    ssl: int = 0
    """maxsslrate: TLS handshakes"""


class SharedRate(Protocol):
    """Events of several processes (process/usage.py)."""

    def tell(self, second: int, now: int, before: int) -> None:
        """This process has had `now` events in this second and `before` in the one before."""

    def elsewhere(self, second: int) -> tuple[int, int]:
        """Events of all others in this second, and in the one before."""


class Spread(Protocol):
    """Other processes that may have fewer connections (process/spread.py)."""

    def passes(self, listener: Listener, transport: Any) -> int:
        """The number of the process whose connection that of a transport is now; 0: it stays here."""

    def start(self) -> None:
        """Take connections from others: all listeners are there."""

    def stop(self) -> None:
        """Take no more from others."""

    @property
    def expecting(self) -> bool:
        """Whether others have passed something that has not arrived."""


class Throttle:
    """At most `limit` events in any second, as HAProxy counts them: this second's and what is left of the last's."""

    def __init__(self, limit: int, shared: SharedRate | None = None) -> None:
        """With `shared`, other processes' events count too."""
        self.limit = limit
        self._shared = shared
        self._second = 0
        self._now = self._before = 0

    def room(self, now: float) -> bool:
        """Whether one more may happen at `now`, seconds of the loop's clock."""
        second = int(now)
        if second != self._second:
            self._before = self._now if second == self._second + 1 else 0
            self._second, self._now = second, 0
        events, before = self._now, self._before
        if self._shared is not None:
            events_elsewhere, before_elsewhere = self._shared.elsewhere(second)
            events, before = events + events_elsewhere, before + before_elsewhere
        return events + before * (1 - now % 1) + 1 <= self.limit

    def count(self) -> None:
        """One has happened; after `room` said yes."""
        self._now += 1
        if self._shared is not None:
            self._shared.tell(self._second, self._now, self._before)


class House:
    """All connections of the process and their limits (global maxconn, rates)."""

    def __init__(self, maxconn: int, rates: RateLimits | None = None) -> None:
        self.maxconn = maxconn
        self.descriptors = maxsize
        """Clients that this process has descriptors for."""
        self.rates = rates or RateLimits()
        self.shared: Shared | None = None
        """Connections that other processes have a part in; None: there is one process."""
        self.rate_shares: tuple[SharedRate | None, SharedRate | None, SharedRate | None] = (None, None, None)
        self.spread: Spread | None = None
        """Passes connections on to other processes."""
        self.moved: Callable[[Door], None] | None = None
        self.queued: Callable[[Door], None] | None = None
        """With other processes: called when the connections inside, or the waiting ones, have changed."""
        self.throttles: tuple[tuple[bool, Throttle], ...] = ()
        """(for TLS only, throttle) of the rates that are limited."""
        self._timer: asyncio.TimerHandle | None = None
        self.rates_changed()
        self.connections = 0
        self.waiting = 0
        """Sessions at all doors that are not let in yet."""
        self.most = 0
        self.total = 0
        self.doors: list[Door] = []

    @property
    def full(self) -> bool:
        """No more than maxconn at a time."""
        connections = self.connections
        if connections >= self.maxconn or connections >= self.descriptors:
            return True
        return self.shared is not None and connections >= self.shared.room(self.maxconn, connections)

    def rates_changed(self) -> None:
        """`rates` has new values."""
        limited = ((False, self.rates.connections), (False, self.rates.sessions), (True, self.rates.ssl))
        self.throttles = tuple(
            (tls, Throttle(limit, shared))
            for (tls, limit), shared in zip(limited, self.rate_shares, strict=True)
            if limit
        )

    def too_fast(self, session: Session) -> bool:
        """A limited rate has no room for this session yet; `next` will be called when there may be some."""
        now, tls = session.loop.time(), session.listener.context is not None
        concerned = [throttle for only_tls, throttle in self.throttles if tls or not only_tls]
        if all(throttle.room(now) for throttle in concerned):
            for throttle in concerned:
                throttle.count()
            return False
        if self._timer is None:
            self._timer = session.loop.call_later(RETRY, self._again)
        return True

    def _again(self) -> None:
        self._timer = None
        self.next()

    def next(self) -> None:
        """Room has been made: whoever waits first at any door."""
        for door in self.doors:
            if self.full:
                return
            door.next()


def _nothing(door: Door) -> None:
    """The sockets are another process's to care for."""


class Door:
    """One frontend's connections."""

    def __init__(self, house: House, maxconn: int) -> None:
        self.house = house
        self.maxconn = maxconn
        self.shared: Shared | None = None
        """Connections of this frontend that other processes have a part in."""
        self.inside = 0
        self.waiting: deque[Session] = deque()
        self.listeners: list[Listener] = []
        self.frontend: Frontend | None = None
        self.changed: Callable[[Door], None] = _nothing
        """Called with the door when `state` has changed: who owns the sockets makes them refuse or listen."""
        self._members: set[Session] = set()
        self._paused = False
        self.state = ""
        """ "PAUSED" or "STOP" after an operator's order."""
        house.doors.append(self)

    @property
    def connections(self) -> int:
        """In the whole process, as %ac logs it."""
        return self.house.connections

    def enter(self, session: Session) -> bool:
        """True: inside and counted. False: kept waiting, the listeners pause."""
        house = self.house
        house.total += 1
        if (
            self.inside >= self.maxconn
            or (self.shared is not None and self.full)
            or house.full
            or (house.throttles and house.too_fast(session))
        ):
            self.waiting.append(session)
            house.waiting += 1
            if house.queued is not None:
                house.queued(self)
            if len(self.waiting) >= WAITING_ROOM and not self._paused:
                self._paused = True
                for listener in self.listeners:
                    listener.pause()
            return False
        self._admit(session)
        return True

    @property
    def full(self) -> bool:
        """No more than the frontend's maxconn at a time; one that is not below the process's is seen to there."""
        inside, maxconn = self.inside, self.maxconn
        if inside >= maxconn:
            return True
        return self.shared is not None and maxconn < self.house.maxconn and inside >= self.shared.room(maxconn, inside)

    @property
    def open(self) -> bool:
        """Its listeners may accept: no operator has said otherwise, and the waiting room is not full."""
        return not (self._paused or self.state)

    def _admit(self, session: Session) -> None:
        house = self.house
        self.inside += 1
        house.connections += 1
        if house.connections > house.most:
            house.most = house.connections
        self._members.add(session)
        if house.moved is not None:
            house.moved(self)

    def leave(self, session: Session) -> bool:
        """True: it was inside. The next one comes in."""
        house = self.house
        if session not in self._members:
            if session in self.waiting:
                self.waiting.remove(session)
                house.waiting -= 1
                if house.queued is not None:
                    house.queued(self)
            return False
        others_wait = house.waiting and house.full
        self._members.discard(session)
        self.inside -= 1
        house.connections -= 1
        if house.moved is not None:
            house.moved(self)
        self.next()
        if others_wait:
            house.next()
        return True

    def next(self) -> None:
        """Let in as many as there is room for, then accept again."""
        house = self.house
        while self.waiting and not self.full and not house.full:
            if house.throttles and house.too_fast(self.waiting[0]):
                return
            session = self.waiting.popleft()
            house.waiting -= 1
            if house.queued is not None:
                house.queued(self)
            self._admit(session)
            session.listener.admit(session)
        if self._paused and not self.waiting and not self.state:
            self._paused = False
            for listener in self.listeners:
                listener.resume()

    # ---------------------------------------------------------------------------------------------- operators' orders

    def set_maxconn(self, limit: int) -> None:
        """`set maxconn frontend`: whoever waits comes in as far as there is room now."""
        self.maxconn = limit
        self.next()

    def disable(self) -> None:
        """`disable frontend`: accept nobody until `enable`."""
        self._set_state("PAUSED")
        for listener in self.listeners:
            listener.pause()

    def enable(self) -> None:
        """`enable frontend`"""
        self._set_state("")
        self._paused = False
        for listener in self.listeners:
            listener.resume()

    def shut(self) -> None:
        """`shutdown frontend`: no more connections, ever."""
        self._set_state("STOP")
        for listener in self.listeners:
            listener.close()

    def _set_state(self, state: str) -> None:
        self.state = state
        if self.frontend is not None:
            self.frontend.state = state
        self.changed(self)

    @property
    def sessions(self) -> set[Session]:
        """Those inside."""
        return self._members
