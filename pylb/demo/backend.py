"""A small web server that says who it is, so that round robin, stickiness and failures can be seen.

GET /           who answered, and how many requests it has answered
GET /json       the same for programs            GET /headers   what arrived, as the proxy sent it
?delay=SECONDS  ?status=CODE  ?bytes=N           on any path: a slow, failing or big answer
GET /health     200, or 503 while it is sick     POST /sick, POST /well
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import h11

LONGEST_DELAY = 60.0
MOST_BYTES = 1 << 30
_BLOCK = b"0123456789abcde\n" * 4096


@dataclass(slots=True)
class Answer:
    """What to send: the body is `body`, or `size` bytes of filling."""

    status: int = 200
    kind: str = "text/plain; charset=utf-8"
    body: bytes = b""
    size: int | None = None


class DemoBackend:
    """One server of the demo."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sick = False
        self.answered = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; `port` 0 takes a free one, `self.port` tells which."""
        self._server = await asyncio.start_server(self._connection, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening. Open connections end with the loop."""
        if self._server is not None:
            self._server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Requests of one connection, one after the other."""
        connection = h11.Connection(h11.SERVER)
        with suppress(ConnectionError, h11.RemoteProtocolError, h11.LocalProtocolError):
            async for request in _requests(connection, reader):
                await self._respond(connection, writer, request)
        writer.close()

    async def _respond(self, connection: h11.Connection, writer: asyncio.StreamWriter, request: h11.Request) -> None:
        query = parse_qs(urlsplit(request.target.decode("ascii", "replace")).query)
        await asyncio.sleep(min(_number(query, "delay", 0.0), LONGEST_DELAY))
        answer = self.answer(request)
        size = len(answer.body) if answer.size is None else answer.size
        headers = [("Content-Type", answer.kind), ("Content-Length", str(size)), ("X-Served-By", self.name)]
        writer.write(connection.send(h11.Response(status_code=answer.status, headers=headers)) or b"")
        if request.method != b"HEAD":
            for piece in _pieces(answer.body, size):
                writer.write(connection.send(h11.Data(data=piece)) or b"")
                await writer.drain()
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()

    def answer(self, request: h11.Request) -> Answer:
        """What this request gets."""
        target = urlsplit(request.target.decode("ascii", "replace"))
        query = parse_qs(target.query)
        if request.method == b"POST" and target.path in ("/sick", "/well"):
            self.sick = target.path == "/sick"
            return Answer(body=f"{self.name} is {'sick' if self.sick else 'well'} now\n".encode())
        if target.path == "/health":
            return Answer(503, body=b"sick\n") if self.sick else Answer(body=b"well\n")
        self.answered += 1
        answer = self._page(target.path, request)
        status = int(_number(query, "status", 200))
        answer.status = status if 200 <= status <= 599 else 400
        if "bytes" in query:
            answer.size = min(max(int(_number(query, "bytes", 0)), 0), MOST_BYTES)
            answer.body = b""
        if answer.status in (204, 304):
            answer.body, answer.size = b"", None
        return answer

    def _page(self, path: str, request: h11.Request) -> Answer:
        if path == "/headers":
            lines = [
                f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in request.headers.raw_items()
            ]
            return Answer(body="\n".join([f"{self.name} got:", *lines, ""]).encode())
        if path == "/json":
            facts = {"server": self.name, "path": path, "answered": self.answered, "sick": self.sick}
            return Answer(kind="application/json", body=json.dumps(facts).encode() + b"\n")
        return Answer(body=f"{self.name} answers: {path} (its request number {self.answered})\n".encode())


async def _requests(connection: h11.Connection, reader: asyncio.StreamReader) -> AsyncIterator[h11.Request]:
    """Each request once its body has been read and thrown away."""
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage):
            assert request is not None
            yield request
            if connection.our_state is not h11.DONE:
                return
            connection.start_next_cycle()
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            return


def _pieces(body: bytes, size: int) -> list[bytes]:
    """`body`, or `size` bytes of filling, in pieces."""
    if body or not size:
        return [body] if body else []
    whole, rest = divmod(size, len(_BLOCK))
    return [_BLOCK] * whole + ([_BLOCK[:rest]] if rest else [])


def _number(query: dict[str, list[str]], name: str, default: float) -> float:
    """A parameter as a number; what is none counts as the default."""
    try:
        value = float(query[name][0])
    except (KeyError, ValueError):
        return default
    return value if 0 <= value < 1e12 else default
