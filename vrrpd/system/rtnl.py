"""rtnetlink messages ready to be sent: addresses, routes, rules, macvlan interfaces.

pyroute2 knows the attributes; the result is bytes, encoded once when the configuration is loaded. Only the
sequence number is written anew each time a message is sent, so that a takeover encodes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

from vrrpd.config.model import Nexthop, Route, Rule, VirtualAddress
from vrrpd.system.messages import fibmsg, ifaddrmsg, ifinfmsg, rtmsg

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWRULE, RTM_DELRULE = 32, 33
RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x1, 0x10, 0x100
RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE = 0x40, 0x400
RTMGRP_IPV4_RULE, RTMGRP_IPV6_RULE = 0x80, 0x40000
IFF_UP, IFF_RUNNING, IFF_LOWER_UP = 0x1, 0x40, 0x10000
IFA_F_NODAD, IFA_F_HOMEADDRESS, IFA_F_MANAGETEMPADDR = 0x02, 0x10, 0x100
IFA_F_NOPREFIXROUTE, IFA_F_MCAUTOJOIN = 0x200, 0x400
RTNH_F_ONLINK, FIB_RULE_INVERT = 0x4, 0x2
RTPROT_KEEPALIVED = 18
MACVLAN_MODE_PRIVATE = 1
FOREVER = 0xFFFFFFFF

SCOPES = {"global": 0, "universe": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}
ROUTE_TYPES = {"unicast": 1, "local": 2, "blackhole": 6, "unreachable": 7, "prohibit": 8, "throw": 9}
RULE_ACTIONS = {"lookup": 1, "goto": 2, "nop": 3, "blackhole": 6, "unreachable": 7, "prohibit": 8}
PROTOCOLS = {"kernel": 2, "boot": 3, "static": 4, "ra": 9, "keepalived": RTPROT_KEEPALIVED}
ROUTER_PREFERENCES = {"medium": 0, "high": 1, "low": 3}
TABLES = {"default": 253, "main": 254, "local": 255}

IndexOf = Callable[[str], int]
"""Gives an interface's index; OSError(ENODEV) when there is none of that name."""

Encoded = bytearray
"""One netlink message ready to be sent; its sequence number (offset 8) is filled in at that moment."""


def encode(message: Any, kind: int, modifiers: int, /, **fields: Any) -> Encoded:
    attributes = fields.pop("attrs", [])
    for name, value in fields.items():
        message[name] = value
    message["attrs"] = [(name, value) for name, value in attributes if value is not None]
    header = message["header"]
    header["type"], header["flags"] = kind, NLM_F_REQUEST | NLM_F_ACK | modifiers
    header["sequence_number"] = header["pid"] = 0
    message.encode()
    return bytearray(message.data)


def encode_address(add: bool, address: VirtualAddress, index: int) -> Encoded:
    """RTM_NEWADDR or RTM_DELADDR for one virtual address on the interface with that index.

    IPv6 addresses are added without duplicate address detection: the previous master may still hold the
    address for a moment. A /128 is deprecated (preferred lifetime 0), so that nothing uses it as a source.
    """
    text = str(address.address)
    v6 = address.address.version == 6
    attributes: list[tuple[str, Any]] = [
        ("IFA_LOCAL", text),
        ("IFA_ADDRESS", str(address.peer) if address.peer else text),
        ("IFA_BROADCAST", _broadcast(address)),
        ("IFA_LABEL", address.label),
    ]
    if add and v6 and _deprecated(address):
        attributes.append(("IFA_CACHEINFO", {"ifa_preferred": 0, "ifa_valid": FOREVER, "cstamp": 0, "tstamp": 0}))
    if add and (flags := _address_flags(address)):
        attributes.append(("IFA_FLAGS", flags))
    return encode(
        ifaddrmsg(),
        RTM_NEWADDR if add else RTM_DELADDR,
        NLM_F_CREATE | NLM_F_REPLACE if add else 0,
        family=socket.AF_INET6 if v6 else socket.AF_INET,
        prefixlen=address.prefix_length,
        scope=0 if v6 or address.scope is None else scope_number(address.scope),
        index=index,
        attrs=attributes,
    )


def _broadcast(address: VirtualAddress) -> str | None:
    if address.broadcast in ("+", "-"):
        network = ipaddress.ip_network(f"{address.address}/{address.prefix_length}", strict=False)
        return str(network.broadcast_address if address.broadcast == "+" else network.network_address)
    return str(address.broadcast) if address.broadcast else None


def _deprecated(address: VirtualAddress) -> bool:
    if address.preferred_lifetime is not None:
        return address.preferred_lifetime == 0
    return address.prefix_length == 128


def _address_flags(address: VirtualAddress) -> int:
    v6 = address.address.version == 6
    flags = IFA_F_NODAD if v6 and address.nodad else 0
    for wanted, flag in (
        (address.home, IFA_F_HOMEADDRESS),
        (address.mngtmpaddr, IFA_F_MANAGETEMPADDR),
        (address.noprefixroute, IFA_F_NOPREFIXROUTE),
        (address.autojoin, IFA_F_MCAUTOJOIN),
    ):
        flags |= flag if wanted else 0
    return flags


def encode_route(add: bool, route: Route, index_of: IndexOf) -> Encoded:
    """RTM_NEWROUTE or RTM_DELROUTE with protocol "keepalived" (18), so that `ip route` shows who owns it.

    OSError(ENODEV) when an interface named in it does not exist.
    """
    number = table_number(route.table if route.table is not None else "main")
    metrics = _metrics(route)
    return encode(
        rtmsg(),
        RTM_NEWROUTE if add else RTM_DELROUTE,
        (NLM_F_CREATE | (NLM_F_APPEND if route.append else NLM_F_REPLACE)) if add else 0,
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
            ("RTA_PREF", ROUTER_PREFERENCES[route.preference] if route.preference else None),
            ("RTA_MULTIPATH", [_nexthop(hop, index_of) for hop in route.nexthops] or None),
        ],
    )


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
    if protocol is None:
        return RTPROT_KEEPALIVED
    return PROTOCOLS[protocol] if isinstance(protocol, str) and protocol in PROTOCOLS else int(protocol)


def encode_rule(add: bool, rule: Rule) -> Encoded:
    """RTM_NEWRULE or RTM_DELRULE, marked as keepalived's."""
    number = table_number(rule.table if rule.table is not None else "main") if rule.action == "lookup" else 0
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
            ("FRA_PROTOCOL", RTPROT_KEEPALIVED),
        ],
    )


def encode_macvlan(name: str, parent: int, mac: str) -> Encoded:
    """RTM_NEWLINK for a macvlan in private mode, it carries a virtual router's MAC address."""
    info = {
        "attrs": [
            ("IFLA_INFO_KIND", "macvlan"),
            ("IFLA_INFO_DATA", {"attrs": [("IFLA_MACVLAN_MODE", MACVLAN_MODE_PRIVATE)]}),
        ]
    }
    return encode(
        ifinfmsg(),
        RTM_NEWLINK,
        NLM_F_CREATE | NLM_F_EXCL,
        attrs=[("IFLA_IFNAME", name), ("IFLA_LINK", parent), ("IFLA_ADDRESS", mac), ("IFLA_LINKINFO", info)],
    )


def encode_link_up(index: int) -> Encoded:
    """RTM_NEWLINK that sets the interface administratively up."""
    return encode(ifinfmsg(), RTM_NEWLINK, 0, index=index, flags=IFF_UP, change=IFF_UP)


def encode_link_removal(index: int) -> Encoded:
    """RTM_DELLINK."""
    return encode(ifinfmsg(), RTM_DELLINK, 0, index=index)


def scope_number(scope: str | int) -> int:
    """The number of an address scope name, or of a number written out; ValueError when it is neither."""
    return SCOPES[scope] if isinstance(scope, str) and scope in SCOPES else int(scope)


def table_number(table: int | str) -> int:
    """The number of a routing table; names as in iproute2's default rt_tables."""
    return TABLES[table] if isinstance(table, str) and table in TABLES else int(table)
