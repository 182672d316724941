"""The programs under test: how each is started, what it does of what the scenarios ask, and what it cannot do.

A `Contender` is the declared side, one row per program; `running` makes live `Program`s of them, each on the proxy's
core with ports and a log of its own. What a contender does not do of the usual work is said in `omits`, and not asked
of it in the check; a whole scenario that it cannot serve is in `cannot` with the reason, and is not measured.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from bench.http import cpu, peers
from bench.http.logs import Log, LogFile, NoLog, syslog_receiver
from bench.http.process import ROOT, first_line, free_ports, started, wait_until_it_serves
from bench.http.world import HERE, World, fill_in, nginx_command

CONFIG = HERE / "haproxy.cfg"
FRONTENDS = ("keepalive", "client_close", "server_close", "both_close", "tls", "bare", "idle")
PYTHON = sys.executable

LOG, COOKIE, FORWARDED, SCHEME, CHOICE = (
    "log",
    "sticky cookie",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "choice by Host",
)
"""The usual work, as words of `Contender.omits`."""


@dataclass
class Program:
    """A balancer under test, running."""

    contender: Contender
    version: str
    ports: dict[str, int]
    log: Log
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    """By the frontend that each is for; most programs have one for all."""

    @property
    def name(self) -> str:
        return self.contender.name

    @property
    def command(self) -> list[str]:
        """Of the first process."""
        words = next(iter(self.processes.values())).args
        assert isinstance(words, list)
        return [str(word) for word in words]

    def times(self) -> cpu.Times:
        """CPU time so far."""
        return sum((cpu.cpu_times(process.pid) for process in self.processes.values()), cpu.Times())

    def memory(self) -> cpu.Memory:
        """Of all processes, children included."""
        return sum((cpu.memory(process.pid) for process in self.processes.values()), cpu.Memory())


Commands = Mapping[str, list[str]]
"""Frontend → command line of the process that serves it."""


@dataclass(frozen=True)
class Contender:
    """One row of the table below."""

    name: str
    commands: Callable[[World, dict[str, int], int], Commands]
    """From the world, the ports by frontend, and the port of the syslog receiver."""
    release: Callable[[], str]
    """What `about` of the results says of its version."""
    omits: frozenset[str] = frozenset()
    cannot: Mapping[str, str] = field(default_factory=dict)
    """Scenario → why it is not measured."""
    log_mark: bytes | None = None
    """Set: it logs to its own output, and this is in every line about a request."""
    peer: bool = False
    """A Python program to compare with: measured in fewer rounds, no ratio is judged."""
    reuse_safe: bool = True
    """A client's first request gets a server connection of its own (HAProxy's http-reuse safe)."""
    reads_haproxy_cfg: bool = False
    workers: int = 1
    """Threads or processes, all on the one core. More than one: measured only where --program names it."""


def _same_for_all(words: list[str], ports: dict[str, int]) -> Commands:
    return dict.fromkeys(ports, words)


def _haproxy(_world: World, ports: dict[str, int], _log: int) -> Commands:
    return _same_for_all(["haproxy", "-db", "-f", str(CONFIG)], ports)


def _pylb(_world: World, ports: dict[str, int], _log: int) -> Commands:
    return _same_for_all([PYTHON, "-m", "pylb", "-q", "-db", "-f", str(CONFIG)], ports)


def _nginx(world: World, ports: dict[str, int], log: int) -> Commands:
    values = {name.upper(): str(port) for name, port in ports.items()} | {"LOG": str(log)}
    target = world.directory / f"proxy-{log}.conf"
    return _same_for_all(nginx_command(fill_in(world, peers.HERE / "nginx-proxy.conf", target, values)), ports)


def _aiohttp(_world: World, ports: dict[str, int], _log: int) -> Commands:
    return _same_for_all([PYTHON, str(peers.HERE / "aiohttp_proxy.py")], ports)


def _release(package: str) -> Callable[[], str]:
    def ask() -> str:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            return f"{package} is not installed"

    return ask


_NO_CLOSE = "has no setting that ends server connections"
CONTENDERS = (
    Contender("haproxy", _haproxy, lambda: first_line(["haproxy", "-v"]), reads_haproxy_cfg=True),
    Contender("pylb", _pylb, lambda: first_line([PYTHON, "-m", "pylb", "-v"]), reads_haproxy_cfg=True),
    Contender("haproxy-2", _haproxy, lambda: first_line(["haproxy", "-v"]), reads_haproxy_cfg=True, workers=2),
    Contender("pylb-2", _pylb, lambda: first_line([PYTHON, "-m", "pylb", "-v"]), reads_haproxy_cfg=True, workers=2),
    Contender("nginx", _nginx, lambda: first_line(["nginx", "-v"]), reuse_safe=False),
    Contender("aiohttp", _aiohttp, _release("aiohttp"), peer=True, reuse_safe=False),
    Contender(
        "python-pyproxy",
        peers.python_pyproxy,
        _release("python-pyproxy"),
        omits=frozenset({LOG, COOKIE, SCHEME}),
        cannot={
            "client-close": "ends connections on request without saying so in its answer",
            "server-close": _NO_CLOSE,
            "both-close": _NO_CLOSE,
            "chunked": "sends chunked answers without their chunks' sizes",
            "tls-keepalive": "reads its TLS settings and then answers in the clear",
            "tls-connect": "reads its TLS settings and then answers in the clear",
        },
        peer=True,
        reuse_safe=False,
    ),
    Contender(
        "pyhaproxy-lb",
        peers.pyhaproxy_lb,
        _release("pyhaproxy-lb"),
        omits=frozenset({COOKIE, SCHEME}),
        cannot={
            "server-close": _NO_CLOSE,
            "both-close": _NO_CLOSE,
            "tls-keepalive": "has no TLS towards clients",
            "tls-connect": "has no TLS towards clients",
            "bare": "logs every request",
            "chunked": "reads answers to their end and sends them with a length",
            "idle": "answers some 200 requests a second: 10,000 clients' first ones would take a minute",
            "connections-1000": "makes at most 200 server connections and lets the rest wait until they time out",
        },
        log_mark=b" HTTP/1.1",
        peer=True,
        reuse_safe=False,
    ),
)
BY_NAME = {contender.name: contender for contender in CONTENDERS}
USUAL = [contender.name for contender in CONTENDERS if contender.workers == 1]
"""What is measured when nothing is said."""


@contextlib.contextmanager
def running(contender: Contender, world: World) -> Iterator[Program]:
    """One program, serving on all its ports; ended on leaving. StartError."""
    with contextlib.ExitStack() as stack:
        ports = dict(zip(FRONTENDS, free_ports(len(FRONTENDS)), strict=True))
        receiver = stack.enter_context(syslog_receiver(world.cores.others))
        output = world.directory / f"{contender.name}-{receiver.port}"
        environment = os.environ | {frontend.upper(): str(port) for frontend, port in ports.items()}
        environment |= {server: str(port) for server, port in world.servers.items()}
        environment |= {"WORKERS": str(contender.workers), "LOG": str(receiver.port)}
        environment |= {"CERTIFICATE": str(world.certificate), "PYTHONPATH": str(ROOT)}
        log: Log = receiver
        if contender.log_mark is not None:
            log = LogFile(output.with_suffix(".0"), contender.log_mark)
        elif LOG in contender.omits:
            log = NoLog()
        program = Program(contender, contender.release(), ports, log)
        by_words: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}
        for frontend, words in contender.commands(world, ports, receiver.port).items():
            file = output.with_suffix(f".{len(by_words)}")
            if tuple(words) not in by_words:
                command = ["taskset", "-c", str(world.cores.proxy), *words]
                by_words[tuple(words)] = stack.enter_context(started(command, file, environment))
                program.processes[frontend] = by_words[tuple(words)]
            wait_until_it_serves(by_words[tuple(words)], ports[frontend], file)
        yield program
