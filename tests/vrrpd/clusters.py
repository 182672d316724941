"""keepalived.conf texts for clusters of three, and what a wait may take in each."""

from __future__ import annotations

from dataclasses import dataclass

from netlab import VIP, VIP6, Lab, Node

PRIORITIES = {"m1": 100, "m2": 90, "m3": 80}
NUMBERS = {"m1": 100, "m2": 101, "m3": 107}


@dataclass(frozen=True)
class Protocol:
    """One way of speaking VRRP."""

    name: str
    version: int = 2
    interval: float = 1
    auth: str = ""
    unicast: bool = False
    address: str = VIP

    @property
    def down(self) -> float:
        """A generous bound on a master down interval, with process start and a slow machine."""
        return 4 * self.interval + 12


PROTOCOLS = {
    one.name: one
    for one in (
        Protocol("v2-none"),
        Protocol("v2-pass", auth="PASS"),
        Protocol("v2-ah", auth="AH"),
        Protocol("v3-ipv4", 3, 0.1),
        Protocol("v3-ipv6", 3, 0.1, address=VIP6),
        Protocol("v3-unicast", 3, 0.1, unicast=True),
        Protocol("v2-unicast-ah", auth="AH", unicast=True),
        Protocol("v3-ipv6-unicast", 3, 0.1, unicast=True, address=VIP6),
    )
}


def config(protocol: Protocol, node: Node, lab: Lab, extra: str = "", before: str = "", priority: int = 0) -> str:
    """One node's file; `extra` goes into the instance, `before` before it."""
    v6 = ":" in protocol.address
    own = node.address6 if v6 else node.address
    others = [(n.address6 if v6 else n.address) for n in lab.nodes if n is not node]
    parts = [
        before,
        "vrrp_instance VI_1 {",
        "    interface ens37",
        "    virtual_router_id 61",
        f"    version {protocol.version}",
        f"    advert_int {protocol.interval}",
        f"    priority {priority or PRIORITIES[node.name]}",
    ]
    if protocol.auth:
        parts += ["    authentication {", f"        auth_type {protocol.auth}", "        auth_pass viettq", "    }"]
    if protocol.unicast:
        parts += [f"    unicast_src_ip {own}", "    unicast_peer {", *(f"        {peer}" for peer in others), "    }"]
    parts += ["    virtual_ipaddress {", f"        {protocol.address}", "    }", extra, "}", ""]
    return "\n".join(parts)
