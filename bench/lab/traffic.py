"""The client process of a lab, and everything it has reported so far."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from types import TracebackType

from bench.lab.client import Request
from bench.lab.net import LabError, Namespace, Process
from bench.lab.programs import ENVIRONMENT

RATE = 100.0
"""Requests per second; the longest gap is known to within its inverse."""
PATIENCE = 5.0
"""Seconds after which a client gives up: more than a balancer's three retries a second apart take."""

MOST = 100_000
"""Requests that are remembered at least; a lab in the background may run for days."""


class Traffic:
    """Requests all the time; use as an asynchronous context manager."""

    def __init__(self, host: Namespace, rate: float = RATE, patience: float = PATIENCE) -> None:
        self._host, self.rate, self.patience = host, rate, patience
        self.requests: list[Request] = []
        """In the order in which they ended, from the last MOST on."""
        self.total = 0
        self.failed: Counter[str] = Counter()
        self.sticky: Counter[str] = Counter()
        self._rest = ""
        self._complaint = ""
        self._over = asyncio.Event()
        self._process: Process

    async def __aenter__(self) -> Traffic:
        argv = [sys.executable, "-m", "bench.lab.client", str(self.rate), str(self.patience)]
        reader, writer = os.pipe()
        try:
            self._process = await asyncio.to_thread(Process, self._host, argv, writer, ENVIRONMENT)
        finally:
            os.close(writer)
        asyncio.get_running_loop().add_reader(reader, self._hear, reader)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.running:
            self._process.signal(signal.SIGTERM if kind is None else signal.SIGKILL)
        await asyncio.wait_for(self._over.wait(), self.patience + 5)
        await asyncio.to_thread(self._process.wait)
        if kind is None and self._complaint:
            raise LabError(f"the client failed: {self._complaint[-1500:]}")

    def _hear(self, reader: int) -> None:
        data = os.read(reader, 1 << 16)
        if not data:
            asyncio.get_running_loop().remove_reader(reader)
            os.close(reader)
            self._over.set()
            return
        *lines, self._rest = (self._rest + data.decode(errors="replace")).split("\n")
        for line in lines:
            try:
                self._take(Request.parse(line))
            except ValueError:
                self._complaint += line + "\n"

    def _take(self, request: Request) -> None:
        self.requests.append(request)
        self.total += 1
        self.sticky[request.sticky] += 1
        if not request.ok:
            self.failed[request.outcome] += 1
        if len(self.requests) > 2 * MOST:
            del self.requests[:MOST]

    async def flowing(self, within: float = 15.0) -> None:
        """Wait for the first good answers. LabError if they do not come."""
        try:
            async with asyncio.timeout(within):
                while sum(request.ok for request in self.requests) < 20:
                    if self._over.is_set():
                        raise LabError(f"the client ended: {self._complaint[-1500:]}")
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise LabError(f"no answers: {[request.outcome for request in self.requests[-5:]]}") from None
