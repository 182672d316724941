"""A lab that stays: clients all the time, and scenarios or single acts when somebody asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType

from bench.lab.lab import Lab
from bench.lab.measures import Measures
from bench.lab.net import LabError
from bench.lab.perform import perform
from bench.lab.result import Result
from bench.lab.scenario import Scenario
from bench.lab.service import Service
from bench.lab.snapshot import Snapshot, take
from bench.lab.stations import Master, Variation, Worker
from bench.lab.traffic import Traffic

PARTS = ("balancer", "router", "server", "cable", "power")
ACTS = ("stop", "start", "kill", "freeze", "thaw", "reload", "out", "in", "off", "on")
"""What `act` can do: with programs the first six, with a cable out and in, with the power off and on."""


class Standing:
    """Owns the clients of a lab; use as an asynchronous context manager inside the lab's, `begin` when it stands."""

    def __init__(self, lab: Lab, name: str, stack_name: str, rate: float) -> None:
        self.lab, self.name, self.stack_name = lab, name, stack_name
        self.traffic = Traffic(lab.client.host, rate)
        self.scenario: Scenario | None = None
        self.verdict = ""
        """What the latest scenario came to, a line."""
        self.over = asyncio.Event()
        """Set when the lab is to end."""

        self.ready = False

    async def __aenter__(self) -> Standing:
        return self

    async def begin(self) -> None:
        """Wait until the lab has settled, then send in the clients. LabError when that does not succeed."""
        await self.lab.settle()
        await self.traffic.__aenter__()
        self.lab.traffic = self.traffic
        await self.traffic.flowing()
        self.ready = True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.lab.traffic is not None:  # nobody waits for the last answers of a lab that ends
            await self.traffic.__aexit__(kind or asyncio.CancelledError, error, trace)

    def snapshot(self) -> Snapshot:
        """The lab now."""
        title = f"{self.name}: {self.stack_name}"
        running = "" if self.ready else "waiting until every check has passed and master1 has the address"
        if self.scenario is not None:
            running = f"{self.scenario.name}: {self.scenario.text}"
        return take(self.lab, title, running, self.verdict)

    async def run(self, scenario: Scenario) -> Result:
        """A scenario with the clients that are there; LabError when one runs already."""
        if self.scenario is not None or not self.ready:
            raise LabError(f"{self.scenario.name} is running" if self.scenario else "the lab has not settled yet")
        self.scenario, self.verdict = scenario, ""
        stack = dict(self.lab.stack)
        try:
            found = await perform(self.lab, scenario, stack, self.stack_name, traffic=self.traffic)
            self.verdict = verdict(found)
        except LabError as error:
            self.verdict = f"{scenario.name}: {error}"
            raise
        finally:
            self.scenario = None
        if scenario.variation != Variation():
            await self.lab.restore(stack, Variation())
        return found

    async def act(self, node: str, part: str, what: str) -> None:
        """Do one thing to a node. LabError when there is no such thing."""
        stations = {**self.lab.masters, **self.lab.workers, "rancher": self.lab.rancher}
        if node not in stations:
            raise LabError(f'there is no node "{node}"; there are {", ".join(stations)}')
        station = stations[node]
        self.lab.step(node, f"{part} {what}")
        if part == "cable" and what in ("in", "out"):
            station.plug() if what == "in" else station.unplug()
        elif part == "power" and what in ("on", "off") and isinstance(station, Master):
            if what == "off":
                station.power_off()
            else:
                await station.boot()
        else:
            await self._program(station, part, what)

    async def _program(self, station: Master | Worker, part: str, what: str) -> None:
        service = getattr(station, part, None)
        if not isinstance(service, Service):
            raise LabError(f"{station.name} has no {part} to {what}")
        acts: dict[str, Callable[[], Awaitable[None] | None]] = {
            "stop": service.stop, "start": service.start, "kill": service.kill, "freeze": service.freeze,
            "thaw": service.thaw, "reload": service.reload,
        }  # fmt: skip
        if isinstance(station, Master) and part == "router":
            acts |= {"stop": station.stop_router, "start": station.start_router}
        if what not in acts:
            raise LabError(f'what is "{what}" for a {part}? There is {", ".join(acts)}')
        done = acts[what]()
        if done is not None:
            await done


def verdict(found: Result) -> str:
    """A run in a line."""
    return f"{found.scenario}: {figures(found.measures)}; {'; '.join(found.broken) or 'as expected'}"


def figures(found: Measures) -> str:
    """The measures in a line."""
    kinds = ", ".join(f"{count} {kind}" for kind, count in found.failed.items())
    failed = f"{found.failures} failed ({kinds})" if found.failures else "none failed"
    users = f"{found.lost} users met another server" if found.lost else "users kept their servers"
    return f"{found.sent} sent, {failed}, {found.longest_gap:.2f} s without service, {users}"
