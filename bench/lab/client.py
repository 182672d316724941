"""The clients: requests at a fixed rate, whatever becomes of the answers, on four lanes at once.

    python -m bench.lab.client RATE PATIENCE

keep     users with a connection each that stays open, and the cookie that they were given
new      a connection per request: two users of three have a cookie, the third comes for the first time
tls      a TLS connection per request
rancher  a connection per request for the other Host

Open loop: a request is due at its time even when those before it have not been answered, and its latency counts from
then on. A request on a kept connection that turns out to be closed, with no byte of an answer, is sent again on a fresh
one, as RFC 9110 9.2.2 allows and every HTTP client does. One line per request goes to stdout, see `Request`.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import itertools
import re
import signal
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, cast, get_args

from bench.lab.topology import APPLE_HOST, APPLE_TEXT, HTTP, HTTPS, RANCHER_HOST, RANCHER_TEXT, VIP

Lane = Literal["keep", "new", "tls", "rancher"]
LANES: tuple[Lane, ...] = get_args(Lane)
CYCLE: tuple[Lane, ...] = (*(("keep", "new") * 4), "keep", "tls", "keep", "rancher", *(("keep", "new") * 4))
"""Of 20 requests 10 are kept, 8 new, 1 TLS, 1 rancher's."""
USERS = 12
"""Per lane, at the start; more come when all of the kept ones wait."""
MOST_USERS = 2000

OUTCOMES = ("ok", "refused", "reset", "closed", "timeout", "unreachable", "wrong", "http-NNN")
"""wrong: not this Host's text; http-NNN: a status other than 200; closed: the end came before that of the answer."""
Sticky = Literal["kept", "lost", "none"]


@dataclass(frozen=True, slots=True)
class Request:
    """One request and what became of it."""

    due: float
    """Seconds of the monotonic clock."""
    latency: float
    """Seconds from `due` to the answer's last byte, or to the failure."""
    lane: Lane
    outcome: str
    """One of OUTCOMES."""
    server: str
    """Who answered; "" for nobody."""
    sticky: Sticky
    """Whether a user with a cookie met the server of before; none: it had no cookie, or there was no answer."""
    retried: bool
    """Sent a second time because the kept connection was found closed."""
    certificate: str
    """Beginning of the SHA-256 of the certificate that a TLS lane was shown."""

    @property
    def ok(self) -> bool:
        """Answered, and rightly."""
        return self.outcome == "ok"

    @property
    def end(self) -> float:
        """When the answer or the failure came."""
        return self.due + self.latency

    def line(self) -> str:
        """As the client process prints it."""
        words = (self.lane, self.outcome, self.server or "-", self.sticky, int(self.retried), self.certificate or "-")
        return f"{self.due:.6f} {self.latency:.6f} " + " ".join(map(str, words))

    @staticmethod
    def parse(line: str) -> Request:
        """The other way round."""
        due, latency, lane, outcome, server, sticky, retried, certificate = line.split()
        return Request(
            float(due), float(latency), lane, outcome, server.strip("-"), sticky, retried == "1", certificate.strip("-")
        )  # type: ignore[arg-type]


@dataclass(slots=True)
class User:
    """Somebody with a cookie jar, and on the keep lane with a connection."""

    lane: Lane
    cookie: bytes = b""
    server: str = ""
    connection: Connection | None = None


_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_WORKER = re.compile(rb"(?i)\r\nx-worker: *([\w.-]+)")
_COOKIE = re.compile(rb"(?i)\r\nset-cookie: *(SRVNAME=[^;\r]*)")
_CLOSE = re.compile(rb"(?i)\r\nconnection: *close")


class Connection(asyncio.Protocol):
    """A connection with at most one request on it."""

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self.open = False
        self.transport: asyncio.Transport
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by name
        self.open = True

    def send(self, exchange: Exchange) -> None:
        """Send its request; it hears of the answer or of the end."""
        self.exchange, self._data = exchange, b""
        self.transport.write(exchange.head())

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self.transport.abort()  # nobody asked
            return
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        if not end:
            return
        found = _LENGTH.search(head)
        if found is None or len(body) < int(found[1]):
            return
        self.exchange = None
        if _CLOSE.search(head):
            self.open = False
            self.transport.close()
        exchange.answered(head, body)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.lost(outcome_of(exc) if exc is not None else "closed", bool(self._data))


def outcome_of(error: BaseException) -> str:
    """One of OUTCOMES for an exception of a connection."""
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, OSError) and error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return "unreachable"
    return "reset" if isinstance(error, ConnectionError) else "closed"


class Exchange:
    """One request from the time it is due to its line."""

    def __init__(self, clients: Clients, due: float, user: User) -> None:
        self.clients, self.due, self.user = clients, due, user
        self.retried = False
        self.certificate = ""
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer = clients.loop.call_at(due + clients.patience, self._out_of_patience)
        connection = user.connection
        self._reused = connection is not None and connection.open
        if connection is not None and connection.open:
            self._connection = connection
            connection.send(self)
        else:
            self._connect()

    def head(self) -> bytes:
        """The request's bytes."""
        user = self.user
        host = RANCHER_HOST if user.lane == "rancher" else APPLE_HOST
        cookie = b"Cookie: " + user.cookie + b"\r\n" if user.cookie else b""
        close = b"" if user.lane == "keep" else b"Connection: close\r\n"
        number = next(self.clients.numbers)
        return b"GET /%d HTTP/1.1\r\nHost: %s\r\nUser-Agent: lab\r\n%s%s\r\n" % (number, host.encode(), cookie, close)

    def _connect(self) -> None:
        self._task = self.clients.loop.create_task(self._connected())

    async def _connected(self) -> None:
        loop, secure = self.clients.loop, self.user.lane == "tls"
        try:
            if secure:
                _, connection = await loop.create_connection(
                    Connection, VIP, HTTPS, ssl=self.clients.tls, server_hostname=APPLE_HOST
                )
                shown = connection.transport.get_extra_info("ssl_object").getpeercert(True)
                self.certificate = fingerprint(shown)
            else:
                _, connection = await loop.create_connection(Connection, VIP, HTTP)
        except (OSError, ssl.SSLError) as error:
            self._failed(outcome_of(error))
            return
        self._connection = connection
        if self.user.lane == "keep":
            self.user.connection = connection
        if connection.open:
            connection.send(self)
        else:
            self._failed("closed")

    def answered(self, head: bytes, body: bytes) -> None:
        """The whole answer is here."""
        user, status = self.user, head[9:12].decode("latin-1")
        found = _WORKER.search(head)
        server = found[1].decode() if found else ""
        wanted = RANCHER_TEXT if user.lane == "rancher" else APPLE_TEXT
        sticky: Sticky = "none"
        if status != "200":
            outcome = f"http-{status}"
        elif body.strip() != wanted.encode():
            outcome = "wrong"
        else:
            outcome = "ok"
            if user.cookie:
                sticky = "kept" if server == user.server else "lost"
        given = _COOKIE.search(head)
        if given:
            user.cookie = given[1]
        if outcome == "ok":
            user.server = server
        self._finish(outcome, server, sticky)

    def lost(self, outcome: str, begun: bool) -> None:
        """The connection ended instead."""
        if self._reused and not begun and not self.retried:
            self.retried, self._reused = True, False
            self._connect()
        else:
            self._failed(outcome)

    def _out_of_patience(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._failed("timeout")

    def _failed(self, outcome: str) -> None:
        connection, self.user.connection = self._connection, None
        if connection is not None:
            connection.exchange = None
            connection.transport.abort()
        self._finish(outcome, "", "none")

    def _finish(self, outcome: str, server: str, sticky: Sticky) -> None:
        self._timer.cancel()
        latency = max(0.0, time.monotonic() - self.due)  # uvloop's own clock shows whole milliseconds
        request = Request(self.due, latency, self.user.lane, outcome, server, sticky, self.retried, self.certificate)
        self.clients.finished(self.user, request)


def fingerprint(certificate: bytes) -> str:
    """The beginning of its SHA-256 (DER), enough to tell two apart."""
    return hashlib.sha256(certificate).hexdigest()[:12]


class Clients:
    """All of them, sending on schedule."""

    def __init__(self, rate: float, patience: float, report: Callable[[Request], None]) -> None:
        self.rate, self.patience, self._report = rate, patience, report
        self.loop = asyncio.get_running_loop()
        self.numbers = itertools.count(1)
        self.waiting = 0
        self._empty = asyncio.Event()
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.tls.check_hostname = False
        self.tls.verify_mode = ssl.CERT_NONE  # which one is shown is recorded, and judged by its fingerprint
        self._idle = deque(User("keep") for _ in range(USERS))
        self._users = USERS
        self._returning = itertools.cycle([User("new") for _ in range(USERS)])
        self._lanes: Iterator[Lane] = itertools.cycle(CYCLE)
        self._visits = itertools.count()

    async def run(self, until: asyncio.Event) -> None:
        """Send until told to stop, then wait for what is under way."""
        start = self.loop.time()
        for number in itertools.count():
            due = start + number / self.rate
            await asyncio.sleep(max(0.0, due - self.loop.time()))
            if until.is_set():
                break
            self._send(due)
        self._empty.set() if not self.waiting else self._empty.clear()
        await self._empty.wait()

    def _send(self, due: float) -> None:
        lane = next(self._lanes)
        user = self._kept() if lane == "keep" else self._visitor() if lane == "new" else User(lane)
        if user is not None:
            self.waiting += 1
            Exchange(self, due, user)

    def _kept(self) -> User | None:
        if self._idle:
            return self._idle.popleft()
        if self._users >= MOST_USERS:
            return None
        self._users += 1
        return User("keep")

    def _visitor(self) -> User:
        return User("new") if next(self._visits) % 3 == 2 else next(self._returning)

    def finished(self, user: User, request: Request) -> None:
        """An exchange has ended one way or the other."""
        self.waiting -= 1
        if not self.waiting:
            self._empty.set()
        if user.lane == "keep":
            self._idle.append(user)
        self._report(request)


async def main() -> None:
    """Print the requests as they end, in batches, so that printing costs little."""
    rate, patience = float(sys.argv[1]), float(sys.argv[2])
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    lines: list[str] = []
    clients = Clients(rate, patience, lambda request: lines.append(request.line()))

    def flush() -> None:
        if lines:
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
            lines.clear()

    async def flushing() -> None:
        while True:
            await asyncio.sleep(0.1)
            flush()

    flusher = loop.create_task(flushing())
    assert abs(loop.time() - time.monotonic()) < 1, "the lab compares these times with its own"
    await clients.run(over)
    flusher.cancel()
    flush()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
