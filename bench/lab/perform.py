"""Running scenarios: one in a lab that stands, or many on several labs side by side."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.lab.lab import Lab
from bench.lab.measures import measure
from bench.lab.net import LabError
from bench.lab.result import Result
from bench.lab.scenario import Scenario, Takes
from bench.lab.scenarios import CALM
from bench.lab.stations import Variation
from bench.lab.topology import MASTERS, Stack
from bench.lab.traffic import RATE, Traffic

Done = Callable[[Result], None]
Built = Callable[[str, Lab], None]


@dataclass(frozen=True)
class Enacted:
    """When a scenario began and ended, seconds of the monotonic clock, and what did not go as it says."""

    begin: float
    end: float
    broken: list[str]


async def perform(
    lab: Lab, scenario: Scenario, stack: Stack, name: str, rate: float = RATE, traffic: Traffic | None = None
) -> Result:
    """One scenario in a lab, which is brought into its beginning first. LabError if that does not succeed.

    With clients of its own, or beside `traffic` that flows anyway.
    """
    await lab.restore(beginning(stack, scenario.variation), scenario.variation)
    if traffic is not None:
        enacted = await enact(lab, scenario, stack)
        await asyncio.sleep(traffic.patience)  # whatever was sent until the end has come to its own by then
        return result(lab, scenario, stack, name, traffic, enacted)
    async with Traffic(lab.client.host, rate) as traffic:
        lab.traffic = traffic
        await traffic.flowing()
        enacted = await enact(lab, scenario, stack)
    return result(lab, scenario, stack, name, traffic, enacted)


async def enact(lab: Lab, scenario: Scenario, stack: Stack) -> Enacted:
    """Do it, with a quiet second before and after."""
    begin, broken = time.monotonic(), []
    try:
        await asyncio.sleep(CALM)
        await scenario.steps(lab, Takes(stack))
        await asyncio.sleep(CALM)
    except LabError as error:
        broken.append(str(error))
    return Enacted(begin, time.monotonic(), broken)


def result(lab: Lab, scenario: Scenario, stack: Stack, name: str, traffic: Traffic, enacted: Enacted) -> Result:
    """What was seen, and whether it is within the bounds."""
    begin, end = enacted.begin, enacted.end
    events = [replace(event, at=event.at - begin) for event in lab.journal.since(begin) if event.at <= end]
    requests = sorted((r for r in traffic.requests if begin <= r.due <= end), key=lambda r: r.due)
    requests = [replace(request, due=request.due - begin) for request in requests]
    found = measure(requests, [event.at for event in events if event.kind == "step"], traffic.rate)
    return Result(
        scenario=scenario.name,
        text=scenario.text,
        stack=name,
        programs={master: str(stack[master]) for master in MASTERS},
        rate=traffic.rate,
        seconds=end - begin,
        requests=requests,
        vip={m.name: spans(m.vip.intervals, begin, end) for m in lab.masters.values()},
        events=events,
        measures=found,
        broken=[*enacted.broken, *scenario.expect(Takes(stack)).broken(found, traffic.rate)],
    )


def beginning(stack: Stack, variation: Variation) -> Stack:
    """What runs before the first step."""
    first = variation.begins_with
    return stack if first is None else dict.fromkeys(MASTERS, first)


def spans(intervals: Sequence[tuple[float, float | None]], begin: float, end: float) -> list[tuple[float, float]]:
    """The parts of intervals within a run, from its beginning."""
    cut = [(max(start, begin), min(stop if stop is not None else end, end)) for start, stop in intervals]
    return [(start - begin, stop - begin) for start, stop in cut if stop > start]


async def perform_all(
    scenarios: Sequence[Scenario],
    stacks: dict[str, Stack],
    done: Done,
    rate: float = RATE,
    nginx: bool = True,
    built: Built = lambda name, lab: None,
) -> list[Result]:
    """Every scenario on every stack, a lab per stack and all labs at once: they mostly wait.

    The scenarios that need the same variation follow each other. `built` hears of each lab before anything
    runs in it, `done` of each result. LabError if a lab cannot be had.
    """
    ordered = sorted(scenarios, key=lambda one: (one.variation.begins_with is not None, str(one.variation)))

    async def column(name: str, stack: Stack, directory: Path) -> list[Result]:
        results = []
        variation = ordered[0].variation
        lab = Lab(beginning(stack, variation), directory, variation, nginx)
        built(name, lab)
        async with lab:
            for scenario in ordered:
                try:
                    results.append(await perform(lab, scenario, stack, name, rate))
                except LabError as error:
                    raise LabError(f"{scenario.name} on {name}: {error}") from None
                done(results[-1])
        return results

    with tempfile.TemporaryDirectory(prefix="pylb-lab-") as scratch:
        try:
            async with asyncio.TaskGroup() as group:
                columns = [
                    group.create_task(column(name, stack, Path(scratch) / str(number)))
                    for number, (name, stack) in enumerate(stacks.items())
                ]
        except* LabError as errors:
            raise LabError("\n".join(map(str, errors.exceptions))) from None
    found = [result for task in columns for result in task.result()]
    position = {scenario.name: number for number, scenario in enumerate(scenarios)}
    return sorted(found, key=lambda result: position[result.scenario])
