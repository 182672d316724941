"""What the four measurements share: how much is measured, and the configuration of many virtual routers."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from netlab import Daemon, Node
from support import wait_for

PROGRAMS = ("keepalived", "vrrpd")
PER_LINK = 255
"""Virtual routers that fit on a link: a VRID is unique there."""

Step = Callable[[int, str, bool], None]
"""Tell the progress: (steps in all, what is measured now, whether a step was done)."""


@dataclass(frozen=True)
class Extent:
    """How much is measured."""

    runs: int
    """Failovers of each kind."""
    seconds: float
    """Length of one measurement of anything else."""

    @classmethod
    def full(cls) -> Extent:
        """For the record."""
        return cls(10, 6)

    @classmethod
    def quick(cls) -> Extent:
        """For a first impression."""
        return cls(3, 2)


def config(count: int, version: int, interval: float, priority: int = 100, interfaces: tuple[str, ...] = ()) -> str:
    """`count` virtual routers, 255 on each of the interfaces; each announces its address once."""
    links = interfaces or ("ens37",)
    blocks = []
    for number in range(count):
        link, vrid = divmod(number, PER_LINK)
        blocks.append(
            f"vrrp_instance V{number + 1} {{\n    interface {links[link]}\n    virtual_router_id {vrid + 1}\n"
            f"    version {version}\n    advert_int {interval}\n    priority {priority}\n    garp_master_delay 0\n"
            f"    virtual_ipaddress {{\n        10.{99 + link}.{vrid + 1}.1\n    }}\n}}\n"
        )
    return "".join(blocks)


def percentile(values: list[float], share: float) -> float:
    """The value below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.floor(len(ordered) * share))]


def all_masters(daemon: Daemon, count: int) -> None:
    """Wait until it is master of all its virtual routers."""
    wait_for(lambda: daemon.text.count("Entering MASTER STATE") >= count, 20, "all virtual routers to be master")


def start_all(node: Node, program: str, text: str, count: int) -> tuple[Daemon, float]:
    """Start it; seconds until every virtual router is in BACKUP."""
    start = time.monotonic()
    daemon = node.start(program, text)
    wait_for(lambda: daemon.text.count("Entering BACKUP STATE") >= count, 20, "all virtual routers to start")
    return daemon, time.monotonic() - start
