"""What the kernel must allow: capabilities checked before anything is opened, scheduling as configured."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

from vrrpd.config.model import Scheduling
from vrrpd.core.actions import Level

NEEDED = {
    12: ("CAP_NET_ADMIN", "to set addresses and interfaces"),
    13: ("CAP_NET_RAW", "to send and receive adverts"),
}
MCL_CURRENT, MCL_FUTURE = 1, 2
CLONE_NEWNET = 0x40000000


class PermissionMissing(Exception):
    """The text names each missing capability and how to get it."""


def check_capabilities() -> None:
    """PermissionMissing unless this process may do what a VRRP router has to."""
    status = Path("/proc/self/status").read_text()
    effective = int(next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1], 16)
    lacking = [f"{name} ({why})" for bit, (name, why) in NEEDED.items() if not effective >> bit & 1]
    if lacking:
        raise PermissionMissing(
            f"permission missing: {' and '.join(lacking)}. Run it as root, or give them with systemd's "
            "AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW"
        )


def schedule(wanted: Scheduling, say: Callable[[Level, str], None]) -> None:
    """Apply niceness, real-time priority, CPUs and memory locking; what is refused is said, not fatal."""
    steps: list[tuple[str, Callable[[], object]]] = []
    if wanted.priority is not None:
        nice = wanted.priority
        steps.append(("nice value", lambda: os.setpriority(os.PRIO_PROCESS, 0, nice)))
    if wanted.realtime is not None:
        parameter = os.sched_param(wanted.realtime)
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        steps.append(("real-time priority", lambda: os.sched_setscheduler(0, policy, parameter)))
    if wanted.cpus:
        steps.append(("CPU affinity", lambda: os.sched_setaffinity(0, wanted.cpus)))
    if wanted.no_swap:
        steps.append(("memory lock", _lock_memory))
    for what, step in steps:
        try:
            step()
        except OSError as error:
            say(Level.WARNING, f"Unable to set {what}: {error.strerror}")


def raise_priority(limit: int) -> bool:
    """Become a real-time process of this SCHED_RR priority after having been late; False when refused."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(limit))
    except OSError:
        return False
    return True


def enter_network(name: str) -> None:
    """Move this process into a named network namespace, as `ip netns exec` does. OSError when there is none."""
    with Path("/run/netns", name).open() as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), f"/run/netns/{name}")


def _lock_memory() -> None:
    if ctypes.CDLL(None, use_errno=True).mlockall(MCL_CURRENT | MCL_FUTURE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
