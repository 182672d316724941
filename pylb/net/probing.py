"""One health check, carried out on a socket: the steps of backend/probe.py with connections, TLS and deadlines.

Everything that can go wrong ends in a CheckResult under HAProxy's name for it:

    stage       out of time   error
    connecting  L4TOUT        L4CON with the system's text
    handshake   L6TOUT        L6RSP
    sending     L7TOUT        SOCKERR with the system's text
    expecting   tout-status   SOCKERR; L7RSP for what is no HTTP and for a connection closed without an answer
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pylb.backend.expect import Answer
from pylb.backend.health import CheckResult, Status
from pylb.backend.probe import Connect, Expect, Plan, Send, Step
from pylb.backend.server import Server, State
from pylb.net.proxy_protocol import SIGNATURE, line

if TYPE_CHECKING:
    from pylb.net.http_answers import HttpAnswers

_BLOCK = 16384
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Target:
    """Where and how one server is checked, as far as the steps do not say otherwise."""

    address: Callable[[Connect], tuple[int, Any]]
    """Socket family and address for a connect step."""
    tls: ssl.SSLContext | None
    """None: plain."""
    tls_for_steps: Callable[[tuple[str, ...]], ssl.SSLContext]
    """The context for `connect ssl`, with its ALPN protocols."""
    sni: str | None
    send_proxy: str | None
    """"v1" or "v2" """
    connect_timeout: float
    read_timeout: float | None
    """`timeout check`; None: one `inter` for everything."""
    bind: Callable[[socket.socket], None]
    """Binds to the configured source address."""
    bufsize: int = _BLOCK


class Failed(Exception):
    """The check has failed; carries its result's parts."""

    def __init__(self, status: Status, text: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Wire:
    """A connection, maybe under TLS."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._socket: socket.socket | None = None
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    async def connect(self, family: int, address: Any, bind: Callable[[socket.socket], None]) -> None:
        """Open it. Raises Failed (L4CON)."""
        self.close()
        sock = self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            bind(sock)
            await self._loop.sock_connect(sock, address)
        except OSError as error:
            raise Failed(Status.L4CON, _text(error)) from error

    async def handshake(self, context: ssl.SSLContext, name: str | None) -> None:
        """Put TLS on it. Raises Failed (L6RSP)."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    await self._flush()
                    await self._fill()
            await self._flush()
        except ssl.SSLCertVerificationError as error:
            raise Failed(Status.L6RSP, _verify_text(error)) from error
        except (OSError, ValueError) as error:  # ValueError: a name that SNI cannot carry
            raise Failed(Status.L6RSP, "SSL handshake failure") from error
        self._tls = tls

    async def send(self, data: bytes) -> None:
        """Send everything."""
        if self._tls is None:
            await self._loop.sock_sendall(self._open, data)
            return
        self._tls.write(data)
        await self._flush()

    async def receive(self) -> bytes:
        """What has come; b"" at the end."""
        if self._tls is None:
            return await self._loop.sock_recv(self._open, _BLOCK)
        while True:
            try:
                return self._tls.read(_BLOCK)
            except ssl.SSLWantReadError:
                if not await self._fill():
                    return b""
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    async def _fill(self) -> bool:
        data = await self._loop.sock_recv(self._open, _BLOCK)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return bool(data)

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._loop.sock_sendall(self._open, self._outgoing.read())

    @property
    def _open(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionResetError(104, os.strerror(104))
        return self._socket

    def local_line(self) -> bytes:
        """A PROXY v1 line about this very connection."""
        src, dst = self._open.getsockname(), self._open.getpeername()
        if self._open.family not in (socket.AF_INET, socket.AF_INET6):
            return b"PROXY UNKNOWN\r\n"
        return line(src[0], src[1], dst[0], dst[1])

    def close(self, linger: bool = False) -> None:
        """Close; with a reset unless `linger`, so that checks leave no TIME_WAIT behind (manual: `linger`)."""
        if self._socket is not None:
            if not linger and self._socket.family != socket.AF_UNIX:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._socket.close()
        self._socket = self._tls = None


def _text(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)


def _verify_text(error: ssl.SSLCertVerificationError) -> str:
    mismatch = error.verify_code in (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH
    return (
        "Server presented an SSL certificate different from the configured one" if mismatch else "SSL handshake failure"
    )


class Probe:
    """One run of a plan against one server."""

    def __init__(self, plan: Plan, target: Target, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._plan = plan
        self._target = target
        self._server = server
        self._loop = loop
        self._wire = Wire(loop)
        self._answer = Answer()
        self._http: HttpAnswers | None = None
        self._tls = False
        self._linger = False
        self._stage = Status.L4TOUT
        self._limit: asyncio.Timeout | None = None

    async def run(self) -> CheckResult:
        """Carry the plan out; never raises but CancelledError."""
        started = self._loop.time()
        step: Step = self._plan.steps[0]

        def elapsed() -> int:
            return int((self._loop.time() - started) * 1000)

        try:
            async with asyncio.timeout(self._target.connect_timeout) as self._limit:
                for step in self._plan.steps:
                    if isinstance(step, Connect):
                        await self._connect(step)
                    elif isinstance(step, Send):
                        await self._send(step)
                    elif not await self._expect(step):
                        return step.failure(self._answer, elapsed())
        except TimeoutError:
            return self._plan.broken(self._stage, "", step, elapsed())
        except Failed as failure:
            return self._plan.broken(failure.status, failure.text, step, elapsed())
        except OSError as error:
            return self._plan.broken(Status.SOCKERR, _text(error), step, elapsed())
        finally:
            self._wire.close(self._linger)
        if self._leaves_on_404():
            return CheckResult(Status.L7OKC, elapsed(), 404)
        return self._plan.passed(self._answer, step, self._tls, elapsed())

    def _leaves_on_404(self) -> bool:
        wants = self._plan.disable_on_404 and self._answer.status == 404
        return wants and self._server.state is not State.STOPPED

    async def _connect(self, step: Connect) -> None:
        target = self._target
        self._stage = Status.L4TOUT
        self._linger = step.linger
        try:
            family, address = target.address(step)
        except ValueError as error:  # a name that nobody has resolved
            raise Failed(Status.SOCKERR, str(error)) from error
        await self._wire.connect(family, address, target.bind)
        if target.read_timeout is not None and self._limit is not None:
            self._limit.reschedule(self._loop.time() + target.read_timeout)
        send_proxy = target.send_proxy if step.send_proxy is None else ("v1" if step.send_proxy else None)
        if send_proxy is not None:
            await self._wire.send(self._wire.local_line() if send_proxy == "v1" else SIGNATURE + b"\x20\0\0\0")
        context = target.tls
        if step.tls is not None and step.number:
            context = target.tls_for_steps(step.alpn) if step.tls else None
        self._tls = context is not None
        if context is not None:
            self._stage = Status.L6TOUT
            await self._wire.handshake(context, step.sni or target.sni)

    async def _send(self, step: Send) -> None:
        self._stage = Status.L7TOUT
        self._answer = Answer()
        self._http = None
        if step.http:
            from pylb.net.http_answers import HttpAnswers  # process/wanted.py

            self._http = HttpAnswers(step.method, self._target.bufsize)
        await self._wire.send(step.payload(self._server))

    async def _expect(self, step: Expect) -> bool:
        self._stage = step.timeout
        while True:
            verdict = self._judge(step)
            if verdict is not None:
                return verdict
            data = await self._wire.receive()
            if self._http is not None:
                self._read_http(data)
            else:
                self._answer.body += data
            if not data or len(self._answer.body) >= self._target.bufsize:
                self._answer.complete = True

    def _judge(self, step: Expect) -> bool | None:
        if self._answer.status is None and not self._answer.body and not self._answer.complete:
            return None  # nothing yet
        if self._leaves_on_404():
            return True
        return step.judge(self._answer)

    def _read_http(self, data: bytes) -> None:
        """Fill the answer. Raises Failed (L7RSP) for what is no response."""
        assert self._http is not None
        if not self._http.read(data, self._answer):
            raise Failed(Status.L7RSP)
