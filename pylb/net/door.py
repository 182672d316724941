"""maxconn: how many connections may be inside, in the whole process and per frontend (manual: maxconn).

`enter` either lets a session in or keeps it in order of arrival; `leave` makes room and lets the next one in. A few
may wait inside the process, unread; when more do, the frontend's listeners stop accepting until nobody waits, so that a
busy limit does not stop and start them with every connection.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pylb.net.listener import Listener
    from pylb.net.session import Session


WAITING_ROOM = 64
"""Connections that may wait accepted but unread before accepting stops."""


class House:
    """All connections of the process and their limit (global maxconn)."""

    def __init__(self, maxconn: int) -> None:
        self.maxconn = maxconn
        self.connections = 0
        self.most = 0
        self.total = 0
        self.doors: list[Door] = []

    @property
    def full(self) -> bool:
        """No more than maxconn at a time."""
        return self.connections >= self.maxconn

    def next(self) -> None:
        """Room has been made: whoever waits first at any door."""
        for door in self.doors:
            if self.full:
                return
            door.next()


class Door:
    """One frontend's connections."""

    def __init__(self, house: House, maxconn: int) -> None:
        self.house = house
        self.maxconn = maxconn
        self.inside = 0
        self.waiting: deque[Session] = deque()
        self.listeners: list[Listener] = []
        self._members: set[Session] = set()
        self._paused = False
        house.doors.append(self)

    @property
    def connections(self) -> int:
        """In the whole process, as %ac logs it."""
        return self.house.connections

    def enter(self, session: Session) -> bool:
        """True: inside and counted. False: kept waiting, the listeners pause."""
        house = self.house
        house.total += 1
        if self.inside >= self.maxconn or house.full:
            self.waiting.append(session)
            if len(self.waiting) >= WAITING_ROOM and not self._paused:
                self._paused = True
                for listener in self.listeners:
                    listener.pause()
            return False
        self._admit(session)
        return True

    def _admit(self, session: Session) -> None:
        house = self.house
        self.inside += 1
        house.connections += 1
        if house.connections > house.most:
            house.most = house.connections
        self._members.add(session)

    def leave(self, session: Session) -> bool:
        """True: it was inside. The next one comes in."""
        if session not in self._members:
            if session in self.waiting:
                self.waiting.remove(session)
            return False
        house = self.house
        others_wait = house.full
        self._members.discard(session)
        self.inside -= 1
        house.connections -= 1
        self.next()
        if others_wait:
            house.next()
        return True

    def next(self) -> None:
        """Let in as many as there is room for, then accept again."""
        while self.waiting and self.inside < self.maxconn and not self.house.full:
            session = self.waiting.popleft()
            self._admit(session)
            session.listener.admit(session)
        if self._paused and not self.waiting:
            self._paused = False
            for listener in self.listeners:
                listener.resume()

    @property
    def sessions(self) -> set[Session]:
        """Those inside."""
        return self._members
