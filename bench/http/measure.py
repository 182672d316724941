"""Rounds, and what they say together.

A turn is a round of each program, right after each other; which one begins changes from turn to turn, so that none
always finds the machine as the same other left it. Ratios are taken within turns.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.http import check, load
from bench.http.cpu import Times
from bench.http.load import Load
from bench.http.programs import Program
from bench.http.scenarios import Scenario
from bench.http.world import World

WARM_UP = 0.3
"""Seconds of load before the first turn: connections open, caches fill."""
BASE = "haproxy"
"""Ratios are over this program."""


class BadRound(Exception):
    """A round with errors, or a wrong answer before it: there is nothing to measure."""


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


Figure = Callable[[Round], float]


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


@dataclass(frozen=True)
class Measured:
    """A scenario's rounds by program, the n-th of each from the same turn; and why others have none."""

    scenario: Scenario
    rounds: Mapping[str, tuple[Round, ...]]
    reasons: Mapping[str, str]

    def spread(self, program: str, figure: Figure) -> Spread:
        """Of a figure over a program's rounds."""
        return Spread.of([figure(one) for one in self.rounds[program]])

    def ratio(self, program: str, figure: Figure) -> Spread | None:
        """Of a program's figure over HAProxy's, turn by turn; None when HAProxy has none."""
        if BASE not in self.rounds:
            return None
        pairs = zip(self.rounds[program], self.rounds[BASE], strict=False)  # a peer has fewer rounds
        return Spread.of([figure(its) / figure(base) for its, base in pairs])

    @property
    def meets_goal(self) -> bool | None:
        """pylb's CPU; None: the scenario has no goal, or one of the two no figure."""
        if self.scenario.goal is None or "pylb" not in self.rounds:
            return None
        ratio = self.ratio("pylb", lambda one: one.cpu)
        return None if ratio is None else ratio.median <= self.scenario.goal


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    seconds: float
    """Length of a round."""
    rounds: int
    """Of each program; peers take part in the first `peer_rounds` turns."""
    peer_rounds: int

    def of(self, program: Program) -> int:
        """Rounds of one program."""
        return self.peer_rounds if program.contender.peer else self.rounds


def measure(
    scenario: Scenario, world: World, programs: Sequence[Program], effort: Effort, tell: Callable[[int], None]
) -> Measured:
    """Check each program, then the turns. `tell` is called with the number of rounds done or given up."""
    reasons: dict[str, str] = {}
    ready = []
    for program in programs:
        try:
            prepare(scenario, program, world)
            ready.append(program)
        except (BadRound, load.LoadError) as error:
            reasons[program.name] = str(error)
            tell(effort.of(program))
    rounds: dict[str, list[Round]] = {program.name: [] for program in ready}
    for number in range(effort.rounds):
        for program in turn(ready, number):
            if number >= effort.of(program) or program.name in reasons:
                continue
            try:
                rounds[program.name].append(one_round(scenario, program, world, effort.seconds))
                tell(1)
            except (BadRound, load.LoadError) as error:
                reasons[program.name] = str(error)
                tell(effort.of(program) - number)
    whole = {name: tuple(found) for name, found in rounds.items() if name not in reasons}
    return Measured(scenario, whole, reasons)


def turn(programs: Sequence[Program], number: int) -> Sequence[Program]:
    """The order of the n-th turn."""
    first = number % max(1, len(programs))
    return [*programs[first:], *programs[:first]]


def prepare(scenario: Scenario, program: Program, world: World) -> None:
    """Whether the path is right, and a little load to begin with. BadRound with the reason not to measure."""
    if reason := program.contender.cannot.get(scenario.name):
        raise BadRound(reason)
    try:
        check.check(scenario, program, world)
    except (check.WrongAnswer, OSError, ValueError, check.http.client.HTTPException) as error:
        raise BadRound(str(error) or type(error).__name__) from error
    load.run(command(scenario, program, world), WARM_UP)


def command(scenario: Scenario, program: Program, world: World) -> list[str]:
    """wrk's command line against one of the programs."""
    return load.command(scenario, program.ports[scenario.frontend], world.cores.others)


def one_round(scenario: Scenario, program: Program, world: World, seconds: float) -> Round:
    """Load, and the CPU time that it cost."""
    before = program.times()
    seen = load.run(command(scenario, program, world), seconds)
    times = program.times() - before
    if seen.not_ok or seen.socket_errors or not seen.requests:
        raise BadRound(f"{seen.requests} answers, {seen.not_ok} not 2xx, {seen.socket_errors} socket errors")
    return Round(seen, times)
