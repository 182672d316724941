"""The workers of a generation, as their steward sees them: made, listened to, and replaced when they die or hang.

A worker is forked from the steward, always: a replacement has every change that was made since the start (states, maps,
certificates) because its parent has, and needs no privileges to be made.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import json
import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from pylb.admin.actions import act
from pylb.backend import operate, state
from pylb.backend.health import Event
from pylb.backend.server import Server
from pylb.process import pattern_news, privileges, sticks
from pylb.process.channel import Channel, Kind
from pylb.process.forking import fork
from pylb.process.order import Order
from pylb.process.piecemeal import Hurry
from pylb.process.preparation import Prepared
from pylb.process.relay import Relay
from pylb.process.silence import Silence
from pylb.process.sums import StewardsTally
from pylb.process.tallies import later
from pylb.process.worker import Worker

HUNG = 5.0
"""Seconds without a sign of life after which a worker is taken for hung (silence.py): aborted, then replaced."""

SLOW = 60.0
"""The same before it accepts connections: it makes its rows first, piece by piece, beside others that serve."""

LAST_WORDS = 1.0
"""Seconds between SIGABRT, on which a worker writes where it hangs, and SIGKILL."""

SHORT_LIFE, PAUSE = 1.0, 1.0
"""After two workers in the same place that lived shorter than SHORT_LIFE seconds the next one is made only after PAUSE
seconds, not to fork in a circle."""


class Employer(Protocol):
    """The steward, which hears what becomes of them."""

    def all_serve(self) -> None:
        """For the first time all workers accept connections."""

    def another_serves(self) -> None:
        """One that was made later does."""

    def cannot_start(self, reason: str) -> None:
        """One has died before all served."""

    def is_lost(self, slot: int, text: str, pause: float) -> None:
        """One has died that should have served on: another one is to be employed, in `pause` seconds."""

    def is_hung(self, text: str) -> None:
        """One gives no sign of life and is ended."""

    def all_gone(self) -> None:
        """The last one has ended, after `dismiss`."""


@dataclass(slots=True)
class Employed:
    """One worker process."""

    slot: int
    pid: int
    pidfd: int
    sock: socket.socket
    began: float
    """CLOCK_MONOTONIC, seconds."""
    channel: Channel
    silence: Silence
    ready: bool = False
    aborted: float = 0.0


class Crew:
    """All workers of one generation, by slot, from 1."""

    def __init__(self, prepared: Prepared, relay: Relay, employer: Employer, order: Order) -> None:
        self._balancer = prepared.balancer
        self._shared = prepared.shared
        self._descriptors = prepared.descriptors
        self._relay = relay
        self._employer = employer
        self._order = order
        self._workers: dict[int, Employed] = {}
        self._short_lived: set[int] = set()
        """Slots whose last worker did not live for long."""
        self._serving = self._dismissed = False
        self._news: dict[str, Any] | None = None
        """How the last reload went."""
        self.tally = StewardsTally(self._balancer.tables, self._tell_tally, relay.slots, later, self._balancer.now)

    @property
    def pids(self) -> list[int]:
        """Of all workers that there are."""
        return [worker.pid for worker in self._workers.values()]

    def __len__(self) -> int:
        return len(self._workers)

    # ---------------------------------------------------------------------------------------------------------- making

    def employ(self, slot: int) -> Employed:
        """Fork a worker. The loop must not run. Raises OSError where there is no room for it."""
        ours, theirs = socket.socketpair()
        self._shared.beat(slot, time.monotonic(), 0)
        pace = Hurry() if self._serving else self._order.pace()

        def main() -> int:
            ours.detach()  # closed already, as all descriptors but those that are kept
            faulthandler.enable()
            gc.freeze()  # what is the steward's must not be freed: its descriptors are other ones here
            return Worker(self._balancer, self._shared, slot, theirs, self._order.master, self._silence, pace).main()

        try:
            pid = fork(main, self._descriptors | {theirs.fileno()})
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        channel = Channel(lambda kind, payload: self._heard(worker, kind, payload), lambda: None)
        worker = self._workers[slot] = Employed(
            slot, pid, os.pidfd_open(pid), ours, time.monotonic(), channel, Silence(pid)
        )
        self._relay.attach(slot, channel)  # at once: what changes from now on, the child does not know
        if self._news is not None:
            channel.tell(Kind.NEWS, self._news)
        return worker

    def _silence(self) -> None:
        """In a worker of a daemon that serves: its standard streams are no longer the terminal's."""
        if self._order.null is not None:
            privileges.silence(self._order.null)

    async def attend(self, worker: Employed) -> None:
        """Talk to a worker that has been forked, and notice its end."""
        await worker.channel.open(worker.sock)
        asyncio.get_running_loop().add_reader(worker.pidfd, self._died, worker)

    async def attend_all(self) -> None:
        """The same for all that were made before the loop ran."""
        for worker in tuple(self._workers.values()):
            await self.attend(worker)

    # ------------------------------------------------------------------------------------------------------- listening

    def _heard(self, worker: Employed, kind: Kind, payload: bytes) -> None:
        now = self._balancer.now()
        if kind is Kind.ANSWER:
            self._relay.answered(worker.slot, payload)
        elif kind is Kind.READY:
            self._is_ready(worker)
        elif kind is Kind.STICK:
            self._merge(worker, json.loads(payload), now)
        elif kind is Kind.TALLY:
            self.tally.heard(worker.slot, payload, now)
        elif kind is Kind.PATTERNS:
            told = pattern_news.merge(self._balancer.patterns, json.loads(payload))
            self._relay.send(Kind.PATTERNS, json.dumps([worker.slot, told]).encode())
        elif kind is Kind.OBSERVED:
            server, event = self._server(payload)
            if server is not None:
                state.observe(server, Event[event], now)
        elif kind is Kind.ORDER:
            server, action = self._server(payload)
            if server is not None:
                with suppress(operate.Refused):
                    act(server, action, now)

    def _server(self, payload: bytes) -> tuple[Server | None, str]:
        """The server that a message is about, if it still exists, and what is said of it."""
        backend_name, name, what = json.loads(payload)
        backend = self._balancer.world.backends.get(backend_name)
        return (backend.by_name.get(name) if backend is not None else None), what

    def _is_ready(self, worker: Employed) -> None:
        worker.ready = True
        if self._serving:
            self._employer.another_serves()
        elif all(other.ready for other in self._workers.values()):
            self._serving = True
            self._employer.all_serve()

    def _merge(self, worker: Employed, records: list[sticks.Record], now: float) -> None:
        others, teller = sticks.merge(self._balancer.tables, records, now)
        if others:
            self._relay.send(Kind.STICK, json.dumps(others).encode(), but=worker.slot)
        if teller:
            worker.channel.tell(Kind.STICK, teller)

    def _tell_tally(self, slot: int, payload: bytes) -> None:
        self._relay.send_to(slot, Kind.TALLY, payload)

    def tell_news(self, news: dict[str, Any]) -> None:
        """How the last reload went, for all that are and will be."""
        self._news = news
        self._relay.send(Kind.NEWS, json.dumps(news).encode())

    # ------------------------------------------------------------------------------------------------------------ ends

    def look_after(self, now: float) -> None:
        """Hung ones write their last words and are killed; `_died` does the rest. `now` is CLOCK_MONOTONIC."""
        for worker in self._workers.values():
            if worker.aborted:
                if now - worker.aborted > LAST_WORDS:
                    _kill(worker.pid, signal.SIGKILL)
                continue
            silence = worker.silence.lasts(now - self._shared.heartbeat(worker.slot))
            if silence > (HUNG if worker.ready else SLOW):
                worker.aborted = now
                self._employer.is_hung(f"Worker {worker.slot} (pid {worker.pid}) shows no sign of life; it is ended.")
                _kill(worker.pid, signal.SIGABRT)

    def _died(self, worker: Employed) -> None:
        """A worker has ended, whatever the reason."""
        asyncio.get_running_loop().remove_reader(worker.pidfd)
        os.close(worker.pidfd)
        status = 0
        with suppress(ChildProcessError):
            status = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
        worker.channel.drain()
        worker.channel.close()
        self._relay.detach(worker.slot)
        self.tally.gone(worker.slot)
        del self._workers[worker.slot]
        if status or not self._dismissed:  # else it has given back what it held
            self._shared.leave(worker.slot, len(self._balancer.entries))
        if self._dismissed:
            if not self._workers:
                self._employer.all_gone()
            return
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        if self._serving:
            text = f"Worker {worker.slot} (pid {worker.pid}) {how}; it is replaced."
            self._employer.is_lost(worker.slot, text, self._pause(worker))
        else:
            self._employer.cannot_start(f"worker {worker.slot} {how} at its start")

    def _pause(self, worker: Employed) -> float:
        """Seconds before the next one takes the place of one that has died."""
        short = time.monotonic() - worker.began < SHORT_LIFE
        again = worker.slot in self._short_lived
        (self._short_lived.add if short else self._short_lived.discard)(worker.slot)
        return PAUSE if short and again else 0.0

    def dismiss(self, kind: Kind) -> None:
        """RETIRE: softly, STOP: at once; nobody is replaced from now on."""
        self._dismissed = True
        self._relay.send(kind)
        if not self._workers:
            self._employer.all_gone()

    def kill(self) -> None:
        """Those that are still there."""
        for worker in self._workers.values():
            _kill(worker.pid, signal.SIGKILL)


def _kill(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
