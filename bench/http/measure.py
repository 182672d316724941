"""Rounds, and what they say together.

A pair is a round of each program, right after each other; which one begins changes from pair to pair, so that neither
always finds the machine as the other left it. Ratios are taken within pairs.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.http import load
from bench.http.cpu import Times
from bench.http.load import Load
from bench.http.programs import Program, World
from bench.http.scenarios import Scenario

WARM_UP = 0.3
"""Seconds of load before the first pair: connections open, caches fill."""


class BadRound(Exception):
    """A round with errors: there is nothing to measure."""


@dataclass(frozen=True)
class Round:
    """One program under load once."""

    load: Load
    times: Times

    @property
    def user(self) -> float:
        """CPU µs per request in the program."""
        return self.times.user / self.load.requests * 1e6

    @property
    def system(self) -> float:
        """CPU µs per request in the kernel, on the program's behalf."""
        return self.times.system / self.load.requests * 1e6

    @property
    def cpu(self) -> float:
        """CPU µs per request."""
        return self.user + self.system

    @property
    def busy(self) -> float:
        """The part of the core that the program used; near 1, its throughput was its own limit."""
        return (self.times.user + self.times.system) / self.load.seconds


@dataclass(frozen=True)
class Measured:
    """A scenario's pairs, as (HAProxy's round, pylb's round), and memory behind them in bytes."""

    scenario: Scenario
    pairs: tuple[tuple[Round, Round], ...]
    resident: dict[str, int]

    def rounds(self, program: str) -> list[Round]:
        """Those of "haproxy" or "pylb"."""
        return [pair[program == "pylb"] for pair in self.pairs]

    def spread(self, program: str, figure: Callable[[Round], float]) -> Spread:
        """Of a figure over a program's rounds."""
        return Spread.of([figure(one) for one in self.rounds(program)])

    def ratio(self, figure: Callable[[Round], float]) -> Spread:
        """Of pylb's figure over HAProxy's, pair by pair."""
        return Spread.of([figure(ours) / figure(theirs) for theirs, ours in self.pairs])

    @property
    def meets_goal(self) -> bool | None:
        """None: the scenario has none."""
        goal = self.scenario.goal
        return None if goal is None else self.ratio(lambda one: one.cpu).median <= goal


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


def measure(scenario: Scenario, world: World, rounds: int, seconds: float, tell: Callable[[], None]) -> Measured:
    """`rounds` pairs of `seconds` each; `tell` is called after each round. BadRound, load.LoadError."""
    haproxy, pylb = world.programs
    for program in world.programs:
        load.run(command(scenario, program, world), WARM_UP)
    pairs = []
    for number in range(rounds):
        order = (haproxy, pylb) if number % 2 == 0 else (pylb, haproxy)
        found = {}
        for program in order:
            found[program.name] = one_round(scenario, program, world, seconds)
            tell()
        pairs.append((found["haproxy"], found["pylb"]))
    return Measured(scenario, tuple(pairs), {program.name: program.resident() for program in world.programs})


def command(scenario: Scenario, program: Program, world: World) -> list[str]:
    """wrk's command line against one of the programs."""
    return load.command(scenario, program.ports[scenario.frontend], world.cores.others)


def one_round(scenario: Scenario, program: Program, world: World, seconds: float) -> Round:
    """Load, and the CPU time that it cost."""
    before = program.times()
    seen = load.run(command(scenario, program, world), seconds)
    times = program.times() - before
    if seen.not_ok or seen.socket_errors or not seen.requests:
        raise BadRound(
            f"{program.name}: {seen.requests} answers, {seen.not_ok} not 2xx, {seen.socket_errors} socket errors"
        )
    return Round(seen, times)
