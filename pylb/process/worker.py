"""One process's life: bind, shed privileges, run the loop, stop.

Signals as in HAProxy's management manual: SIGUSR1 stops softly (running sessions finish, at most `hard-stop-after`),
SIGTERM and SIGINT at once.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from pylb.config.model import Config, ConfigError, StatsSocket
from pylb.config.words import Report
from pylb.net.checker import Checker
from pylb.net.tls import silence_bad_names
from pylb.process import binding, privileges
from pylb.process.balancer import Balancer
from pylb.process.control import open_sockets
from pylb.process.supervisor import Supervisor

if TYPE_CHECKING:
    from pylb.trace.tracer import Tracer

GC_THRESHOLDS = (50_000, 20, 50)
"""Exchanges leave no cycles behind, so collections are rare; what exists at the start is not looked at again."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line decides."""

    foreground: bool = False
    """-db: never daemonize."""
    quiet: bool = False
    daemon: bool = False
    """-D"""
    pidfile: str | None = None
    """-p"""
    trace: bool = False
    """--trace"""


def run(config: Config, options: Options | None = None) -> int:
    """Serve `config` until a signal ends it; the exit status. Raises ConfigError or privileges.StartError."""
    options = options or Options()
    report = Report()
    balancer = Balancer(config, report, _tracer() if options.trace else None)
    sockets = balancer.bind(report)
    control = [(stats, binding.listen(stats.bind, report)) for stats in config.globals.stats_sockets]
    report.raise_errors()
    supervisor = Supervisor()
    remarks, ready = _become(config, options, balancer)
    for remark in remarks:
        if not options.quiet:
            sys.stderr.write(f"pylb: warning: {remark}\n")
    silence_bad_names()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        uvloop.run(_serve(balancer, sockets, control, ready, supervisor))
    finally:
        pidfile = options.pidfile or config.globals.pidfile
        if pidfile is not None and config.globals.chroot is None:
            with suppress(OSError):
                Path(pidfile).unlink()
    return 0


def _tracer() -> Tracer:
    from pylb.trace.printer import Printer
    from pylb.trace.tracer import Tracer

    return Tracer(Printer(sys.stdout))


def check_start(config: Config) -> None:
    """Everything that starting would check, without binding. Raises ConfigError."""
    Balancer(config, Report()).close()


def _become(config: Config, options: Options, balancer: Balancer) -> tuple[list[str], Callable[[], None] | None]:
    """The process that the configuration asks for: remarks, and what to call when a daemon serves."""
    ready = None
    if (config.globals.daemon or options.daemon) and not options.foreground:
        ready = privileges.daemonize()
        balancer.pid = os.getpid()
    pidfile = options.pidfile or config.globals.pidfile
    if pidfile is not None:
        privileges.write_pidfile(pidfile)
    have = privileges.raise_file_limit(balancer.maxconn)
    remarks = privileges.drop(config.globals)
    if (remark := balancer.fit(have)) is not None:
        remarks.append(remark)
    return remarks, ready


async def _serve(
    balancer: Balancer,
    sockets: dict[int, list[socket.socket]],
    control: list[tuple[StatsSocket, list[socket.socket]]],
    ready: Callable[[], None] | None,
    supervisor: Supervisor,
) -> None:
    loop = asyncio.get_running_loop()
    finished = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, finished.set)
    loop.add_signal_handler(signal.SIGUSR1, _soft_stop, balancer, finished, supervisor)
    await balancer.open(sockets)
    servers = await open_sockets(control, balancer, listening=balancer.listening)
    checker = Checker(balancer.backends, balancer.config.globals, balancer.node)
    checker.start()
    housekeeping = loop.create_task(_every_second(balancer, supervisor))
    if ready is not None:
        ready()
    supervisor.say(
        "READY=1",
        f"MAINPID={os.getpid()}",
        f"STATUS={len(balancer.config.frontends)} frontends, {len(balancer.config.backends)} backends",
    )
    try:
        await finished.wait()
    finally:
        supervisor.say("STOPPING=1")
        housekeeping.cancel()
        await checker.stop()
        for server in servers:
            server.close()
        if not balancer.stopping:
            balancer.close_listeners()
        balancer.close()


async def _every_second(balancer: Balancer, supervisor: Supervisor) -> None:
    while True:
        balancer.sample()
        supervisor.say("WATCHDOG=1")
        await asyncio.sleep(1.0)


def _soft_stop(balancer: Balancer, finished: asyncio.Event, supervisor: Supervisor) -> None:
    if balancer.stopping:
        return
    supervisor.say("STOPPING=1", "STATUS=finishing what runs")
    balancer.close_listeners()
    loop = asyncio.get_running_loop()
    if balancer.config.globals.hard_stop_after is not None:
        loop.call_later(balancer.config.globals.hard_stop_after, finished.set)
    _when_empty(balancer, finished, loop)


def _when_empty(balancer: Balancer, finished: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
    if not balancer.actconn:
        finished.set()
    else:
        loop.call_later(0.05, _when_empty, balancer, finished, loop)


__all__ = ["ConfigError", "Options", "check_start", "run"]
