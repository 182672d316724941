"""`stats socket`: the sockets that operators talk to (management manual, 9.3).

They are bound with their permissions and answer the read-only `show stat` and `show info`; what else HAProxy's command
language has is answered by the list of what there is.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from pylb.admin import info, stats
from pylb.admin.world import World
from pylb.config.model import StatsSocket

MAX_LINE = 16384
"""Bytes of one command line: tune.bufsize, as in HAProxy."""


async def open_sockets(
    sockets: Sequence[tuple[StatsSocket, list[socket.socket]]], world: World
) -> list[asyncio.AbstractServer]:
    """Answer on these sockets until the servers are closed."""
    timeout = world.config.globals.stats_timeout

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, ValueError):
            line = await asyncio.wait_for(reader.readline(), timeout)
            for command in line.decode("utf-8", "replace").strip().split(";"):
                writer.write(answer(command.strip(), world) + b"\n")
            await asyncio.wait_for(writer.drain(), timeout)
        writer.close()

    return [
        await asyncio.start_server(serve, sock=sock, limit=MAX_LINE)
        if sock.family != socket.AF_UNIX
        else await asyncio.start_unix_server(serve, sock=sock, limit=MAX_LINE)
        for _, opened in sockets
        for sock in opened
    ]


COMMANDS: dict[str, tuple[str, Callable[[World], bytes]]] = {
    "show info": ("what the process is and does", info.text),
    "show stat": ("the statistics as CSV", stats.csv),
}


def answer(command: str, world: World) -> bytes:
    """The answer to one command, without the empty line that ends it."""
    found = COMMANDS.get(" ".join(command.split()))
    if found is not None:
        return found[1](world)
    lines = [] if command in ("help", "") else [f"Unknown command: '{command[:80]}'"]
    lines.append("The following commands are valid at this level:")
    lines += [f"  {name:<20} : {text}" for name, (text, _) in COMMANDS.items()]
    return ("\n".join(lines) + "\n").encode()


def perform(command: str, world: World) -> bytes:
    """Carry out a command in a worker, for the steward that relays it (relay.ask_all): the answer, b"" for none."""
    found = COMMANDS.get(" ".join(command.split()))
    return found[1](world) if found is not None else b""
