"""Gratuitous ARP and unsolicited NA: frames built once per address, sent at once or paced.

With an interval (keepalived's vrrp_garp_interval) frames wait in one queue per interface and leave one by
one; keepalived loses most of a batch then, here nothing is lost. Without one a batch leaves back to back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from ipaddress import IPv4Address

from vrrpd.config.model import Address
from vrrpd.core.actions import Level
from vrrpd.packet.announce import gratuitous_arp, unsolicited_na
from vrrpd.system.host import Host
from vrrpd.system.sockets import FrameSender

Say = Callable[[Level, str], None]


class Announcer:
    """Sends announcements on any interface of the host."""

    def __init__(self, host: Host, say: Say) -> None:
        self._host, self._say = host, say
        self._senders: dict[str, FrameSender] = {}
        self._queues: dict[str, deque[tuple[Address, float]]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.sent = 0

    def announce(self, interface: str, address: Address, interval: float) -> None:
        """Announce once; with an `interval` (seconds) not sooner than that after the one before."""
        if interval <= 0 and interface not in self._timers:
            self._send(interface, address)
            return
        self._queues.setdefault(interface, deque()).append((address, interval))
        if interface not in self._timers:
            self._next(interface)

    def _next(self, interface: str) -> None:
        self._timers.pop(interface, None)
        queue = self._queues.get(interface)
        if not queue:
            return
        address, interval = queue.popleft()
        self._send(interface, address)
        loop = asyncio.get_running_loop()
        self._timers[interface] = loop.call_later(interval, self._next, interface)

    def withdraw(self, interface: str, address: Address) -> None:
        """Announce this address no more: it is about to be removed."""
        queue = self._queues.get(interface)
        if queue:
            self._queues[interface] = deque(entry for entry in queue if entry[0] != address)

    def _send(self, interface: str, address: Address) -> None:
        link = self._host.links.get(interface)
        if link is None or len(link.mac) != 6:
            return
        if isinstance(address, IPv4Address):
            kind, frame = "gratuitous ARP", gratuitous_arp(link.mac, address)
        else:
            kind = "unsolicited Neighbour Advert"
            frame = unsolicited_na(link.mac, address, self._host.forwards(interface))
        try:
            self._sender(interface).send(frame)
        except OSError as error:
            self.forget(interface)
            self._say(Level.WARNING, f"Error sending {kind} on {interface} for {address}: {error.strerror}")
            return
        self.sent += 1
        self._say(Level.DEBUG, f"Sending {kind} on {interface} for {address}")

    def _sender(self, interface: str) -> FrameSender:
        sender = self._senders.get(interface)
        if sender is None:
            sender = self._senders[interface] = FrameSender(interface)
        return sender

    def prepare(self, interface: str) -> None:
        """Open the interface's socket ahead of time, so that a takeover does not have to."""
        if interface in self._host.links and interface not in self._senders:
            self._senders[interface] = FrameSender(interface)

    def forget(self, interface: str) -> None:
        """The interface went away or came back as another: open its socket anew."""
        sender = self._senders.pop(interface, None)
        if sender is not None:
            sender.close()

    def close(self) -> None:
        """Drop what waits and close the sockets."""
        for timer in self._timers.values():
            timer.cancel()
        for interface in list(self._senders):
            self.forget(interface)
