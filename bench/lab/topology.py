"""The article's network as data: three masters with a virtual address, three workers, rancher, a client; one switch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]
"""The checkout whose pylb and vrrpd run."""
CONFIGS = ROOT / "configs"

INTERFACE = "ens37"
PREFIX = 24
VIP = "172.16.10.99"
HTTP, HTTPS, STATS = 80, 443, 8085
"""Ports of the load balancers."""
INGRESS, RANCHER = 30080, 6860
"""Ports of the servers: the ingress' NodePort, and rancher's."""
APPLE_HOST, RANCHER_HOST = "apple.prod.viettq.com", "rancher.monitor.viettq.com"
APPLE_TEXT, RANCHER_TEXT = "THIS_IS_APPLE", "THIS_IS_RANCHER"
CERTIFICATE_NAMES = (APPLE_HOST, RANCHER_HOST, VIP)

Role = Literal["client", "master", "worker", "rancher"]


@dataclass(frozen=True)
class Host:
    """One machine of the network."""

    name: str
    address: str
    role: Role


HOSTS = (
    Host("client", "172.16.10.10", "client"),
    Host("master1", "172.16.10.100", "master"),
    Host("master2", "172.16.10.101", "master"),
    Host("master3", "172.16.10.107", "master"),
    Host("worker1", "172.16.10.102", "worker"),
    Host("worker2", "172.16.10.103", "worker"),
    Host("worker3", "172.16.10.104", "worker"),
    Host("rancher", "172.16.10.105", "rancher"),
)
MASTERS = tuple(host.name for host in HOSTS if host.role == "master")
WORKERS = tuple(host.name for host in HOSTS if host.role == "worker")

Balancer = Literal["pylb", "haproxy"]
Router = Literal["vrrpd", "keepalived"]


@dataclass(frozen=True)
class Programs:
    """What runs on one master; `same_files`: pylb and vrrpd take HAProxy's and keepalived's files, not their own."""

    balancer: Balancer
    router: Router
    same_files: bool = False

    def __str__(self) -> str:
        return f"{self.balancer}+{self.router}" + (":same-files" if self.same_files else "")


Stack = dict[str, Programs]
"""By master."""


def _everywhere(programs: Programs) -> Stack:
    return dict.fromkeys(MASTERS, programs)


STACKS: dict[str, Stack] = {
    "pylb+vrrpd": _everywhere(Programs("pylb", "vrrpd")),
    "haproxy+keepalived": _everywhere(Programs("haproxy", "keepalived")),
    "mixed": {
        "master1": Programs("pylb", "keepalived"),
        "master2": Programs("haproxy", "vrrpd"),
        "master3": Programs("pylb", "vrrpd", same_files=True),
    },
    "same-files": _everywhere(Programs("pylb", "vrrpd", same_files=True)),
}
"""Named choices; "same-files" is ours with HAProxy's and keepalived's files."""


def parse_stack(text: str) -> tuple[str, Stack]:
    """A name of STACKS, or one BALANCER+ROUTER[:same-files] per master with commas between. ValueError."""
    if text in STACKS:
        return text, STACKS[text]
    parts = text.split(",")
    if len(parts) == 1:
        parts *= len(MASTERS)
    if len(parts) != len(MASTERS):
        raise ValueError(f'"{text}" is none of {", ".join(STACKS)}, nor {len(MASTERS)} BALANCER+ROUTER with commas')
    return text, {master: _programs(part) for master, part in zip(MASTERS, parts, strict=True)}


def _programs(text: str) -> Programs:
    words, _, files = text.partition(":")
    balancer, _, router = words.partition("+")
    if balancer not in ("pylb", "haproxy") or router not in ("vrrpd", "keepalived") or files not in ("", "same-files"):
        raise ValueError(f'"{text}": write pylb or haproxy, +, vrrpd or keepalived, and :same-files after it if wanted')
    return Programs(balancer, router, files == "same-files")  # type: ignore[arg-type]
