"""Where each instance stands on the host: which interface, which sockets, which source address.

`connect` may be called as often as something changed: it opens what can be opened now, closes what stands on
an interface that is gone, and tells the link state for the core.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable

from vrrpd.config.model import Config, InstanceSettings
from vrrpd.core.actions import Level
from vrrpd.core.instance import LinkState
from vrrpd.system import vmac
from vrrpd.system.executor import Executor, Station
from vrrpd.system.host import Host
from vrrpd.system.sockets import Framed, Sender
from vrrpd.system.wire import Wire, family_of

Say = Callable[[Level, str], None]


class Stations:
    """Keeps `executor.stations` in step with configuration and host."""

    def __init__(self, host: Host, wire: Wire, executor: Executor, say: Say) -> None:
        self._host, self._wire, self._executor, self._say = host, wire, executor, say
        self._senders: dict[tuple[str, int, int], Sender | Framed] = {}
        self._prefix = "vrrp"

    def configure(self, config: Config) -> None:
        """Give every configured instance a station; those that are there keep their sockets.

        OSError(ENODEV) names interfaces that do not exist, unless they may come later.
        """
        self._prefix = config.globals.vmac_prefix
        for settings in config.instances:
            interface = settings.interface or self._unicast_interface(settings)
            station = self._executor.stations.get(settings.name)
            if station is None:
                self._executor.stations[settings.name] = Station(settings, interface)
            else:
                station.settings = settings

    def missing_interfaces(self, config: Config) -> list[str]:
        """A sentence for each interface that is needed now and does not exist."""
        if config.globals.dynamic_interfaces:
            return []
        known = ", ".join(name for name in sorted(self._host.links) if name != "lo") or "none"
        return [
            (f"{settings.at}: " if settings.at.file else "")
            + f"interface {interface} for instance {settings.name} does not exist; "
            f"this host has: {known}" + (" (dynamic_interfaces allows it to come later)" if settings.at.file else "")
            for settings in config.instances
            for interface in (settings.interface, *settings.other_interfaces)
            if interface and interface not in self._host.links
        ]

    def _unicast_interface(self, settings: InstanceSettings) -> str:
        """The interface of the source address, else of the default route."""
        for name in self._host.links:
            if settings.source is not None and settings.source in self._host.addresses_of(name):
                return name
        return self._host.default_interface() or "lo"

    def on(self, interface: str) -> list[str]:
        """The instances that stand on an interface, whose addresses go to it, or that track it."""
        return [name for name, station in self._executor.stations.items() if interface in station.interfaces]

    def interface_of(self, name: str) -> str:
        """The interface an instance stands on."""
        return self._executor.stations[name].interface

    def places_of(self, name: str) -> list[dict[str, str]]:
        """For status: each advertised address with the interface that it is for."""
        station = self._executor.stations[name]
        return [
            {"address": str(address), "interface": station.interface_for(address)}
            for address in station.settings.addresses
        ]

    def connect(self, name: str) -> LinkState:
        """Open what is missing; the link state as it is now."""
        station = self._executor.stations[name]
        settings = station.settings
        link = self._host.links.get(station.interface)
        if link is None:
            self._disconnect(name, station)
            return LinkState(up=False, source=None)
        try:
            self._carry(station)
            station.sender = self._sender(station)
            self._listen(name, station)
            self._executor.prepare(name)
        except OSError as error:
            self._say(Level.ERROR, f"({name}) cannot use {station.interface}: {error.strerror or error}")
            return LinkState(up=False, source=None)
        source = self._host.source(station.interface, settings.family)
        station.source_text = str(settings.source or source or "")
        present = any(settings.source in self._host.addresses_of(name) for name in self._host.links)
        return LinkState(up=link.usable, source=source, source_present=settings.source is None or present)

    def _carry(self, station: Station) -> None:
        """Make the macvlan if the addresses live on one."""
        settings = station.settings
        if settings.promote_secondaries:
            with contextlib.suppress(OSError):
                (vmac.SYSCTL / f"ipv4/conf/{station.interface}/promote_secondaries").write_text("1")
        for number, below in enumerate(_with_virtual_mac(settings, station.interface)):
            if below not in self._host.links:
                continue
            try:
                name = vmac.name_of(settings, self._prefix, number)
                station.macvlans[below] = vmac.ensure(self._host, settings, below, name)
            except OSError as error:
                if below == station.interface or error.errno != errno.ENODEV:
                    raise  # else it has just gone, and its own notification is on the way

    def _listen(self, name: str, station: Station) -> None:
        """Open the receiver. With a macvlan, what comes from the virtual MAC arrives there and nowhere else."""
        index = self._host.index_of(station.carrier)
        parent = None if station.carrier == station.interface else self._host.index_of(station.interface)
        if station.settings.unicast_peers:
            index, parent = self._host.index_of(station.interface), None
        listened = station.carrier if parent is not None else station.interface
        self._wire.open(name, station.settings, listened, index, parent)

    def _sender(self, station: Station) -> Sender | Framed:
        settings = station.settings
        base = settings.vmac is None or settings.vmac.xmit_base or bool(settings.unicast_peers)
        interface = station.interface if base else station.carrier
        key = (interface, self._host.index_of(interface), family_of(settings))
        sender = self._senders.get(key)
        if sender is None:
            self._forget_senders(interface, key[2])
            framed = not base and settings.family == 6
            sender = Framed(interface, self._host.links[interface].mac) if framed else Sender(interface, *key[1:])
            self._senders[key] = sender
        return sender

    def _forget_senders(self, interface: str, family: int) -> None:
        for key in [key for key in self._senders if (key[0], key[2]) == (interface, family)]:
            self._senders.pop(key).close()

    def _disconnect(self, name: str, station: Station) -> None:
        self._wire.close(name)
        if station.sender is not None:
            self._forget_senders(station.interface, station.sender.family)
            station.sender = None

    def remove(self, name: str) -> None:
        """The instance is no more: its receiver, its macvlan and its station go."""
        self._wire.close(name)
        station = self._executor.stations.pop(name, None)
        for macvlan in station.macvlans.values() if station else ():
            vmac.remove(self._host, macvlan)

    def close(self) -> None:
        """Close every socket and remove every macvlan."""
        self._wire.close_all()
        for sender in self._senders.values():
            sender.close()
        self._senders.clear()
        for station in self._executor.stations.values():
            for macvlan in station.macvlans.values():
                vmac.remove(self._host, macvlan)


def _with_virtual_mac(settings: InstanceSettings, interface: str) -> list[str]:
    """The interfaces that need a macvlan: the instance's own first, then those of its addresses."""
    own = [interface] if settings.vmac is not None else []
    theirs = [one.interface or interface for one in settings.all_addresses if settings.virtual_mac_for(one)]
    return list(dict.fromkeys(own + theirs))
