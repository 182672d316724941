"""Active health checks: who is checked when, by which plan; results go to backend/state.py.

Each checked server has a timer (recurring.py); when it is due, the check is run (probing.py) and its result handed on.
First checks are spread over the shortest interval in use, as HAProxy does, so that servers on one machine are not all
probed at once; `spread-checks` adds up to that many per cent of randomness to each interval.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator
from math import inf
from typing import Any

from pylb.backend.backend import Backend
from pylb.backend.health import Agent, Health
from pylb.backend.probe import Connect, Plan, compile_plan
from pylb.backend.server import Server
from pylb.backend.state import check_done
from pylb.config import model
from pylb.net.agents import Asker
from pylb.net.probing import Probe, Target
from pylb.net.recurring import Recurring
from pylb.net.tls import client_side

_SPREAD_FROM = 1.0
"""Seconds: only intervals from here on count for spreading the start (as in HAProxy)."""


class Checker:
    """The checks of all backends. Raises ValueError or OSError where a plan or a certificate is unusable."""

    def __init__(self, backends: Iterable[Backend], general: model.Global, node: str = "") -> None:
        self._general = general
        self._node = node
        self._running: dict[Server, list[Recurring]] = {}
        self._ended = False
        self._checked: list[tuple[Server, Plan, Target]] = []
        self._askers: list[Asker] = []
        for backend in backends:
            plan: Plan | None = None
            for server in backend.servers:
                if server.check is not None and server.model.check is not None:
                    plan = plan or self._plan(backend)
                    self._checked.append((server, plan, make_target(server, server.model.check, general)))
                if server.agent is not None:
                    self._askers.append(make_asker(server, server.agent, general))

        intervals = [server.check.interval for server, _, _ in self._checked if server.check is not None]
        self._shortest = min((interval for interval in intervals if interval >= _SPREAD_FROM), default=0.0)

    def _plan(self, backend: Backend) -> Plan:
        return compile_plan(backend.model.check, self._node or self._general.node or socket.gethostname())

    def start(self) -> None:
        """Begin; needs a running event loop."""
        for _ in self.starting():
            pass

    def starting(self) -> Iterator[None]:
        """The same step by step: there may be thousands of checks. None of them is due before the last step."""
        delays = {}
        for position, (server, plan, target) in enumerate(self._checked):
            assert server.check is not None
            if not _is_there(server):
                continue
            recurring = self._check(server, server.check, plan, target)
            delays[recurring] = max(self._shortest, server.check.interval) * position / len(self._checked)
            yield
        for position, asker in enumerate(self._askers):
            if not _is_there(asker.server):
                continue
            delays[self._agent(asker)] = asker.agent.inter * position / len(self._askers)
            yield
        for recurring, delay in delays.items():
            if self._ended:
                break
            recurring.begin(delay)
            yield

    def add(self, server: Server) -> None:
        """A server has come while checks run. Raises ValueError or OSError as the constructor does."""
        if server.check is not None and server.model.check is not None:
            target = make_target(server, server.model.check, self._general)
            self._check(server, server.check, self._plan(server.backend), target).begin(0.0)
        if server.agent is not None:
            self._agent(make_asker(server, server.agent, self._general)).begin(0.0)

    def remove(self, server: Server) -> None:
        """A server has gone."""
        for recurring in self._running.pop(server, ()):
            recurring.end()

    def stopping(self) -> Iterator[None]:
        """End all checks step by step; those that have not begun yet never do."""
        self._ended = True
        for running in tuple(self._running.values()):
            for recurring in running:
                recurring.end()
            yield

    async def stop(self) -> None:
        """End all checks, and wait for those that run."""
        for _ in self.stopping():
            pass
        for running in self._running.values():
            for recurring in running:
                await recurring.ended()
        self._running.clear()

    def _check(self, server: Server, health: Health, plan: Plan, target: Target) -> Recurring:
        loop = asyncio.get_running_loop()

        async def probe() -> None:
            health.running = True
            try:
                result = await Probe(plan, target, server, loop).run()
            finally:
                health.running = False
            check_done(server, result, loop.time())

        recurring = self._recurring(
            server, probe, lambda: health.enabled and not health.paused, lambda: health.interval
        )
        health.hasten = lambda: recurring.hasten(health.fastinter)
        return recurring

    def _agent(self, asker: Asker) -> Recurring:
        loop, agent = asyncio.get_running_loop(), asker.agent
        return self._recurring(asker.server, lambda: asker.ask(loop), lambda: agent.enabled, lambda: agent.inter)

    def _recurring(
        self,
        server: Server,
        work: Callable[[], Awaitable[None]],
        wanted: Callable[[], bool],
        interval: Callable[[], float],
    ) -> Recurring:
        made = Recurring(asyncio.get_running_loop(), work, wanted, lambda: self._vary(interval()))
        self._running.setdefault(server, []).append(made)
        return made

    def _vary(self, interval: float) -> float:
        spread = self._general.spread_checks / 100
        return interval * (1 + random.uniform(-spread, spread)) if spread else interval


def _is_there(server: Server) -> bool:
    """It has not been deleted meanwhile."""
    return server.backend.by_name.get(server.name) is server


def make_asker(server: Server, agent: Agent, general: model.Global) -> Asker:
    """How to ask the agent of `server` (manual: `agent-port`, `agent-addr`, `agent-inter`, `agent-send`)."""
    times = server.backend.model.timeouts
    return Asker(
        server,
        agent,
        read_timeout=times.check,
        connect_timeout=min(times.connect or inf, agent.inter) if times.check is not None else agent.inter,
        bind=_binder(server.model.source or server.backend.model.source),
        bufsize=general.tune.bufsize,
    )


def make_target(server: Server, check: model.ServerCheck, general: model.Global) -> Target:
    """Where and how to check `server` (manual: `check`, `port`, `addr`, `check-ssl`, `check-send-proxy`)."""
    declared, times = server.model, server.backend.model.timeouts
    elsewhere = check.port is not None or check.address is not None
    wants_tls = check.tls if check.tls is not None else declared.tls is not None and not elsewhere
    settings = declared.tls or check.tls_options or general.ssl_default_server
    send_proxy = declared.send_proxy if not elsewhere else None
    if check.send_proxy:
        send_proxy = declared.send_proxy or "v1"

    def context(alpn: tuple[str, ...]) -> ssl.SSLContext:
        made = client_side(settings, general)
        made.check_hostname = made.verify_mode != ssl.CERT_NONE and bool(check.sni or settings.verify_host)
        if alpn:
            made.set_alpn_protocols(list(alpn))
        return made

    return Target(
        address=_address_of(server, check),
        tls=context(check.alpn) if wants_tls else None,
        tls_for_steps=context,
        sni=check.sni or settings.verify_host,
        send_proxy=send_proxy,
        connect_timeout=min(times.connect or inf, check.inter) if times.check is not None else check.inter,
        read_timeout=times.check,
        bind=_binder(declared.source or server.backend.model.source),
        bufsize=general.tune.bufsize,
    )


def _address_of(server: Server, check: model.ServerCheck) -> Callable[[Connect], tuple[int, Any]]:
    def address(step: Connect) -> tuple[int, Any]:
        reached = server.address
        where = server.check or check
        host = step.address or where.address
        if reached.kind in ("unix", "abns") and host is None:
            return socket.AF_UNIX, reached.socket_path
        host = (host or reached.host).removeprefix("ipv4@").removeprefix("ipv6@")
        port = step.port or where.port or reached.port or 0
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        return family, (host, port)

    return address


def _binder(source: str | None) -> Callable[[socket.socket], None]:
    """Binds a socket to `source ADDRESS[:PORT]`; a fixed port is not used for checks."""
    if source is None:
        return lambda sock: None
    host = source.rpartition(":")[0] if source.count(":") == 1 else source

    def bind(sock: socket.socket) -> None:
        if sock.family != socket.AF_UNIX:
            sock.bind((host, 0))

    return bind
