"""rtnetlink messages ready to be sent: addresses and macvlan interfaces here, routes and rules in routing.py.

pyroute2 knows the attributes; the result is bytes, encoded once when the configuration is loaded. Only the
sequence number is written anew each time a message is sent, so that a takeover encodes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from vrrpd.config.model import VirtualAddress
from vrrpd.system.messages import ifaddrmsg, ifinfmsg

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_DUMP = 0x1, 0x4, 0x10, 0x300
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
RTPROT_KEEPALIVED = 18
MACVLAN_MODE_PRIVATE = 1
FOREVER = 0xFFFFFFFF

SCOPES = {"global": 0, "universe": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}

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
