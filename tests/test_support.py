"""What tests use leaves nothing behind that a later test would be blamed for."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import struct
import warnings
from collections.abc import Callable

import pytest
from support import TlsSocket, end_servers

RESET = struct.pack("ii", 1, 0)


def left_open(done: Callable[[], object]) -> list[str]:
    """What the garbage collector finds unclosed afterwards."""
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        done()
        gc.collect()
    return [str(each.message) for each in caught]


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("turns", range(8))
def test_servers_end_with_all_that_they_have_accepted(turns: int, leaves: bool) -> None:
    """However far the loop has come with a connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(100)
        finally:
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            if leaves:
                reset(client)
            for _ in range(turns):
                await asyncio.sleep(0)
            await end_servers(server)

    assert left_open(lambda: asyncio.run(serve())) == []


def test_a_connection_reset_before_its_handshake_is_closed() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = TlsSocket

    def serve() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            reset(socket.create_connection(listening.getsockname()))
            accepted, _ = listening.accept()
            with pytest.raises(ConnectionResetError):
                context.wrap_socket(accepted, server_side=True)

    assert left_open(serve) == []
