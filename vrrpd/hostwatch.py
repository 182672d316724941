"""What happens on the host, told to the instances concerned: links, addresses and routes that change.

An interface's change may be held back for a while (`interface_delays`), so that a link that flaps does not move
addresses. An address or route of ours that somebody else removed is asked back at once. Where the kernel does not tell
what the host looks like, that is logged and asked again every second; until then all is taken to be as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from vrrpd.config.model import Address, TrackKind
from vrrpd.core.actions import Action, Level, State
from vrrpd.roster import Parts, Roster
from vrrpd.system.host import Changes

RETRY = 1.0
"""Seconds until the kernel is asked again."""

Do = Callable[[str, list[Action]], None]
Tracked = Callable[[TrackKind, str, bool], None]


class HostWatch:
    """Reads the netlink monitor. `do` carries an instance's actions out, `tracked` passes a result on."""

    def __init__(self, roster: Roster, parts: Parts, do: Do, tracked: Tracked) -> None:
        self._roster, self._parts, self._do, self._tracked = roster, parts, do, tracked
        self._loop = asyncio.get_running_loop()
        self._holding: dict[str, asyncio.TimerHandle] = {}
        self._asking: asyncio.TimerHandle | None = None
        """The host has to be read once more."""

    def start(self) -> None:
        """Listen from now on."""
        for name in self._parts.host.links:
            self._parts.tracking.results[TrackKind.INTERFACE, name] = self._usable(name)
        self._loop.add_reader(self._parts.host.monitor.fileno(), self._changed)

    def stop(self) -> None:
        """Listen no more."""
        self._loop.remove_reader(self._parts.host.monitor.fileno())
        for handle in self._holding.values():
            handle.cancel()
        if self._asking is not None:
            self._asking.cancel()

    def _changed(self) -> None:
        self._take(self._parts.host.read_changes())

    def _reread(self) -> None:
        self._asking = None
        self._take(self._parts.host.reread())

    def _take(self, changes: Changes) -> None:
        if changes.unread is not None:
            self._complain(changes.unread)
        self._put_back(changes)
        for interface in changes.interfaces:
            self._interface_changed(interface)
        self._keep_statics(changes)

    def _complain(self, error: OSError) -> None:
        """Say it, and look at everything again in a while."""
        if self._asking is None:
            self._parts.say(Level.ERROR, f"Netlink: {error.strerror or error}; asked again in {RETRY:g} s")
            self._asking = self._loop.call_later(RETRY, self._reread)

    def _present(self, interface: str, address: Address) -> bool:
        """As the kernel says; as notifications said where it does not."""
        try:
            return self._parts.host.present(interface, address)
        except OSError as error:
            self._complain(error)
            return address in self._parts.host.addresses_of(interface)

    def _keep_statics(self, changes: Changes) -> None:
        self._parts.statics.restore(changes)
        results = self._parts.tracking.results
        for name, complete in self._parts.statics.groups().items():
            if results.get((TrackKind.STATIC, name)) is not complete:
                results[TrackKind.STATIC, name] = complete
                self._tracked(TrackKind.STATIC, name, complete)

    def _put_back(self, changes: Changes) -> None:
        parts, now = self._parts, self._loop.time()
        for interface, address in changes.removed:
            held = parts.executor.held.get((interface, address))
            if held is None or self._present(interface, address):
                continue
            name, virtual = held
            parts.say(Level.INFO, f"Netlink reflector reports IP {address} removed from {interface}")
            if virtual.track and name in self._roster.instances:
                self._do(name, self._roster.instances[name].address_removed(virtual, now))
        if changes.routes:
            for name, instance in self._roster.instances.items():
                if instance.state is State.MASTER:
                    self._do(name, instance.routes_removed(now))

    def _interface_changed(self, interface: str) -> None:
        handle = self._holding.pop(interface, None)
        if handle is not None:
            handle.cancel()
        delay = self._delay(interface)
        if delay:
            self._holding[interface] = self._loop.call_later(delay, self._relink, interface)
        else:
            self._relink(interface)

    def _usable(self, interface: str) -> bool:
        link = self._parts.host.links.get(interface)
        return link is not None and link.usable

    def _delay(self, interface: str) -> float:
        for entry in self._roster.config.interface_delays:
            if entry.interface == interface:
                return entry.up if self._usable(interface) else entry.down
        return 0.0

    def _relink(self, interface: str) -> None:
        """Tell what the interface is like now to the checks and to the instances on it."""
        self._holding.pop(interface, None)
        if interface not in self._parts.host.links:
            self._parts.executor.forget(interface)
        usable, results = self._usable(interface), self._parts.tracking.results
        if results.get((TrackKind.INTERFACE, interface)) is not usable:
            results[TrackKind.INTERFACE, interface] = usable
            if self._parts.stations.on(interface):
                self._parts.say(Level.INFO, f"Netlink reports {interface} {'up' if usable else 'down'}")
            self._tracked(TrackKind.INTERFACE, interface, usable)
        links = self._roster.links
        for name in self._parts.stations.on(interface):
            state, former = self._parts.stations.connect(name), links.get(name)
            if state == former:
                continue
            links[name] = state
            self._do(name, self._roster.instances[name].link_changed(state, self._loop.time()))
        if usable:
            self._fill(interface)

    def _fill(self, interface: str) -> None:
        """An interface that came back is empty: ask for what instances that are master hold on it."""
        present = self._parts.host.addresses_of(interface)
        for (place, address), (name, virtual) in list(self._parts.executor.held.items()):
            if place != interface or address in present or name not in self._roster.instances:
                continue
            if not self._present(place, address):
                self._do(name, self._roster.instances[name].address_removed(virtual, self._loop.time()))
