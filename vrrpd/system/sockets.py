"""The sockets adverts travel through, one receiver and one sender per link.

A receiver belongs to (interface, address family, protocol 112 or 51, multicast group or unicast) and serves
every virtual router there: several instances share it, and its filter lets only their VRIDs through. The
IPv4 header is written by us (IP_HDRINCL), as keepalived does, because AH signs it and because its identifier
counts adverts. For IPv6 the kernel writes the header. `FrameSender` puts finished Ethernet frames (gratuitous
ARP, unsolicited NA) on a link.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

from vrrpd.packet.datagram import PROTOCOL_VRRP, Datagram, from_ipv4
from vrrpd.packet.refusal import Refusal
from vrrpd.system import filters

IP_MULTICAST_ALL, IPV6_MULTICAST_ALL = 49, 29
IPV6_RECVPKTINFO, IPV6_PKTINFO, IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT = 49, 50, 51, 52
IPV6_TCLASS = 67
VRRP_TRAFFIC_CLASS = 0xC0
"""Precedence "internetwork control", as keepalived marks its adverts."""
RECEIVE_BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class LinkKey:
    """What tells one receiver from another."""

    interface: str
    index: int
    family: int
    protocol: int = PROTOCOL_VRRP
    group: str | None = None
    """Multicast group, None for unicast."""
    also_join: int | None = None
    """Index of a macvlan's parent, joined too, so that membership reports go out with a proper source."""


class Receiver:
    """A non-blocking raw socket that hears the adverts of some virtual routers on one link."""

    def __init__(self, key: LinkKey, vrids: Iterable[int], buffer: int = RECEIVE_BUFFER) -> None:
        self.key = key
        self.vrids = frozenset(vrids)
        self.malformed = 0
        self._socket = socket.socket(key.family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, key.protocol)
        try:
            self.restrict(None)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, key.interface.encode() + b"\0")
            self._join()
        except BaseException:
            self._socket.close()
            raise

    def _join(self) -> None:
        key = self.key
        if key.family == socket.AF_INET:
            self._socket.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
            if key.group:
                for index in self._joined():
                    request = struct.pack("=4s4si", socket.inet_aton(key.group), b"\0" * 4, index)
                    self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
                self._socket.bind((key.group, 0))
            return
        for option in (IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT):
            self._socket.setsockopt(socket.IPPROTO_IPV6, option, 1)
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
        if key.group:
            for index in self._joined():
                request = socket.inet_pton(socket.AF_INET6, key.group) + struct.pack("=i", index)
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
            self._socket.bind((key.group, 0, 0, key.index))

    def _joined(self) -> list[int]:
        return [self.key.index] if self.key.also_join is None else [self.key.index, self.key.also_join]

    def restrict(self, trusted: Sequence[filters.Trusted] | None) -> None:
        """Let our VRIDs through; with `trusted`, strangers' packets only now and then."""
        program = filters.vrid_program(self.key.family, self.key.protocol, self.vrids, trusted)
        filters.attach(self._socket, program)

    def serve(self, vrids: Iterable[int]) -> None:
        """Change which virtual routers are heard, as a reload does."""
        self.vrids = frozenset(vrids)
        self.restrict(None)

    def fileno(self) -> int:
        """For the event loop: readable when an advert waits."""
        return self._socket.fileno()

    def close(self) -> None:
        """Leave the group and stop hearing."""
        self._socket.close()

    def read(self, limit: int = 256) -> list[Datagram]:
        """At most `limit` waiting packets; never blocks. What is no IP packet is counted in `malformed`.

        OSError(ENETDOWN) passes once when the link fails.
        """
        datagrams: list[Datagram] = []
        read_one = self._read_v4 if self.key.family == socket.AF_INET else self._read_v6
        for _ in range(limit):
            try:
                datagrams.append(read_one())
            except BlockingIOError:
                break
            except Refusal:
                self.malformed += 1
        return datagrams

    def _read_v4(self) -> Datagram:
        return from_ipv4(self._socket.recv(2048))

    def _read_v6(self) -> Datagram:
        data, ancillary, _, peer = self._socket.recvmsg(2048, 128)
        destination, ttl = IPv6Address(0), -1
        for level, kind, value in ancillary:
            if level == socket.IPPROTO_IPV6 and kind == IPV6_PKTINFO:
                destination = IPv6Address(value[:16])
            elif level == socket.IPPROTO_IPV6 and kind == IPV6_HOPLIMIT:
                ttl = struct.unpack("=i", value)[0]
        return Datagram(IPv6Address(peer[0].partition("%")[0]), destination, ttl, self.key.protocol, data)


class Sender:
    """Sends the adverts of one interface and family; `send` takes what the packet codec built."""

    def __init__(self, interface: str, index: int, family: int) -> None:
        self.family, self.index = family, index
        protocol = socket.IPPROTO_RAW if family == socket.AF_INET else PROTOCOL_VRRP
        self._socket = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 6)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
            filters.attach(self._socket, [(filters.RETURN, 0, 0, 0)])
            self._prepare()
        except BaseException:
            self._socket.close()
            raise

    def _prepare(self) -> None:
        if self.family == socket.AF_INET:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
            request = struct.pack("=4s4si", b"\0" * 4, b"\0" * 4, self.index)
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
            return
        level = socket.IPPROTO_IPV6
        self._socket.setsockopt(level, socket.IPV6_MULTICAST_LOOP, 0)
        self._socket.setsockopt(level, socket.IPV6_MULTICAST_IF, self.index)
        self._socket.setsockopt(level, socket.IPV6_MULTICAST_HOPS, 255)
        self._socket.setsockopt(level, IPV6_TCLASS, VRRP_TRAFFIC_CLASS)

    def send(self, packet: bytes, destination: str, source: str = "", hops: int = 255) -> None:
        """Send one advert; OSError when the kernel refuses (link down, no route to a unicast peer).

        IPv4 packets carry their own header; for IPv6 `source` and `hops` go into the kernel's.
        """
        if self.family == socket.AF_INET:
            self._socket.sendto(packet, (destination, 0))
            return
        level = socket.IPPROTO_IPV6
        address = socket.inet_pton(socket.AF_INET6, source or "::")
        control = [
            (level, IPV6_PKTINFO, address + struct.pack("=i", self.index)),
            (level, IPV6_HOPLIMIT, struct.pack("=i", hops)),
        ]
        self._socket.sendmsg([packet], control, 0, (destination, 0, 0, self.index))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class FrameSender:
    """An AF_PACKET socket for finished Ethernet frames on one link; it receives nothing."""

    def __init__(self, interface: str) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        try:
            self._socket.bind((interface, 0))
        except BaseException:
            self._socket.close()
            raise

    def send(self, frame: bytes) -> None:
        """Put one frame on the link; OSError when the link is down."""
        self._socket.send(frame)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class Framed:
    """Sends IPv6 adverts as Ethernet frames of a macvlan: its MAC address, but the parent's IP address.

    The kernel would not take an address of another interface as the source. Same calls as `Sender`.
    """

    family = socket.AF_INET6

    def __init__(self, interface: str, mac: bytes) -> None:
        self._frames = FrameSender(interface)
        self._mac = mac

    def send(self, packet: bytes, destination: str, source: str = "", hops: int = 255) -> None:
        """Send one multicast advert; OSError when the kernel refuses."""
        group = socket.inet_pton(socket.AF_INET6, destination)
        first_word = (6 << 28 | VRRP_TRAFFIC_CLASS << 20).to_bytes(4, "big")
        header = first_word + len(packet).to_bytes(2, "big") + bytes((PROTOCOL_VRRP, hops))
        addresses = socket.inet_pton(socket.AF_INET6, source) + group
        self._frames.send(b"\x33\x33" + group[12:] + self._mac + b"\x86\xdd" + header + addresses + packet)

    def close(self) -> None:
        """Close the socket."""
        self._frames.close()
