"""The virtual router's own MAC address on a macvlan, made at start and removed at stop.

RFC 9568 section 7.3 gives each virtual router the address 00:00:5e:00:01:VRID (IPv6: 02). The addresses live
on a macvlan in private mode; the sysctls keep the parent interface from answering for them with its own MAC.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from vrrpd.config.model import InstanceSettings
from vrrpd.system.host import Host
from vrrpd.system.rtnl import encode_link_removal, encode_link_up, encode_macvlan

SYSCTL = Path("/proc/sys/net")


def mac_of(settings: InstanceSettings) -> str:
    """The virtual MAC address, as configured or as the RFC has it."""
    if settings.vmac is not None and settings.vmac.mac:
        return settings.vmac.mac
    return f"00:00:5e:00:0{1 if settings.family == 4 else 2}:{settings.virtual_router_id:02x}"


def name_of(settings: InstanceSettings, prefix: str, number: int = 0) -> str:
    """The name of an instance's first macvlan: configured, or `vrrp.VRID` (IPv6: `vrrp6.VRID`); then `vrrp.VRID.1`."""
    if number:
        return f"{name_of(settings, prefix)}.{number}"
    if settings.vmac is not None and settings.vmac.name:
        return settings.vmac.name
    return f"{prefix}{'' if settings.family == 4 else '6'}.{settings.virtual_router_id}"


def ensure(host: Host, settings: InstanceSettings, parent: str, name: str) -> str:
    """Make the macvlan of that name on `parent` unless it is there; its name.

    OSError(EOPNOTSUPP) says that the kernel has no macvlan.
    """
    mac = mac_of(settings)
    existing = host.links.get(name)
    if existing is not None and (existing.mac != bytes.fromhex(mac.replace(":", "")) or existing.kind != "macvlan"):
        raise OSError(errno.EEXIST, f"{name} exists and is not the macvlan with {mac}")
    if existing is None:
        _request(host, encode_macvlan(name, host.index_of(parent), mac), name)
        host.refresh()
        _tune(settings.family, name, parent)
    _request(host, encode_link_up(host.index_of(name)), name)
    host.refresh()
    return name


def _request(host: Host, message: bytearray, name: str) -> None:
    code = host.netlink.request([message])[0]
    if code == errno.EOPNOTSUPP:
        raise OSError(code, f"cannot make {name}: this kernel has no macvlan (modprobe macvlan)")
    if code:
        raise OSError(code, f"cannot make {name}: {os.strerror(code)}")


def _tune(family: int, name: str, parent: str) -> None:
    if family == 6:
        values = {
            f"ipv6/conf/{name}/addr_gen_mode": "1",  # no link-local address: it would be the same on all nodes
            f"ipv6/conf/{name}/autoconf": "0",
            f"ipv6/conf/{name}/accept_ra": "0",
        }
    else:
        values = {
            f"ipv6/conf/{name}/disable_ipv6": "1",
            f"ipv4/conf/{name}/arp_ignore": "1",
            f"ipv4/conf/{parent}/arp_ignore": "1",
            f"ipv4/conf/{parent}/arp_filter": "1",
            f"ipv4/conf/{name}/accept_local": "1",
            f"ipv4/conf/{name}/rp_filter": "0",
            f"ipv4/conf/{name}/promote_secondaries": "1",
        }
    for path, value in values.items():
        with contextlib.suppress(OSError):
            (SYSCTL / path).write_text(value)


def remove(host: Host, name: str) -> None:
    """Take the macvlan away; one that is gone already is no matter."""
    link = host.links.get(name)
    if link is not None and link.kind == "macvlan":
        host.netlink.request([encode_link_removal(link.index)])
