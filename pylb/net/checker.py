"""Active health checks: who is checked when, by which plan; results go to backend/state.py.

One task per checked server sleeps until the next check is due, runs it (probing.py) and hands the result on. First
checks are spread over the shortest interval in use, as HAProxy does, so that servers on one machine are not all
probed at once; `spread-checks` adds up to that many per cent of randomness to each interval.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
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
from pylb.net.tls import client_side

_SPREAD_FROM = 1.0
"""Seconds: only intervals from here on count for spreading the start (as in HAProxy)."""


class Checker:
    """The checks of all backends. Raises ValueError or OSError where a plan or a certificate is unusable."""

    def __init__(self, backends: Iterable[Backend], general: model.Global, node: str = "") -> None:
        self._general = general
        self._node = node
        self._tasks: dict[Server, list[asyncio.Task[None]]] = {}
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

    def _plan(self, backend: Backend) -> Plan:
        return compile_plan(backend.model.check, self._node or self._general.node or socket.gethostname())

    def start(self) -> None:
        """Begin; needs a running event loop."""
        loop = asyncio.get_running_loop()
        healths = [server.check for server, _, _ in self._checked if server.check is not None]
        shortest = min((h.interval for h in healths if h.interval >= _SPREAD_FROM), default=0.0)
        for position, (server, plan, target) in enumerate(self._checked):
            assert server.check is not None
            delay = max(shortest, server.check.interval) * position / len(self._checked)
            self._begin(server, "check", self._watch(server, server.check, plan, target, delay, loop))
        for position, asker in enumerate(self._askers):
            delay = asker.agent.inter * position / len(self._askers)
            self._begin(asker.server, "agent", self._keep_asking(asker, delay, loop))

    def _begin(self, server: Server, what: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"{what} {server.backend.name}/{server.name}")
        self._tasks.setdefault(server, []).append(task)

    def add(self, server: Server) -> None:
        """A server has come while checks run. Raises ValueError or OSError as the constructor does."""
        loop = asyncio.get_running_loop()
        if server.check is not None and server.model.check is not None:
            target = make_target(server, server.model.check, self._general)
            work = self._watch(server, server.check, self._plan(server.backend), target, 0.0, loop)
            self._begin(server, "check", work)
        if server.agent is not None:
            asker = make_asker(server, server.agent, self._general)
            self._begin(server, "agent", self._keep_asking(asker, 0.0, loop))

    def remove(self, server: Server) -> None:
        """A server has gone."""
        for task in self._tasks.pop(server, ()):
            task.cancel()

    async def stop(self) -> None:
        """End all checks."""
        tasks = [task for each in self._tasks.values() for task in each]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()

    async def _watch(
        self, server: Server, health: Health, plan: Plan, target: Target, delay: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        hurried = asyncio.Event()
        health.hasten = hurried.set
        while True:
            await _sleep(delay, hurried, health.fastinter)
            if health.enabled and not health.paused:
                health.running = True
                try:
                    result = await Probe(plan, target, server, loop).run()
                finally:
                    health.running = False
                check_done(server, result, loop.time())
            delay = self._vary(health.interval)

    async def _keep_asking(self, asker: Asker, delay: float, loop: asyncio.AbstractEventLoop) -> None:
        while True:
            await asyncio.sleep(delay)
            if asker.agent.enabled:
                await asker.ask(loop)
            delay = self._vary(asker.agent.inter)

    def _vary(self, interval: float) -> float:
        spread = self._general.spread_checks / 100
        return interval * (1 + random.uniform(-spread, spread)) if spread else interval


async def _sleep(delay: float, hurried: asyncio.Event, hurry: float) -> None:
    """Sleep for `delay` seconds, but once `hurried` is set for at most `hurry` more."""
    hurried.clear()
    try:
        async with asyncio.timeout(delay):
            await hurried.wait()
            await asyncio.sleep(hurry)
    except TimeoutError:
        pass


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
        if reached.kind == "unix" and host is None:
            return socket.AF_UNIX, reached.path
        if reached.kind == "abns" and host is None:
            return socket.AF_UNIX, "\0" + reached.path
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
