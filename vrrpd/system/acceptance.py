"""`accept = false`: a master that is not the owner drops packets to the addresses (RFC 9568 section 6.1).

One nftables table of our own, in the `inet` family, with a rule per address, made at start and reload and
removed at stop; a table that an earlier run left is replaced. ARP is no matter of it, and neighbour
solicitations and advertisements for an IPv6 address pass (section 6.4.3 wants them answered). The rules may stand
while another node is master, as then nothing for the addresses arrives here.

pyroute2's nftables calls want an event loop of their own, hence the short-lived thread.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Any

from vrrpd.config.model import Address, InstanceSettings

TABLE, CHAIN = "vrrpd", "input"
FAMILY_INET = 1
DROP, ACCEPT = 0, 1
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
META_NFPROTO, META_L4PROTO = 15, 16
REGISTER = 1
ICMPV6, NEIGHBOUR_MESSAGES = 58, (135, 136)
NFPROTO = {4: 2, 6: 10}


def refused_addresses(instances: Iterable[InstanceSettings]) -> list[Address]:
    """The addresses that take no packets: those of instances that neither own nor accept."""
    return [
        virtual.address
        for settings in instances
        if not settings.accept and not settings.owner
        for virtual in settings.all_addresses
    ]


def apply(addresses: list[Address]) -> None:
    """Drop packets to these and to no others; with none, remove the table. OSError when the kernel refuses."""
    failures: list[Exception] = []

    def work() -> None:
        try:
            _replace(addresses)
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=work, name="nftables")
    thread.start()
    thread.join()
    if failures:
        raise OSError(f"cannot set nftables rules for accept = false: {failures[0]}")


def _replace(addresses: list[Address]) -> None:
    from pyroute2.nftables.main import NFTables

    nft = NFTables(nfgen_family=FAMILY_INET)
    try:
        nft.begin()
        nft.table("add", name=TABLE)
        nft.table("del", name=TABLE)
        if addresses:
            nft.table("add", name=TABLE)
            nft.chain("add", table=TABLE, name=CHAIN, hook="input", type="filter", policy=1)
            for address in addresses:
                for expressions in _rules(address):
                    nft.rule("add", table=TABLE, chain=CHAIN, expressions=expressions)
        nft.commit()
    finally:
        nft.close()


def _rules(address: Address) -> list[list[Any]]:
    """The rules for one address, in order."""
    if isinstance(address, IPv4Address):
        return [[_to(address), [_verdict(DROP)]]]
    icmp = _is(_meta(META_L4PROTO), bytes((ICMPV6,)))
    pass_on = [
        [_to(address), icmp, _is(_payload(TRANSPORT_HEADER, 0, 1), bytes((kind,))), [_verdict(ACCEPT)]]
        for kind in NEIGHBOUR_MESSAGES
    ]
    return [*pass_on, [_to(address), [_verdict(DROP)]]]


def _to(address: Address) -> list[dict[str, Any]]:
    offset, length = (16, 4) if address.version == 4 else (24, 16)
    family = _is(_meta(META_NFPROTO), bytes((NFPROTO[address.version],)))
    return family + _is(_payload(NETWORK_HEADER, offset, length), address.packed)


def _expression(name: str, **fields: Any) -> dict[str, Any]:
    data = [(f"NFTA_{name.upper()}_{key.upper()}", value) for key, value in fields.items()]
    return {"attrs": [("NFTA_EXPR_NAME", name), ("NFTA_EXPR_DATA", {"attrs": data})]}


def _meta(key: int) -> dict[str, Any]:
    return _expression("meta", key=key, dreg=REGISTER)


def _payload(base: int, offset: int, length: int) -> dict[str, Any]:
    return _expression("payload", dreg=REGISTER, base=base, offset=offset, len=length)


def _is(load: dict[str, Any], value: bytes) -> list[dict[str, Any]]:
    data = {"attrs": [("NFTA_DATA_VALUE", value)]}
    return [load, _expression("cmp", sreg=REGISTER, op=0, data=data)]


def _verdict(code: int) -> dict[str, Any]:
    data = {"attrs": [("NFTA_DATA_VERDICT", {"attrs": [("NFTA_VERDICT_CODE", code)]})]}
    return _expression("immediate", dreg=0, data=data)
