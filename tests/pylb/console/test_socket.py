"""Where the admin socket is, and what is said when nobody answers there."""

from __future__ import annotations

import asyncio
import socket as sockets

import pytest

from pylb.console.socket import AdminSocket, Unreachable, find


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/run/haproxy.sock", AdminSocket(path="/run/haproxy.sock")),
        ("./here", AdminSocket(path="./here")),
        ("unix@here", AdminSocket(path="here")),
        ("10.0.0.1:1999", AdminSocket(host="10.0.0.1", port=1999)),
        ("ipv4@*:1999", AdminSocket(host="127.0.0.1", port=1999)),
        (":1999", AdminSocket(host="127.0.0.1", port=1999)),
        ("[::1]:1999", AdminSocket(host="::1", port=1999)),
    ],
)
def test_addresses_are_those_of_stats_socket_lines(text, found):
    assert AdminSocket.parse(text) == found


@pytest.mark.parametrize("text", ["haproxy", "host:", "host:0", "host:65536", "host:+5", "host:²", "ftp@host:1"])
def test_what_is_no_address_says_what_to_write(text):
    with pytest.raises(ValueError, match=r"socket|port"):
        AdminSocket.parse(text)


def test_the_first_usual_place_with_a_socket_is_taken(tmp_path):
    file, there = tmp_path / "file", tmp_path / "there"
    file.touch()
    with sockets.socket(sockets.AF_UNIX) as sock:
        sock.bind(str(there))
        assert find(None, [str(tmp_path / "missing"), str(file), str(there)]) == AdminSocket(path=str(there))
    with pytest.raises(ValueError, match="stats socket"):
        find(None, [str(file)])


async def test_an_answer_ends_with_the_connection():
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        for _ in range(3):
            writer.write(line * 1000)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await AdminSocket(host="127.0.0.1", port=port).ask("show info") == "show info\n" * 3000


async def test_nobody_there_is_one_message(tmp_path):
    with pytest.raises(Unreachable, match="No such file"):
        await AdminSocket(path=str(tmp_path / "missing")).ask("show info")
