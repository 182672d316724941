"""The three measurements. What they return is plain data, as it goes into listeners.json."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench.http import load
from bench.http.measure import Round, turn
from bench.http.scenarios import Scenario
from bench.http.world import World
from bench.listeners.subject import PATIENCE, Subject

SCENARIOS = (
    Scenario("kept", "64 clients keep their connections", frontend="bare"),
    Scenario("one each", "64 clients, a connection per request", frontend="bare", close=True),
)
WARM_UP = 0.6
CLIENTS = 50
"""Kept connections whose spread is looked at."""
PAUSE = 0.01
"""Seconds between clients that come one by one."""

Tell = Callable[[], None]


@dataclass(frozen=True)
class Effort:
    """How much is measured; seconds."""

    rounds: int
    seconds: float
    reloads: int
    spreads: int

    @property
    def steps(self) -> int:
        """Calls of `tell`, for each way."""
        return self.spreads * 2 + len(SCENARIOS) * (self.rounds + 1)


FULL = Effort(rounds=7, seconds=2.0, reloads=20, spreads=10)
QUICK = Effort(rounds=2, seconds=0.5, reloads=3, spreads=3)


# --------------------------------------------------------------------------------------------------------------- spread


def spreads(subject: Subject, world: World, effort: Effort, tell: Tell) -> dict[str, Any]:
    """How many of CLIENTS kept connections each worker has, the most first; once per repetition."""
    one_by_one, at_once = [], []
    for _ in range(effort.spreads):
        one_by_one.append(_one_by_one(subject))
        tell()
        at_once.append(_at_once(subject, world))
        tell()
    return {"clients": CLIENTS, "one by one": one_by_one, "at once": at_once}


def _one_by_one(subject: Subject) -> list[int]:
    clients = []
    for _ in range(CLIENTS):
        clients.append(socket.create_connection(("127.0.0.1", subject.port), timeout=5))
        time.sleep(PAUSE)
    found = _settled(subject, CLIENTS)
    for client in clients:
        client.close()
    _settled(subject, 0)
    return found


def _settled(subject: Subject, open_now: int) -> list[int]:
    """The connections by worker, once so many are open in all or it is clear that they will not be."""
    deadline = time.monotonic() + PATIENCE
    while sum(found := subject.connections()) != open_now and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _at_once(subject: Subject, world: World) -> list[int]:
    """wrk's, which are opened in one go and ask at once."""
    scenario = Scenario("spread", "", frontend="bare", connections=CLIENTS)
    with ThreadPoolExecutor(1) as pool:
        under_load = pool.submit(load.run, load.command(scenario, subject.port, world.cores.others), 0.6)
        time.sleep(0.4)
        found = subject.connections()
        under_load.result()
    time.sleep(0.2)
    return found


# ----------------------------------------------------------------------------------------------------------------- load


def rounds(scenario: Scenario, subjects: Sequence[Subject], world: World, effort: Effort, tell: Tell) -> dict[str, Any]:
    """By way: figures of all rounds. LoadError where a request was not answered."""
    found: dict[str, list[dict[str, Any]]] = {subject.way: [] for subject in subjects}
    for subject in subjects:
        load.run(load.command(scenario, subject.port, world.cores.others), WARM_UP)
    for number in range(effort.rounds):
        for subject in turn(subjects, number):  # type: ignore[type-var]
            found[subject.way].append(_one_round(scenario, subject, world, effort.seconds))
            tell()
    return {way: {"rounds": all_of_it, **_medians(all_of_it)} for way, all_of_it in found.items()}


def _one_round(scenario: Scenario, subject: Subject, world: World, seconds: float) -> dict[str, Any]:
    times, accepted = subject.times(), subject.accepted()
    seen = load.run(load.command(scenario, subject.port, world.cores.others), seconds)
    if seen.not_ok or seen.socket_errors or not seen.requests:
        raise load.LoadError(f"{subject.way}: {seen.not_ok} answers not 2xx, {seen.socket_errors} socket errors")
    done = Round(seen, subject.times() - times)
    came = [after - before for before, after in zip(accepted, subject.accepted(), strict=True)]
    return {
        "rate": seen.rate, "cpu": done.cpu, "p50": seen.p50, "p99": seen.p99,
        "largest_part": max(came) / max(1, sum(came)), "requests": seen.requests,
    }  # fmt: skip


def _medians(found: Sequence[dict[str, Any]]) -> dict[str, float]:
    names = ("rate", "cpu", "p50", "p99", "largest_part")
    return {name: statistics.median(one[name] for one in found) for name in names}


# --------------------------------------------------------------------------------------------------------------- reload


def lost(scenario: Scenario, subject: Subject, world: World, effort: Effort) -> dict[str, int]:
    """Requests that failed while all workers were replaced, again and again."""
    words = load.command(scenario, subject.port, world.cores.others)
    requests = failed = 0
    with ThreadPoolExecutor(1) as pool:
        for _ in range(effort.reloads):
            under_load = pool.submit(load.run, words, 1.5)
            time.sleep(0.4)
            subject.reload()
            seen = under_load.result()
            requests, failed = requests + seen.requests, failed + seen.not_ok + seen.socket_errors
    return {"reloads": effort.reloads, "requests": requests, "failed": failed}
