"""FRR's vrrpd, written independently of keepalived, as the other node: versions 2 and 3, IPv4 and IPv6.

FRR puts the addresses on a macvlan with the virtual MAC, made beforehand; it takes the macvlan's protodown
flag away while it is master.
"""

from __future__ import annotations

import json
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import pytest
from clusters import PROTOCOLS, Protocol, config
from netlab import VIP6, Client, Daemon, Lab, Node
from support import require_program, wait_for

pytestmark = [pytest.mark.interop, pytest.mark.netns]

V2, V3 = PROTOCOLS["v2-none"], PROTOCOLS["v3-ipv4"]
CASES = {
    "v2": replace(V2, name="v2"),
    "v3-ipv4": V3,
    "v3-ipv6": replace(V3, name="v3-ipv6", address=VIP6),
}


@dataclass
class Frr:
    """zebra and vrrpd of FRR on one node."""

    node: Node
    protocol: Protocol
    daemons: list[Daemon]

    @classmethod
    def start(cls, node: Node, protocol: Protocol, priority: int) -> Frr:
        """Make the macvlan, start both daemons, configure them."""
        zebra, vrrpd = require_program("zebra"), "/usr/lib/frr/vrrpd"
        v6 = ":" in protocol.address
        mac = f"00:00:5e:00:0{2 if v6 else 1}:3d"
        name = f"vrrp{6 if v6 else 4}-61"
        node.run("ip", "link", "add", name, "link", "ens37", "type", "macvlan", "mode", "bridge")
        node.run("ip", "link", "set", name, "address", mac)
        node.run("ip", "addr", "add", f"{protocol.address}/{64 if v6 else 24}", "dev", name, *(["nodad"] if v6 else []))
        node.run("ip", "link", "set", name, "up")
        node.run("sh", "-c", "mkdir -p /run/frr && chown frr:frr /run/frr")
        text = node.file(
            "frr.conf",
            "interface ens37\n"
            f" vrrp 61 version {protocol.version}\n"
            f" vrrp 61 priority {priority}\n"
            f" vrrp 61 advertisement-interval {int(protocol.interval * 1000)}\n"
            f" vrrp 61 {'ipv6' if v6 else 'ip'} {protocol.address}\n",
        )
        node.run("sh", "-c", f"cp {text} /run/frr/vrrpd.conf && touch /run/frr/zebra.conf && chown frr:frr /run/frr/*")
        common = ["-u", "frr", "-g", "frr", "--log", "stdout", "-z", "/run/frr/z.api", "--vty_socket", "/run/frr"]
        daemons = [node.spawn(zebra, "-f", "/run/frr/zebra.conf", "-i", "/run/frr/zebra.pid", *common)]
        wait_for(lambda: "z.api" in node.run("ls", "/run/frr"), 10, "zebra to listen")
        daemons.append(node.spawn(vrrpd, "-f", "/run/frr/vrrpd.conf", "-i", "/run/frr/vrrpd.pid", *common))
        return cls(node, protocol, daemons)

    def state(self) -> str:
        """Master, Backup or Initialize, as FRR says."""
        command = ["vtysh", "--vty_socket", "/run/frr", "-c", "show vrrp json"]
        try:
            routers = json.loads(self.node.run(*command, check=False) or "[]")
        except ValueError:
            return ""
        family = "v6" if ":" in self.protocol.address else "v4"
        return str(routers[0][family]["status"]) if routers else ""

    def wait_for_state(self, state: str, timeout: float = 10) -> None:
        """Wait until FRR says so."""
        try:
            wait_for(lambda: self.state() == state, timeout, f"FRR to be {state}")
        except AssertionError as error:
            logs = "\n".join(daemon.text[-2000:] for daemon in self.daemons)
            raise AssertionError(f"{error}, it is {self.state()!r}\n{logs}") from None

    def stop(self) -> None:
        """End both, VRRP first."""
        for daemon in reversed(self.daemons):
            daemon.stop()


def taking_turns(lab: Lab, case: str) -> None:
    """FRR is better and takes over; it stops and ours takes over; it comes back; then ours is better."""
    protocol = CASES[case]
    ours, theirs = lab.node("m1", 100), lab.node("m2", 101)
    client = Client(lab)
    address = protocol.address
    daemon = ours.start("vrrpd", config(protocol, ours, lab, priority=100))
    wait_for(lambda: ours.holds(address), protocol.down, "ours to be master alone")
    client.touch(address)
    client.follows(ours, address)

    frr = Frr.start(theirs, protocol, 200)
    frr.wait_for_state("Master", protocol.down)
    wait_for(lambda: not ours.holds(address), 5, "ours to stand back")
    daemon.wait_for_line(r"\(VI_1\) Master received advert from .* with higher priority 200, ours 100")
    wait_for(lambda: client.neighbour(address).startswith("00:00:5e:00:0"), 5, "the client to know the virtual MAC")

    frr.stop()
    wait_for(lambda: ours.holds(address), protocol.down, "ours to take over")
    client.follows(ours, address)
    daemon.stop()
    theirs.run("ip", "link", "del", f"vrrp{6 if ':' in address else 4}-61")
    frr = Frr.start(theirs, protocol, 90)
    frr.wait_for_state("Master", protocol.down)
    ours.start("vrrpd", config(protocol, ours, lab, priority=100))
    wait_for(lambda: ours.holds(address), protocol.down, "ours, the better one, to take over")
    frr.wait_for_state("Backup", 5)
    client.follows(ours, address)


SCENARIOS = {"test_ours_and_frr_take_turns": taking_turns}


@pytest.mark.parametrize("case", list(CASES))
def test_ours_and_frr_take_turns(case: str, campaign: dict[tuple[str, Any], Future[None]]) -> None:
    require_program("zebra")
    require_program("vtysh")
    campaign["test_ours_and_frr_take_turns", case].result()
