"""The kernel's interfaces and addresses: asking, changing, and hearing of changes.

The sockets are plain and synchronous, because a takeover cannot wait for another event loop: an address is
added 0.1 ms after it was asked for, and all addresses of a takeover travel in one datagram. `RouteSocket`
asks and waits for the acknowledgements; `Monitor` listens to what changes on the host, whoever changed it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from vrrpd.system.messages import NLMSG_DONE, NLMSG_ERROR, decoded, flags_of, ifaddrmsg, ifinfmsg, rtmsg, split
from vrrpd.system.rtnl import (
    IFF_RUNNING,
    IFF_UP,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELROUTE,
    RTM_DELRULE,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTMGRP_IPV4_IFADDR,
    RTMGRP_IPV4_ROUTE,
    RTMGRP_IPV4_RULE,
    RTMGRP_IPV6_IFADDR,
    RTMGRP_IPV6_ROUTE,
    RTMGRP_IPV6_RULE,
    RTMGRP_LINK,
    RTPROT_KEEPALIVED,
    Encoded,
    encode,
)

TABLE_MAIN = 254

TRIES = 3
"""How often a question is asked that the kernel answers with an error, or while the host changed under it."""


@dataclass(frozen=True, slots=True)
class Link:
    """One network interface as the kernel reports it."""

    index: int
    name: str
    flags: int
    mac: bytes
    mtu: int
    kind: str = ""

    @property
    def usable(self) -> bool:
        """Administratively up and with a carrier, the condition under which VRRP may run (keepalived's)."""
        return bool(self.flags & IFF_UP and self.flags & IFF_RUNNING)


@dataclass(frozen=True, slots=True)
class LinkGone:
    """The interface was removed from the host or moved out of the namespace."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class Address:
    """An address that stands on an interface, or (as an event) that appeared or disappeared."""

    index: int
    address: str
    prefix: int
    scope: int = 0
    present: bool = True


@dataclass(frozen=True, slots=True)
class RouteGone:
    """A route or a rule of ours vanished; `destination` is "default", address/prefix, or "rule"."""

    destination: str
    table: int


@dataclass(frozen=True, slots=True)
class Overflow:
    """The kernel dropped notifications (ENOBUFS): the reader has to look at everything again."""


Event = Link | LinkGone | Address | RouteGone | Overflow


class KernelError(OSError):
    """The kernel has answered a question with an error, at once or after a part of the answer."""


class RouteSocket:
    """Requests to the kernel, answered before the call returns."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._socket.settimeout(2.0)
        self._sequence = 0

    def close(self) -> None:
        """Close the socket; further requests raise OSError."""
        self._socket.close()

    def request(self, messages: Iterable[Encoded]) -> list[int]:
        """Send all messages in one datagram; the errno of each (0: done), in their order."""
        batch = list(messages)
        first = self._sequence + 1
        for message in batch:
            self._sequence += 1
            struct.pack_into("=I", message, 8, self._sequence)
        results = [errno.ETIMEDOUT] * len(batch)
        for start in range(0, len(batch), 256):
            chunk = batch[start : start + 256]
            self._socket.send(b"".join(chunk))
            self._collect(results, first, len(chunk))
        return results

    def _collect(self, results: list[int], first: int, expected: int) -> None:
        while expected > 0:
            try:
                data = self._socket.recv(1 << 17)
            except TimeoutError:
                return
            for kind, sequence, message in split(data):
                if kind == NLMSG_ERROR and 0 <= sequence - first < len(results):
                    results[sequence - first] = -struct.unpack_from("=i", message, 16)[0]
                    expected -= 1

    def links(self) -> list[Link]:
        """All interfaces of this network namespace. OSError when the kernel does not tell."""
        message = encode(ifinfmsg(), RTM_GETLINK, NLM_F_DUMP)
        return [event for event in self._dump(message) if isinstance(event, Link)]

    def addresses(self) -> list[Address]:
        """All addresses of this network namespace. OSError when the kernel does not tell."""
        message = encode(ifaddrmsg(), RTM_GETADDR, NLM_F_DUMP)
        return [event for event in self._dump(message) if isinstance(event, Address)]

    def default_interface(self) -> int | None:
        """The interface index of the IPv4 default route with the lowest metric, else of the IPv6 one.

        OSError when the kernel does not tell.
        """
        best: dict[int, tuple[int, int]] = {}
        for family in (socket.AF_INET, socket.AF_INET6):
            message = encode(rtmsg(), RTM_GETROUTE, NLM_F_DUMP, family=family)
            for route in self._messages(message):
                index = route.get_attr("RTA_OIF")
                if route["dst_len"] or route["type"] != 1 or not index or route["table"] != TABLE_MAIN:
                    continue
                candidate = (route.get_attr("RTA_PRIORITY") or 0, index)
                best[family] = min(best.get(family, candidate), candidate)
        for family in (socket.AF_INET, socket.AF_INET6):
            if family in best:
                return best[family][1]
        return None

    def _dump(self, message: Encoded) -> Iterator[Event]:
        for read in self._messages(message):
            yield from _event(read)

    def _messages(self, message: Encoded) -> list[Any]:
        """The whole answer to a question, asked again where it fails: part of an answer looks like a host that has lost
        interfaces and addresses."""
        for left in reversed(range(TRIES)):
            try:
                return list(self._answer(message))
            except KernelError:
                if not left:
                    raise
        return []

    def _answer(self, message: Encoded) -> Iterator[Any]:
        self._sequence += 1
        asked = self._sequence
        struct.pack_into("=I", message, 8, asked)
        self._socket.send(message)
        torn = False
        while True:
            data = self._socket.recv(1 << 20)
            ours = [(kind, message) for kind, sequence, message in split(data) if sequence == asked]
            answers = dict(ours)
            torn = torn or any(flags_of(message) & NLM_F_DUMP_INTR for _, message in ours)
            if not answers:  # late, to a request that was given up
                continue
            end = answers.get(NLMSG_ERROR) or answers.get(NLMSG_DONE)
            code = _result(end) if end is not None else 0
            if code or NLMSG_ERROR in answers:
                raise KernelError(code, f"the kernel does not tell what there is: {os.strerror(code)}")
            yield from decoded(data)
            if end is not None:
                break
        if torn:
            raise KernelError(errno.EINTR, "the kernel does not tell what there is: it changed meanwhile")


def _result(message: bytes) -> int:
    """The errno in NLMSG_ERROR or NLMSG_DONE (0: none), as in `struct nlmsgerr`; a DONE may come without."""
    return max(0, -struct.unpack_from("=i", message, 16)[0]) if len(message) >= 20 else 0


def _event(message: Any) -> Iterator[Event]:
    kind = message["header"]["type"]
    if kind in (RTM_NEWLINK, RTM_DELLINK) and message["family"] == 0:
        name = message.get_attr("IFLA_IFNAME") or ""
        if kind == RTM_DELLINK:
            yield LinkGone(message["index"], name)
        else:
            yield _link(message, name)
    elif kind in (RTM_NEWADDR, RTM_DELADDR):
        address = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        present = kind == RTM_NEWADDR
        yield Address(message["index"], address, message["prefixlen"], message["scope"], present)
    elif kind == RTM_DELROUTE and message["proto"] == RTPROT_KEEPALIVED:
        destination = message.get_attr("RTA_DST")
        text = f"{destination}/{message['dst_len']}" if destination else "default"
        yield RouteGone(text, message.get_attr("RTA_TABLE") or message["table"])
    elif kind == RTM_DELRULE and message.get_attr("FRA_PROTOCOL") == RTPROT_KEEPALIVED:
        yield RouteGone("rule", message.get_attr("FRA_TABLE") or message["table"])


def _link(message: Any, name: str) -> Link:
    info = message.get_attr("IFLA_LINKINFO")
    return Link(
        index=message["index"],
        name=name,
        flags=message["flags"],
        mac=bytes.fromhex((message.get_attr("IFLA_ADDRESS") or "").replace(":", "")),
        mtu=message.get_attr("IFLA_MTU") or 0,
        kind=(info.get_attr("IFLA_INFO_KIND") or "") if info else "",
    )


class Monitor:
    """Notifications of the kernel about links, addresses and our own kind of routes."""

    GROUPS = (
        *(RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR),
        *(RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE, RTMGRP_IPV4_RULE, RTMGRP_IPV6_RULE),
    )

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
            socket.NETLINK_ROUTE,
        )
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._socket.bind((0, sum(self.GROUPS)))

    def fileno(self) -> int:
        """For the event loop: readable when something changed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def read(self) -> list[Event]:
        """Everything that happened since the last call; never blocks."""
        events: list[Event] = []
        while True:
            try:
                data = self._socket.recv(1 << 17)
            except BlockingIOError:
                return events
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                events.append(Overflow())
                continue
            for message in decoded(data):
                events.extend(_event(message))
