"""Virtual addresses, routes and rules: what comes and goes with the master.

The words are those of `ip address`, `ip route` and `ip rule`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Literal

from annotated_types import Ge, Le

from vrrpd.config.model.place import NOWHERE, Origin, Strict

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class VirtualAddress(Strict):
    """One address that the master answers for."""

    address: Address
    prefix: Annotated[int, Ge(0), Le(128)] | None = None
    """Length of the network; None: /32 or /128. [prefix, or "ADDR/LEN" | ADDR/LEN]"""
    broadcast: IPv4Address | Literal["+", "-"] | None = None
    """Broadcast address; "+" sets and "-" clears the host bits. [| brd]"""
    interface: str | None = None
    """Interface that carries it; None: the instance's. [| dev]"""
    scope: str | int | None = None
    """global, site, link, host, nowhere, or a number; None: as the address implies."""
    label: str | None = None
    """Label for IPv4, such as "eth0:1"."""
    peer: Address | None = None
    """Other end of a point-to-point address."""
    preferred_lifetime: int | Literal["forever"] | None = None
    """IPv6: 0 makes it deprecated, which a /128 is unless this says otherwise. [| preferred_lft]"""
    use_vmac: bool = False
    """Put it on a macvlan with the virtual MAC, on `interface`."""
    track: bool = True
    """Put it back when someone removes it. [track = false | no_track]"""
    home: bool = False
    """IPv6 home address flag (RFC 6275)."""
    nodad: bool = True
    """IPv6: skip duplicate address detection, which would delay a failover. [| -nodad]"""
    mngtmpaddr: bool = False
    """IPv6: kernel manages temporary addresses from it."""
    noprefixroute: bool = False
    """Add no route for the address's network."""
    autojoin: bool = False
    """Join multicast groups with it."""
    track_group: str | None = None
    """Static addresses: the track_group whose instances watch it."""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)

    @property
    def prefix_length(self) -> int:
        """The prefix that the kernel is given."""
        return self.address.max_prefixlen if self.prefix is None else self.prefix

    def __str__(self) -> str:
        return str(self.address) if self.prefix is None else f"{self.address}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class Nexthop(Strict):
    """One way of a multipath route, in the words of `ip route`."""

    via: Address | None = None
    interface: str | None = None
    """[| dev]"""
    weight: Annotated[int, Ge(1), Le(256)] = 1
    onlink: bool = False


@dataclass(frozen=True, slots=True)
class Route(Strict):
    """A route that comes and goes with the master, in the words of `ip route`."""

    to: Network
    kind: Literal["unicast", "blackhole", "unreachable", "prohibit", "throw", "local"] = "unicast"
    via: Address | None = None
    source: Address | None = None
    """Preferred source address. [| src]"""
    interface: str | None = None
    """[| dev]"""
    table: str | int | None = None
    scope: str | int | None = None
    protocol: str | int | None = None
    """None: "keepalived" (18), so that leftovers are known as ours."""
    metric: int | None = None
    """[| metric, priority, preference]"""
    tos: int | None = None
    mtu: int | None = None
    advmss: int | None = None
    hoplimit: int | None = None
    window: int | None = None
    """Highest window to announce, bytes."""
    rtt: int | None = None
    """Milliseconds; so is `rttvar`."""
    rttvar: int | None = None
    rto_min: int | None = None
    """Milliseconds."""
    ssthresh: int | None = None
    """Segments; so are the windows below."""
    cwnd: int | None = None
    initcwnd: int | None = None
    initrwnd: int | None = None
    reordering: int | None = None
    quickack: Literal[0, 1] | None = None
    congctl: str | None = None
    """Congestion control, by name."""
    preference: Literal["low", "medium", "high"] | None = None
    """IPv6: preference among equal routes. [preference | pref]"""
    realms: str | None = None
    """Realms for accounting and shaping, "FROM/TO" or "TO"."""
    expires: int | None = None
    """IPv6: seconds after which the kernel takes it away by itself."""
    ecn: bool = False
    """Explicit congestion notification towards it, though the host does not ask for it. [| features ecn]"""
    fastopen_no_cookie: Literal[0, 1] | None = None
    """1: TCP fast open without a cookie."""
    lock: tuple[str, ...] = ()
    """Metrics that TCP may not adjust, by their names here. [| NAME lock VALUE]"""
    onlink: bool = False
    append: bool = False
    add: bool = False
    """Leave a route to the same network alone, whoever made it, instead of replacing it."""
    nexthops: tuple[Nexthop, ...] = ()
    track: bool = True
    """[track = false | no_track]"""
    track_group: str | None = None
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rule(Strict):
    """A policy rule that comes and goes with the master, in the words of `ip rule`."""

    family: Literal[4, 6] = 4
    """[| inet6]"""
    source: Network | None = None
    """[from | from]"""
    to: Network | None = None
    table: str | int | None = None
    action: Literal["lookup", "blackhole", "unreachable", "prohibit", "goto", "nop"] = "lookup"
    goto: int | None = None
    preference: int | None = None
    """None: one is given, from 16383 downwards in the order of the file. [| preference, priority, order]"""
    iif: str | None = None
    oif: str | None = None
    fwmark: int | None = None
    fwmask: int | None = None
    tos: int | None = None
    realms: str | None = None
    """Realms that the rule sets, "FROM/TO" or "TO"."""
    uid_range: str | None = None
    """Users whose packets it is for, "FIRST-LAST". [uid_range | uidrange]"""
    ip_protocol: str | int | None = None
    """tcp, udp, … or a number. [ip_protocol | ip_proto, ipproto]"""
    source_ports: str | None = None
    """"FIRST-LAST" or one port. [source_ports | sport]"""
    destination_ports: str | None = None
    """[destination_ports | dport]"""
    l3mdev: bool = False
    """The table of the VRF that the packet belongs to."""
    tunnel_id: int | None = None
    """[tunnel_id | tun_id]"""
    suppress_prefix_length: int | None = None
    """Take no route with that many bits or fewer. [suppress_prefix_length | suppress_prefixlength]"""
    suppress_group: int | None = None
    """Take no route over an interface of that group. [suppress_group | suppress_ifgroup]"""
    protocol: str | int | None = None
    """Who made it; None: "keepalived" (18)."""
    invert: bool = False
    """[| not]"""
    track: bool = True
    """[track = false | no_track]"""
    track_group: str | None = None
    at: Origin = field(default=NOWHERE, compare=False, repr=False)
