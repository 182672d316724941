"""Which instance listens where: receivers shared per link, opened and closed as instances come and go.

One receiver serves all instances of its (interface, family, protocol, group); a packet is handed on by VRID.
While more arrives than a few dozen routers could ever send, the receiver's filter is narrowed, see `flood.py`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from vrrpd.config.model import GROUP_4, GROUP_6, InstanceSettings
from vrrpd.packet.datagram import PROTOCOL_AH, PROTOCOL_VRRP, Datagram, virtual_router_id
from vrrpd.packet.refusal import Refusal
from vrrpd.system.flood import FloodGuard
from vrrpd.system.sockets import LinkKey, Receiver

Deliver = Callable[[str, Datagram], bool]
"""Hand a packet to an instance; tells whether it was taken (False: refused)."""
BATCH = 256
"""Packets taken from one receiver before the others, and timers, get their turn."""


def family_of(settings: InstanceSettings) -> int:
    """The socket address family of an instance's adverts."""
    return socket.AF_INET if settings.family == 4 else socket.AF_INET6


def link_key(settings: InstanceSettings, interface: str, index: int, parent: int | None) -> LinkKey:
    """The receiver that an instance needs; `parent` is the index of a macvlan's parent."""
    protocol = PROTOCOL_VRRP
    if settings.authentication is not None and settings.authentication.type == "ah":
        protocol = PROTOCOL_AH
    group = None
    if not settings.unicast_peers:
        group = str(settings.multicast_group or (GROUP_4 if settings.family == 4 else GROUP_6))
    return LinkKey(interface, index, family_of(settings), protocol, group, parent)


@dataclass(slots=True)
class _Line:
    receiver: Receiver
    guard: FloodGuard
    names: dict[int, str] = field(default_factory=dict)


class Wire:
    """All receivers of the daemon. Every packet goes to `deliver(instance, datagram)`."""

    def __init__(self, deliver: Deliver, unknown: Callable[[LinkKey, int], None] | None = None) -> None:
        self.unknown = unknown
        """Told of packets of virtual routers that are not ours; without it the kernel drops them."""
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._lines: dict[LinkKey, _Line] = {}
        self._key_of: dict[str, LinkKey] = {}

    def open(
        self, name: str, settings: InstanceSettings, interface: str, index: int, parent: int | None = None
    ) -> None:
        """Listen for an instance; OSError (EPERM: CAP_NET_RAW is missing) when no socket can be had."""
        key = link_key(settings, interface, index, parent)
        if self._key_of.get(name) == key and self._lines[key].names.get(settings.virtual_router_id) == name:
            return
        self.close(name)
        line = self._lines.get(key)
        vrid = settings.virtual_router_id
        if line is None:
            receiver = Receiver(key, [vrid])
            line = self._lines[key] = _Line(receiver, FloodGuard(receiver, self._loop))
            self._loop.add_reader(receiver.fileno(), self._readable, line)
        line.names[vrid] = name
        self._serve(line)
        self._key_of[name] = key

    def _serve(self, line: _Line) -> None:
        line.receiver.serve(line.names if self.unknown is None else range(256))

    def close(self, name: str) -> None:
        """Listen no more for an instance."""
        key = self._key_of.pop(name, None)
        if key is None:
            return
        line = self._lines[key]
        line.names = {vrid: other for vrid, other in line.names.items() if other != name}
        if line.names:
            self._serve(line)
            return
        del self._lines[key]
        self._loop.remove_reader(line.receiver.fileno())
        line.guard.close()
        line.receiver.close()

    def close_all(self) -> None:
        """Close every receiver."""
        for name in list(self._key_of):
            self.close(name)

    def drain(self) -> None:
        """Take what waits in all receivers, so that no timer fires over an advert that has already come."""
        for line in list(self._lines.values()):
            self._readable(line)

    def _readable(self, line: _Line) -> None:
        try:
            datagrams = line.receiver.read(BATCH)
        except OSError:
            return  # ENETDOWN: the netlink monitor tells the same, in order
        line.guard.arrived(len(datagrams))
        for datagram in datagrams:
            self._hand_on(line, datagram)

    def _hand_on(self, line: _Line, datagram: Datagram) -> None:
        try:
            vrid = virtual_router_id(datagram)
        except Refusal:
            line.receiver.malformed += 1
            return
        name = line.names.get(vrid)
        if name is None:
            if self.unknown is not None:
                self.unknown(line.receiver.key, vrid)
            return
        if self._deliver(name, datagram):
            line.guard.good(datagram)
        else:
            line.guard.bad(datagram)

    def floods(self) -> list[dict[str, object]]:
        """For status and metrics: what each receiver saw of floods and of malformed packets."""
        return [
            {
                "interface": line.receiver.key.interface,
                "flood": line.guard.narrowed,
                "floods": line.guard.floods,
                "malformed": line.receiver.malformed,
            }
            for line in self._lines.values()
        ]
