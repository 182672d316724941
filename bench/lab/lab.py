"""The lab itself: the article's network built, with programs on its hosts; what scenarios do is done through it."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from bench.lab import programs
from bench.lab.client import fingerprint
from bench.lab.journal import Journal
from bench.lab.net import NEEDED, LabError, Namespace, Switch
from bench.lab.programs import CERTIFICATE, Haproxy, Keepalived
from bench.lab.stations import Master, Station, Variation, Worker, only_root
from bench.lab.topology import CERTIFICATE_NAMES, HOSTS, WORKERS, Programs, Stack
from bench.lab.traffic import Traffic
from bench.lab.watch import base_priority

SETTLING = 45.0
"""Seconds that the whole may take until it is as it should be: a master down interval, checks, slow starts."""


class Lab:
    """Use as an asynchronous context manager; leaving it leaves nothing behind."""

    def __init__(self, stack: Stack, directory: Path, variation: Variation | None = None, nginx: bool = True) -> None:
        self.stack, self.directory = stack, directory
        self.variation = variation or Variation()
        self.nginx = nginx and programs.find("nginx") is not None
        self.journal = Journal()
        self.certificate = _certificate()
        self.masters: dict[str, Master] = {}
        self.workers: dict[str, Worker] = {}
        self.rancher: Worker
        self.client: Station
        self.switch: Switch
        self.traffic: Traffic | None = None
        """The clients, while there are any."""
        self.born = time.monotonic()
        self._changes = asyncio.Event()
        self._hosts: list[Namespace] = []

    async def __aenter__(self) -> Lab:
        if missing := missing_programs(self.stack):
            raise LabError(f"not installed: {', '.join(missing)} (on Debian `make tools` installs them)")
        if only_root() and any(one.router == "keepalived" for one in self.stack.values()):
            # Its child cannot give up the groups it has none of, exits with 0, and the check passes for ever.
            raise LabError("keepalived runs no checks where there is one user only: be root, or have newuidmap")
        self.directory.mkdir(parents=True, exist_ok=True)
        try:
            self._build()
            await self._start()
        except BaseException:
            await self.close()
            raise
        return self

    def _build(self) -> None:
        self.switch = Switch()
        self._hosts.append(self.switch)
        for place in HOSTS:
            if place.role == "master":
                self.masters[place.name] = station = Master(self, place, self.stack[place.name])
            elif place.role == "worker":
                self.workers[place.name] = station = Worker(self, place)
            elif place.role == "rancher":
                self.rancher = station = Worker(self, place)
            else:
                self.client = station = Station(self, place)
            self._hosts.append(station.host)

    async def _start(self) -> None:
        await asyncio.gather(*(worker.server.start() for worker in (*self.workers.values(), self.rancher)))
        await asyncio.gather(*(master.balancer.start() for master in self.masters.values()))
        await self.start_routers()

    async def start_routers(self) -> None:
        """Master1 first, so that it is the one that has the address also where nobody is preempted."""
        first, *others = self.masters.values()
        await first.start_router()
        await asyncio.gather(*(other.start_router() for other in others))

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End everything."""
        for master in self.masters.values():
            master.vip.close()
            await master.servers.close()
        for host in self._hosts:
            host.close()
        await asyncio.sleep(0)  # the pipes of what has ended are read to their end

    # What scenarios need

    @property
    def master1(self) -> Master:
        """172.16.10.100, the best priority."""
        return self.masters["master1"]

    @property
    def master2(self) -> Master:
        """172.16.10.101"""
        return self.masters["master2"]

    @property
    def master3(self) -> Master:
        """172.16.10.107"""
        return self.masters["master3"]

    @property
    def worker1(self) -> Worker:
        """172.16.10.102"""
        return self.workers["worker1"]

    def holders(self) -> list[str]:
        """Where the virtual address stands now."""
        return [master.name for master in self.masters.values() if master.vip.here]

    def changed(self) -> None:
        """The address has moved."""
        self._changes.set()

    async def vip_on(self, *names: str, within: float) -> None:
        """Wait until exactly these masters have the address. LabError after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                while self.holders() != list(names):
                    self._changes.clear()
                    await self._changes.wait()
        except TimeoutError:
            where = ", ".join(self.holders()) or "nobody"
            raise LabError(f"after {within:g} s the VIP is on {where}, not on {', '.join(names)}") from None

    async def until(self, condition: Callable[[], bool], within: float, what: str) -> None:
        """Wait until something is so. LabError after `within` seconds."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                raise LabError(f"waited {within:g} s for {what}")
            await asyncio.sleep(0.01)

    def step(self, where: str, text: str) -> None:
        """Tell what the scenario does."""
        self.journal.note(where, "step", text)

    def servers_are(self, up: set[str]) -> bool:
        """Whether every running balancer sees exactly these workers, and rancher, up."""
        wanted = up | {"rancher"}
        return all(
            m.servers.up() == wanted for m in self.masters.values() if m.balancer.running and not m.balancer.frozen
        )

    def settled(self) -> bool:
        """Everything runs, master1 has the address, all checks have passed."""
        return (
            self.holders() == ["master1"]
            and all(self.healthy(master) for master in self.masters.values())
            and self.master1.routing.state == "MASTER"
            and self.servers_are(set(WORKERS))
        )

    def healthy(self, master: Master) -> bool:
        """Whether a master's router runs and its check has passed."""
        return (
            master.routing.state in ("MASTER", "BACKUP")
            and master.routing.priority == base_priority(master.name) + CHECK_WEIGHT
        )

    def shown(self, last: int = 10) -> set[str]:
        """The certificates that the latest TLS clients were shown, by fingerprint."""
        requests = self.traffic.requests if self.traffic is not None else ()
        found = [request.certificate for request in requests if request.certificate]
        return set(found[-last:])

    def fingerprint(self) -> str:
        """That of the certificate in place."""
        return fingerprint(ssl.PEM_cert_to_DER_cert(_certificate_of(self.certificate)))

    async def settle(self) -> None:
        """Wait for `settled`. LabError when it does not come."""
        await self.until(self.settled, SETTLING, f"the lab to settle: {self.describe()}")

    def describe(self) -> str:
        """The state of the masters in a line."""
        return "; ".join(
            f"{m.name} {m.routing.state or 'no router'} {m.routing.priority}"
            f"{' VIP' if m.vip.here else ''}, up: {' '.join(sorted(m.servers.up())) or 'none'}"
            for m in self.masters.values()
        )

    async def restore(self, stack: Stack, variation: Variation) -> None:
        """For the next scenario: all programs as wanted, all cables in, master1 master."""
        everybody = (*self.masters.values(), *self.workers.values(), self.rancher, self.client)
        for station in everybody:
            if not station.plugged:
                station.plug()
        stale = variation != self.variation or stack != self.stack
        self.variation, self.stack = variation, stack
        for worker in (*self.workers.values(), self.rancher):
            if not worker.server.running:
                await worker.server.start()
        for master in self.masters.values():
            await self._restore(master, stack[master.name])
        if stale or variation.nopreempt or not all(master.router.running for master in self.masters.values()):
            await asyncio.gather(*(master.stop_router() for master in self.masters.values()))
            await self.start_routers()
        await self.settle()

    async def _restore(self, master: Master, chosen: Programs) -> None:
        for service in (master.balancer, master.router):
            if service.frozen:
                service.thaw()
        if chosen != master.chosen:
            master.chosen = chosen
            await master.stop_router()
            await master.balancer.stop()
        if not master.balancer.running:
            await master.balancer.start(master.balancer_kind())

    def new_certificate(self) -> bytes:
        """Make another one and put it where the balancers find it at their next reload."""
        self.certificate = _certificate()
        for master in self.masters.values():
            master.host.write(CERTIFICATE, self.certificate, 0o600)
        return self.certificate


CHECK_WEIGHT = 10
"""What a passed check adds, in all files of configs/."""


def _certificate_of(bundle: bytes) -> str:
    """The certificate of a PEM file that holds a key too."""
    text = bundle.decode()
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return text[text.index(begin) : text.index(end) + len(end)]


def missing_programs(stack: Stack) -> list[str]:
    """What is needed for these programs and not installed."""
    kinds = [Haproxy() for one in stack.values() if one.balancer == "haproxy"]
    kinds += [Keepalived(name) for name, one in stack.items() if one.router == "keepalived"]  # type: ignore[misc]
    wanted = dict.fromkeys((*NEEDED, "curl", "pgrep", *(need for kind in kinds for need in kind.needs)))
    return [name for name in wanted if programs.find(name) is None]


def _certificate() -> bytes:
    from pylb.net.certificates import self_signed  # a third of what commands that talk to a lab would import

    return self_signed(CERTIFICATE_NAMES)
