"""The hosts of the lab, plugged into its switch, with their programs; what may happen to a host are its methods."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.lab import programs
from bench.lab.net import Namespace
from bench.lab.programs import CERTIFICATE, Embedded, Haproxy, Keepalived, Kind, Nginx, Pylb, SlowPod, Vrrpd
from bench.lab.service import Service
from bench.lab.topology import INTERFACE, PREFIX, Host, Programs
from bench.lab.watch import Ownership, RouterState, ServerStates

if TYPE_CHECKING:
    from bench.lab.lab import Lab


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
