"""The running load balancer: every live object of one process, made of one Config.

A steward compiles it and keeps it without listeners; a worker, forked from the steward, opens them. It is also what the
statistics read (admin/world.World) and, as `world`, what rules refer to by name. What several processes have counted
is added up by the `book`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pylb import __version__
from pylb.admin.logsinks import Sink
from pylb.admin.page import StatsPageHandler, exporter
from pylb.admin.syslog import Logger, make_logger
from pylb.admin.world import Reload, own_totals
from pylb.backend import additions, state
from pylb.backend.backend import Backend, default_fullconn
from pylb.backend.server import Server
from pylb.backend.stick import StickTable
from pylb.config import model
from pylb.config.expression import parse_sample
from pylb.config.words import Report
from pylb.counters import ProxyCounters, Rate
from pylb.http1.head import Limits
from pylb.net import tls
from pylb.net.certificate_store import CertificateStore
from pylb.net.clock import Clock
from pylb.net.door import Door, House, RateLimits
from pylb.net.endpoint import Endpoint
from pylb.net.listener import EARS, Listener
from pylb.process import binding, sharing
from pylb.process.books import StewardsBook, WorkersBook
from pylb.process.carry import live_objects
from pylb.process.resolve import resolve
from pylb.rules.acl import compile_condition
from pylb.rules.compile import compile_sample
from pylb.rules.frontend import Frontend, compile_frontend, dress_backend
from pylb.rules.kinds import Kind
from pylb.rules.scope import World, scope_of
from pylb.rules.steps import compile_rules

if TYPE_CHECKING:
    from pylb.trace.tracer import Tracer

DEFAULT_MAXCONN = 4000
"""Connections of the process without `maxconn`; HAProxy derives its own from the descriptor limit."""
SPARE_DESCRIPTORS = 100
"""For checks, logs and the admin socket, as in HAProxy's own calculation."""

WARNING = 4


class Balancer:
    """Made in two steps: `__init__` compiles everything (no event loop, errors into `report`), `open` listens.

    With a `tracer` some of its parts are those that tell what they do."""

    def __init__(self, config: model.Config, report: Report, tracer: Tracer | None = None) -> None:
        self.config = config
        self.tracer = tracer
        general = config.globals
        self.limits = Limits(general.tune.bufsize, general.tune.maxrewrite, general.tune.max_headers)
        self.maxconn = self.hard_maxconn = general.maxconn or DEFAULT_MAXCONN
        self.rate_limits = RateLimits(connections=general.max_rate or 0)
        self.house = House(self.maxconn, self.rate_limits)
        self.doors = {
            frontend.name: Door(self.house, frontend.maxconn or self.maxconn)
            for frontend in config.frontends
            if not frontend.disabled
        }
        """The connections of each frontend, by its name."""
        self.tables = self._tables(report)
        self.startup_logs: list[str] = []
        self._idle = 100
        self.server_added: list[Callable[[Server], None]] = []
        self.server_removed: list[Callable[[Server], None]] = []
        """Who has to know of servers that come and go while all this runs."""
        self._worked = (0.0, 0.0)
        """When the share of idle time was last looked at: loop's clock, seconds of CPU."""
        self.version = __version__
        self.node = general.node or socket.gethostname()
        self.pid = os.getpid()
        """Of the master: where signals go."""
        self.workers = 1 if general.workers is None else general.workers or len(os.sched_getaffinity(0))
        self.stopping = False
        self.reload = Reload()
        self.order: Callable[[str, str, str], None] | None = None
        """Has the steward do to a server what was done here: backend, server, action of the statistics page."""
        self.book: StewardsBook | WorkersBook | None = None
        self.started = 0.0
        self.started_wall = time.time()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.loggers: list[Logger] = []
        self.sinks: dict[str, Sink] = {}
        """One socket per log address, however many proxies log there."""
        self.listeners_: list[Listener] = []
        self.world = World(
            config,
            tables=self.tables,
            hostname=socket.gethostname(),
            log_tag=general.log_tag,
            pid=self.pid,
            watch=tracer,
        )
        self.patterns = self.world.patterns
        self.certificates = CertificateStore()
        self.backends = [self._backend(declared, report) for declared in config.backends]
        self.world.backends.update({backend.name: backend for backend in self.backends})
        self.world.services["prometheus-exporter"] = exporter(self)
        self.frontends = [self._frontend(declared, report) for declared in config.frontends]
        self._raise_errors(report)
        state.link_tracking(self.world.backends)
        for backend in self.backends:
            dress_backend(backend, self.world, report)
            self._stats_page(backend, backend.model, report)
        for frontend in self.frontends:
            frontend.link()
            self._stats_page(frontend, frontend.model, report)
        self._contexts = {
            id(bind): self._server_side(bind, f.mode, report) for f in config.frontends for bind in f.binds
        }
        self.conn_rate = Rate(lambda: self.cum_conn)
        self.sess_rate = Rate(lambda: sum(f.counters.stot for f in self.frontends))
        self.ssl_rate = Rate(lambda: self.cum_ssl_conns)
        self.bytes_out_rate = Rate(lambda: sum(f.counters.bout for f in self.frontends))
        self._sockets: dict[int, list[socket.socket]] = {}
        self._afterwards: list[Callable[[], None]] = []
        self._next_second = 0.0
        self._raise_errors(report)

    def _raise_errors(self, report: Report) -> None:
        """Raise ConfigError if there is reason to, leaving nothing open."""
        if report.errors:
            for logger in self.loggers:
                logger.close()
        report.raise_errors()

    # ------------------------------------------------------------------------------------------------------- compiling

    def _logger(self, proxy: model.Proxy, report: Report) -> Logger | None:
        if not proxy.log:
            return None
        try:
            logger = make_logger(proxy.log, self.config.globals, proxy.log_tag, sinks=self.sinks)
        except ValueError as error:
            report(proxy.log[0].at, f"cannot log there: {error}")
            return None
        self.loggers.append(logger)
        return logger

    def _tables(self, report: Report) -> dict[str, StickTable]:
        """By the name of the section that declares it."""
        tables: dict[str, StickTable] = {}
        for proxy in (*self.config.frontends, *self.config.backends):
            if proxy.stick_table is not None and proxy.name not in tables:
                try:
                    tables[proxy.name] = StickTable(proxy.name, proxy.stick_table)
                except ValueError as error:
                    report(proxy.stick_table.at, str(error))
        return tables

    def _backend(self, declared: model.Backend, report: Report) -> Backend:
        logger = self._logger(declared, report)
        servers = tuple(replace(server, address=resolve(server, report)) for server in declared.servers)
        backend = (Backend if self.tracer is None else self.tracer.backend)(
            replace(declared, servers=servers),
            log=logger.text if logger is not None else _unlogged,
            fullconn=default_fullconn(self.config, declared.name),
            fetch=self._balance_sample(declared, report),
        )
        backend.drop_idle = _drop_idle
        for server in backend.servers:
            server.net = self._endpoint(server.model, declared, report)
        return backend

    def _balance_sample(self, declared: model.Backend, report: Report) -> Callable[[Any], Any] | None:
        """`balance hash EXPR`, `balance rdp-cookie[(NAME)]`"""
        balance = declared.balance
        if balance.algorithm == "hash" and balance.args:
            expression = balance.args[0]
        elif balance.algorithm.startswith("rdp-cookie"):
            name = balance.algorithm.partition("(")[2].rstrip(")") or "mstshash"
            expression = f"req.rdp_cookie({name})"
        else:
            return None
        scope = scope_of(declared, self.world, report)
        sample = parse_sample(expression, balance.at, report)
        return compile_sample(sample, scope, Kind.STR) if sample is not None else None

    def _endpoint(self, server: model.Server, backend: model.Backend, report: Report) -> Endpoint:
        context: ssl.SSLContext | None = None
        name: Callable[[Any], str | None] | None = None
        if server.tls is not None:
            try:
                context = tls.client_side(server.tls, self.config.globals, backend.mode)
            except (OSError, ValueError) as error:
                report(server.at, f'TLS of server "{server.name}": {error}')
            name = self._server_name(server, backend, report)
        return Endpoint(server, context, name, server.source or backend.source)

    def _server_name(
        self, server: model.Server, backend: model.Backend, report: Report
    ) -> Callable[[Any], str | None] | None:
        """`sni EXPR`, or what `verifyhost` says."""
        assert server.tls is not None
        if server.tls.sni is None:
            fixed = server.tls.verify_host
            return (lambda x: fixed) if fixed is not None else None
        sample = parse_sample(server.tls.sni, server.at, report)
        get = compile_sample(sample, scope_of(backend, self.world, report), Kind.STR) if sample is not None else None
        if get is None:
            return None

        def name(x: Any) -> str | None:
            value = get(x)
            return value.decode("ascii", "ignore") if isinstance(value, bytes) and value else None

        return name

    def _stats_page(self, live: Backend | Frontend, declared: model.Proxy, report: Report) -> None:
        if declared.stats is None:
            return
        scope = scope_of(declared, self.world, report)
        conditions = [compile_condition(condition, scope) for condition in declared.stats.admin]
        live.stats = StatsPageHandler(
            declared.stats,
            self,
            admin=[condition for condition in conditions if condition is not None],
            rules=compile_rules(declared.stats.http_request, scope),
        )

    def _frontend(self, declared: model.Frontend, report: Report) -> Frontend:
        frontend = compile_frontend(declared, self.world, report)
        frontend.logger = self._logger(declared, report)
        return frontend

    def _server_side(self, bind: model.Bind, mode: str, report: Report) -> ssl.SSLContext | None:
        if bind.tls is None:
            return None
        try:
            certificates = tls.server_side(bind.tls, self.config.globals, mode, report)
        except (OSError, ValueError) as error:
            report(bind.at, f"TLS: {error}")
            return None
        self.certificates.watch(certificates)
        return certificates.default

    # ---------------------------------------------------------------------------------------------------------- running

    def bind(self, report: Report, sockets: binding.Sockets) -> None:
        """Have listening sockets for every bind."""
        self._sockets = {
            id(bind): sockets.listen(bind, report, bind.backlog or frontend.backlog)
            for frontend in self.config.frontends
            if not frontend.disabled
            for bind in frontend.binds
        }

    def begin(self, now: float, master: int, book: StewardsBook) -> None:
        """Everything is ready to be forked; `now` is the monotonic clock, `master` the pid that takes signals."""
        self.started, self.started_wall = now, time.time()
        self.pid = master
        self.book = book
        for backend in self.backends:
            backend.last_change = now
            for server in backend.servers:
                server.last_change = now
        for frontend in self.frontends:
            frontend.counters.slim = frontend.model.maxconn or self.maxconn
            if frontend.name in self.doors:
                self.doors[frontend.name].frontend = frontend
                self.doors[frontend.name].changed = self._door_changed

    def _door_changed(self, door: Door) -> None:
        """In the steward: listen before the workers do; refuse after the last of them has stopped accepting, since to
        shut a socket down under an event loop that accepts from it is an error for that loop."""
        assert door.frontend is not None
        sockets = [sock for bind in door.frontend.model.binds for sock in self._sockets[id(bind)]]
        if door.state == "":
            binding.listen_again(sockets)
        else:
            self._afterwards.append(lambda: binding.refuse(sockets))

    def carried_out(self) -> None:
        """All workers have carried out an operator's command."""
        afterwards, self._afterwards = self._afterwards, []
        for do in afterwards:
            do()

    def attend(self, loop: asyncio.AbstractEventLoop) -> None:
        """Live in this process and its loop from now on."""
        self.loop = loop
        self.world.pid = os.getpid()
        for logger in self.loggers:
            logger.set_pid(self.world.pid)
            logger.gather(loop.call_later)

    def join(self, book: WorkersBook) -> None:
        """Be a worker's: what is logged and counted for all is the steward's to do."""
        self.book = book
        self.world.count = book.count
        for door in self.doors.values():
            door.changed = _not_here
        for backend in self.backends:
            for server in backend.servers:
                server.changed = _not_here  # the steward's herald has no channels here
        if book.shared.usage is not None:
            sharing.join(self, book.shared.usage, book.slot)
        for backend in self.backends:
            backend.log = _unlogged
        self.conn_rate = self.sess_rate = self.ssl_rate = self.bytes_out_rate = Rate(lambda: 0)

    async def open(self) -> None:
        """Listen: from here on traffic comes."""
        loop = asyncio.get_running_loop()
        self.attend(loop)
        clock = Clock(loop)
        for frontend in self.frontends:
            if frontend.model.disabled or self.doors[frontend.name].state == "STOP":
                continue
            door = self.doors[frontend.name]
            frontend.counters.slim = door.maxconn
            for bind in frontend.model.binds:
                listener = Listener(
                    bind, frontend, door, loop, clock, self.limits, self._contexts[id(bind)], self._sockets[id(bind)]
                )
                if self.tracer is not None:
                    self.tracer.listen(listener)
                door.listeners.append(listener)
                self.listeners_.append(listener)
                await listener.open()
            if door.state:  # ordered before this worker was made
                door.disable()

    def tick(self, now: float) -> None:
        """Several times a second: counters; once a second: rates, slow starts."""
        book = self.book
        assert book is not None
        book.tick(now)
        book.write_process(self, now)
        if now < self._next_second:
            return
        self._next_second = now + 1.0
        self._look_at_work(now)
        for backend in self.backends:
            if backend.warming:
                state.warm_up(backend, now)

    def cleared(self, everything: bool) -> None:
        """`clear counters` has been carried out here."""
        if self.book is not None:
            self.book.clear(everything)

    def settle(self) -> None:
        """Write all counters now."""
        assert self.book is not None
        self.book.settle()
        self.book.write_process(self, self.now())

    def close_listeners(self) -> None:
        """No new connections; running ones go on."""
        self.stopping = self.world.stopping = True
        for listener in self.listeners_:
            listener.close()
        for door in self.house.doors:
            for session in tuple(door.sessions):
                session.wind_down()

    @property
    def empty(self) -> bool:
        """No client is inside, waits, or shakes hands."""
        house = self.house
        if house.connections or any(door.waiting for door in house.doors):
            return False
        return not any(listener.greeting for listener in self.listeners_)

    def log_stop(self) -> None:
        """Say of each frontend that it has stopped, and how much it has done."""
        for frontend in self.frontends:
            if frontend.state != "STOP":
                self.tell_stopped(frontend.name)

    def add_server(self, backend: Backend, server: model.Server) -> Server:
        """`add server`. Raises operate.Refused, or ConfigError for TLS settings that cannot be used."""
        additions.check_addable(backend)
        report = Report()
        endpoint = self._endpoint(server, backend.model, report)
        report.raise_errors()
        added = additions.add(backend, server, self.now())
        added.net = endpoint
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

    def tell_stopped(self, name: str) -> None:
        """Log that a frontend has stopped for good."""
        frontend = self.world.frontends[name]
        if frontend.logger is not None:
            total = frontend.counters.stot
            frontend.logger(WARNING, f"Proxy {name} stopped (cumulated conns: FE: {total}, BE: 0).".encode())

    def set_maxconn(self, limit: int) -> None:
        """`set maxconn global`: whoever waits comes in as far as there is room now."""
        self.maxconn = limit
        self.house.maxconn = limit
        self.house.next()

    @property
    def spare_descriptors(self) -> int:
        """How many are needed beside those of clients and their servers."""
        return SPARE_DESCRIPTORS + EARS * sum(len(frontend.model.binds) for frontend in self.frontends)

    def fit(self, descriptors: int) -> str | None:
        """Let in no more clients than there are descriptors for, two each: without one, accepting would turn clients
        away in place of letting them wait. What to say about it when that is less than maxconn."""
        room = self.house.descriptors = max(1, (descriptors - self.spare_descriptors) // 2)
        if room >= self.maxconn:
            return None
        return (
            f"only {descriptors} file descriptors for maxconn {self.maxconn}: {room} clients are let in at a time, "
            "others wait (raise ulimit -n or lower maxconn)"
        )

    def _look_at_work(self, now: float) -> None:
        (then, before), used = self._worked, time.process_time()
        self._worked = (now, used)
        if now > then > 0:
            self._idle = max(0, min(100, round(100 - 100 * (used - before) / (now - then))))

    def close(self) -> None:
        """The end of everything."""
        for backend in self.backends:
            for server in backend.servers:
                _drop_idle(server)
        for logger in self.loggers:  # all of them first: they may share a sink
            logger.flush()
        for logger in self.loggers:
            logger.close()

    # ------------------------------------------------------------------------------------------ for admin/world.World

    def now(self) -> float:
        """The loop's clock."""
        return self.loop.time() if self.loop is not None else 0.0

    def totals(self, live: Any) -> ProxyCounters:
        """What all processes have counted of a frontend, backend or server."""
        return own_totals(live) if self.book is None else self.book.totals(live)

    def figure(self, name: str, own: int) -> int:
        """A figure of the process; of all processes where there are several."""
        return own if self.book is None else self.book.figure(name, own)

    def add_counts(self, counted: dict[str, list[int]]) -> None:
        """The generation before has gone on counting."""
        if not isinstance(self.book, StewardsBook):
            return
        for name, live in live_objects(self):
            if name in counted:
                self.book.add_counts(live, counted[name])
        if "" in counted:
            self.book.begin_process(*counted[""])

    @property
    def actconn(self) -> int:
        """Client connections now."""
        return self.figure("connections", self.house.connections)

    @property
    def most_conn(self) -> int:
        """Most client connections at once."""
        return self.figure("most", self.house.most)

    @property
    def cum_conn(self) -> int:
        """Client connections since the start."""
        return self.figure("total", self.house.total)

    @property
    def cum_req(self) -> int:
        """Requests since the start."""
        return sum(self.totals(frontend).req_tot for frontend in self.frontends)

    @property
    def cum_ssl_conns(self) -> int:
        """TLS handshakes since the start."""
        return sum(self.totals(frontend).ssl_handshakes for frontend in self.frontends)

    @property
    def own_ssl_conns(self) -> int:
        """Clients connected to this process by TLS now."""
        return sum(session.tls is not None for door in self.house.doors for session in door.sessions)

    @property
    def ssl_conns(self) -> int:
        """Clients connected by TLS now."""
        return self.figure("ssl", self.own_ssl_conns)

    @property
    def listeners(self) -> int:
        """Listening sockets."""
        return sum(len(sockets) for sockets in self._sockets.values())

    @property
    def own_dropped_logs(self) -> int:
        """Log lines that this process could not send."""
        return sum(logger.dropped for logger in self.loggers)

    def listening(self) -> list[socket.socket]:
        """The listening sockets themselves."""
        return [sock for sockets in self._sockets.values() for sock in sockets if sock.fileno() >= 0]

    @property
    def own_tasks(self) -> int:
        """Tasks of this process's event loop."""
        return len(asyncio.all_tasks(self.loop)) if self.loop is not None else 0

    @property
    def tasks(self) -> int:
        """Tasks of all event loops."""
        return self.figure("tasks", self.own_tasks)

    @property
    def own_idle_percent(self) -> int:
        """How much of the last second this process had nothing to do."""
        return self._idle

    @property
    def idle_percent(self) -> int:
        """The same of the workers, on the average."""
        return self.figure("idle", self._idle) // (self.workers if self.book is not None else 1)

    @property
    def dropped_logs(self) -> int:
        """Log lines that could not be sent."""
        return self.figure("dropped", self.own_dropped_logs)


def _drop_idle(server: Server) -> None:
    """The server is down or has moved: its idle connections are of no more use."""
    for connection in tuple(server.idle):
        connection.close()


def _not_here(changed: Door | Server) -> None:
    """The steward sees to it."""


def _unlogged(level: int, text: str) -> None:
    """The backend has no log."""
