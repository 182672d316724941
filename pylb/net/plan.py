"""What one frontend and one backend together ask of an exchange, decided once.

HAProxy applies some options of the frontend, some of the backend and some of whichever has them. Deciding that per
request would be paid by everybody; a Plan is made the first time a pair meets and then only read. A feature that the
pair does not use is None, an empty tuple or False here, and the exchange passes it by.
"""

from __future__ import annotations

import ipaddress
import socket
from copy import copy
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from pylb.config import model

if TYPE_CHECKING:
    from pylb.backend.backend import Backend
    from pylb.rules.context import Context
    from pylb.rules.frontend import Frontend
    from pylb.rules.reply import Reply

ALL_RETRYABLE = frozenset(
    ("conn-failure", "empty-response", "junk-response", "response-timeout", "500", "502", "503", "504")
)
"""retry-on all-retryable-errors"""

_STRENGTH = {"keep-alive": 0, "server-close": 1, "close": 2}


def _or_inf(*values: float | None) -> float:
    return next((value for value in values if value is not None), inf)


def _learning(backend: Backend) -> tuple[Any, ...]:
    """`stick store-response`, as the first of the response's rules; empty without."""
    sticking = backend.persist.sticking if backend.persist is not None else None
    return () if sticking is None or not sticking.learning else (sticking.learn,)


class Page(Protocol):
    """A page of our own that some targets lead to: the statistics (admin/page.py)."""

    def matches(self, target: bytes) -> bool:
        """Whether a request-target, as received, leads here."""

    def handle(self, x: Context, body: bytes) -> Reply:
        """The answer; `body` is that of a POST."""

    def too_large(self, x: Context) -> Reply:
        """The answer to a form that does not fit into one buffer."""


@dataclass(frozen=True, slots=True)
class ForwardFor:
    """`option forwardfor` compiled for one proxy."""

    prefix: bytes
    """`\\r\\nX-Forwarded-For: `"""
    name: bytes
    """Lower-cased header name, for if-none."""
    if_none: bool
    excepts: tuple[socket.AddressFamily, int, int] | None
    """Family, mask and base of the network whose clients go unnamed."""

    @classmethod
    def compile(cls, setting: model.ForwardFor | None) -> ForwardFor | None:
        """None where the option is off."""
        if setting is None:
            return None
        name = setting.header.encode()
        excepts = None
        if setting.except_network:
            network = ipaddress.ip_network(setting.except_network, strict=False)
            family = socket.AF_INET if network.version == 4 else socket.AF_INET6
            excepts = family, int(network.netmask), int(network.network_address)
        return cls(b"\r\n" + name + b": ", name.lower(), setting.if_none, excepts)

    def line(self, src: str) -> bytes:
        """The header to add for a client; b"" for an excepted one and on a unix socket, which has no addresses.

        Numbers are compared, in 0.6 µs: ipaddress would take 2 of each new connection.
        """
        if src == "unix":
            return b""
        if self.excepts is not None:
            family, mask, base = self.excepts
            try:
                address = socket.inet_pton(family, src.partition("%")[0])
            except OSError:  # of the other family
                pass
            else:
                if int.from_bytes(address, "big") & mask == base:
                    return b""
        return self.prefix + src.encode()


class Plan:
    """See the module. Times are seconds, inf where there is no limit."""

    __slots__ = (
        "after_response_rules",
        "backend",
        "backend_rules",
        "client_fin",
        "close_client",
        "close_server",
        "connect_timeout",
        "extra_head",
        "forward_for",
        "logs_early",
        "own_tunnel_limit",
        "persist",
        "queue_timeout",
        "redirects",
        "replays",
        "response_rules",
        "retries",
        "retry_on",
        "retry_status",
        "reuse",
        "server_expires_first",
        "server_fin",
        "server_timeout",
        "sharing_from",
        "stats",
        "tunnel_limit",
        "via",
    )

    def __init__(self, frontend: Frontend, backend: Backend) -> None:
        front, back = frontend.model, backend.model
        times = back.timeouts
        self.backend = backend
        self.persist: Any = None if backend.persist is None else backend.persist.needed
        self.stats: Page | None = backend.stats
        self.backend_rules = backend.http_request
        counting = frontend.counts_responses(backend)
        self.response_rules = counting + _learning(backend) + backend.http_response + frontend.http_response
        self.after_response_rules = backend.http_after_response + frontend.http_after_response
        self.connect_timeout = _or_inf(times.connect)
        self.queue_timeout = _or_inf(times.queue, times.connect)
        self.server_timeout = _or_inf(times.server)
        client_timeout = _or_inf(front.timeouts.client)
        self.tunnel_limit = _or_inf(times.tunnel, front.timeouts.tunnel, min(client_timeout, self.server_timeout))
        self.server_expires_first = (
            times.tunnel or front.timeouts.tunnel
        ) is None and self.server_timeout < client_timeout
        """Of a pipe where both sides are silent: `timeout tunnel` is for both alike."""
        self.own_tunnel_limit = times.tunnel
        """`timeout tunnel` of the backend, or what a rule has set in its place."""
        # One direction has ended: only the side that is still to send or to end is waited for.
        lives = (times.tunnel, front.timeouts.tunnel)
        self.server_fin = _or_inf(times.server_fin, *lives, times.server)
        self.client_fin = _or_inf(front.timeouts.client_fin, *lives, front.timeouts.client)
        mode = max(front.connection_mode, back.connection_mode, key=_STRENGTH.__getitem__)
        # The manual has httpclose of either proxy end the client's connection, too; the real one heeds the frontend's.
        self.close_client = front.connection_mode == "close"
        self.close_server = mode != "keep-alive"
        self.extra_head = b"\r\nConnection: close" if self.close_server else b""
        # The backend's header name wins; either proxy turns the option on (manual: option forwardfor).
        self.forward_for = ForwardFor.compile(back.forwardfor or front.forwardfor)
        # `http-reuse never` still keeps a server's connection, for the client that it was opened for.
        self.reuse = "none" if self.close_server else back.http_reuse
        servers = [server.model for server in backend.servers]  # some may have been added since the start
        special = any(server.tls or server.send_proxy or server.redirect_prefix is not None for server in servers)
        self.sharing_from: float = inf if special else {"always": 1, "safe": 2}.get(self.reuse, inf)
        """From this request of a client's connection on, any idle connection to the chosen server will do."""
        self.retries = back.retries
        self.redirects = any(server.redirect_prefix is not None for server in servers)
        """Some server only says where to go (manual: server `redir`)."""
        retry_on = set(back.retry_on)
        if "all-retryable-errors" in retry_on:
            retry_on |= ALL_RETRYABLE
        self.retry_status = frozenset(int(word) for word in retry_on if word.isdecimal())
        self.retry_on = frozenset(retry_on)
        self.logs_early = front.logasap
        """The log line is written when the response begins (option logasap)."""
        via = back.via or front.via
        self.via = via.encode() if via else None
        self.replays = bool(self.retry_status or self.retry_on - {"conn-failure", "none"})
        """`retry-on` asks for more than failed connections: the request is kept until the response."""

    def with_timeout(self, kind: str, seconds: float) -> Plan:
        """The same, for an exchange whose rules set a timeout of its own: "server" or "tunnel"."""
        plan = copy(self)
        if kind == "server":
            plan.server_timeout = seconds
        else:
            plan.tunnel_limit = plan.own_tunnel_limit = seconds
            plan.server_expires_first = False
        return plan

    def without_replay(self) -> Plan:
        """The same, for an exchange whose rules forbid that its request goes out twice."""
        plan = copy(self)
        plan.replays, plan.retry_status = False, frozenset()
        plan.retry_on = self.retry_on & {"conn-failure"}
        return plan
