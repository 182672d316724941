"""Bytes that parsers are known to read in different ways, with a second request behind them that nobody sent.

The origin reads exactly what RFC 9112 says and notes each request that it finds. Either the whole input is refused and
the origin sees nothing, or it is delimited alike on both sides and the origin sees the two requests that the client is
answered.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile import OK, Origin, Victim, statuses

CONFIG = """
defaults
  mode http
  timeout client 2s
  timeout server 2s
  timeout connect 1s
  timeout http-keep-alive 1s
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  http-reuse always
  server s 127.0.0.1:{origin}
"""

SECOND = b"GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
POST = b"POST /first HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /first HTTP/1.1\r\n"

REFUSED = {
    "both lengths": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, coding first": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "vertical tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "unknown coding": POST + b"Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
    "chunked not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "quoted coding": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "coding with parameter": POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "empty coding": POST + b"Transfer-Encoding:\r\nContent-Length: 0\r\n\r\n",
    "folded coding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "folded length": POST + b"X: a\r\n Content-Length: 5\r\n\r\n",
    "bare LF": b"GET /first HTTP/1.1\nHost: a\n\n",
    "bare LF in a field": POST + b"X: a\nContent-Length: 44\r\n\r\n",
    "bare CR in a field": POST + b"X: a\rContent-Length: 44\r\n\r\n",
    "NUL in a field": POST + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "signed length": POST + b"Content-Length: +4\r\n\r\nabcd",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "hexadecimal length": POST + b"Content-Length: 0x4\r\n\r\nabcd",
    "length with underscore": POST + b"Content-Length: 0_4\r\n\r\nabcd",
    "different lengths": POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
    "different lengths in a list": POST + b"Content-Length: 4, 5\r\n\r\nabcd",
    "empty length": POST + b"Content-Length: \r\n\r\n",
    "length beyond 2^64": POST + b"Content-Length: 18446744073709551620\r\n\r\nabcd",
    "content in HTTP/1.0 GET": b"GET /first HTTP/1.0\r\nHost: a\r\nContent-Length: 31\r\n\r\n",
    "coding in HTTP/1.0": b"POST /first HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "LF in a chunk extension": CHUNKED + b"1;a\nb\r\nx\r\n0\r\n\r\n",
    "LF behind a chunk size": CHUNKED + b"1\nx\n0\n\n",
    "space behind a chunk size": CHUNKED + b"1 \r\nx\r\n0\r\n\r\n",
    "0x chunk": CHUNKED + b"0x1\r\nx\r\n0\r\n\r\n",
    "negative chunk": CHUNKED + b"-1\r\nx\r\n0\r\n\r\n",
    "chunk beyond 2^64": CHUNKED + b"10000000000000001\r\nx\r\n0\r\n\r\n",
    "chunk of 2^63": CHUNKED + b"8000000000000000\r\nx\r\n0\r\n\r\n",
    "chunk longer than said": CHUNKED + b"1\r\nxx\r\n0\r\n\r\n",
    "length in a trailer": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    "folded trailer": CHUNKED + b"0\r\nX-T: 5\r\n b\r\n\r\n",
    "two Hosts": GET + b"Host: a\r\nHost: b\r\n\r\n",
    "no Host": GET + b"\r\n",
    "slash in Host": GET + b"Host: a/b\r\n\r\n",
    "user in Host": GET + b"Host: a@b\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /first\r\n\r\n",
    "two spaces": b"GET  /first HTTP/1.1\r\nHost: a\r\n\r\n",
    "tab for a space": b"GET\t/first HTTP/1.1\r\nHost: a\r\n\r\n",
    "space in front": b" GET /first HTTP/1.1\r\nHost: a\r\n\r\n",
    "field that starts with a space": b"GET /first HTTP/1.1\r\n Host: a\r\n\r\n",
    "field without a colon": GET + b"Host: a\r\nfoo\r\n\r\n",
    "field without a name": GET + b"Host: a\r\n: x\r\n\r\n",
    "fragment": b"GET /first#x HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT with content": b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 4\r\n\r\nabcd",
}

DELIMITED = {
    "tab before the coding": POST + b"Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n",
    "leading zeros": POST + b"Content-Length: 004\r\n\r\nabcd",
    "same length twice": POST + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    "underscore in a name": POST + b"Content_Length: 44\r\n\r\n",
    "GET with content": GET + b"Host: a\r\nContent-Length: 4\r\n\r\nabcd",
    "HEAD with content": b"HEAD /first HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd",
    "DELETE in chunks": b"DELETE /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "chunk extension": CHUNKED + b"1;a=b\r\nx\r\n0\r\n\r\n",
    "last chunk of many zeros": CHUNKED + b"000\r\n\r\n",
    "trailer": CHUNKED + b"0\r\nX-T: 5\r\n\r\n",
    "Connection names the length": POST + b"Connection: content-length\r\nContent-Length: 4\r\n\r\nabcd",
    "Connection names the coding": POST
    + b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Connection names Host": GET + b"Host: a\r\nConnection: host\r\n\r\n",
    "absolute target": b"GET http://x/first HTTP/1.1\r\nHost: a\r\n\r\n",
    "h2c": GET + b"Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
    "upgrade that is not accepted": GET + b"Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "expectation": POST + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\nabcd",
}


def strict(sock: socket.socket, origin: Origin) -> None:
    """Answers every whole request and notes its path; anything that is none stays unanswered."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
        while (found := _request(data)) is not None:
            head, data = found
            origin.received.append(head.split(b" ")[1])
            sock.sendall(OK if not head.startswith(b"HEAD") else OK[:-2])


def _request(data: bytes) -> tuple[bytes, bytes] | None:
    head, end, rest = data.partition(b"\r\n\r\n")
    if not end:
        return None
    if re.search(rb"(?i)\r\ntransfer-encoding:", head):
        body = re.match(rb"(?:[1-9a-f][0-9a-f]*[^\r]*\r\n.\r\n)*0+[^\r]*\r\n(?:[^\r]+\r\n)*\r\n", rest, re.DOTALL)
        return (head, rest[body.end() :]) if body else None
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    size = int(length[1]) if length else 0
    return (head, rest[size:]) if len(rest) >= size else None


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    origin = Origin(strict)
    yield origin
    origin.close()


@pytest.fixture(scope="module")
def victim(origin: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    directory: Path = tmp_path_factory.mktemp("victim")
    with Victim(CONFIG, directory, origin=origin.port) as victim:
        yield victim
        victim.leaves_nothing("HttpSession", "HttpExchange")


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_be_read_in_two_ways_reaches_no_server(name: str, victim: Victim, origin: Origin) -> None:
    origin.received.clear()
    answer = victim.tell(REFUSED[name] + SECOND)
    assert len(statuses(answer)) == 1
    assert statuses(answer)[0] in (400, 413, 501, 505)
    assert origin.received == []


@pytest.mark.parametrize("name", DELIMITED)
def test_what_is_forwarded_is_delimited_alike(name: str, victim: Victim, origin: Origin) -> None:
    origin.received.clear()
    assert statuses(victim.tell(DELIMITED[name] + SECOND)) == [200, 200]
    assert origin.received == [b"/first", b"/second"]


def test_nothing_behind_a_bad_request_is_read_even_when_it_comes_later(victim: Victim, origin: Origin) -> None:
    origin.received.clear()
    assert statuses(victim.tell(POST + b"Content-Length: x\r\n\r\n", SECOND)) == [400]
    assert statuses(victim.tell(CHUNKED, b"zz\r\n", SECOND)) == [400]
    assert origin.received == []
