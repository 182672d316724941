"""What the statistics read beside backends and servers: narrow views of the running process and its frontends.

The live classes of rules/ and process/ satisfy these protocols; the tests build a world of plain objects.
`now` is the event loop's clock, `*_wall` is the time of day, both in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pylb.backend.backend import Backend
from pylb.backend.server import Server
from pylb.config import model as declared
from pylb.counters import ProxyCounters, Rate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pylb.backend.stick import StickTable
    from pylb.net.certificate_store import CertificateStore
    from pylb.net.door import Door, House, RateLimits
    from pylb.net.listener import BadMessage
    from pylb.rules.pattern_lists import PatternLists
    from pylb.trace.tracer import Tracer


@dataclass(frozen=True, slots=True)
class Reload:
    """How the last reload went."""

    at: float = 0.0
    """Time of day, seconds since 1970; 0: there was none."""
    success: bool = True
    reason: str = ""
    """Why not."""
    count: int = 0
    """Reloads that succeeded since the start."""
    ended: int = 0
    """Those that failed, too."""
    pending: bool = False
    """Another one is under way."""


class FrontendView(Protocol):
    """A live frontend (rules/frontend.py)."""

    @property
    def name(self) -> str: ...
    @property
    def model(self) -> declared.Frontend: ...
    @property
    def counters(self) -> ProxyCounters: ...
    @property
    def last_error(self) -> BadMessage | None:
        """The last request that was no HTTP."""

    @property
    def state(self) -> str:
        """ "" while it listens, "PAUSED" or "STOP" after an operator's order."""


class Figures(Protocol):
    """The process in numbers, all its workers together (process/figures.py)."""

    @property
    def actconn(self) -> int:
        """Client connections now."""

    @property
    def cum_conn(self) -> int:
        """Client connections since the start."""

    @property
    def cum_req(self) -> int:
        """Requests since the start."""

    @property
    def ssl_conns(self) -> int:
        """TLS connections now."""

    @property
    def cum_ssl_conns(self) -> int:
        """TLS handshakes since the start."""

    @property
    def conn_rate(self) -> Rate:
        """Client connections per second."""

    @property
    def sess_rate(self) -> Rate:
        """Sessions per second."""

    @property
    def ssl_rate(self) -> Rate:
        """TLS handshakes with clients per second."""

    @property
    def bytes_out_rate(self) -> Rate:
        """Bytes to clients per second."""

    @property
    def listeners(self) -> int:
        """Addresses listened on."""

    @property
    def tasks(self) -> int:
        """Tasks of the event loops."""

    @property
    def idle_percent(self) -> int:
        """How much of the last second there was nothing to do."""

    @property
    def dropped_logs(self) -> int:
        """Log lines that could not be sent."""


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
    def hard_maxconn(self) -> int:
        """The most that maxconn can be set to while running."""

    @property
    def rate_limits(self) -> RateLimits: ...
    @property
    def figures(self) -> Figures: ...
    @property
    def order(self) -> Callable[[str, str, str], None] | None:
        """Has another process, which keeps the servers' true state, do an action too: backend, server, action."""

    @property
    def reload(self) -> Reload:
        """The last one."""

    @property
    def stopping(self) -> bool: ...
    @property
    def startup_logs(self) -> Sequence[str]:
        """What was said at the start, a line each."""

    @property
    def tables(self) -> Mapping[str, StickTable]:
        """Stick tables by the name of their section."""

    def now(self) -> float:
        """The loop's clock."""

    def totals(self, live: FrontendView | Backend | Server) -> ProxyCounters:
        """What all processes have counted of a frontend, backend or server, queue and idle connections included."""


def own_totals(live: FrontendView | Backend | Server) -> ProxyCounters:
    """`World.totals` where there is one process."""
    counters = live.counters
    if not isinstance(live, Server | Backend):
        return counters
    counters.qcur = live.queue.length
    if isinstance(live, Server):
        counters.idle = len(live.idle)
    return counters


class Running(World, Protocol):
    """The process that commands of kind CHANGE and GATHER work on: connections and limits of its own."""

    @property
    def house(self) -> House: ...
    @property
    def doors(self) -> Mapping[str, Door]:
        """The connections of each frontend that was not disabled in the configuration."""

    @property
    def tracer(self) -> Tracer | None:
        """Tells the life of each request; None without --trace."""

    @property
    def certificates(self) -> CertificateStore:
        """What the binds show to clients."""

    @property
    def patterns(self) -> PatternLists:
        """What ACLs and maps compare with."""

    def cleared(self, everything: bool) -> None:
        """`clear counters` has been carried out; `everything`: with totals."""

    def add_server(self, backend: Backend, server: declared.Server) -> Server:
        """`add server`. Raises operate.Refused or ConfigError."""

    def remove_server(self, server: Server) -> None:
        """`del server`. Raises operate.Refused."""

    def set_maxconn(self, limit: int) -> None:
        """`set maxconn global`"""

    def tell_stopped(self, frontend: str) -> None:
        """Log that a frontend has stopped for good."""

    def tell(self, frontend: str, text: str) -> None:
        """Log what has become of a frontend."""
