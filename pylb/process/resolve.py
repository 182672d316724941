"""Server names to addresses, once, when the configuration loads (manual: init-addr).

The data plane only knows numeric addresses. A name that does not resolve is an error unless `init-addr` says otherwise:
`none` starts with the server in maintenance until somebody sets its address.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import replace

from pylb.backend.server import UNKNOWN
from pylb.config.model import Address, Server
from pylb.config.words import Report


def resolve(server: Server, report: Report) -> Address:
    """The server's address with a numeric host."""
    address = server.address
    if address.kind != "inet":
        return address
    host = address.host
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return address
    for method in (server.init_addr or "last,libc").split(","):
        if method == "none":
            return replace(address, host=UNKNOWN)
        if method == "libc":
            found = _look_up(host, address.family)
            if found is not None:
                return replace(address, host=found)
        elif method != "last":
            return replace(address, host=method)
    report(server.at, f'could not resolve address "{host}" of server "{server.name}"', "write its IP address")
    return replace(address, host=UNKNOWN)


def _look_up(host: str, family: str) -> str | None:
    wanted = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}.get(family, socket.AF_UNSPEC)
    try:
        found = socket.getaddrinfo(host or "localhost", None, wanted, socket.SOCK_STREAM)
    except OSError:
        return None
    found.sort(key=lambda item: item[0] != socket.AF_INET)  # HAProxy's default: IPv4 before IPv6 where both exist
    return str(found[0][4][0])
