"""Agent checks: a program beside a server is asked how it is; backend/agent.py understands the answer.

    connect → (send `agent-send`) → one line, or what there is of it when the agent closes

An agent that cannot be reached or says nothing changes nothing: whether the server is there is for the other checks to
find out.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass

from pylb.backend import agent, state
from pylb.backend.health import Agent, CheckResult, Status
from pylb.backend.server import Server
from pylb.net.probing import Failed, Wire

_LINE_END = re.compile(rb"[\r\n]")


@dataclass(frozen=True, slots=True)
class Asker:
    """How to ask the agent of one server."""

    server: Server
    agent: Agent
    read_timeout: float | None
    """`timeout check`; None: one agent-inter for everything."""
    connect_timeout: float
    bind: Callable[[socket.socket], None]
    bufsize: int

    async def ask(self, loop: asyncio.AbstractEventLoop) -> None:
        """Ask once, and see to what the answer demands. Never raises but CancelledError."""
        started = loop.time()
        wire = Wire(loop)
        stage = Status.L4TOUT
        failure = None
        data = b""
        try:
            async with asyncio.timeout(self.connect_timeout) as limit:
                await wire.connect(*self._address(), self.bind)
                stage = Status.L7TOUT
                if self.read_timeout is not None:
                    limit.reschedule(loop.time() + self.read_timeout)
                if self.agent.send:
                    await wire.send(self.agent.send.encode("utf-8", "surrogateescape"))
                while not _LINE_END.search(data) and len(data) < self.bufsize:
                    piece = await wire.receive()
                    if not piece:
                        break
                    data += piece
        except TimeoutError:
            failure = stage, ""
        except Failed as error:
            failure = error.status, error.text
        except (OSError, ValueError) as error:
            number = getattr(error, "errno", None)
            failure = Status.SOCKERR, os.strerror(number) if number else str(error)
        finally:
            wire.close()
        now = loop.time()
        elapsed = int((now - started) * 1000)
        if failure is None and not data:
            failure = Status.L7RSP, "TCPCHK got an empty response at step 2"  # HAProxy's words
        if failure is not None:
            state.agent_done(self.server, CheckResult(failure[0], elapsed, None, failure[1]), now)
            return
        end = _LINE_END.search(data)
        line = data[: end.start()].decode("latin-1") if end is not None else None
        agent.said(self.server, line, elapsed, now)

    def _address(self) -> tuple[int, tuple[str, int]]:
        """Where the agent is. Raises ValueError for a name that nobody has resolved."""
        host = self.agent.address or self.server.address.host
        host = host.removeprefix("ipv4@").removeprefix("ipv6@")
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
        return family, (host, self.agent.port or 0)
