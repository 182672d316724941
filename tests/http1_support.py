"""Reading whole HTTP/1.1 messages with pylb.http1 and with h11, for tests that compare the two."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise

import h11

from pylb.http1.chunked import ChunkedReader
from pylb.http1.errors import ProtocolError
from pylb.http1.framing import CHUNKED, LENGTH, UNTIL_CLOSE, request_framing, response_framing
from pylb.http1.head import (
    Limits,
    parse_request,
    parse_response,
    reject_early,
    reject_early_response,
    skip_empty_line,
)

LIMITS = Limits()


def request(data: bytes, limits: Limits = LIMITS):
    """The head of a request that is complete in `data`."""
    start = skip_empty_line(data, 0)
    return parse_request(data, start, data.index(b"\r\n\r\n", start), limits)


def get(*lines: bytes, target: bytes = b"/", method: bytes = b"GET", version: bytes = b"HTTP/1.1", host=b"Host: a"):
    """A request with these field lines behind its Host."""
    fields = ([host] if host else []) + list(lines)
    return request(b"\r\n".join([b"%b %b %b" % (method, target, version), *fields, b"", b""]))


def response(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK", limits: Limits = LIMITS):
    """A response head with these field lines."""
    data = b"\r\n".join([status, *lines, b"", b""])
    return parse_response(data, 0, data.index(b"\r\n\r\n"), limits)


def refusal(function, *args, **kwargs) -> int:
    """The status of the ProtocolError that the call must raise."""
    try:
        result = function(*args, **kwargs)
    except ProtocolError as error:
        return error.status
    raise AssertionError(f"accepted: {result!r}")


@dataclass
class Message:
    """A message as a reader understood it."""

    line: tuple
    fields: list = field(default_factory=list)
    body: bytes = b""
    complete: bool = False
    rest: int = 0


class Conversation:
    """Reads one message piece by piece, as the network side does: find the end of the head, else ask reject_early."""

    def __init__(self, limits: Limits = LIMITS, method: bytes | None = None) -> None:
        self.limits, self.method = limits, method
        self.buffer = b""
        self.start: int | None = None
        self.message: Message | None = None
        self.head = self.framing = self.reader = None
        self.body = b""

    def feed(self, piece: bytes) -> None:
        if self.head is not None:
            self.take(piece)
            return
        self.buffer += piece
        if self.start is None:
            start = skip_empty_line(self.buffer, 0) if self.method is None else 0
            if len(self.buffer) - start < 1 or self.buffer[start:] == b"\r":
                return
            self.start = start
        end = self.buffer.find(b"\r\n\r\n", self.start)
        if end < 0:
            (reject_early if self.method is None else reject_early_response)(self.buffer, self.start, self.limits)
            return
        if self.method is None:
            self.head = parse_request(self.buffer, self.start, end, self.limits)
            self.framing = request_framing(self.head)
        else:
            self.head = parse_response(self.buffer, self.start, end, self.limits)
            self.framing = response_framing(self.head, self.method, self.head.status)
        if self.framing.kind == CHUNKED:
            self.reader = ChunkedReader()
        self.take(self.buffer[end + 4 :])

    def take(self, data: bytes) -> None:
        if self.reader is not None:
            payload, _ = self.reader.decode(data, 0)
            self.body += payload
        elif self.framing.kind == LENGTH:
            self.body += data[: self.framing.length - len(self.body)]
        elif self.framing.kind == UNTIL_CLOSE:
            self.body += data

    def complete(self) -> bool:
        if self.head is None:
            return False
        if self.reader is not None:
            return self.reader.done
        return self.framing.kind != LENGTH or len(self.body) == self.framing.length


def read(pieces: list[bytes], limits: Limits = LIMITS, method: bytes | None = None) -> int | Message | None:
    """What pylb makes of one request (`method`: of the response to it): a status, None (incomplete head), a Message."""
    reader = Conversation(limits, method)
    try:
        for piece in pieces:
            reader.feed(piece)
    except ProtocolError as error:
        return error.status
    head = reader.head
    if head is None:
        return None
    line = (head.method, head.uri) if method is None else (head.status, head.reason)
    fields = [(name.lower(), value) for name, value in head.fields()]
    return Message(line, fields, reader.body, reader.complete())


def read_h11(data: bytes, method: bytes | None = None) -> str | Message | None:
    """The same with h11: "rejected", None or a Message."""
    connection = h11.Connection(h11.SERVER if method is None else h11.CLIENT)
    if method is not None:
        connection.send(
            h11.Request(method=method, target="a:1" if method == b"CONNECT" else "/", headers=[("Host", "a")])
        )
        connection.send(h11.EndOfMessage())
    message = None
    if not data:
        return None  # to h11, b"" is the end of the connection
    try:
        connection.receive_data(data)
        while True:
            event = connection.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED):
                return message
            if isinstance(event, h11.Request):
                message = Message((event.method, event.target), list(event.headers))
            elif isinstance(event, h11.Response | h11.InformationalResponse):
                message = Message((event.status_code, event.reason), list(event.headers))
                if isinstance(event, h11.InformationalResponse):
                    message.complete = True
                    return message
            elif isinstance(event, h11.Data):
                message.body += event.data
            elif isinstance(event, h11.EndOfMessage):
                message.complete = True
                return message
    except h11.RemoteProtocolError:
        return "rejected"


# ------------------------------------------------------------------------------------------------- bytes to try

REQUESTS = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\r\nGET /a/b?c=d HTTP/1.1\r\nHost: a.example:8080\r\nAccept: */*\r\nCookie: a=b; c=d\r\n"
    b"Connection: keep-alive\r\n\r\n",
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n"
    b'5;a=b;c="d;e"\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX-T: v\r\nY:\r\n\r\n',
    b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nMax-Forwards: 3\r\n\r\n",
    b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
    b"GET http://b.example/x?y HTTP/1.1\r\nHost: a\r\nConnection: close, X-Foo\r\nX-Foo: 1\r\nTE: trailers\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\nSec-WebSocket-Key: x\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"PUT /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3, 3\r\nContent-Length: 3\r\n\r\nabc",
]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: v\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b'HTTP/1.1 304\r\nETag: "a"\r\nContent-Length: 10\r\n\r\n',
    b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nuntil the end",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 502 Bad Gateway\r\nConnection: close, X-A\r\nX-A: b\r\nContent-Length: 0\r\n\r\n",
]
PIECES = [
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b",", b"0", b"+", b"-", b"#", b"_", b"\x0b", b"\x7f",
    b"\xff",
    b"chunked", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding : chunked\r\n", b"Transfer-Encoding: gzip\r\n",
    b"Content-Length: 3\r\n", b"Content-Length: +3\r\n", b"Content-Length: 18446744073709551616\r\n", b"\r\n folded",
    b"Host: b\r\n", b"Host: a b\r\n", b"Connection: content-length\r\n", b"HTTP/1.0", b"HTTP/2.0", b"http://a/",
    b"\r\n\r\n",
    b"ffffffffffffffff\r\n", b"0\r\n\r\n", b"Content-Length: \xb2\r\n", b"HTTP/1.1", b"CONNECT", b"HEAD", b"*",
]  # fmt: skip


def mutate(message: bytes, dice: random.Random) -> bytes:
    """`message` with one to four small changes: bytes flipped, removed, doubled, moved, trouble inserted."""
    data = bytearray(message)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(data) + 1)
        kind = dice.randrange(6)
        if kind == 0:
            data[at:at] = dice.choice(PIECES)
        elif kind == 1:
            del data[at : at + dice.randint(1, 8)]
        elif kind == 2 and at < len(data):
            data[at] = dice.randrange(256)
        elif kind == 3:
            data[at:at] = data[at : at + dice.randint(1, 20)]
        elif kind == 4:
            data[at : at + dice.randint(1, 4)] = dice.choice(PIECES)
        else:
            lines = bytes(data).split(b"\r\n")
            lines.insert(dice.randrange(len(lines)), dice.choice(lines))
            data = bytearray(b"\r\n".join(lines))
    return bytes(data)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """`data` in pieces, cut at these places (modulo its length)."""
    marks = [0, *sorted(p % (len(data) + 1) for p in places), len(data)]
    return [data[a:b] for a, b in pairwise(marks) if a < b]
