"""The whole file: what belongs to the daemon and to no instance, and everything together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Le

from vrrpd.config.model.checks import Command, TrackFile, TrackProcess, TrackScript
from vrrpd.config.model.network import Route, Rule, VirtualAddress
from vrrpd.config.model.place import NOWHERE, Origin, Strict
from vrrpd.config.model.router import InstanceSettings, SyncGroup


@dataclass(frozen=True, slots=True)
class Fifo(Strict):
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
class Scheduling(Strict):
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
class Global(Strict):
    """What belongs to the daemon and to no instance. [global | global_defs]"""

    router_id: str | None = None
    """Name of the node, in logs and status; None: the host's."""
    default_interface: str | None = None
    """Of static addresses that name none."""
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
class InterfaceDelay(Strict):
    """How long a change of an interface has to last. [interface_delays.NAME | interface_up_down_delays]"""

    interface: str
    down: Annotated[float, Ge(0), Le(255)] = 0.0
    up: Annotated[float, Ge(0), Le(255)] = 0.0


@dataclass(frozen=True, slots=True)
class Config(Strict):
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
