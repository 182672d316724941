"""Connections go to the worker that has clearly fewer; none is lost on the way, whoever dies or ends."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from live import ask, ports
from load import CONFIG, Crowd, place
from support import wait_for

from pylb.process import spread as spread_module
from pylb.process.spread import ARRIVAL, ON_THE_WAY, PATIENCE, SLACK, Spread
from pylb.process.usage import PROCESS, Usage

LEAST = 10
"""Of 50 clients; 20 where both workers have a core, less where one waits for it for longer than PATIENCE. It would be 0
if nothing were passed on."""


class Listener:
    """Keeps what it is given."""

    def __init__(self, door: Any) -> None:
        self.door = door
        self.taken: list[socket.socket] = []

    def take(self, sock: socket.socket, giver: int) -> None:
        self.taken.append(sock)


class Door:
    def __init__(self) -> None:
        self.listeners = [Listener(self)]


class House:
    def __init__(self) -> None:
        self.doors = [Door()]
        self.connections = 0


class Worker:
    """One process of several, its loop in the test's hand."""

    def __init__(self, usage: Usage, slot: int) -> None:
        self.usage, self.slot, self.house = usage, slot, House()
        self.readers: dict[int, Callable[[], None]] = {}
        self.listener = self.house.doors[0].listeners[0]
        self.spread = Spread(usage, slot, self.house, self)  # type: ignore[arg-type]
        self.spread.start()

    def add_reader(self, fd: int, callback: Callable[[], None]) -> None:
        self.readers[fd] = callback

    def turns(self) -> None:
        """Of the loop: takes what has come."""
        for callback in self.readers.values():
            callback()
        self.has(self.house.connections + len(self.listener.taken))
        for sock in self.listener.taken:
            sock.close()
        self.listener.taken.clear()

    def has(self, count: int) -> None:
        """So many connections, as everybody sees."""
        self.house.connections = count
        self.usage.cells[3 * self.usage.workers * (self.usage.counted + PROCESS) + self.slot - 1] = count

    def accepts(self) -> bool:
        """One more; whether it has passed it on."""
        one, other = socket.socketpair()
        with one, other:
            transport = SimpleNamespace(get_extra_info=lambda _: one)
            if self.spread.passes(self.listener, transport):  # type: ignore[arg-type]
                return True
        self.has(self.house.connections + 1)
        return False


@contextmanager
def workers(count: int) -> Iterator[list[Worker]]:
    usage = Usage(count, 1)
    try:
        yield [Worker(usage, slot) for slot in range(1, count + 1)]
    finally:
        for bell in usage.bells:
            os.close(bell)
        for chute in usage.chutes:
            for end in chute:
                end.close()


@pytest.mark.parametrize("count", [2, 3, 8])
def test_what_one_worker_accepts_is_spread_over_all(count: int) -> None:
    with workers(count) as all_of_them:
        for number in range(200):
            all_of_them[0].accepts()
            if number % 7 == 0:
                for worker in all_of_them:
                    worker.turns()
        for worker in all_of_them:
            worker.turns()
        held = [worker.house.connections for worker in all_of_them]
        assert sum(held) == 200
        assert max(held) <= min(held) * 1.25 + SLACK + 1, held


def test_nothing_comes_before_all_listeners_are_there() -> None:
    with workers(2) as (one, two):
        starting = Spread(two.usage, 2, two.house, two)  # type: ignore[arg-type]
        two.usage.take(1, False)
        one.has(50)
        assert not one.accepts()
        starting.start()
        assert one.accepts()


def test_who_ends_at_the_very_moment_is_given_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with workers(2) as (one, two):
        one.has(50)
        answers = iter([True, False])  # at the first look, and once it is counted
        monkeypatch.setattr(one.usage, "takes", lambda place: next(answers))
        assert not one.accepts() and not two.spread.expecting


def test_a_giver_that_is_killed_while_it_gives_keeps_nobody_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    with workers(2) as (one, two):
        one.usage.given(one.slot, two.slot - 1, 1)  # its last deed
        two.spread.stop()
        assert two.spread.expecting, "it may be on its way"
        later = time.monotonic() + ARRIVAL + 1
        monkeypatch.setattr(spread_module.time, "monotonic", lambda: later)
        assert not two.spread.expecting


def test_near_enough_is_left_alone() -> None:
    with workers(2) as (one, two):
        two.has(20)
        one.has(20 + SLACK + 4)
        assert not one.accepts()
        assert one.accepts()
        two.turns()
        assert two.house.connections == 21
        two.has(0)
        one.has(SLACK - 1)
        assert not one.accepts(), "a few are nothing to talk about"


def test_a_worker_that_takes_nothing_gets_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(spread_module.time, "monotonic", lambda: clock[0])
    with workers(2) as (one, two):
        one.has(200)
        assert [one.accepts() for _ in range(ON_THE_WAY)] == [True] * ON_THE_WAY
        assert not one.accepts(), "enough for now"
        two.turns()
        assert one.accepts() and one.accepts()
        clock[0] += PATIENCE / 2
        assert one.accepts()
        clock[0] += PATIENCE
        assert not one.accepts(), "it hangs"
        two.turns()
        assert one.accepts(), "it is back"


def test_the_successor_of_a_dead_worker_finds_what_was_on_its_way() -> None:
    with workers(2) as (one, two):
        one.has(50)
        assert one.accepts() and one.accepts()
        two.usage.leave(2, 1)
        successor = Worker(two.usage, 2)
        assert successor.spread.expecting
        successor.turns()
        assert successor.house.connections == 2 and not successor.spread.expecting


def test_who_ends_waits_for_what_is_on_its_way_and_gets_no_more() -> None:
    with workers(2) as (one, two):
        one.has(50)
        assert one.accepts()
        two.spread.stop()
        assert two.spread.expecting and not one.spread.expecting
        assert not one.accepts() and not one.accepts()
        two.turns()
        assert not two.spread.expecting and two.house.connections == 1
        two.has(90)
        assert not two.accepts(), "who ends passes nothing on"


def test_fifty_clients_that_come_at_once_are_served_by_all_workers(tmp_path: Path) -> None:
    """Where the loop accepts, and where something comes before the first request and pylb accepts by hand."""
    (proxied,) = ports(1)
    text = f"{CONFIG}frontend g\n bind 127.0.0.1:{proxied} accept-proxy\n default_backend b\n"
    with place(tmp_path, config=text) as it:

        def held() -> list[int]:
            lines = it.tell("show activity").splitlines()
            return [int(line.split()[1]) for line in lines if line.startswith("conn_cur:")]

        crowd = Crowd(it.port, 60, connections=50)
        wait_for(lambda: sum(held()) == 50, 10, "all clients")
        found = held()
        assert crowd.stop().failed == 0
        assert min(found) >= LEAST, found
        wait_for(lambda: sum(held()) == 0, 5, "wrk's end")
        clients = [socket.create_connection(("127.0.0.1", proxied), 10) for _ in range(50)]
        for client in clients:
            client.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")
        assert [ask(client)[0] for client in clients] == [200] * 50
        found = held()
        assert sum(found) == 50 and min(found) >= LEAST, found
        for client in clients:
            client.close()
