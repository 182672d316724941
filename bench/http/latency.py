"""Latency at fixed rates: parts of what the slowest of the programs can do, the same requests per second for each."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from bench.http import load, measure
from bench.http.cpu import Times
from bench.http.process import ROOT
from bench.http.programs import Program
from bench.http.rate import Order, Seen
from bench.http.scenarios import BY_NAME
from bench.http.world import World

SCENARIO = BY_NAME["keepalive"]
FRACTIONS = (0.25, 0.5, 0.75)
WARM_UP = 0.5
DIRECT = "no proxy"
"""The servers asked directly: what client and server need by themselves."""
GRID = (0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1.0)
"""Quantiles that are kept."""


@dataclass(frozen=True)
class Curve:
    """One program at one rate."""

    quantiles: tuple[float, ...]
    """Seconds, one for each of GRID."""
    answered: int
    unanswered: int
    lateness: float
    """Seconds: the 99th percentile of the client's own lateness."""
    cpu: float
    """CPU µs per request of the program."""

    def at(self, quantile: float) -> float:
        """Of GRID, in seconds."""
        return self.quantiles[GRID.index(quantile)]


@dataclass(frozen=True)
class Rate:
    """All programs at one rate."""

    fraction: float
    rate: float
    """Requests per second."""
    curves: Mapping[str, Curve]


@dataclass(frozen=True)
class Latency:
    """What the report gets. `slowest` is the program whose capacity, requests per second, set the rates."""

    slowest: str
    capacity: float
    connections: int
    seconds: float
    rounds: int
    rates: Sequence[Rate]


def measure_rates(
    world: World,
    programs: Sequence[Program],
    fractions: Sequence[float],
    seconds: float,
    rounds: int,
    tell: Callable[[int], None],
) -> Latency:
    """`rounds` turns of `seconds` at each rate; `tell` as in measure. BadRound when a program fails at wrk's load."""
    file = world.directory / "requests"
    load.write_requests(SCENARIO, world.servers["WORKER1"], world.cores.others, file)
    capacities = {program.name: capacity(program, world) for program in programs}
    slowest = min(capacities, key=lambda name: capacities[name])
    rates = []
    for fraction in fractions:
        rate = round(capacities[slowest] * fraction, -2) or 100.0
        seen: dict[str, list[Seen]] = {DIRECT: [], **{program.name: [] for program in programs}}
        times: dict[str, Times] = dict.fromkeys(seen, Times())
        for number in range(rounds):
            for program in [*measure.turn(programs, number), None]:
                name, port = (
                    (program.name, program.ports["keepalive"]) if program else (DIRECT, world.servers["WORKER1"])
                )
                before = program.times() if program else Times()
                seen[name].append(one(Order(port, rate, seconds, WARM_UP, SCENARIO.connections, str(file)), world))
                times[name] += program.times() - before if program else Times()
                tell(1)
        rates.append(Rate(fraction, rate, {name: curve(found, times[name]) for name, found in seen.items()}))
    return Latency(slowest, capacities[slowest], SCENARIO.connections, seconds, rounds, rates)


def capacity(program: Program, world: World) -> float:
    """Requests per second that wrk gets out of it: the middle one of three short rounds."""
    measure.prepare(SCENARIO, program, world)
    return statistics.median(measure.one_round(SCENARIO, program, world, 0.7).load.rate for _ in range(3))


def one(order: Order, world: World) -> Seen:
    """Run the client. LoadError when it fails."""
    words = ["taskset", "-c", str(world.cores.others), sys.executable, "-m", "bench.http.rate"]
    limit = order.warm_up + order.seconds + 30
    done = subprocess.run(words, input=json.dumps(asdict(order)), capture_output=True, text=True, timeout=limit,
                          check=False, cwd=ROOT)  # fmt: skip
    if done.returncode:
        raise load.LoadError(f"the client at a fixed rate ended with {done.returncode}: {done.stderr[-500:]}")
    return Seen(**json.loads(done.stdout))


def curve(rounds: Sequence[Seen], times: Times) -> Curve:
    """The rounds of one program as one."""
    latencies = sorted(latency for seen in rounds for latency in seen.latencies)
    lateness = sorted(late for seen in rounds for late in seen.lateness)
    if not latencies or not lateness:
        raise load.LoadError("nothing was answered at the fixed rate")
    return Curve(
        tuple(quantile(latencies, share) for share in GRID),
        len(latencies),
        sum(seen.unanswered for seen in rounds),
        quantile(lateness, 0.99),
        (times.user + times.system) / len(latencies) * 1e6,
    )


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest of these sorted values that is not below `share` of them."""
    return values[max(0, math.ceil(share * len(values)) - 1)]
