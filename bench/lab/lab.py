"""The lab itself: the article's network built, with programs on its hosts; what scenarios do is done through it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from bench.lab import programs
from bench.lab.client import fingerprint
from bench.lab.journal import Journal
from bench.lab.net import NEEDED, LabError, Namespace, Switch
from bench.lab.programs import CERTIFICATE, Embedded, Haproxy, Keepalived, Kind, Nginx, Pylb, SlowPod, Vrrpd
from bench.lab.service import Service
from bench.lab.topology import (
    CERTIFICATE_NAMES,
    HOSTS,
    INTERFACE,
    PREFIX,
    WORKERS,
    Host,
    Programs,
    Stack,
)
from bench.lab.traffic import Traffic
from bench.lab.watch import Ownership, RouterState, ServerStates, base_priority
from pylb.net.certificates import self_signed

SETTLING = 45.0
"""Seconds that the whole may take until it is as it should be: a master down interval, checks, slow starts."""


@dataclass(frozen=True)
class Variation:
    """How the routers' files differ from those of configs/."""

    nopreempt: bool = False
    only_process: bool = False
    begins_with: Programs | None = None
    """What every master runs at first, when that is not the stack's."""


class Station:
    """A host of the topology, plugged in."""

    def __init__(self, lab: Lab, place: Host) -> None:
        self.lab, self.place, self.name = lab, place, place.name
        self.host = Namespace(place.name)
        lab.switch.connect(self.host, INTERFACE, place.name)
        self.host.run("ip", "addr", "add", f"{place.address}/{PREFIX}", "dev", INTERFACE)
        self.host.run("ip", "link", "set", INTERFACE, "up")
        self.host.layer("/etc")
        self.plugged = True

    def service(self, kind: Kind, listener: Callable[[str], None] | None = None) -> Service:
        """A program of this host, not yet started."""
        return Service(self.host, kind, self.lab.journal, self.lab.directory, listener)

    def unplug(self) -> None:
        """Pull the cable."""
        self.lab.switch.cable(self.name, False)
        self.plugged = False
        self.lab.journal.note(self.name, "link", "cable out")

    def plug(self) -> None:
        """Put it back."""
        self.lab.switch.cable(self.name, True)
        self.plugged = True
        self.lab.journal.note(self.name, "link", "cable in")


class Master(Station):
    """A load balancer and a router."""

    def __init__(self, lab: Lab, place: Host, chosen: Programs) -> None:
        super().__init__(lab, place)
        self.chosen = chosen
        _user_and_chroot(self.host)
        self.host.write(CERTIFICATE, lab.certificate, 0o600)
        self.vip = Ownership(self.host, lab.journal, lab.changed)
        self.routing = RouterState(self.name, lab.journal)
        self.balancer = self.service(self.balancer_kind())
        self.router = self.service(self.router_kind(), self.routing.line)
        self.servers = ServerStates(self.host, lab.journal, lambda: self.balancer.running)

    def balancer_kind(self) -> Kind:
        """The balancer that was chosen for this node."""
        return Haproxy() if self.chosen.balancer == "haproxy" else Pylb(self.chosen.same_files)

    def router_kind(self) -> Kind:
        """The router that was chosen for this node, with the lab's variation."""
        varied = self.lab.variation
        if self.chosen.router == "keepalived":
            return Keepalived(self.name, varied.nopreempt, varied.only_process)
        return Vrrpd(self.name, varied.nopreempt, varied.only_process, self.chosen.same_files)

    def crash(self) -> None:
        """Every process is killed at once; the kernel, its addresses and its cable stay."""
        self.router.kill()
        self.balancer.kill()
        self.routing.gone()

    def power_off(self) -> None:
        """As `crash`, with nobody there to answer any more: cable and addresses are gone as well."""
        self.unplug()
        self.crash()
        self.host.run("ip", "addr", "flush", "dev", INTERFACE)

    async def boot(self) -> None:
        """After `crash` or `power_off`: cable, address, balancer, router."""
        if not self.plugged:
            self.host.run("ip", "addr", "replace", f"{self.place.address}/{PREFIX}", "dev", INTERFACE)
            self.plug()
        await self.balancer.start()
        await self.start_router()

    async def start_router(self) -> None:
        """Start it as the lab's variation has it."""
        self.routing.gone()
        await self.router.start(self.router_kind())

    async def stop_router(self) -> None:
        """End it in order."""
        await self.router.stop()
        self.routing.gone()


class Worker(Station):
    """An ingress, or rancher."""

    def __init__(self, lab: Lab, place: Host) -> None:
        super().__init__(lab, place)
        self.server = self.service(Nginx(self.name) if lab.nginx else Embedded(self.name))
        self._pod: Service | None = None

    async def slow(self, delay: float) -> None:
        """Have its pod answer that many seconds later; 0: as fast as before."""
        if isinstance(self.server.kind, Nginx):
            if delay:
                self._pod = self.service(SlowPod(self.name, delay))
                await self._pod.start()
            self.server.kind.pod = programs.SLOW_POD if delay else programs.POD
        elif isinstance(self.server.kind, Embedded):
            self.server.kind.delay = delay
        await self.server.reload()
        if not delay and self._pod is not None:
            if isinstance(self._pod.kind, SlowPod):
                await asyncio.sleep(2 * self._pod.kind.delay)  # it still has requests to answer
            await self._pod.stop()
            self._pod = None


class Lab:
    """Use as an asynchronous context manager; leaving it leaves nothing behind."""

    def __init__(self, stack: Stack, directory: Path, variation: Variation | None = None, nginx: bool = True) -> None:
        self.stack, self.directory = stack, directory
        self.variation = variation or Variation()
        self.nginx = nginx and programs.find("nginx") is not None
        self.journal = Journal()
        self.certificate = self_signed(CERTIFICATE_NAMES)
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
        self.certificate = self_signed(CERTIFICATE_NAMES)
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


def only_root() -> bool:
    """Whether this is a user namespace with one user."""
    mapped = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return sum(int(count) for _, _, count in mapped) == 1


def _user_and_chroot(host: Namespace) -> None:
    """The user and the directory that the balancers' files name, also where HAProxy is not installed.

    In a user namespace there is one user only: "haproxy" is then another name of it.
    """
    for file in ("/etc/passwd", "/etc/group"):
        lines = (host.root / file.lstrip("/")).read_text().splitlines()
        known = any(line.startswith("haproxy:") for line in lines)
        if only_root() or not known:
            number = 0 if only_root() else 65534
            rest = f"{number}::/var/lib/haproxy:/usr/sbin/nologin" if file == "/etc/passwd" else ""
            lines = [line for line in lines if not line.startswith("haproxy:")]
            host.write(file, "\n".join([*lines, f"haproxy:x:{number}:{rest}", ""]))
    if not Path("/var/lib/haproxy").is_dir():
        host.layer("/var/lib")
        host.run("mkdir", "-p", "/var/lib/haproxy")


@contextlib.asynccontextmanager
async def built(
    stack: Stack, directory: Path, variation: Variation | None = None, nginx: bool = True
) -> AsyncIterator[Lab]:
    """A lab that has settled."""
    async with Lab(stack, directory, variation, nginx) as lab:
        await lab.settle()
        yield lab


def new_id() -> str:
    """A short name for a lab that nobody named."""
    return secrets.token_hex(3)


__all__ = ["Lab", "LabError", "Master", "Variation", "Worker", "built", "missing_programs", "new_id"]
