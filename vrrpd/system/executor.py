"""Carries out what the core decided, in the order in which it was decided: the one module that changes the host.

Each instance has a `Station`, where it stands on this host: its interface, its sender, the interface that
carries its addresses. Messages for the kernel are encoded on first use and kept. What this module put on the
host is in `held`, so that a removal by somebody else can be told from our own.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address

from vrrpd.config.model import Address, InstanceSettings, Notify, Route, Rule, TrackKind, VirtualAddress
from vrrpd.core import actions
from vrrpd.core.actions import Action, Level
from vrrpd.system.announcer import Announcer
from vrrpd.system.host import Host
from vrrpd.system.notify import Notifier
from vrrpd.system.routing import encode_route, encode_rule
from vrrpd.system.rtnl import Encoded, encode_address
from vrrpd.system.sockets import Framed, Sender
from vrrpd.system.statefile import Leftover, LeftRoute, StateFile
from vrrpd.system.statics import ALREADY_SO, describe

Say = Callable[[Level, str], None]


@dataclass(slots=True)
class Station:
    """Where one instance stands on this host."""

    settings: InstanceSettings
    interface: str
    macvlans: dict[str, str] = field(default_factory=dict)
    """Interface → its macvlan with the virtual MAC, where addresses live on one."""
    sender: Sender | Framed | None = None
    source_text: str = ""
    """Source address for IPv6, whose header the kernel writes."""

    def interface_for(self, address: VirtualAddress) -> str:
        """The interface that an address goes to."""
        below = address.interface or self.interface
        return self.macvlans.get(below, below) if self.settings.virtual_mac_for(address) else below

    @property
    def interfaces(self) -> set[str]:
        """All that matter to it."""
        tracked = (track.name for track in self.settings.tracks if track.kind is TrackKind.INTERFACE)
        return {self.interface, *self.macvlans.values(), *self.settings.other_interfaces, *tracked}

    @property
    def carrier(self) -> str:
        """The interface of its own addresses: that of the adverts, or the macvlan on it."""
        return self.macvlans.get(self.interface, self.interface) if self.settings.vmac else self.interface


class Executor:
    """Does actions. `say` writes a log line."""

    def __init__(self, host: Host, notifier: Notifier, announcer: Announcer, state: StateFile | None, say: Say) -> None:
        self.stations: dict[str, Station] = {}
        self.notify_settings: dict[tuple[bool, str], Notify] = {}
        self.held: dict[tuple[str, Address], tuple[str, VirtualAddress]] = {}
        """(interface, address) → (instance, the address as configured)."""
        self.send_errors: dict[str, int] = {}
        self._host, self._notifier, self._announcer = host, notifier, announcer
        self._state, self._say = state, say
        self._texts: dict[Address, str] = {}
        self._encoded: dict[tuple[bool, int, VirtualAddress], Encoded] = {}

    def perform(self, todo: Iterable[Action]) -> None:
        """Do all of it; what fails is logged and does not keep the rest from being done."""
        for action in todo:
            match action:
                case actions.SendAdvert():
                    self._send(action)
                case actions.AddAddresses():
                    self._addresses(True, action.instance, action.addresses)
                case actions.RemoveAddresses():
                    self._addresses(False, action.instance, action.addresses)
                case actions.Announce():
                    self._announce(action)
                case actions.AddRoutes():
                    self._routes(True, action.routes, action.rules)
                case actions.RemoveRoutes():
                    self._routes(False, action.routes, action.rules)
                case actions.Notify():
                    self._notify(action)
                case actions.Log():
                    self._say(action.level, action.text)

    def _send(self, action: actions.SendAdvert) -> None:
        station = self.stations.get(action.instance)
        if station is None or station.sender is None:
            return
        hops = station.settings.unicast_ttl if station.settings.unicast_peers else 255
        for destination, data in action.packets:
            try:
                station.sender.send(data, self._text(destination), station.source_text, hops)
            except OSError as error:
                self.send_errors[action.instance] = self.send_errors.get(action.instance, 0) + 1
                self._say(Level.WARNING, f"({action.instance}) send advert error {error.errno} ({error.strerror})")

    def _text(self, destination: Address) -> str:
        text = self._texts.get(destination)
        if text is None:
            text = self._texts[destination] = str(destination)
        return text

    def _addresses(self, add: bool, instance: str, addresses: tuple[VirtualAddress, ...]) -> None:
        station = self.stations.get(instance)
        if station is None or not addresses:
            return
        if self._state is not None:
            self._state.master(instance, add)
        batch: list[Encoded] = []
        batched: list[VirtualAddress] = []
        for address in addresses:
            interface = station.interface_for(address)
            link = self._host.links.get(interface)
            self._hold(add, instance, interface, address)
            if link is None:
                if add:
                    self._say(Level.ERROR, f"({instance}) cannot set {address}: no interface {interface}")
                continue
            batch.append(self._message(add, link.index, address))
            batched.append(address)
        for address, result in zip(batched, self._host.netlink.request(batch), strict=True):
            if result not in ALREADY_SO[add]:
                verb = "set" if add else "remove"
                self._say(Level.ERROR, f"({instance}) cannot {verb} {address}: {os.strerror(result)}")

    def _hold(self, add: bool, instance: str, interface: str, address: VirtualAddress) -> None:
        key = (interface, address.address)
        if add:
            self.held[key] = (instance, address)
        elif self.held.get(key, (instance,))[0] == instance:
            self.held.pop(key, None)
            self._announcer.withdraw(interface, address.address)

    def _message(self, add: bool, index: int, address: VirtualAddress) -> Encoded:
        key = (add, index, address)
        message = self._encoded.get(key)
        if message is None:
            message = self._encoded[key] = encode_address(add, address, index)
        return message

    def prepare(self, instance: str) -> None:
        """Encode and open ahead of time whatever a takeover of this instance needs."""
        station = self.stations[instance]
        for address in station.settings.all_addresses:
            interface = station.interface_for(address)
            link = self._host.links.get(interface)
            if link is not None:
                self._message(True, link.index, address)
                self._message(False, link.index, address)
                self._announcer.prepare(interface)

    def forget(self, interface: str) -> None:
        """The interface is gone: what is open on it goes too."""
        self._announcer.forget(interface)

    def _announce(self, action: actions.Announce) -> None:
        station = self.stations.get(action.instance)
        if station is None:
            return
        garp = station.settings.garp
        said: set[tuple[str, Address]] = set()
        for _ in range(action.repeat):
            for address in action.addresses:
                interface = station.interface_for(address)
                v4 = address.address.version == 4
                if (interface, address.address) not in said:
                    said.add((interface, address.address))
                    kind = "gratuitous ARPs" if v4 else "Unsolicited Neighbour Adverts"
                    self._say(
                        Level.DEBUG,
                        f"({action.instance}) Sending/queueing {kind} on {interface} for {address.address}",
                    )
                self._announcer.announce(interface, address.address, garp.interval if v4 else garp.na_interval)

    def _routes(self, add: bool, routes: tuple[Route, ...], rules: tuple[Rule, ...]) -> None:
        batch: list[tuple[str, Encoded]] = []
        try:
            batch += [(describe(route), encode_route(add, route, self._host.index_of)) for route in routes]
            batch += [(describe(rule), encode_rule(add, rule)) for rule in rules]
        except OSError as error:
            self._say(Level.ERROR, f"cannot {'add' if add else 'remove'} route: {error.strerror}: {error.filename}")
        if not add:
            batch.reverse()
        for (what, _), result in zip(batch, self._host.netlink.request(m for _, m in batch), strict=True):
            if result not in ALREADY_SO[add]:
                self._say(Level.ERROR, f"cannot {'add' if add else 'remove'} {what}: {os.strerror(result)}")

    def _notify(self, action: actions.Notify) -> None:
        settings = self.notify_settings.get((action.group, action.instance), Notify())
        self._notifier.tell(settings, action.event, action.group, action.instance, action.priority)

    def take_away(self, leftovers: Iterable[Leftover]) -> None:
        """Remove addresses that an earlier run left behind; those that are not there are no matter."""
        for entry in leftovers:
            link = self._host.links.get(entry.interface)
            if link is None:
                continue
            address = VirtualAddress(ip_address(entry.address), entry.prefix)
            if self._host.netlink.request([encode_address(False, address, link.index)])[0] == 0:
                self._say(
                    Level.WARNING,
                    f"({entry.instance}) removed {entry.address} from {entry.interface}, left by an earlier run",
                )

    def take_routes_away(self, leftovers: Iterable[LeftRoute]) -> None:
        """Likewise for routes and rules."""
        left = list(leftovers)
        for entry, result in zip(left, self._host.netlink.request(bytearray(one.removal) for one in left), strict=True):
            if result == 0:
                self._say(Level.WARNING, f"({entry.instance}) removed {entry.what}, left by an earlier run")

    def routes_to_leave(self, settings: InstanceSettings) -> list[LeftRoute]:
        """What would remain of an instance's routes and rules after a crash; rules first, as they are removed first."""
        left = [LeftRoute(settings.name, describe(rule), bytes(encode_rule(False, rule))) for rule in settings.rules]
        for route in settings.routes:
            with contextlib.suppress(OSError):  # without its interface there is no route
                removal = encode_route(False, route, self._host.index_of)
                left.append(LeftRoute(settings.name, describe(route), bytes(removal)))
        return left
