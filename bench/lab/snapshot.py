"""The lab at one moment as plain data: what the live view shows, and what `status` asks a standing lab for."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.lab.lab import Lab
from bench.lab.measures import percentile
from bench.lab.service import Service
from bench.lab.stations import Master, Worker

HISTORY = 60
"""Seconds of traffic that are kept for the picture."""
EVENTS = 200


@dataclass(frozen=True)
class MasterNow:
    """A load balancer node."""

    name: str
    address: str
    pid: int
    """A process in its namespaces, for nsenter."""
    plugged: bool
    vip: bool
    balancer: str
    balancer_state: str
    """running, frozen or off."""
    router: str
    router_state: str
    vrrp: str
    """MASTER, BACKUP, FAULT, "" for no router."""
    priority: int
    servers: dict[str, str]
    """What the balancer says of each."""


@dataclass(frozen=True)
class HostNow:
    """Any other node."""

    name: str
    address: str
    pid: int
    program: str
    state: str


@dataclass(frozen=True)
class TrafficNow:
    """The clients' side."""

    rate: float = 0.0
    sent: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    seconds: list[tuple[int, int]] = field(default_factory=list)
    """Answered and failed in each of the last HISTORY seconds, oldest first, by the time of the answer."""
    p50: float = 0.0
    p99: float = 0.0
    """Latencies of the last five seconds."""
    kept: int = 0
    lost: int = 0
    by_server: dict[str, int] = field(default_factory=dict)
    """Answers of the last five seconds."""


@dataclass(frozen=True)
class Snapshot:
    """Everything that is shown."""

    title: str
    running: str
    """Name and sentence of the scenario that runs; "" for none."""
    verdict: str
    """What the scenario before it came to."""
    seconds: float
    """Since the lab was there."""
    masters: list[MasterNow]
    hosts: list[HostNow]
    traffic: TrafficNow
    events: list[tuple[float, str, str, str]]
    """Seconds since the lab was there, where, kind, what; oldest first."""

    def pids(self) -> dict[str, int]:
        """A process in the namespaces of each node."""
        return {one.name: one.pid for one in (*self.masters, *self.hosts)}

    def brief(self) -> str:
        """The masters in a line."""
        return ", ".join(f"{one.name} {one.vrrp or '-'} {one.priority}" for one in self.masters)

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @staticmethod
    def from_json(plain: dict[str, Any]) -> Snapshot:
        """The other way round."""
        return Snapshot(
            title=plain["title"],
            running=plain["running"],
            verdict=plain["verdict"],
            seconds=plain["seconds"],
            masters=[MasterNow(**one) for one in plain["masters"]],
            hosts=[HostNow(**one) for one in plain["hosts"]],
            traffic=TrafficNow(**plain["traffic"] | {"seconds": [(a, b) for a, b in plain["traffic"]["seconds"]]}),
            events=[(at, where, kind, text) for at, where, kind, text in plain["events"]],
        )


def take(lab: Lab, title: str, running: str = "", verdict: str = "") -> Snapshot:
    """Look at a lab."""
    hosts = [HostNow("client", lab.client.place.address, lab.client.host.pid, "clients", "running")]
    hosts += [_host(worker) for worker in (*lab.workers.values(), lab.rancher)]
    return Snapshot(
        title=title,
        running=running,
        verdict=verdict,
        seconds=time.monotonic() - lab.born,
        masters=[_master(master) for master in lab.masters.values()],
        hosts=hosts,
        traffic=_traffic(lab),
        events=[(e.at - lab.born, e.where, e.kind, e.text) for e in lab.journal.events[-EVENTS:]],
    )


def _state(service: Service) -> str:
    return "off" if not service.running else "frozen" if service.frozen else "running"


def _host(worker: Worker) -> HostNow:
    server = worker.server
    return HostNow(worker.name, worker.place.address, worker.host.pid, server.kind.name, _state(server))


def _master(master: Master) -> MasterNow:
    return MasterNow(
        name=master.name,
        address=master.place.address,
        pid=master.host.pid,
        plugged=master.plugged,
        vip=master.vip.here,
        balancer=master.balancer.kind.name,
        balancer_state=_state(master.balancer),
        router=master.router.kind.name,
        router_state=_state(master.router),
        vrrp=master.routing.state,
        priority=master.routing.priority,
        servers=dict(master.servers.states),
    )


def _traffic(lab: Lab) -> TrafficNow:
    traffic = lab.traffic
    if traffic is None:
        return TrafficNow()
    now = time.monotonic()
    answered, failed = [0] * HISTORY, [0] * HISTORY
    recent, by_server = [], Counter[str]()
    for request in reversed(traffic.requests):
        age = now - request.end
        if age >= HISTORY:
            break
        (answered if request.ok else failed)[HISTORY - 1 - max(int(age), 0)] += 1
        if age < 5 and request.ok:
            recent.append(request.latency)
            by_server[request.server] += 1
    recent.sort()
    return TrafficNow(
        rate=traffic.rate,
        sent=traffic.total,
        failed=dict(traffic.failed.most_common()),
        seconds=list(zip(answered, failed, strict=True)),
        p50=percentile(recent, 0.5),
        p99=percentile(recent, 0.99),
        kept=traffic.sticky["kept"],
        lost=traffic.sticky["lost"],
        by_server=dict(sorted(by_server.items())),
    )
