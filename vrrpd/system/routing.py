"""rtnetlink messages for routes and rules, in the words of `ip route` and `ip rule`.

They are marked as made by "keepalived" (protocol 18), so that `ip route` shows whose they are, unless the configuration
names another protocol.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any

from vrrpd.config import iproute
from vrrpd.config.model import Nexthop, Route, Rule
from vrrpd.system.messages import fibmsg, rtmsg
from vrrpd.system.rtnl import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    RTM_DELROUTE,
    RTM_DELRULE,
    RTM_NEWROUTE,
    RTM_NEWRULE,
    RTPROT_KEEPALIVED,
    Encoded,
    encode,
    scope_number,
)

RTNH_F_ONLINK, FIB_RULE_INVERT, RTAX_FEATURE_ECN = 0x4, 0x2, 0x1
ROUTE_TYPES = {"unicast": 1, "local": 2, "blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9}
RULE_ACTIONS = {"lookup": 1, "goto": 2, "nop": 3, "blackhole": 6, "unreachable": 7, "prohibit": 8}
ROUTER_PREFERENCES = {"medium": 0, "high": 1, "low": 3}
METRICS = {
    "mtu": 2, "window": 3, "rtt": 4, "rttvar": 5, "ssthresh": 6, "cwnd": 7, "advmss": 8, "reordering": 9,
    "hoplimit": 10, "initcwnd": 11, "rto_min": 13, "initrwnd": 14, "congctl": 16,
}  # fmt: skip
"""The kernel's numbers (RTAX_*) of metrics that may be locked."""

IndexOf = Callable[[str], int]
"""Gives an interface's index; OSError(ENODEV) when there is none of that name."""


def encode_route(add: bool, route: Route, index_of: IndexOf) -> Encoded:
    """RTM_NEWROUTE or RTM_DELROUTE with protocol "keepalived" (18), so that `ip route` shows who owns it.

    OSError(ENODEV) when an interface named in it does not exist.
    """
    number = iproute.number("rt_tables", "main" if route.table is None else route.table)
    metrics = _metrics(route)
    return encode(
        rtmsg(),
        RTM_NEWROUTE if add else RTM_DELROUTE,
        _how(route) if add else 0,
        family=socket.AF_INET6 if route.to.version == 6 else socket.AF_INET,
        dst_len=route.to.prefixlen,
        table=number if number < 256 else 0,
        proto=_protocol_number(route.protocol),
        scope=_route_scope(route) if add else scope_number("nowhere"),
        type=ROUTE_TYPES[route.kind],
        tos=route.tos or 0,
        flags=RTNH_F_ONLINK if route.onlink else 0,
        attrs=[
            ("RTA_DST", str(route.to.network_address) if route.to.prefixlen else None),
            ("RTA_GATEWAY", str(route.via) if route.via else None),
            ("RTA_OIF", index_of(route.interface) if route.interface else None),
            ("RTA_PREFSRC", str(route.source) if route.source else None),
            ("RTA_PRIORITY", route.metric),
            ("RTA_TABLE", number),
            ("RTA_METRICS", {"attrs": metrics} if metrics else None),
            ("RTA_FLOW", None if route.realms is None else iproute.realms(route.realms)),
            ("RTA_EXPIRES", None if route.expires is None else struct.pack("=I", route.expires)),
            ("RTA_PREF", ROUTER_PREFERENCES[route.preference] if route.preference else None),
            ("RTA_MULTIPATH", [_nexthop(hop, index_of) for hop in route.nexthops] or None),
        ],
    )


def _how(route: Route) -> int:
    if route.add:
        return NLM_F_CREATE | NLM_F_EXCL
    return NLM_F_CREATE | (NLM_F_APPEND if route.append else NLM_F_REPLACE)


def _metrics(route: Route) -> list[tuple[str, int | str]]:
    """The kernel counts rtt in eighths and rttvar in quarters of a millisecond."""
    values = (
        ("RTAX_MTU", route.mtu),
        ("RTAX_ADVMSS", route.advmss),
        ("RTAX_HOPLIMIT", route.hoplimit),
        ("RTAX_WINDOW", route.window),
        ("RTAX_RTT", None if route.rtt is None else route.rtt * 8),
        ("RTAX_RTTVAR", None if route.rttvar is None else route.rttvar * 4),
        ("RTAX_RTO_MIN", route.rto_min),
        ("RTAX_SSTHRESH", route.ssthresh),
        ("RTAX_CWND", route.cwnd),
        ("RTAX_INITCWND", route.initcwnd),
        ("RTAX_INITRWND", route.initrwnd),
        ("RTAX_REORDERING", route.reordering),
        ("RTAX_QUICKACK", route.quickack),
        ("RTAX_CC_ALGO", route.congctl),
        ("RTAX_FEATURES", RTAX_FEATURE_ECN if route.ecn else None),
        ("RTAX_FASTOPEN_NO_COOKIE", route.fastopen_no_cookie),
        ("RTAX_LOCK", sum(1 << METRICS[name] for name in route.lock) or None),
    )
    return [(name, value) for name, value in values if value is not None]


def _route_scope(route: Route) -> int:
    if route.scope is not None:
        return scope_number(route.scope)
    if route.kind == "local":
        return scope_number("host")
    direct = route.via is None and not route.nexthops and route.kind == "unicast" and route.to.version == 4
    return scope_number("link" if direct else "global")


def _nexthop(hop: Nexthop, index_of: IndexOf) -> dict[str, Any]:
    return {
        "hops": hop.weight - 1,
        "oif": index_of(hop.interface) if hop.interface else 0,
        "flags": RTNH_F_ONLINK if hop.onlink else 0,
        "attrs": [("RTA_GATEWAY", str(hop.via))] if hop.via else [],
    }


def _protocol_number(protocol: str | int | None) -> int:
    return RTPROT_KEEPALIVED if protocol is None else iproute.number("rt_protos", protocol)


def encode_rule(add: bool, rule: Rule) -> Encoded:
    """RTM_NEWRULE or RTM_DELRULE, marked as keepalived's."""
    names_table = rule.action == "lookup" and not rule.l3mdev
    number = iproute.number("rt_tables", "main" if rule.table is None else rule.table) if names_table else 0
    return encode(
        fibmsg(),
        RTM_NEWRULE if add else RTM_DELRULE,
        NLM_F_CREATE | NLM_F_EXCL if add else 0,
        family=socket.AF_INET6 if rule.family == 6 else socket.AF_INET,
        src_len=rule.source.prefixlen if rule.source else 0,
        dst_len=rule.to.prefixlen if rule.to else 0,
        tos=rule.tos or 0,
        table=number if number < 256 else 0,
        action=RULE_ACTIONS[rule.action],
        flags=FIB_RULE_INVERT if rule.invert else 0,
        attrs=[
            ("FRA_SRC", str(rule.source.network_address) if rule.source else None),
            ("FRA_DST", str(rule.to.network_address) if rule.to else None),
            ("FRA_TABLE", number or None),
            ("FRA_PRIORITY", rule.preference),
            ("FRA_GOTO", rule.goto),
            ("FRA_FWMARK", rule.fwmark),
            ("FRA_FWMASK", rule.fwmask),
            ("FRA_IIFNAME", rule.iif),
            ("FRA_OIFNAME", rule.oif),
            ("FRA_PROTOCOL", _protocol_number(rule.protocol)),
            ("FRA_FLOW", None if rule.realms is None else iproute.realms(rule.realms)),
            ("FRA_UID_RANGE", _colon(rule.uid_range)),
            ("FRA_IP_PROTO", None if rule.ip_protocol is None else iproute.ip_protocol(rule.ip_protocol)),
            ("FRA_SPORT_RANGE", _colon(rule.source_ports)),
            ("FRA_DPORT_RANGE", _colon(rule.destination_ports)),
            ("FRA_L3MDEV", 1 if rule.l3mdev else None),
            ("FRA_TUN_ID", rule.tunnel_id),
            ("FRA_SUPPRESS_PREFIXLEN", rule.suppress_prefix_length),
            ("FRA_SUPPRESS_IFGROUP", rule.suppress_group),
        ],
    )


def _colon(span: str | None) -> str | None:
    """A range as pyroute2 wants it."""
    return None if span is None else span.replace("-", ":")
