"""A worker's end, in this process: at once when it is told to stop, whatever else it is told."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import pytest

from pylb.config.model import Config
from pylb.config.words import Report
from pylb.process.balancer import Balancer
from pylb.process.books import StewardsBook, entries_of
from pylb.process.channel import Kind
from pylb.process.counters import SharedCounters
from pylb.process.piecemeal import PIECE, Hurry
from pylb.process.worker import Worker

STEPS = 40


@pytest.fixture
def worker() -> Iterator[Worker]:
    """Of nobody: its steward's end of the channel is this test's. Its last things take STEPS pieces of a pace."""
    balancer = Balancer(Config(), Report())
    entries = entries_of(balancer.frontends, balancer.backends)
    shared = SharedCounters(2, len(entries))
    balancer.begin(0.0, os.getpid(), StewardsBook(shared, entries))
    ours, theirs = socket.socketpair()
    before = signal.getsignal(signal.SIGINT)
    yield Worker(balancer, shared, 1, theirs, os.getpid(), lambda: None, Hurry())
    signal.signal(signal.SIGINT, before)
    ours.close()


async def turns_at_the_end(worker: Worker, orders: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    """Give the orders to a worker that serves; how often others have their turn while it does its last things."""
    turns = first = last = done = 0

    def settling(_: Balancer) -> Iterator[None]:
        nonlocal first, last, done
        first = turns
        for _step in range(STEPS):
            until = perf_counter() + 1.2 * PIECE
            while perf_counter() < until:
                pass
            last, done = turns, done + 1
            yield

    monkeypatch.setattr(Balancer, "settling", settling)
    serving = asyncio.ensure_future(worker._serve())
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    worker._ready = lambda: ready.set_result(None)
    await asyncio.wait((ready, serving), timeout=10, return_when=asyncio.FIRST_COMPLETED)
    assert ready.done()
    give: dict[str, Any] = {
        "STOP": lambda: worker._receive(Kind.STOP, b""),
        "RETIRE": lambda: worker._receive(Kind.RETIRE, b""),
        "SIGTERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
        "SIGUSR1": lambda: os.kill(os.getpid(), signal.SIGUSR1),
    }
    for order in orders:
        give[order]()
    while not serving.done():
        await asyncio.sleep(0)
        turns += 1
    await serving
    assert done == STEPS
    return last - first


@pytest.mark.parametrize(
    "orders",
    [["STOP", "RETIRE"], ["STOP", "SIGUSR1"], ["SIGTERM", "SIGUSR1"], ["RETIRE", "STOP"], ["SIGUSR1", "SIGTERM"]],
    ids="-".join,
)
async def test_told_to_stop_it_is_not_slowed_by_a_soft_stop(
    worker: Worker, orders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await turns_at_the_end(worker, orders, monkeypatch) <= 2


async def test_softly_it_leaves_the_core_to_others(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await turns_at_the_end(worker, ["RETIRE"], monkeypatch) >= STEPS / 2
