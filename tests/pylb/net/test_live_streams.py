"""Bytes through a running pylb: WebSockets, TCP, PROXY headers, backpressure, many connections, limits, addresses."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import websockets
from live import DEFAULTS, Pylb, Server, ask, connect, echo, length_of, ports, read_head, serving
from support import wait_for

from pylb.net.certificates import self_signed
from pylb.net.proxy_protocol import binary, line

MEGA = 1 << 20
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def first_bytes(connection: socket.socket) -> None:
    """HTTP, but what stands before the request line is answered as well."""
    with connection.makefile("rb") as stream:
        while head := read_head(stream):
            if head == b"\r\n\r\n":  # a version 2 header begins like that
                head += stream.read(24) + read_head(stream)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(head) + head)


def raw_echo(connection: socket.socket) -> None:
    """Everything back once the client has ended, then an end."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    connection.sendall(data)


def flood(connection: socket.socket) -> None:
    """As many MB as the path says."""
    with connection.makefile("rb") as stream:
        while head := read_head(stream):
            count = int(head.split()[1][1:])
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (count * MEGA))
            piece = bytes(MEGA)
            for _ in range(count):
                connection.sendall(piece)


def slow_sink(connection: socket.socket) -> None:
    """Takes an upload with a pause at its start."""
    with connection.makefile("rb", buffering=65536) as stream:
        while head := read_head(stream):
            time.sleep(0.7)
            left = length_of(head)
            while left:
                left -= len(stream.read(min(MEGA, left)))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class Rig:
    """One pylb with what these tests need."""

    def __init__(self, directory: Path) -> None:
        bundle = directory / "lab.pem"
        bundle.write_bytes(self_signed(["localhost"]))
        self.ca = bundle
        self.unix = str(directory / "front.sock")
        self.back_unix = str(directory / "back.sock")
        (self.web, self.secure, self.tcp, self.tcp_tls, self.proxied, self.proxied_tls, self.send_v1,
         self.send_v2, self.big, self.sink, self.limited, self.six, self.to_unix, self.session_rules,
         self.websocket_port) = ports(15)  # fmt: skip
        self.stack = ExitStack()

        def server(*args: object, **more: object) -> Server:
            made = Server(*args, **more)  # type: ignore[arg-type]
            self.stack.callback(made.close)
            return made

        self.echo, self.raw, self.first = server(echo), server(raw_echo), server(first_bytes)
        self.flood, self.slow = server(flood), server(slow_sink)
        self.behind_unix = server(echo, self.back_unix)
        self.behind_six = server(echo, ("::1", 0))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(bundle)
        text = f"""{DEFAULTS}
 timeout tunnel 5s
frontend web
 bind 127.0.0.1:{self.web}
 bind 127.0.0.1:{self.secure} ssl crt {bundle}
 bind unix@{self.unix} mode 600
 use_backend sockets if {{ path /ws }}
 default_backend echo
backend sockets
 server s 127.0.0.1:{self.websocket_port}
backend echo
 server s 127.0.0.1:{self.echo.port}
listen tcp
 mode tcp
 option tcplog
 bind 127.0.0.1:{self.tcp}
 bind 127.0.0.1:{self.tcp_tls} ssl crt {bundle}
 server s 127.0.0.1:{self.raw.port}
listen proxied
 bind 127.0.0.1:{self.proxied} accept-proxy
 bind 127.0.0.1:{self.proxied_tls} accept-proxy ssl crt {bundle}
 http-request set-header X-Src %[src]:%[src_port]
 http-request set-header X-Dst %[dst]:%[dst_port]
 server s 127.0.0.1:{self.echo.port}
listen send_v1
 bind 127.0.0.1:{self.send_v1}
 http-reuse always
 server s 127.0.0.1:{self.first.port} send-proxy
listen send_v2
 bind 127.0.0.1:{self.send_v2}
 http-reuse always
 server s 127.0.0.1:{self.first.port} send-proxy-v2
listen big
 bind 127.0.0.1:{self.big}
 timeout client 30s
 timeout server 30s
 server s 127.0.0.1:{self.flood.port}
listen sink
 bind 127.0.0.1:{self.sink}
 server s 127.0.0.1:{self.slow.port}
listen limited
 bind 127.0.0.1:{self.limited}
 maxconn 3
 option http-server-close
 server s 127.0.0.1:{self.echo.port}
listen six
 bind [::1]:{self.six}
 server s [::1]:{self.behind_six.port}
listen to_unix
 bind 127.0.0.1:{self.to_unix}
 server s unix@{self.back_unix}
listen session_rules
 bind 127.0.0.1:{self.session_rules}
 tcp-request session reject if {{ src 127.0.0.1 }}
 server s 127.0.0.1:{self.echo.port}
"""
        self.pylb = Pylb(directory, text, ready=self.session_rules)
        self.stack.callback(self.pylb.stop)
        self.log = self.pylb.collector

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("streams"))
    with rig.stack:
        yield rig


# --------------------------------------------------------------------------------------------------------- websockets


@pytest.mark.parametrize("secure", [False, True])
async def test_websockets(rig: Rig, secure: bool) -> None:
    async def answer(connection: websockets.ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    url = f"wss://localhost:{rig.secure}/ws" if secure else f"ws://localhost:{rig.web}/ws"
    options = {"ssl": rig.tls()} if secure else {}
    async with websockets.serve(answer, "127.0.0.1", rig.websocket_port, max_size=None):
        async with asyncio.timeout(20), websockets.connect(url, max_size=None, compression=None, **options) as client:
            for message in ("hello", b"\x00" * 70_000, "x" * 3_000_000):
                await client.send(message)
                assert await client.recv() == message
            await (await client.ping())
            await asyncio.gather(*(client.send(b"%d" % n) for n in range(500)))
            assert [await client.recv() for _ in range(500)] == [b"%d" % n for n in range(500)]
        assert client.close_code == 1000
        await asyncio.to_thread(rig.log.having, '"GET /ws HTTP/1.1"')
    assert "101" in rig.log.having('"GET /ws HTTP/1.1"')[-1]


# ---------------------------------------------------------------------------------------------------------------- tcp


def test_tcp_with_half_closes(rig: Rig) -> None:
    data = bytes(range(256)) * 20_000
    with connect(rig.tcp) as sock:
        sender = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
        sender.start()
        got = b""
        while piece := sock.recv(65536):
            got += piece
        sender.join()
    assert got == data
    assert f" {len(data)} -- " in rig.log.having(" tcp tcp/s ")[-1]


def test_tcp_behind_tls(rig: Rig) -> None:
    with rig.tls().wrap_socket(connect(rig.tcp_tls), server_hostname="localhost") as tls:
        tls.sendall(b"hello")
        tls.unwrap()


# ------------------------------------------------------------------------------------------------------- proxy headers


@pytest.mark.parametrize("make", [line, binary])
@pytest.mark.parametrize("pieces", [1, 3, 1000])
def test_the_addresses_of_a_proxy_header_count(rig: Rig, make, pieces: int) -> None:
    header = make("192.0.2.7", 4711, "198.51.100.1", 443)
    with connect(rig.proxied) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        step = len(header) // pieces + 1
        for start in range(0, len(header), step):
            sock.sendall(header[start : start + step])
            time.sleep(0.001)
        body = ask(sock)[2].lower()
        assert b"x-src: 192.0.2.7:4711" in body and b"x-dst: 198.51.100.1:443" in body
        assert ask(sock)[0] == 200
    assert "192.0.2.7:4711 [" in rig.log.having("192.0.2.7:4711")[-1]


def test_header_and_request_in_one_segment(rig: Rig) -> None:
    with connect(rig.proxied) as sock:
        assert b"192.0.2.9:1" in ask(sock, line("192.0.2.9", 1, "198.51.100.1", 2) + GET)[2]


def test_a_proxy_header_before_tls(rig: Rig) -> None:
    sock = connect(rig.proxied_tls)
    sock.sendall(binary("2001:db8::1", 99, "2001:db8::2", 443))
    with rig.tls().wrap_socket(sock, server_hostname="localhost") as tls:
        assert b"x-src: 2001:db8::1:99" in ask(tls)[2].lower()


@pytest.mark.parametrize(
    ("junk", "said"),
    [
        (GET, "does not look like a PROXY"),
        (b"PROXY TCP4 a b c d\r\n", "does not look like a PROXY"),
        (b"\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x00", "does not look like a PROXY"),
        (b"PROXY TCP4 1", "Truncated PROXY"),
        (b"", "Connection closed while waiting for PROXY"),
    ],
)
def test_no_proxy_header_no_service(rig: Rig, junk: bytes, said: str) -> None:
    known = len(rig.log.lines)
    with connect(rig.proxied) as sock:
        sock.sendall(junk)
        with suppress(OSError):  # it may have been reset by now
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1000) == b""
    wait_for(lambda: any(said in text for text in rig.log.lines[known:]), 5)


def test_send_proxy_introduces_each_client_on_a_connection_of_its_own(rig: Rig) -> None:
    accepted = rig.first.accepted
    with connect(rig.send_v1) as one, connect(rig.send_v1) as two:
        for sock in (one, two):
            expected = line("127.0.0.1", sock.getsockname()[1], "127.0.0.1", rig.send_v1)
            assert ask(sock)[2].startswith(expected + b"GET /")
        for sock in (one, two):
            assert ask(sock)[2].startswith(b"GET /")  # on its own connection, already introduced
    assert rig.first.accepted == accepted + 2


def test_send_proxy_v2(rig: Rig) -> None:
    with connect(rig.send_v2) as sock:
        expected = binary("127.0.0.1", sock.getsockname()[1], "127.0.0.1", rig.send_v2)
        assert ask(sock)[2].startswith(expected + b"GET /")


# -------------------------------------------------------------------------------------------------------- backpressure


def test_a_slow_reader_costs_little_memory(rig: Rig) -> None:
    before = rig.pylb.rss()
    with connect(rig.big) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.sendall(GET.replace(b"/", b"/200", 1))
        time.sleep(1)
        most = rig.pylb.rss()
        got, buffer = 0, bytearray(MEGA)
        while got < 200 * MEGA:
            size = sock.recv_into(buffer)
            assert size
            got += size
            if got // (10 * MEGA) != (got - size) // (10 * MEGA):
                most = max(most, rig.pylb.rss())
                time.sleep(0.01)
    assert most < before + 30 * MEGA


def test_a_slow_server_costs_little_memory(rig: Rig) -> None:
    before = rig.pylb.rss()
    with connect(rig.sink) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (200 * MEGA))
        piece, most = bytes(MEGA), 0
        for _ in range(200):
            sock.sendall(piece)
            most = max(most, rig.pylb.rss())
        assert sock.recv(1000).endswith(b"ok")
    assert most < before + 30 * MEGA


# --------------------------------------------------------------------------------------------------------------- limits


async def test_a_thousand_connections_at_once(rig: Rig) -> None:
    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.web)
        for _ in range(2):
            writer.write(GET)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            await reader.readexactly(length_of(head))
            await gate.wait()
        writer.close()

    gate = asyncio.Event()
    async with asyncio.timeout(40):
        clients = [asyncio.create_task(one()) for _ in range(1000)]
        asyncio.get_running_loop().call_later(1.5, gate.set)
        await asyncio.gather(*clients)


def test_beyond_maxconn_clients_wait_until_somebody_leaves(rig: Rig) -> None:
    inside = [connect(rig.limited) for _ in range(3)]
    assert all(ask(sock)[0] == 200 for sock in inside)
    waiting = [connect(rig.limited) for _ in range(100)]  # more than the few that are accepted and parked
    for sock in waiting:
        sock.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    waiting[0].settimeout(0.3)
    with pytest.raises(TimeoutError):
        waiting[0].recv(100)
    for sock in inside:
        sock.close()
    for sock in waiting:
        sock.settimeout(10)
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        sock.close()


def test_session_rules_refuse_a_connection(rig: Rig) -> None:
    with pytest.raises(ConnectionError):
        ask(rig.session_rules)


# ------------------------------------------------------------------------------------------------------------ addresses


def test_unix_sockets_on_both_sides(rig: Rig) -> None:
    assert Path(rig.unix).stat().st_mode & 0o777 == 0o600
    for where in (rig.unix, rig.to_unix):
        with connect(where) as sock:
            body = bytes(300_000)
            assert ask(sock)[0] == 200
            got = ask(sock, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            assert got[2].endswith(body)


def test_ipv6(rig: Rig) -> None:
    with socket.create_connection(("::1", rig.six), 5) as sock:
        assert ask(sock)[0] == 200
    assert rig.log.having(" six six/s ")[-1].split("]: ")[1].startswith("::1:")


def test_an_inherited_descriptor(tmp_path: Path) -> None:
    server = Server(echo)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        fd = listening.fileno()
        text = f"{DEFAULTS}\nlisten l\n bind fd@{fd}\n server s 127.0.0.1:{server.port}\n"
        port = listening.getsockname()[1]
        with serving(tmp_path, text, pass_fds=(fd,)):
            assert ask(port)[0] == 200
    server.close()
