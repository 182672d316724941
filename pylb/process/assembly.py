"""The live objects of a Config, compiled one after another: what can be wrong with them goes to the report.

    tables, backends ─► frontends ─► what refers to others: tracking, rules, statistics pages ─► TLS of the binds

No event loop and no socket is needed, except those that log lines leave by.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pylb.admin.logsinks import Sink
from pylb.admin.page import StatsPageHandler, exporter
from pylb.admin.syslog import Logger, make_logger
from pylb.backend import state
from pylb.backend.backend import Backend, default_fullconns
from pylb.backend.stick import StickTable
from pylb.config import model
from pylb.config.expression import parse_sample
from pylb.config.words import Report
from pylb.net import tls
from pylb.net.certificate_store import CertificateStore
from pylb.process.endpoints import drop_idle, endpoint_of
from pylb.process.resolve import resolve
from pylb.rules.acl import compile_condition
from pylb.rules.compile import compile_sample
from pylb.rules.frontend import Frontend, compile_frontend, dress_backend
from pylb.rules.kinds import Kind
from pylb.rules.scope import World, scope_of
from pylb.rules.steps import compile_rules

if TYPE_CHECKING:
    from pylb.admin.world import World as Statistics
    from pylb.trace.tracer import Tracer


class Assembly:
    """What a balancer is made of. Made itself it holds everything that needs no more than names; `link` does the
    rest."""

    def __init__(self, config: model.Config, statistics: Statistics, report: Report, tracer: Tracer | None) -> None:
        """`statistics` is the balancer, which statistics pages and exporters will read once it is whole."""
        self._config = config
        self._statistics = statistics
        self._report = report
        self._tracer = tracer
        self.loggers: list[Logger] = []
        self.sinks: dict[str, Sink] = {}
        """One socket per log address, however many proxies log there."""
        self.certificates = CertificateStore()
        self.tables = self._tables()
        self.world = World(
            config,
            tables=self.tables,
            hostname=socket.gethostname(),
            log_tag=config.globals.log_tag,
            pid=os.getpid(),
            watch=tracer,
        )
        self._fullconns = default_fullconns(config)
        self.backends = [self._backend(declared) for declared in config.backends]
        self.world.backends.update({backend.name: backend for backend in self.backends})
        self.world.services["prometheus-exporter"] = exporter(statistics)
        self.frontends = [self._frontend(declared) for declared in config.frontends]

    def link(self) -> None:
        """Compile what refers to other sections."""
        state.link_tracking(self.world.backends)
        for backend in self.backends:
            dress_backend(backend, self.world, self._report)
            self._stats_page(backend, backend.model)
        for frontend in self.frontends:
            frontend.link()
            self._stats_page(frontend, frontend.model)

    def contexts(self) -> dict[int, ssl.SSLContext | None]:
        """What the clients of each bind get, by the bind's id; None without TLS."""
        return {id(bind): self._server_side(bind, f.mode) for f in self._config.frontends for bind in f.binds}

    # ------------------------------------------------------------------------------------------------------- sections

    def _tables(self) -> dict[str, StickTable]:
        """By the name of the section that declares it."""
        tables: dict[str, StickTable] = {}
        for proxy in (*self._config.frontends, *self._config.backends):
            if proxy.stick_table is not None and proxy.name not in tables:
                try:
                    tables[proxy.name] = StickTable(proxy.name, proxy.stick_table)
                except ValueError as error:
                    self._report(proxy.stick_table.at, str(error))
        return tables

    def _backend(self, declared: model.Backend) -> Backend:
        report = self._report
        logger = self._logger(declared)
        servers = tuple(replace(server, address=resolve(server, report)) for server in declared.servers)
        backend = (Backend if self._tracer is None else self._tracer.backend)(
            replace(declared, servers=servers),
            log=logger.text if logger is not None else unlogged,
            fullconn=self._fullconns.get(declared.name, 1),
            fetch=self._balance_sample(declared),
        )
        backend.drop_idle = drop_idle
        for server in backend.servers:
            server.net = endpoint_of(server.model, declared, self.world, report)
        return backend

    def _balance_sample(self, declared: model.Backend) -> Callable[[Any], Any] | None:
        """`balance hash EXPR`, `balance rdp-cookie[(NAME)]`"""
        balance = declared.balance
        if balance.algorithm == "hash" and balance.args:
            expression = balance.args[0]
        elif balance.algorithm.startswith("rdp-cookie"):
            name = balance.algorithm.partition("(")[2].rstrip(")") or "mstshash"
            expression = f"req.rdp_cookie({name})"
        else:
            return None
        scope = scope_of(declared, self.world, self._report)
        sample = parse_sample(expression, balance.at, self._report)
        return compile_sample(sample, scope, Kind.STR) if sample is not None else None

    def _frontend(self, declared: model.Frontend) -> Frontend:
        frontend = compile_frontend(declared, self.world, self._report)
        frontend.logger = self._logger(declared)
        return frontend

    # -------------------------------------------------------------------------------------------- what belongs to them

    def _logger(self, proxy: model.Proxy) -> Logger | None:
        if not proxy.log:
            return None
        try:
            logger = make_logger(proxy.log, self._config.globals, proxy.log_tag, sinks=self.sinks)
        except ValueError as error:
            self._report(proxy.log[0].at, f"cannot log there: {error}")
            return None
        self.loggers.append(logger)
        return logger

    def _stats_page(self, live: Backend | Frontend, declared: model.Proxy) -> None:
        if declared.stats is None:
            return
        scope = scope_of(declared, self.world, self._report)
        conditions = [compile_condition(condition, scope) for condition in declared.stats.admin]
        live.stats = StatsPageHandler(
            declared.stats,
            self._statistics,
            admin=[condition for condition in conditions if condition is not None],
            rules=compile_rules(declared.stats.http_request, scope),
        )

    def _server_side(self, bind: model.Bind, mode: str) -> ssl.SSLContext | None:
        if bind.tls is None:
            return None
        try:
            certificates = tls.server_side(bind.tls, self._config.globals, mode, self._report)
        except (OSError, ValueError) as error:
            self._report(bind.at, f"TLS: {error}")
            return None
        self.certificates.watch(certificates, bind.at)
        return certificates.default


def unlogged(level: int, text: str) -> None:
    """A backend's log where there is none."""
