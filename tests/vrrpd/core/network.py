"""A network of virtual routers on a clock in the test's hand: packets are bytes, links lose, delay and repeat them."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address
from math import inf

from vrrpd.config.model import InstanceSettings, VirtualAddress
from vrrpd.core.actions import (
    Action,
    AddAddresses,
    Announce,
    Log,
    Notify,
    RemoveAddresses,
    SendAdvert,
    State,
)
from vrrpd.core.instance import Instance, LinkState
from vrrpd.packet.datagram import Datagram, from_ipv4

VIP = (VirtualAddress(ip_address("172.16.10.99")),)
VIP_6 = (VirtualAddress(ip_address("fe80::99")),)

Fate = Callable[[str, str], Iterable[float]]
"""(from, to) → when each copy of a packet arrives, in seconds after it was sent; empty: lost."""


def settings(name: str = "VI_1", **changes) -> InstanceSettings:
    """The usual instance; `changes` are fields of InstanceSettings."""
    defaults = {"virtual_router_id": 61, "interface": "eth0", "addresses": VIP}
    return InstanceSettings(name=name, **{**defaults, **changes})


@dataclass
class Node:
    """A host: its instance, the addresses that it holds, all it was asked to do."""

    name: str
    source: IPv4Address
    settings: InstanceSettings
    instance: Instance | None = None
    addresses: set[VirtualAddress] = field(default_factory=set)
    done: list[tuple[float, Action]] = field(default_factory=list)

    @property
    def master(self) -> bool:
        return self.instance is not None and self.instance.state is State.MASTER

    def logs(self) -> list[str]:
        return [action.text for _, action in self.done if isinstance(action, Log)]

    def notified(self) -> list[str]:
        return [action.event.value for _, action in self.done if isinstance(action, Notify)]

    def announced(self) -> list[float]:
        return [when for when, action in self.done if isinstance(action, Announce)]


class Network:
    """Nodes on one link; `now` moves only in `run()`."""

    def __init__(
        self, fate: Fate = lambda sender, receiver: (0.0005,), made: Callable[..., Instance] = Instance
    ) -> None:
        self.now = 0.0
        self.nodes: dict[str, Node] = {}
        self.fate, self.made = fate, made
        self.cut: set[frozenset[str]] = set()
        self._order = itertools.count()
        self._flying: list[tuple[float, int, str, Datagram]] = []

    def add(self, name: str, **changes) -> Node:
        number = 100 + len(self.nodes)
        family = changes.get("addresses", VIP)[0].address.version
        source = ip_address(f"172.16.10.{number}" if family == 4 else f"fe80::{number}")
        self.nodes[name] = Node(name, source, settings(**changes))
        return self.nodes[name]

    def start(self, *names: str, sequence: int = 0, **how) -> None:
        for name in names or tuple(self.nodes):
            node = self.nodes[name]
            node.instance = self.made(node.settings, sequence)
            self.perform(node, node.instance.start(self.now, LinkState(True, node.source), **how))

    def kill(self, name: str) -> None:
        """The process dies, and the host with it: no farewell, no answer."""
        node = self.nodes[name]
        node.instance = None
        node.addresses.clear()

    def stop(self, name: str) -> None:
        node = self.nodes[name]
        if node.instance is not None:
            self.perform(node, node.instance.shutdown(self.now))
            node.instance = None

    def event(self, name: str, method: str, *arguments) -> None:
        """Call an event method of a node's instance now."""
        node = self.nodes[name]
        if node.instance is not None:
            self.perform(node, getattr(node.instance, method)(*arguments, self.now))

    def separate(self, one: str, other: str) -> None:
        self.cut.add(frozenset((one, other)))

    def heal(self) -> None:
        self.cut.clear()

    def perform(self, node: Node, actions: list[Action]) -> None:
        for action in actions:
            node.done.append((self.now, action))
            if isinstance(action, SendAdvert):
                for destination, data in action.packets:
                    self._send(node, destination, data)
            elif isinstance(action, AddAddresses):
                node.addresses.update(action.addresses)
            elif isinstance(action, RemoveAddresses):
                node.addresses.difference_update(action.addresses)

    def _send(self, node: Node, destination, data: bytes) -> None:
        if destination.version == 4:
            datagram = from_ipv4(data)
        else:
            datagram = Datagram(node.source, destination, 255, 112, data)
        for name, other in self.nodes.items():
            addressed = destination.is_multicast or other.source == destination
            if name == node.name or not addressed or frozenset((name, node.name)) in self.cut:
                continue
            for delay in self.fate(node.name, name):
                heapq.heappush(self._flying, (self.now + delay, next(self._order), name, datagram))

    def inject(self, name: str, datagram: Datagram) -> None:
        """A packet from outside arrives at a node now."""
        node = self.nodes[name]
        assert node.instance is not None
        self.perform(node, node.instance.packet_received(datagram, self.now))

    def run(self, seconds: float, check: Callable[[], None] = lambda: None) -> None:
        """Let time pass, events in their order; `check` runs after each."""
        end = self.now + seconds
        while True:
            timer, name = min(
                ((node.instance.deadline, name) for name, node in self.nodes.items() if node.instance),
                default=(inf, ""),
            )
            packet = self._flying[0][0] if self._flying else inf
            if min(timer, packet) > end:
                break
            if packet <= timer:
                self.now, _, name, datagram = heapq.heappop(self._flying)
                node = self.nodes[name]
                if node.instance is not None:
                    self.perform(node, node.instance.packet_received(datagram, self.now))
            else:
                self.now = timer
                self.event(name, "timer_fired")
            check()
        self.now = end

    @property
    def masters(self) -> list[str]:
        return [name for name, node in self.nodes.items() if node.master]

    @property
    def holders(self) -> list[str]:
        return [name for name, node in self.nodes.items() if node.addresses]
