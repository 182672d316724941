"""What the host looks like right now: interfaces by name, their addresses, and what changed.

Kept up to date from netlink notifications; after an overflow everything is read again. Nothing is changed
here. VRRP's own virtual addresses are told apart from the host's by `virtual`, because an advert's source is
the interface's first address that is not virtual.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from pathlib import Path

from vrrpd.config.model import Address as IpAddress
from vrrpd.system import netlink
from vrrpd.system.netlink import Link, LinkGone, Monitor, Overflow, RouteGone, RouteSocket


@dataclass(slots=True)
class Changes:
    """What one batch of notifications changed."""

    interfaces: set[str] = field(default_factory=set)
    """Names of interfaces whose link or addresses are different now."""
    removed: list[tuple[str, IpAddress]] = field(default_factory=list)
    """(interface, address) that is gone."""
    routes: bool = False
    """One of our routes vanished."""
    unread: OSError | None = None
    """Why the host could not be read after notifications were lost; `reread` once more."""


class Host:
    """The interfaces and addresses of this network namespace."""

    def __init__(self) -> None:
        self.netlink = RouteSocket()
        self.monitor = Monitor()
        self.links: dict[str, Link] = {}
        self.virtual: set[IpAddress] = set()
        self._names: dict[int, str] = {}
        self._addresses: dict[int, list[IpAddress]] = {}
        self.refresh()

    def close(self) -> None:
        """Close the sockets."""
        self.netlink.close()
        self.monitor.close()

    def refresh(self) -> None:
        """Read interfaces and addresses anew. OSError when the kernel does not tell: all is known as before."""
        links, addresses = self.netlink.links(), self.netlink.addresses()
        self.links = {link.name: link for link in links}
        self._names = {link.index: link.name for link in links}
        self._addresses = {}
        for entry in addresses:
            self._addresses.setdefault(entry.index, []).append(ip_address(entry.address))

    def index_of(self, name: str) -> int:
        """An interface's index; OSError(ENODEV) when there is none of that name."""
        link = self.links.get(name)
        if link is None:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), name)
        return link.index

    def default_interface(self) -> str | None:
        """The name of the default route's interface."""
        index = self.netlink.default_interface()
        return self._names.get(index) if index is not None else None

    def addresses_of(self, name: str) -> list[IpAddress]:
        """All addresses on an interface, in the kernel's order."""
        link = self.links.get(name)
        return list(self._addresses.get(link.index, ())) if link else []

    def source(self, name: str, family: int) -> IpAddress | None:
        """The address adverts come from: the first that is not virtual, for IPv6 the first link-local one."""
        for address in self.addresses_of(name):
            if address.version != family or address in self.virtual:
                continue
            if family == 4 or address.is_link_local:
                return address
        return None

    def present(self, name: str, address: IpAddress) -> bool:
        """Ask the kernel, not the notifications, whether an address stands on an interface.

        OSError when it does not tell.
        """
        link = self.links.get(name)
        if link is None:
            return False
        return any(
            entry.index == link.index and ip_address(entry.address) == address for entry in self.netlink.addresses()
        )

    def forwards(self, name: str) -> bool:
        """Whether the interface forwards IPv6, which an NA's router flag tells."""
        try:
            return Path(f"/proc/sys/net/ipv6/conf/{name}/forwarding").read_text().strip() != "0"
        except OSError:
            return False

    def read_changes(self) -> Changes:
        """Take in the waiting notifications."""
        return self.apply(self.monitor.read())

    def apply(self, events: Iterable[netlink.Event]) -> Changes:
        """Take in these notifications and say what they changed."""
        changes = Changes()
        for event in events:
            match event:
                case Link():
                    self._link(event, changes)
                case LinkGone():
                    self._gone(event, changes)
                case netlink.Address():
                    self._address(event, changes)
                case RouteGone():
                    changes.routes = True
                case Overflow():
                    self._reread(changes)
        return changes

    def reread(self) -> Changes:
        """Look at everything again; what is different, and `unread` when that has failed."""
        return self.apply([Overflow()])

    def _link(self, link: Link, changes: Changes) -> None:
        former = self._names.get(link.index)
        if former is not None and former != link.name:
            self.links.pop(former, None)
            changes.interfaces.add(former)
        self._names[link.index] = link.name
        if self.links.get(link.name) != link:
            self.links[link.name] = link
            changes.interfaces.add(link.name)

    def _gone(self, event: LinkGone, changes: Changes) -> None:
        name = self._names.pop(event.index, event.name)
        self._addresses.pop(event.index, None)
        if name in self.links and self.links[name].index == event.index:
            del self.links[name]
        changes.interfaces.add(name)

    def _address(self, event: netlink.Address, changes: Changes) -> None:
        address = ip_address(event.address)
        known = self._addresses.setdefault(event.index, [])
        name = self._names.get(event.index, "")
        if event.present and address not in known:
            known.append(address)
            changes.interfaces.add(name)
        elif not event.present and address in known:
            known.remove(address)
            changes.interfaces.add(name)
            changes.removed.append((name, address))

    def _reread(self, changes: Changes) -> None:
        before = {(name, address) for name in self.links for address in self.addresses_of(name)}
        names = set(self.links)
        try:
            self.refresh()
        except OSError as error:
            changes.unread = error
            return
        after = {(name, address) for name in self.links for address in self.addresses_of(name)}
        changes.interfaces |= names | set(self.links)
        changes.removed += sorted(before - after, key=str)
        changes.routes = True


def networks() -> dict[str, tuple[IPv4Interface | IPv6Interface, ...]]:
    """This host's addresses with their networks, by interface; nothing where netlink cannot be had."""
    try:
        host = RouteSocket()
    except OSError:
        return {}
    try:
        links, addresses = host.links(), host.addresses()
    except OSError:
        return {}
    finally:
        host.close()
    names = {link.index: link.name for link in links}
    found: dict[str, tuple[IPv4Interface | IPv6Interface, ...]] = {}
    for entry in addresses:
        name = names.get(entry.index, "")
        if entry.prefix < ip_address(entry.address).max_prefixlen:
            found[name] = (*found.get(name, ()), ip_interface(f"{entry.address}/{entry.prefix}"))
    return found
