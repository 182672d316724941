"""What a configuration says, as frozen values: the one form that both file formats are read into.

A `Config` is complete: defaults are filled in, global settings have been handed down to the instances, and the
version and family of every instance are settled.  Nothing that reads it needs to know which format it came from, and
a reload is a comparison of two of them.  `at` fields tell where a thing was written and take no part in comparison,
so the two forms of one topology are equal.

The text under a field gives its meaning, then its keyword:  [toml | keepalived.conf]  where the two differ from the
field's own name.  Times are seconds.  The limits in `Annotated` are read by `toml.py`, and by `keepalived.py` through
the same tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The groups that IANA gave VRRP (RFC 9568 section 10).
GROUP_4 = IPv4Address("224.0.0.18")
GROUP_6 = IPv6Address("ff02::12")

OWNER_PRIORITY = 255


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where something was written; line and column count from 1, 0 where there is none (a command line)."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)


NOWHERE = Origin()


class _Strict:
    """Base of what a TOML table may hold: a key that is no field is an error (read by pydantic, see toml.py)."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class VirtualAddress(_Strict):
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
class Nexthop(_Strict):
    """One way of a multipath route, in the words of `ip route`."""

    via: Address | None = None
    interface: str | None = None
    """[| dev]"""
    weight: Annotated[int, Ge(1), Le(256)] = 1
    onlink: bool = False


@dataclass(frozen=True, slots=True)
class Route(_Strict):
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
    mtu: int | None = None
    advmss: int | None = None
    tos: int | None = None
    onlink: bool = False
    append: bool = False
    nexthops: tuple[Nexthop, ...] = ()
    track: bool = True
    """[track = false | no_track]"""
    track_group: str | None = None
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rule(_Strict):
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
    """[| preference, priority, order]"""
    iif: str | None = None
    oif: str | None = None
    fwmark: int | None = None
    fwmask: int | None = None
    tos: int | None = None
    invert: bool = False
    """[| not]"""
    track: bool = True
    """[track = false | no_track]"""
    track_group: str | None = None
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Command(_Strict):
    """A program to run: words for execve, no shell unless the words name one."""

    argv: tuple[str, ...]
    user: str | None = None
    """User (and `group`) to run as; None: the global `script_user`."""
    group: str | None = None
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TrackScript(_Strict):
    """A check that runs every `interval` and passes or fails. [script.NAME | vrrp_script NAME]"""

    name: str
    command: Command
    """[command, user, group | script, user]"""
    interval: Annotated[float, Gt(0), Le(86400)] = 1.0
    """Start of one run to the start of the next; a run that is still going is never joined by another."""
    timeout: Annotated[float, Gt(0), Le(86400)] | None = None
    """A run longer than this is killed and has failed; None: `interval`."""
    weight: Annotated[int, Ge(-253), Le(253)] = 0
    """Default weight; 0: a failure is FAULT."""
    reverse: bool = False
    """Success and failure change places. [| weight N reverse]"""
    rise: Annotated[int, Ge(1)] = 1
    """Successes in a row until it passes."""
    fall: Annotated[int, Ge(1)] = 1
    """Failures in a row until it fails."""
    init_fail: bool = False
    """It has failed until `rise` runs passed."""
    first_result: Literal["decides", "counts"] = "counts"
    """Whether the first run decides alone, as in keepalived, or is one of `rise` or `fall`. [| always decides]"""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)

    @property
    def kill_after(self) -> float:
        """Seconds after which a run is killed."""
        return self.interval if self.timeout is None else self.timeout


@dataclass(frozen=True, slots=True)
class TrackFile(_Strict):
    """A file that holds a number. [file.NAME | track_file NAME, vrrp_track_file NAME]"""

    name: str
    path: str
    """[| file]"""
    weight: Annotated[int, Ge(-254), Le(254)] = 1
    """The number times this is added to the priority; 0: a number other than 0 is FAULT."""
    reverse: bool = False
    initial: int | None = None
    """Written into the file at start; None: the file is left alone. [| init_file N]"""
    overwrite: bool = False
    """Write `initial` even if the file exists. [| init_file N overwrite]"""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TrackProcess(_Strict):
    """A program that must be running. [process.NAME | vrrp_track_process NAME]"""

    name: str
    command: tuple[str, ...]
    """Its name, and the parameters if they matter. [| process]"""
    match_parameters: Literal["no", "exact", "initial", "partial"] = "no"
    """How parameters are compared. [| param_match]"""
    full_command: bool = False
    """Compare with /proc/PID/cmdline, not with the process's name."""
    weight: Annotated[int, Ge(-254), Le(254)] = 1
    reverse: bool = False
    quorum: Annotated[int, Ge(1)] = 1
    """Processes needed at the least."""
    quorum_max: Annotated[int, Ge(0)] | None = None
    """Processes allowed at the most."""
    fork_delay: Annotated[float, Ge(0), Le(3600)] = 0.0
    """How long the quorum has to hold until it counts. [fork_delay | fork_delay, delay]"""
    terminate_delay: Annotated[float, Ge(0), Le(3600)] = 0.0
    """How long it has to be lost until that counts. [terminate_delay | terminate_delay, delay]"""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


class TrackKind(Enum):
    """What kind of thing a `Track` watches; the value is the word in logs and metrics."""

    SCRIPT = "script"
    INTERFACE = "interface"
    FILE = "file"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class Track(_Strict):
    """An instance's (or group's) interest in a check: a name with the weight it has here."""

    kind: TrackKind
    name: str
    weight: int = 0
    """Resolved: the reference's own weight, or the default of the thing it names; 0: failure is FAULT."""
    reverse: bool = False
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Authentication(_Strict):
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
class UnicastPeer(_Strict):
    """Another node that adverts go to, and are taken from."""

    address: Address
    min_ttl: Annotated[int, Ge(0), Le(255)] = 0
    max_ttl: Annotated[int, Ge(0), Le(255)] = 255
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Garp(_Strict):
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


@dataclass(frozen=True, slots=True)
class Vmac(_Strict):
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
class Notify(_Strict):
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
class InstanceSettings(_Strict):
    """One virtual router on one interface. [instance.NAME | vrrp_instance NAME]"""

    name: str
    virtual_router_id: Annotated[int, Ge(1), Le(255)]
    interface: str | None = None
    """Interface of the adverts; None only with unicast peers."""
    vrf: str | None = None
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
    """TTL of unicast adverts; in IPv6 the hop limit is sent only if given."""
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

    @property
    def all_addresses(self) -> tuple[VirtualAddress, ...]:
        """In the order in which they are added and announced."""
        return self.addresses + self.excluded_addresses


@dataclass(frozen=True, slots=True)
class SyncGroup(_Strict):
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


@dataclass(frozen=True, slots=True)
class Fifo(_Strict):
    """A named pipe that gets a line per change, and the program that reads it. [| vrrp_notify_fifo, notify_fifo]"""

    path: str
    user: str | None = None
    group: str | None = None
    reader: Command | None = None
    """Started with the path as last argument. [| vrrp_notify_fifo_script, notify_fifo_script]"""
    states_on_reload: bool = False
    """[| fifo_write_vrrp_states_on_reload]"""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Scheduling(_Strict):
    """How the kernel is to treat the daemon."""

    priority: Annotated[int, Ge(-20), Le(19)] | None = None
    """Nice value. [| vrrp_priority]"""
    realtime: Annotated[int, Ge(1), Le(99)] | None = None
    """SCHED_RR priority. [| vrrp_rt_priority]"""
    max_auto: Annotated[int, Ge(0), Le(99)] = 0
    """May be raised by itself to this SCHED_RR priority when it was late; 0: never. [| max_auto_priority]"""
    no_swap: bool = False
    """Lock the memory. [| vrrp_no_swap]"""
    cpus: tuple[int, ...] = ()
    """[| vrrp_cpu_affinity]"""


@dataclass(frozen=True, slots=True)
class Global(_Strict):
    """What belongs to the daemon and to no instance. [global | global_defs]"""

    router_id: str | None = None
    """Name of the node, in logs and status; None: the host's."""
    default_interface: str | None = None
    script_user: str | None = None
    script_group: str | None = None
    """[| script_user USER GROUP]"""
    script_security: bool = False
    """Refuse programs that root runs and others can change. [| enable_script_security]"""
    script_missing: Literal["fail", "warn", "ignore"] = "fail"
    """A check whose program is not there: "fail" stops the start and counts as failed later, "warn" lets the
    check fail, "ignore" drops it, which is keepalived's way. [| script_missing, default ignore]"""
    fifos: tuple[Fifo, ...] = ()
    scheduling: Scheduling = Scheduling()
    dynamic_interfaces: bool = False
    """Interfaces may be missing at start."""
    log_unknown_vrids: bool = False
    startup_script: Command | None = None
    shutdown_script: Command | None = None
    vmac_prefix: str = "vrrp"
    net_namespace: str | None = None


@dataclass(frozen=True, slots=True)
class InterfaceDelay(_Strict):
    """How long a change of an interface has to last. [interface_delays.NAME | interface_up_down_delays]"""

    interface: str
    down: Annotated[float, Ge(0), Le(255)] = 0.0
    up: Annotated[float, Ge(0), Le(255)] = 0.0


@dataclass(frozen=True, slots=True)
class Config(_Strict):
    """A whole file with all it includes."""

    globals: Global = Global()
    scripts: tuple[TrackScript, ...] = ()
    files: tuple[TrackFile, ...] = ()
    processes: tuple[TrackProcess, ...] = ()
    instances: tuple[InstanceSettings, ...] = ()
    groups: tuple[SyncGroup, ...] = ()
    interface_delays: tuple[InterfaceDelay, ...] = ()
    static_addresses: tuple[VirtualAddress, ...] = ()
    static_routes: tuple[Route, ...] = ()
    static_rules: tuple[Rule, ...] = ()
    track_groups: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Named lists of instances that watch static addresses, routes and rules. [| track_group]"""
