"""Which parts of root's power a process keeps (capabilities(7)).

    master             MASTERS and what the configuration's sockets take: what the next reload may need
    steward, workers   none, from the moment that the sockets are bound and the files read

A process loses the others for good: they leave its permitted set and its bounding set, programs that it would run get
none (no_new_privs). That holds for an ordinary user with an ambient or file capability as for root. Root that shall
stay root (no `user`, no `uid`) keeps what it has, as with HAProxy.
"""

from __future__ import annotations

from enum import IntEnum

from pylb.config.model import Config
from pylb.process import kernel


class Capability(IntEnum):
    """Those that are used, with the kernel's numbers."""

    CAP_CHOWN = 0
    CAP_DAC_OVERRIDE = 1
    CAP_FOWNER = 3
    CAP_KILL = 5
    CAP_SETGID = 6
    CAP_SETUID = 7
    CAP_SETPCAP = 8
    CAP_NET_BIND_SERVICE = 10
    CAP_NET_ADMIN = 12
    CAP_NET_RAW = 13
    CAP_SYS_CHROOT = 18
    CAP_SYS_NICE = 23
    CAP_SYS_RESOURCE = 24

    @property
    def bit(self) -> int:
        """Its place in a set."""
        return 1 << self.value


MASTERS = (
    Capability.CAP_NET_BIND_SERVICE,  # ports below 1024 that a reload adds
    Capability.CAP_DAC_OVERRIDE,  # the configuration, keys, pid file and unix sockets, whoever owns their directories
    Capability.CAP_CHOWN,  # the owner of unix sockets
    Capability.CAP_FOWNER,  # their mode
    Capability.CAP_SETUID,  # the next generation becomes `user`,
    Capability.CAP_SETGID,  # … `group`,
    Capability.CAP_SYS_CHROOT,  # … goes behind `chroot`,
    Capability.CAP_SETPCAP,  # … and empties its bounding set
    Capability.CAP_SYS_NICE,  # … comes back from giving way to all others (courtesy.py)
    Capability.CAP_SYS_RESOURCE,  # more descriptors for a larger `maxconn`
    Capability.CAP_KILL,  # workers are another user's processes
)


def of_master(config: Config) -> int:
    """The set that a master needs for this configuration and those that may follow it."""
    kept = sum(capability.bit for capability in MASTERS)
    binds = [bind for frontend in config.frontends for bind in frontend.binds]
    if any(bind.transparent or bind.interface is not None for bind in binds):
        kept |= Capability.CAP_NET_RAW.bit
    return kept


def keep(kept: int) -> None:
    """Give up all capabilities but these. Raises OSError when the kernel refuses and there is something to give up."""
    kernel.limit_bounding_set(kept)
    kernel.clear_ambient_capabilities()
    effective, permitted, inheritable = kernel.capabilities()
    if effective & ~kept or permitted & ~kept or inheritable:
        kernel.set_capabilities(effective & kept, permitted & kept, 0)


def lacking(*wanted: Capability) -> str:
    """The names of those among `wanted` that this process does not have, for people; "" when it has all."""
    effective = kernel.capabilities()[0]
    missing = [capability.name for capability in wanted if not effective & capability.bit]
    return " and ".join(missing)
