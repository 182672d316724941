"""Where and how to reach a server: what a connection attempt needs, worked out when the server's address is set."""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
from collections.abc import Callable
from typing import Any

from pylb.config import model
from pylb.net import proxy_protocol

NO_LIMIT = 1 << 30

_HOST_NAME = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}\.?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
"""Labels as DNS has them (RFC 1035 2.3.4), or an IPv6 address (checked, never sent as SNI)."""

PREFACES: dict[str | None, Callable[[str, int, str, int], bytes] | None] = {
    None: None,
    "v1": proxy_protocol.line,
    "v2": proxy_protocol.binary,
}


class Endpoint:
    """The network side of a live server (`Server.net`)."""

    __slots__ = (
        "_family",
        "_host",
        "_name",
        "_offset",
        "_own_tls",
        "_path",
        "_port",
        "_source",
        "max_idle",
        "preface",
        "tls",
    )

    def __init__(
        self,
        declared: model.Server,
        tls: ssl.SSLContext | None,
        name: Callable[[Any], str | None] | None,
        source: str | None,
    ) -> None:
        self.tls = tls
        """The context to connect with; None: plain."""
        self._own_tls = tls
        self._name = name
        self.max_idle = NO_LIMIT if declared.pool_max_conn is None else declared.pool_max_conn
        self.preface = PREFACES[declared.send_proxy]
        """`send-proxy`: what to write first, given a client's addresses and those that it reached; None: nothing."""
        self._source: tuple[str, int] | None = None
        if source is not None:
            host, _, port = source.rpartition(":") if source.count(":") == 1 else (source, "", "0")
            self._source = (host.removeprefix("ipv4@").removeprefix("ipv6@"), int(port or 0))
        self.move(declared.address)

    def move(self, address: model.Address) -> None:
        """The server is reached at `address` (a numeric host or a unix path) from now on.

        Raises ValueError for a host that is still a name.
        """
        self._path = ""
        self._host = address.host
        self._port = address.port
        self._offset = address.port_offset
        if address.kind in ("unix", "abns"):
            self._family, self._path = socket.AF_UNIX, address.socket_path
        elif address.kind == "fd":
            raise ValueError("a server cannot be a file descriptor")
        else:
            version = ipaddress.ip_address(address.host).version
            self._family = socket.AF_INET if version == 4 else socket.AF_INET6

    def use_tls(self, wanted: bool) -> None:
        """`set server … ssl on|off`, of a server that is configured with `ssl`."""
        self.tls = self._own_tls if wanted else None

    def sockaddr(self, client_port: int) -> tuple[int, Any]:
        """Socket family and address; `client_port` is the port that the client reached, for `+N`, `-N` and no port."""
        if self._path:
            return self._family, self._path
        port = self._port
        if port is None:
            port = client_port
        elif self._offset:
            port = (client_port + port) & 0xFFFF
        return self._family, (self._host, port)

    def bind_source(self, sock: socket.socket) -> None:
        """`source`: connect from this address."""
        if self._source is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(self._source)

    def name(self, exchange: Any) -> str | None:
        """The name for SNI and for checking the certificate; None where a request's words are no host name."""
        name = self._name(exchange) if self._name is not None else None
        return name if name is not None and len(name) < 254 and _HOST_NAME.fullmatch(name) else None
