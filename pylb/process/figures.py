"""The process in numbers: what `show info`, the page and the metrics tell beside proxies and servers.

What one process knows of itself is under `own_…`, and its book writes it into the shared memory (books.py). Everything
else is of all workers together, in whichever process it is asked for.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from pylb.counters import Rate

if TYPE_CHECKING:
    from pylb.process.balancer import Balancer


class Figures:
    """Of one balancer; an admin/world.Figures."""

    def __init__(self, balancer: Balancer) -> None:
        self._balancer = balancer
        self._idle = 100
        self._worked = (0.0, 0.0)
        """When the share of idle time was last looked at: loop's clock, seconds of CPU."""
        self.conn_rate = Rate(lambda: self.cum_conn)
        self.sess_rate = Rate(lambda: sum(f.counters.stot for f in balancer.frontends))
        self.ssl_rate = Rate(lambda: self.cum_ssl_conns)
        self.bytes_out_rate = Rate(lambda: sum(f.counters.bout for f in balancer.frontends))

    def be_told_rates(self) -> None:
        """The steward measures them, and the book brings them here."""
        self.conn_rate = self.sess_rate = self.ssl_rate = self.bytes_out_rate = Rate(lambda: 0)

    def look_at_work(self, now: float) -> None:
        """Once a second: how much of the time since the last look this process had nothing to do."""
        (then, before), used = self._worked, time.process_time()
        self._worked = (now, used)
        if now > then > 0:
            self._idle = max(0, min(100, round(100 - 100 * (used - before) / (now - then))))

    def _of_all(self, name: str, own: int) -> int:
        """The sum over all processes (the highest, where it is one); `own` before there are others."""
        book = self._balancer.book
        return own if book is None else book.figure(name)

    # ---------------------------------------------------------------------------------------------------- connections

    @property
    def actconn(self) -> int:
        """Client connections now."""
        return self._of_all("connections", self._balancer.house.connections)

    @property
    def most_conn(self) -> int:
        """Most client connections at once."""
        return self._of_all("most", self._balancer.house.most)

    @property
    def cum_conn(self) -> int:
        """Client connections since the start."""
        return self._of_all("total", self._balancer.house.total)

    @property
    def cum_req(self) -> int:
        """Requests since the start."""
        balancer = self._balancer
        return sum(balancer.totals(frontend).req_tot for frontend in balancer.frontends)

    @property
    def own_ssl_conns(self) -> int:
        """Clients connected to this process by TLS now."""
        return sum(session.tls is not None for door in self._balancer.house.doors for session in door.sessions)

    @property
    def ssl_conns(self) -> int:
        """Clients connected by TLS now."""
        return self._of_all("ssl", self.own_ssl_conns)

    @property
    def cum_ssl_conns(self) -> int:
        """TLS handshakes since the start."""
        balancer = self._balancer
        return sum(balancer.totals(frontend).ssl_handshakes for frontend in balancer.frontends)

    @property
    def listeners(self) -> int:
        """Listening sockets."""
        return self._balancer.listeners.count

    # ---------------------------------------------------------------------------------------------------- the process

    @property
    def own_tasks(self) -> int:
        """Tasks of this process's event loop."""
        loop = self._balancer.loop
        return len(asyncio.all_tasks(loop)) if loop is not None else 0

    @property
    def tasks(self) -> int:
        """Tasks of all event loops."""
        return self._of_all("tasks", self.own_tasks)

    @property
    def own_idle_percent(self) -> int:
        """How much of the last second this process had nothing to do."""
        return self._idle

    @property
    def idle_percent(self) -> int:
        """The same of the workers, on the average."""
        return self._of_all("idle", self._idle) // (self._balancer.workers if self._balancer.book is not None else 1)

    @property
    def own_dropped_logs(self) -> int:
        """Log lines that this process could not send."""
        return sum(logger.dropped for logger in self._balancer.loggers)

    @property
    def dropped_logs(self) -> int:
        """Log lines that could not be sent."""
        return self._of_all("dropped", self.own_dropped_logs)
