"""From an Order to everything that a generation needs before its first worker is forked.

    read, check, compile ─► bind ─► take over state ─► shed privileges

Each step finds all errors of its kind. Until the last one nothing has happened that the generation before would notice,
except that it has been asked for what it knows.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pylb.admin.world import Reload
from pylb.config.model import Config, ConfigError, StatsSocket
from pylb.config.words import Report
from pylb.net.checker import Checker
from pylb.net.tls import silence_bad_names
from pylb.process import binding, courtesy, packets, privileges, server_states
from pylb.process.balancer import Balancer
from pylb.process.books import SPARE, StewardsBook, entries_of
from pylb.process.carry import Inheritance, take_over
from pylb.process.counters import SharedCounters
from pylb.process.examine import examine, worst
from pylb.process.forking import open_descriptors
from pylb.process.kept_sockets import remove_provisional
from pylb.process.order import Order
from pylb.process.wanted import import_wanted

if TYPE_CHECKING:
    from pylb.trace.tracer import Tracer

GC_THRESHOLDS = (50_000, 20, 50)
"""Exchanges leave no cycles behind, so collections are rare; what exists at the start is not looked at again."""

Operators = list[tuple[StatsSocket, list[socket.socket]]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A generation that is ready for its workers."""

    balancer: Balancer
    sockets: binding.Sockets
    """All listening sockets."""
    operators: Operators
    """Those of `stats socket`."""
    shared: SharedCounters
    book: StewardsBook
    inheritance: Inheritance
    checker: Checker
    descriptors: frozenset[int]
    """What workers keep open."""


def prepare(order: Order, master: packets.Packets) -> Prepared:
    """Do all of it. Raises ConfigError, privileges.StartError, OSError, ValueError."""
    courtesy.stand_back()
    gc.disable()  # until all is made that stays (courtesy.without_collections)
    made = courtesy.behind(lambda: _made(order, master)) if order.succeeds else _made(order, master)
    _become(made.balancer, order.quiet)
    _settle_down()
    return made


def _made(order: Order, master: packets.Packets) -> Prepared:
    """Everything but the rights, which a process has and not a thread."""
    config = _config(order)
    import_wanted(config)
    report = Report()
    balancer = Balancer(config, report, _tracer() if order.trace else None)
    balancer.reload = Reload(**order.last_reload)
    sockets = binding.Sockets(order.inherited, order.adopted, order.old)
    balancer.listeners.bind(report, sockets)
    operators = [(stats, sockets.listen(stats.bind, report)) for stats in config.globals.stats_sockets]
    if report.errors:
        remove_provisional(sockets.opened, os.getpid())
    report.raise_errors()
    _hand_over(sockets, master)
    entries = entries_of(balancer.frontends, balancer.backends)
    shared = SharedCounters(balancer.workers + 1, len(entries) + SPARE)
    book = StewardsBook(shared, entries)
    balancer.begin(time.monotonic(), order.master, book)
    _remember(order, balancer, book, master)
    checker = Checker(balancer.backends, config.globals, balancer.node)
    silence_bad_names()
    gc.collect()
    descriptors = open_descriptors() - {master.sock.fileno()}
    descriptors -= {sock.fileno() for _, group in operators for sock in group}
    return Prepared(balancer, sockets, operators, shared, book, Inheritance(balancer), checker, frozenset(descriptors))


def _tracer() -> Tracer:
    from pylb.trace.printer import Printer
    from pylb.trace.tracer import Tracer

    return Tracer(Printer(sys.stdout))


def _config(order: Order) -> Config:
    config = order.config
    if config is None:
        config, findings = examine(order.files, compiled=False, presets=order.presets)
        if config is None:
            raise ConfigError(tuple(worst(findings)))
        if not order.quiet and findings:
            order.show(findings)
    return config


def _hand_over(sockets: binding.Sockets, master: packets.Packets) -> None:
    """The master keeps what is new, and learns what is still used."""
    opened = list(sockets.opened.items())
    step = packets.MOST_DESCRIPTORS
    for first in range(0, len(opened), step):
        part = opened[first : first + step]
        master.send("bound", [sock.fileno() for _, sock in part], keys=[name for name, _ in part])
    used = list(sockets.used)
    for first in range(0, len(used), 1000):
        master.send("uses", keys=used[first : first + 1000])
    sockets.forget_unused()


def _remember(order: Order, balancer: Balancer, book: StewardsBook, master: packets.Packets) -> None:
    """Begin with what the generation before knows, or with what a file says; without either, at nothing."""
    if not order.succeeds:
        for remark in server_states.load(balancer.backends, balancer.config.globals, time.monotonic()):
            sys.stderr.write(f"pylb: warning: {remark}\n")
        return
    master.send("wants_state")
    received = master.receive()
    if received is None:
        raise OSError("the master is gone")
    message, descriptors = received
    if message["kind"] == "state" and descriptors:
        take_over(balancer, book, packets.lines_from(descriptors[0]), time.monotonic())


def _become(balancer: Balancer, quiet: bool) -> None:
    """Take the limits and the rights that the configuration gives."""
    have = privileges.raise_file_limit(2 * balancer.maxconn + balancer.listeners.spare_descriptors)
    remarks = privileges.drop(balancer.config.globals)
    if (remark := balancer.listeners.fit(have)) is not None:
        remarks.append(remark)
    if not quiet:
        sys.stderr.write("".join(f"pylb: warning: {remark}\n" for remark in remarks))


def _settle_down() -> None:
    """What exists now stays: nothing of it is to be collected, here or in the workers."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(*GC_THRESHOLDS)
