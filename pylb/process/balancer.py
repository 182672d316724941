"""The running load balancer: every live object of one process, made of one Config.

    assembly    compiles them            listeners   where clients come in, and how many
    figures     the process in numbers   books       what all processes have counted

A steward compiles it and keeps it without listeners; a worker, forked from the steward, opens them. It is also what the
statistics read (admin/world.World) and, as `world`, what rules refer to by name.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pylb import __version__
from pylb.admin.world import Reload, own_totals
from pylb.backend import additions, state
from pylb.backend.backend import Backend
from pylb.backend.operate import Refused
from pylb.backend.server import Server
from pylb.config import model
from pylb.config.words import Report
from pylb.counters import ProxyCounters
from pylb.net.plan import Plan
from pylb.process import sharing
from pylb.process.assembly import Assembly, unlogged
from pylb.process.books import SPARE
from pylb.process.endpoints import endpoint_of
from pylb.process.figures import Figures
from pylb.process.listeners import Listeners

if TYPE_CHECKING:
    from pylb.process.books import Live, StewardsBook, WorkersBook
    from pylb.process.piecemeal import Pace
    from pylb.rules.frontend import Frontend
    from pylb.trace.tracer import Tracer

WARNING = 4


class Balancer:
    """Made in two steps: `__init__` compiles everything (no event loop, errors into `report`), `open` listens.

    With a `tracer` some of its parts are those that tell what they do."""

    def __init__(self, config: model.Config, report: Report, tracer: Tracer | None = None) -> None:
        """Raises ConfigError, with everything that the report holds, if there are errors."""
        general = config.globals
        self.config = config
        self.tracer = tracer
        self.version = __version__
        self.node = general.node or socket.gethostname()
        self.pid = os.getpid()
        """Of the master: where signals go."""
        self.workers = 1 if general.workers is None else general.workers or len(os.sched_getaffinity(0))
        self.startup_logs: list[str] = []
        self.reload = Reload()
        self.stopping = self._is_worker = False
        self.started = 0.0
        self.started_wall = time.time()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.book: StewardsBook | WorkersBook | None = None
        self.order: Callable[[str, str, str], None] | None = None
        """Has the steward do to a server what was done here: backend, server, action of the statistics page."""
        self.server_added: list[Callable[[Server], None]] = []
        self.server_removed: list[Callable[[Server], None]] = []
        """Who has to know of servers that come and go while all this runs."""
        self._next_second = 0.0

        self.listeners = Listeners(config)
        self.house, self.doors = self.listeners.house, self.listeners.doors
        self.rate_limits, self.hard_maxconn = self.listeners.rate_limits, self.listeners.hard_maxconn
        self.figures = Figures(self)

        parts = Assembly(config, self, report, tracer)
        self.loggers, self.sinks, self.certificates = parts.loggers, parts.sinks, parts.certificates
        self.world, self.tables, self.patterns = parts.world, parts.tables, parts.world.patterns
        self.backends: list[Backend] = parts.backends
        self.frontends: list[Frontend] = parts.frontends
        self._raise_errors(report)
        parts.link()
        self._contexts = parts.contexts()
        self._raise_errors(report)

    def _raise_errors(self, report: Report) -> None:
        """Raise ConfigError if there is reason to, leaving nothing open."""
        if report.errors:
            for logger in self.loggers:
                logger.close()
        report.raise_errors()

    # ---------------------------------------------------------------------------------------- the lives of a process

    def begin(self, now: float, master: int, book: StewardsBook) -> None:
        """Everything is ready to be forked; `now` is the monotonic clock, `master` the pid that takes signals."""
        self.started, self.started_wall = now, time.time()
        self.pid = master
        self.book = book
        for backend in self.backends:
            backend.last_change = now
            for server in backend.servers:
                server.last_change = now
        self.listeners.own(self.frontends)

    @property
    def entries(self) -> list[Live | None]:
        """Everything that counts, by row."""
        assert self.book is not None
        return self.book.entries

    def attend(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live in this process and its loop from now on."""
        self.loop = loop
        self.world.pid = os.getpid()
        for logger in self.loggers:
            logger.set_pid(self.world.pid)
            logger.gather(loop.call_later)

    def joining(self, book: WorkersBook) -> Iterator[None]:
        """Step by step become a worker's: what is logged and counted for all is the steward's to do, limits are shared
        with others."""
        self.book = book
        self._is_worker = True
        self.world.count = book.count
        self.figures.be_told_rates()
        self.listeners.disown()
        for backend in self.backends:
            backend.log = unlogged
            for server in backend.servers:
                server.changed = _not_here  # the steward's herald has no channels here
            yield
        if book.shared.usage is not None:
            yield from sharing.joining(self, book.shared.usage, book.slot)

    async def open(self, pace: Pace) -> None:
        """Listen: from here on traffic comes."""
        self.attend(asyncio.get_running_loop())
        await self.listeners.open(self.frontends, self._contexts, pace, self.tracer)

    def tick(self, now: float) -> None:
        """Several times a second: counters; once a second: rates, slow starts."""
        book = self.book
        assert book is not None
        book.tick(now)
        book.write_process(self, now)
        if now < self._next_second:
            return
        self._next_second = now + 1.0
        self.figures.look_at_work(now)
        for backend in self.backends:
            if backend.warming:
                state.warm_up(backend, now)

    def settling(self) -> Iterator[None]:
        """Write all counters, step by step."""
        assert self.book is not None
        yield from self.book.settling()
        self.book.write_process(self, self.now())

    def close_listeners(self) -> Iterator[None]:
        """No new connections; running ones go on. It happens as the steps are taken."""
        self.stopping = self.world.stopping = True
        return self.listeners.close()

    def close(self) -> None:
        """The end of everything."""
        for backend in self.backends:
            for server in backend.servers:
                backend.drop_idle(server)
        for logger in self.loggers:  # all of them first: they may share a sink
            logger.flush()
        for logger in self.loggers:
            logger.close()

    # ----------------------------------------------------------------------------------------- what is told of proxies

    def log_stop(self) -> None:
        """Say of each proxy that it has stopped, and how much it has done."""
        for frontend in self.frontends:
            if frontend.state != "STOP":
                self.tell_stopped(frontend.name)
        for backend in self.backends:
            if not backend.model.listen:
                backend.log(WARNING, stopped(backend.name, 0, self.totals(backend).stot))

    def tell_stopped(self, name: str) -> None:
        """Log that a frontend has stopped for good."""
        frontend = self.world.frontends[name]
        behind = self.totals(frontend.twin).stot if frontend.twin is not None else 0
        self.tell(name, stopped(name, self.totals(frontend).stot, behind))

    def tell(self, name: str, text: str) -> None:
        """Log what has become of a frontend: once for all workers, which obey the same orders."""
        logger = self.world.frontends[name].logger
        if logger is not None and not self._is_worker:
            logger(WARNING, text.encode())

    # ------------------------------------------------------------------------------------- operators (admin/world.py)

    @property
    def maxconn(self) -> int:
        """Of all workers together."""
        return self.listeners.maxconn

    def set_maxconn(self, limit: int) -> None:
        """`set maxconn global`"""
        self.listeners.set_maxconn(limit)

    def add_server(self, backend: Backend, server: model.Server) -> Server:
        """`add server`. Raises operate.Refused, or ConfigError for TLS settings that cannot be used."""
        additions.check_addable(backend)
        if self.book is not None and self.book.full:
            raise Refused(f"No room for another server until a reload: {SPARE} have been added.")
        tracked = additions.leader(self.backends, backend, server)
        report = Report()
        endpoint = endpoint_of(server, backend.model, self.world, report)
        report.raise_errors()
        added = additions.add(backend, server, self.now(), tracked)
        added.net = endpoint
        for frontend in self.frontends:
            if backend in frontend.plans:  # made without knowing that there is a server with TLS or `send-proxy`
                frontend.plans[backend] = Plan(frontend, backend)
        if self.book is not None:
            self.book.add(added)
        for hear in self.server_added:
            hear(added)
        return added

    def remove_server(self, server: Server) -> None:
        """`del server`. Raises operate.Refused."""
        additions.remove(server)
        if self.book is not None:
            self.book.remove(server)
        for hear in self.server_removed:
            hear(server)

    def cleared(self, everything: bool) -> None:
        """`clear counters` has been carried out here."""
        if self.book is not None:
            self.book.clear(everything)

    # ------------------------------------------------------------------------------------ statistics (admin/world.py)

    def now(self) -> float:
        """The loop's clock."""
        return self.loop.time() if self.loop is not None else 0.0

    def totals(self, live: Any) -> ProxyCounters:
        """What all processes have counted of a frontend, backend or server."""
        return own_totals(live) if self.book is None else self.book.totals(live)


def stopped(name: str, front: int, back: int) -> str:
    """The end of a proxy, with its sessions as a frontend and as a backend."""
    return f"Proxy {name} stopped (cumulated conns: FE: {front}, BE: {back})."


def _not_here(changed: Server) -> None:
    """The steward sees to it."""
