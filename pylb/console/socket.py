"""The admin socket from outside: where it is, and a question with its answer (management manual, 9.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PLACES = ("/run/haproxy/admin.sock", "/run/haproxy.sock", "/run/pylb.sock", "/var/lib/haproxy/stats")
"""Where packages and manuals put the socket."""

TIMEOUT = 5.0
"""Seconds for a whole answer."""

MAX_ANSWER = 64 << 20
"""Bytes of an answer: 10,000 servers have about 5 MB."""


class Unreachable(Exception):
    """Nobody answers there; the message says why and what to try."""


@dataclass(frozen=True)
class AdminSocket:
    """An address of a `stats socket`: `path`, or `host` and `port`."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> AdminSocket:
        """A path, HOST:PORT, [IPv6]:PORT or :PORT, also with HAProxy's unix@, ipv4@ or ipv6@; ValueError otherwise."""
        scheme, _, rest = text.rpartition("@")
        host, colon, port = rest.rpartition(":")
        if scheme == "unix" or (not scheme and "/" in rest):
            return cls(path=rest)
        if scheme not in ("", "ipv4", "ipv6") or not colon or not (port.isascii() and port.isdigit()):
            raise ValueError(f'"{text}" is no socket: write a path with a slash, or HOST:PORT')
        if not 0 < int(port) < 65536:
            raise ValueError(f'"{text}" has no port from 1 to 65535')
        return cls(host=host.strip("[]").replace("*", "") or "127.0.0.1", port=int(port))

    async def ask(self, command: str) -> str:
        """The answer to one line of commands. Raises Unreachable."""
        try:
            async with asyncio.timeout(TIMEOUT):
                return (await self._exchange(command)).decode("utf-8", "replace")
        except TimeoutError:
            raise Unreachable(f"{self} does not answer within {TIMEOUT:g} s") from None
        except OSError as error:
            raise Unreachable(f"{self}: {error.strerror or error}") from error

    async def _exchange(self, command: str) -> bytes:
        if self.path:
            reader, writer = await asyncio.open_unix_connection(self.path)
        else:
            reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(command.encode() + b"\n")
            await writer.drain()
            answer = bytearray()
            while block := await reader.read(1 << 16):
                answer += block
                if len(answer) > MAX_ANSWER:
                    raise OSError(f"the answer has more than {MAX_ANSWER} bytes")
            return bytes(answer)
        finally:
            writer.close()


def find(words: str | None, places: Iterable[str] = PLACES) -> AdminSocket:
    """The socket that the command line names, or the first of the usual places. ValueError says what to write."""
    if words is not None:
        return AdminSocket.parse(words)
    for place in places:
        if Path(place).is_socket():
            return AdminSocket(path=place)
    raise ValueError(f"no socket at {', '.join(places)}: name the one of the `stats socket` line")
