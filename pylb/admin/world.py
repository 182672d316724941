"""What the statistics read: narrow views of the running process, its frontends, backends and servers.

The live classes of rules/, backend/ and process/ satisfy these protocols; the tests build a world of plain objects.
`now` is the event loop's clock, `*_wall` is the time of day, both in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Protocol

from pylb.config import model as declared
from pylb.counters import ProxyCounters, Rate


class CheckView(Protocol):
    """The active check of a server and what it last found."""

    @property
    def status(self) -> str:
        """ "L4OK", "L7STS", …; "* L7OK" while a check runs; "INI" before the first."""

    @property
    def code(self) -> int | None:
        """HTTP status."""

    @property
    def duration(self) -> float | None:
        """Seconds."""

    @property
    def info(self) -> str:
        """What it found, in words; text from servers and the system, not to be trusted."""

    @property
    def rise(self) -> int: ...
    @property
    def fall(self) -> int: ...
    @property
    def health(self) -> int:
        """0 to rise+fall-1."""


class ServerView(Protocol):
    """A live server (backend/server.py)."""

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> declared.Server: ...
    @property
    def address(self) -> declared.Address: ...
    @property
    def counters(self) -> ProxyCounters: ...
    @property
    def sid(self) -> int: ...
    @property
    def queue(self) -> Sized: ...
    @property
    def maxconn(self) -> int:
        """0: no limit"""

    @property
    def weight(self) -> int:
        """User weight, 0 to 256."""

    @property
    def effective_weight(self) -> int:
        """What balancing uses now: the user weight, less while slow start runs."""

    @property
    def throttle(self) -> int:
        """Per cent of the weight in force: 100 but for slow start."""

    @property
    def usable(self) -> bool:
        """Takes new requests."""

    @property
    def state(self) -> int:
        """0 is down; maintenance counts as down."""

    @property
    def status(self) -> str:
        """HAProxy's text: "UP", "UP 1/3", "DOWN", "DOWN 1/2", "MAINT", "DRAIN", "NOLB", "no check"."""

    @property
    def last_change(self) -> float:
        """Loop clock of the last change of state."""

    @property
    def downtime(self) -> float:
        """Seconds down, the running outage not counted."""

    @property
    def hana(self) -> int:
        """Times that `observe` reached error-limit."""

    @property
    def idle(self) -> Sized:
        """Connections kept for reuse."""

    @property
    def check(self) -> CheckView | None:
        """None without `check`."""


class BackendView(Protocol):
    """A live backend (backend/backend.py)."""

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> declared.Backend: ...
    @property
    def counters(self) -> ProxyCounters: ...
    @property
    def servers(self) -> Sequence[ServerView]: ...
    @property
    def queue(self) -> Sized: ...
    @property
    def fullconn(self) -> int: ...
    @property
    def up(self) -> bool:
        """Some server is usable, or there is none at all."""

    @property
    def last_change(self) -> float:
        """Loop clock of the last change between UP and DOWN."""

    @property
    def downtime(self) -> float:
        """Seconds without a usable server, the running outage not counted."""


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
    backends: Sequence[BackendView]
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
