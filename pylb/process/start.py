"""From the command line to the running master: the background, the pid file, then everything else is the master's."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pylb.config.model import Config, Finding, StatsSocket
from pylb.config.presets import NONE, Presets
from pylb.process import adopt, privileges
from pylb.process.forking import open_descriptors
from pylb.process.master import Master
from pylb.process.pidfile import PidFile

if TYPE_CHECKING:
    from pylb.process.master_socket import MasterSocket


HEEDED_LATER = {signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP}
"""Signals that wait until the master heeds them: a reload may be asked for before anything serves."""


def _silent(findings: Sequence[Finding]) -> None:
    """Nobody looks."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line decides."""

    files: Sequence[str] = ()
    """What a reload reads again."""
    foreground: bool = False
    """-db: never daemonize."""
    quiet: bool = False
    daemon: bool = False
    """-D"""
    pidfile: str | None = None
    """-p"""
    trace: bool = False
    """--trace"""
    show: Callable[[Sequence[Finding]], None] = _silent
    """Tells findings to whoever started it."""
    presets: Presets = NONE
    """-n, -N, -L, -dV, -dr: what holds for every reading of the files"""
    old: Sequence[int] = ()
    """-sf, -st: processes that get `old_signal` once this one serves"""
    old_signal: int = signal.SIGUSR1
    sockets_from: str | None = None
    """-x: an admin socket that hands over listening sockets; /dev/null is none, as for HAProxy"""
    sockets_needed: bool = True
    """False (-W): without that socket it starts all the same"""
    master_socket: StatsSocket | None = None
    """-S: in the place of the file's master-socket"""


def run(config: Config, options: Options | None = None) -> int:
    """Serve `config` until a signal ends it; the exit status. Raises privileges.StartError.

    SIGUSR2 and SIGHUP reload; SIGUSR1 stops softly: running sessions finish, at most `hard-stop-after`; SIGTERM and
    SIGINT stop at once.
    """
    options = options or Options()
    given = open_descriptors()  # of whoever started this: sockets for `fd@`, standard streams
    adopted = _adopted(options)
    master_socket = _master_socket(options.master_socket or config.globals.master_socket, adopted)
    daemon = None
    if (config.globals.daemon or options.daemon) and not options.foreground:
        daemon = privileges.daemonize()
    path = options.pidfile or config.globals.pidfile
    pidfile = PidFile(path) if path is not None else None
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HEEDED_LATER)
    try:
        return Master(config, options, given, daemon, adopted, master_socket, pidfile).run()
    finally:
        if pidfile is not None:
            pidfile.remove()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        sys.stderr.flush()


def _adopted(options: Options) -> list[socket.socket]:
    """Listening sockets of the process before this one. Raises privileges.StartError."""
    path = options.sockets_from
    if path is not None and path != os.devnull:
        try:
            return adopt.from_socket(path)
        except OSError as error:
            text = f'no listening sockets from "{path}" (-x): {error.strerror or error}'
        if options.sockets_needed:
            raise privileges.StartError(text)
        sys.stderr.write(f"pylb: warning: {text}\n")
    return adopt.from_processes(options.old, paths=options.old_signal == signal.SIGUSR1)


def _master_socket(declared: StatsSocket | None, adopted: list[socket.socket]) -> MasterSocket | None:
    if declared is None:
        return None
    from pylb.process.master_socket import MasterSocket

    return MasterSocket(declared, adopted)
