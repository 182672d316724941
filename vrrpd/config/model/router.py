"""One virtual router, everything that belongs to it, and the sync group it may be in."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Literal

from annotated_types import Ge, Le

from vrrpd.config.model.checks import Command, Track
from vrrpd.config.model.network import Address, Route, Rule, VirtualAddress
from vrrpd.config.model.place import NOWHERE, Origin, Strict

# The groups that IANA gave VRRP (RFC 9568 section 10).
GROUP_4 = IPv4Address("224.0.0.18")
GROUP_6 = IPv6Address("ff02::12")

OWNER_PRIORITY = 255


@dataclass(frozen=True, slots=True)
class Authentication(Strict):
    """VRRPv2 authentication. [authentication = {type, password} | authentication {auth_type auth_pass}]"""

    type: Literal["pass", "ah"]
    password: str = field(repr=False)
    """Only the first eight bytes count, on the wire too."""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)

    @property
    def key(self) -> bytes:
        """The eight bytes that PASS sends and AH keys its HMAC with."""
        return self.password.encode("utf-8", "surrogateescape")[:8].ljust(8, b"\0")


@dataclass(frozen=True, slots=True)
class UnicastPeer(Strict):
    """Another node that adverts go to, and are taken from."""

    address: Address
    min_ttl: Annotated[int, Ge(0), Le(255)] = 0
    max_ttl: Annotated[int, Ge(0), Le(255)] = 255
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Garp(Strict):
    """How the addresses are announced (gratuitous ARP, unsolicited NA). [garp.X | garp_X, globally vrrp_garp_X]"""

    master_delay: Annotated[float, Ge(0), Le(86400)] = 5.0
    """From becoming master to the second batch; 0: no second batch."""
    master_repeat: Annotated[int, Ge(1), Le(1000)] = 5
    """Announcements of each address in a batch."""
    master_refresh: Annotated[float, Ge(0), Le(86400)] = 0.0
    """Time between refreshes while master; 0: none."""
    master_refresh_repeat: Annotated[int, Ge(1), Le(1000)] = 1
    lower_prio_delay: Annotated[float, Ge(0), Le(86400)] = 5.0
    """From a lower advert heard as master to the second batch. (default: master_delay)"""
    lower_prio_repeat: Annotated[int, Ge(0), Le(1000)] = 5
    """(default: master_repeat)"""
    interval: Annotated[float, Ge(0), Le(86400)] = 0.0
    """Time between two gratuitous ARPs on one interface; nothing is lost by it. [| vrrp_garp_interval]"""
    na_interval: Annotated[float, Ge(0), Le(86400)] = 0.0
    """The same for NAs. [| vrrp_gna_interval]"""
    extra_interfaces: Annotated[float, Ge(0), Le(86400)] = 0.0
    """Refresh time for addresses on other interfaces than the instance's; 0: none. [| garp_extra_if]"""
    extra_interfaces_all: bool = True
    """On all of those, not only where the addresses have a virtual MAC. [| garp_extra_if all]"""


@dataclass(frozen=True, slots=True)
class Vmac(Strict):
    """The virtual MAC on a macvlan. [vmac = {} or {name, mac, ...} | use_vmac]"""

    name: str | None = None
    """Interface name; None: `vrrp.VRID`."""
    mac: str | None = None
    """None: 00:00:5e:00:01:VRID, or 02:VRID for IPv6."""
    xmit_base: bool = False
    """Adverts leave the physical interface with its own MAC. [| vmac_xmit_base]"""
    for_addresses: bool = False
    """Also for addresses on other interfaces. [| use_vmac_addr]"""


@dataclass(frozen=True, slots=True)
class Notify(Strict):
    """Programs that are told of changes. [notify.X | notify_X]"""

    master: Command | None = None
    backup: Command | None = None
    fault: Command | None = None
    stop: Command | None = None
    deleted: Command | None = None
    """[| notify_deleted]"""
    master_rx_lower_pri: Command | None = None
    """A master heard a lower priority."""
    any: Command | None = None
    """Gets INSTANCE|GROUP, name, state, priority as further arguments. [any | notify]"""
    report_deleted: bool = False
    """Say DELETED, not FAULT, of an instance that a reload removed. [| notify_deleted without a script]"""
    priority_changes: bool = False
    """Report changes of the effective priority to the fifos too. [| notify_priority_changes]"""


@dataclass(frozen=True, slots=True)
class InstanceSettings(Strict):
    """One virtual router on one interface. [instance.NAME | vrrp_instance NAME]"""

    name: str
    virtual_router_id: Annotated[int, Ge(1), Le(255)]
    interface: str | None = None
    """Interface of the adverts; None only with unicast peers."""
    state: Literal["MASTER", "BACKUP"] = "BACKUP"
    """Wanted state at start; only an owner's MASTER is immediate."""
    priority: Annotated[int, Ge(1), Le(255)] = 100
    """Base priority; 255 is the owner of the addresses."""
    version: Literal[2, 3] = 2
    """(default: the global version; always 3 for IPv6)"""
    advert_int: Annotated[float, Ge(0.01), Le(255)] = 1.0
    """Time between adverts; whole seconds in version 2, hundredths up to 40.95 in version 3."""
    authentication: Authentication | None = None
    addresses: tuple[VirtualAddress, ...] = ()
    """Advertised. [| virtual_ipaddress]"""
    excluded_addresses: tuple[VirtualAddress, ...] = ()
    """Held but not advertised. [| virtual_ipaddress_excluded]"""
    routes: tuple[Route, ...] = ()
    """[| virtual_routes]"""
    rules: tuple[Rule, ...] = ()
    """[| virtual_rules]"""
    tracks: tuple[Track, ...] = ()
    """[track_scripts, track_interfaces, track_files, track_processes | track_script, track_interface, ...]"""
    track_primary: bool = True
    """FAULT when `interface` is down. [track_primary = false | dont_track_primary]"""
    source: Address | None = None
    """Source of the adverts; None: the interface's first address. [| mcast_src_ip, unicast_src_ip]"""
    track_source: bool = False
    """FAULT while `source` is not configured on the host. [| track_src_ip]"""
    multicast_group: Address | None = None
    """Destination; None: the group of the family. [| mcast_dst_ip, vrrp_mcast_group4, vrrp_mcast_group6]"""
    unicast_peers: tuple[UnicastPeer, ...] = ()
    """Send to these and to no group. [| unicast_peer]"""
    unicast_ttl: Annotated[int, Ge(0), Le(255)] = 255
    """TTL or hop limit of unicast adverts; keepalived leaves it at the kernel's 64 in IPv6 unless it is given."""
    check_unicast_source: bool = True
    """Refuse unicast adverts from others than the peers. [| check_unicast_src, off by default]"""
    unicast_fault_no_peer: bool = False
    """FAULT if no peer is given, rather than multicast."""
    preempt: bool = True
    """Take over from a master of lower priority. [preempt = false | nopreempt]"""
    preempt_delay: Annotated[float, Ge(0), Le(1000)] = 0.0
    """How long to hold back from that."""
    accept: bool = True
    """Accept packets to the addresses, owner or not. [accept = false | no_accept]"""
    strict_mode: bool = False
    """Keep to the RFC: no authentication, no unicast, at least one address. [| strict_mode, vrrp_strict]"""
    skip_check_adv_addr: bool = False
    """Do not compare the addresses again in adverts of the same master."""
    lower_prio_no_advert: bool = False
    """As master, answer a lower advert with nothing."""
    higher_prio_send_advert: bool = False
    """As master, answer a higher advert once before standing back."""
    down_timer_adverts: Annotated[int, Ge(1), Le(100)] = 3
    """Adverts that may be missed; the RFCs say 3."""
    v3_checksum_as_v2: bool = False
    """VRRPv3 over IPv4: the checksum covers no pseudo header (RFC 9568's reading)."""
    old_unicast_checksum: Literal["detect", "always", "never"] = "detect"
    """VRRPv3 unicast checksums of keepalived 1.3.6 and before (pseudo header with 224.0.0.18)."""
    startup_delay: Annotated[float, Ge(0), Le(86400)] = 0.0
    """Shifts the first timeout. [| vrrp_startup_delay]"""
    garp: Garp = Garp()
    vmac: Vmac | None = None
    promote_secondaries: bool = False
    notify: Notify = Notify()
    abdicate: bool = True
    """A master whose effective priority sinks asks for an election at once. [| abdicate, off by default]"""
    ah_clock_sequence: bool = True
    """AH numbers start at the clock, so that a restart is no replay to others. [| ah_clock_sequence, off by default]"""
    ah_probe: bool = True
    """Ask a seeming replay's sender for a fresh advert. [| ah_probe, off by default]"""
    v3_accept_zero_interval: bool = False
    """Accept a v3 advert whose interval is 0, as keepalived does; it makes a backup take over at once."""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)

    @property
    def family(self) -> Literal[4, 6]:
        """IP version of the adverts: that of the addresses, else of the peers or the source, else 4."""
        known = [virtual.address for virtual in self.addresses] or [peer.address for peer in self.unicast_peers]
        if not known and self.source is not None:
            known = [self.source]
        return 6 if known and known[0].version == 6 else 4

    @property
    def owner(self) -> bool:
        """Whether the addresses are the node's own."""
        return self.priority == OWNER_PRIORITY

    def virtual_mac_for(self, virtual: VirtualAddress) -> bool:
        """Whether an address lives on a macvlan."""
        if virtual.interface in (None, self.interface):
            return self.vmac is not None or virtual.use_vmac
        return virtual.use_vmac or (self.vmac is not None and self.vmac.for_addresses)

    @property
    def other_interfaces(self) -> tuple[str, ...]:
        """Interfaces beside its own that its tracked addresses and routes need: one that is down is FAULT."""
        needing: tuple[VirtualAddress | Route, ...] = (*self.all_addresses, *self.routes)
        names = [one.interface for one in needing if one.track and one.interface not in (None, self.interface)]
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def all_addresses(self) -> tuple[VirtualAddress, ...]:
        """In the order in which they are added and announced."""
        return self.addresses + self.excluded_addresses


@dataclass(frozen=True, slots=True)
class SyncGroup(Strict):
    """Instances that are master together or not at all. [group.NAME | vrrp_sync_group NAME]"""

    name: str
    members: tuple[str, ...]
    """[| group]"""
    tracks: tuple[Track, ...] = ()
    """Apply to every member."""
    tracking_weight: bool = False
    """Members may keep weighted tracks of their own. [| sync_group_tracking_weight]"""
    notify: Notify = Notify()
    at: Origin = field(default=NOWHERE, compare=False, repr=False)
