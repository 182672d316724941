"""What a configuration says, as frozen values: the one form that both file formats are read into.

A `Config` is complete: defaults are filled in, global settings have been handed down to the instances, and the
version and family of every instance are settled.  Nothing that reads it needs to know which format it came from, and
a reload is a comparison of two of them.  `at` fields tell where a thing was written and take no part in comparison,
so the two forms of one topology are equal.

The text under a field gives its meaning, then its keyword:  [toml | keepalived.conf]  where the two differ from the
field's own name.  Times are seconds.  The limits in `Annotated` are read by `toml.py`, and by `keepalived.py` through
the same tables.
"""

from vrrpd.config.model.checks import Command, Track, TrackFile, TrackKind, TrackProcess, TrackScript
from vrrpd.config.model.network import Address, Network, Nexthop, Route, Rule, VirtualAddress
from vrrpd.config.model.place import NOWHERE, Origin
from vrrpd.config.model.router import (
    GROUP_4,
    GROUP_6,
    OWNER_PRIORITY,
    Authentication,
    Garp,
    InstanceSettings,
    Notify,
    SyncGroup,
    UnicastPeer,
    Vmac,
)
from vrrpd.config.model.whole import Config, Fifo, Global, InterfaceDelay, Scheduling

__all__ = [
    "GROUP_4",
    "GROUP_6",
    "NOWHERE",
    "OWNER_PRIORITY",
    "Address",
    "Authentication",
    "Command",
    "Config",
    "Fifo",
    "Garp",
    "Global",
    "InstanceSettings",
    "InterfaceDelay",
    "Network",
    "Nexthop",
    "Notify",
    "Origin",
    "Route",
    "Rule",
    "Scheduling",
    "SyncGroup",
    "Track",
    "TrackFile",
    "TrackKind",
    "TrackProcess",
    "TrackScript",
    "UnicastPeer",
    "VirtualAddress",
    "Vmac",
]
