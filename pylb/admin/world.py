"""What the statistics read beside backends and servers: narrow views of the running process and its frontends.

The live classes of rules/ and process/ satisfy these protocols; the tests build a world of plain objects.
`now` is the event loop's clock, `*_wall` is the time of day, both in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pylb.backend.backend import Backend
from pylb.config import model as declared
from pylb.counters import ProxyCounters, Rate


class FrontendView(Protocol):
    """A live frontend (rules/frontend.py)."""

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> declared.Frontend: ...
    @property
    def counters(self) -> ProxyCounters: ...


class World(Protocol):
    """The process as a whole (process/balancer.py)."""

    @property
    def config(self) -> declared.Config: ...
    @property
    def frontends(self) -> Sequence[FrontendView]: ...
    @property
    def backends(self) -> Sequence[Backend]: ...
    @property
    def started(self) -> float: ...
    @property
    def started_wall(self) -> float: ...
    @property
    def version(self) -> str: ...
    @property
    def node(self) -> str:
        """`node`, or the host name."""

    @property
    def pid(self) -> int: ...
    @property
    def workers(self) -> int:
        """Worker processes (HAProxy: nbthread)."""

    @property
    def maxconn(self) -> int:
        """The process's limit; 0: none."""

    @property
    def actconn(self) -> int:
        """Client connections now."""

    @property
    def cum_conn(self) -> int:
        """Client connections since the start."""

    @property
    def cum_req(self) -> int: ...
    @property
    def conn_rate(self) -> Rate:
        """Client connections per second."""

    @property
    def sess_rate(self) -> Rate: ...
    @property
    def ssl_rate(self) -> Rate:
        """TLS handshakes with clients per second."""

    @property
    def ssl_conns(self) -> int:
        """TLS connections now."""

    @property
    def cum_ssl_conns(self) -> int: ...
    @property
    def listeners(self) -> int:
        """Addresses listened on."""

    @property
    def stopping(self) -> bool: ...
    @property
    def dropped_logs(self) -> int: ...
    def now(self) -> float:
        """The loop's clock."""
