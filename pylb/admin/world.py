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
    """The process as a whole (process/worker.py)."""

    config: declared.Config
    frontends: Sequence[FrontendView]
    backends: Sequence[Backend]
    started: float
    started_wall: float
    version: str
    node: str
    """`node`, or the host name."""
    pid: int
    workers: int
    """Worker processes (HAProxy: nbthread)."""
    maxconn: int
    """The process's limit; 0: none."""
    actconn: int
    """Client connections now."""
    cum_conn: int
    """Client connections since the start."""
    cum_req: int
    conn_rate: Rate
    """Client connections per second."""
    sess_rate: Rate
    ssl_rate: Rate
    """TLS handshakes with clients per second."""
    ssl_conns: int
    """TLS connections now, both sides."""
    cum_ssl_conns: int
    listeners: int
    stopping: bool
    dropped_logs: int

    def now(self) -> float:
        """The loop's clock."""
        ...
