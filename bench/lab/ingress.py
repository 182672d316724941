"""A worker's ingress without nginx, and a slow pod: answers by Host, as late as it is told.

    python -m bench.lab.ingress PORT NAME HOST TEXT [DELAY]

HOST "*" takes every Host; any other Host gets 404, as from the default backend of an ingress. DELAY is in seconds.
"""

from __future__ import annotations

import asyncio
import signal
import sys

LONGEST_HEAD = 16384


class Ingress(asyncio.Protocol):
    """One connection: requests without bodies, answered one after the other."""

    def __init__(self, name: str, host: str, text: str, delay: float) -> None:
        self._good, self._bad = _answer("200 OK", name, text), _answer("404 Not Found", name, "default backend - 404")
        self._host, self._delay = host.encode(), delay
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            answer = self._good if self._host in (b"*", fields.get(b"host", b"").partition(b":")[0]) else self._bad
            if fields.get(b"connection") == b"close":
                answer = answer.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            asyncio.get_running_loop().call_later(self._delay, self._send, answer)
        if len(self._buffer) > LONGEST_HEAD:
            self._transport.close()

    def _send(self, answer: bytes) -> None:
        self._transport.write(answer)
        if b"Connection: close" in answer:
            self._transport.close()


def _answer(status: str, name: str, text: str) -> bytes:
    body = f"{text}\n".encode()
    head = f"HTTP/1.1 {status}\r\nServer: lab\r\nContent-Type: text/plain\r\nX-Worker: {name}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def serve(port: int, name: str, host: str, text: str, delay: float) -> None:
    """Until SIGTERM."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    await loop.create_server(lambda: Ingress(name, host, text, delay), "0.0.0.0", port, backlog=1024)
    await over.wait()


def main() -> None:
    """The command line above."""
    port, name, host, text, *delay = sys.argv[1:]
    asyncio.run(serve(int(port), name, host.lower(), text, float(delay[0]) if delay else 0.0))


if __name__ == "__main__":
    main()
