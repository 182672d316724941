"""Health checks against small servers of every kind: results under HAProxy's names, in its words.

One configuration text serves both: pylb's checker runs it in every test run, and the interop test lets the real HAProxy
check the same servers and say the same.
"""

from __future__ import annotations

import asyncio
import datetime
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support import end_servers, free_port, require_program

from pylb.backend.backend import Backend
from pylb.backend.health import Event
from pylb.backend.state import observe
from pylb.config import model
from pylb.config.load import read_haproxy
from pylb.net.checker import Checker

OK = b"HTTP/1.0 200 OK\r\nX-A: b,c\r\nContent-Length: 5\r\n\r\nhello"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def says(data: bytes, *, reads: bool = True, after: float = 0.0) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reads:
            await reader.read(65536)
        await asyncio.sleep(after)
        writer.write(data)
        with suppress(OSError):
            await writer.drain()

    return handle


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


SERVERS: dict[str, Handler] = {
    "ok": says(OK),
    "500": says(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"),
    "404": says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
    "302": says(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"),
    "garbage": says(b"garbage\r\n\r\n"),
    "empty": says(b""),
    "partial": says(b"HTTP/1.1 200 OK\r\nCont"),
    "slow": says(OK, after=60.0),
    "resets": resets,
    "banner": says(b"+OK POP3 ready\r\n", reads=False),
    "short": says(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"),
    "chunked": says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    "bad field": says(b"HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n"),
    "tls": says(OK),
}

HTTP = "option httpchk"
EXPECT = f"{HTTP}\n http-check expect"
TCP = "option tcp-check\n tcp-check"
FAILED_HANDSHAKE = 'Layer6 invalid response, info: "SSL handshake failure"'
WRONG_NAME = 'Layer6 invalid response, info: "Server presented an SSL certificate different from the configured one"'
L7OK, L7STS, L7RSP = "Layer7 check passed", "Layer7 wrong status", "Layer7 invalid response"
REFUSED = 'Layer4 connection problem, info: "Connection refused'

# (server, its options), the backend's lines, what the log says as the reason. {port of …} in lines is filled in.
CASES: list[tuple[str, str, str]] = [
    ("ok", "", "Layer4 check passed"),
    ("refused", "", f'{REFUSED}"'),
    ("full", "timeout connect 200", "Layer4 timeout"),
    ("ok", HTTP, f"{L7OK}, code: 200"),
    ("500", HTTP, f'{L7STS}, code: 500, info: "Internal Server Error"'),
    ("404", HTTP, f'{L7STS}, code: 404, info: "Not Found"'),
    ("302", HTTP, f"{L7OK}, code: 302"),
    ("garbage", HTTP, L7RSP),
    ("empty", HTTP, L7RSP),
    ("partial", HTTP, L7RSP),
    ("bad field", HTTP, L7RSP),
    ("slow", HTTP, "Layer7 timeout"),
    ("resets", HTTP, 'Socket error, info: "Connection reset by peer"'),
    ("refused", HTTP, f'{REFUSED}"'),
    ("ok", f"{EXPECT} status 200-299,404", f"{L7OK}, code: 200"),
    ("500", f"{EXPECT} status 200-299,404", f'{L7STS}, code: 500, info: "Internal Server Error"'),
    ("500", f"{EXPECT} ! status 500", f'{L7STS}, code: 500, info: "Internal Server Error"'),
    ("404", f"{EXPECT} rstatus ^2", f'{L7STS}, code: 404, info: "Not Found"'),
    ("ok", f"{EXPECT} string hello", f"{L7OK}, code: 200"),
    ("ok", f"{EXPECT} string bye", f'{L7RSP}, info: "HTTP content check did not match"'),
    ("ok", f"{EXPECT} ! string hello", f'{L7RSP}, info: "HTTP check matched unwanted content"'),
    ("ok", f"{EXPECT} ! string bye", f"{L7OK}, code: 200"),
    ("ok", f"{EXPECT} rstring h.l", f"{L7OK}, code: 200"),
    ("ok", f"{EXPECT} rstring ^b.e", f'{L7RSP}, info: "HTTP content check did not match"'),
    ("short", f"{EXPECT} string bye", f'{L7RSP}, info: "HTTP content check did not match"'),
    ("short", f"{EXPECT} string hello", f"{L7OK}, code: 200"),
    ("chunked", f"{EXPECT} string hello", f"{L7OK}, code: 200"),
    ("chunked", f"{EXPECT} string bye", f'{L7RSP}, info: "HTTP content check did not match"'),
    ("ok", f"{EXPECT} hdr name X-A value -m beg c", f"{L7OK}, code: 200"),
    ("ok", f"{EXPECT} hdr name X-B", f'{L7STS}, code: 200, info: "OK"'),
    ("ok", f"{EXPECT} ! hdr name X-A", f'{L7STS}, code: 200, info: "OK"'),
    ("ok", f"{EXPECT} fhdr name -m beg X- value -m str b,c", f"{L7OK}, code: 200"),
    ("500", f"{EXPECT} comment why status 200", f'{L7STS}, code: 500, info: "Internal Server Error comment: why"'),
    ("500", f"{EXPECT} error-status L6RSP on-error bad status 200", 'Layer6 invalid response, info: "bad"'),
    ("ok", f"{EXPECT} ok-status L4OK status 200", "Layer4 check passed"),
    ("ok", f"{EXPECT} error-status L7OKC status 201", 'Layer7 check conditionally passed, code: 200, info: "OK"'),
    ("slow", f"{EXPECT} tout-status L4TOUT status 200", "Layer4 timeout"),
    ("404", f"{HTTP}\n http-check disable-on-404", "Layer7 check conditionally passed, code: 404"),
    (
        "ok",
        f"{HTTP}\n http-check connect\n http-check send meth GET uri /1\n http-check expect status 200\n"
        " http-check connect port {404}\n http-check send meth GET uri /2 ver HTTP/1.1 hdr Host b\n"
        " http-check expect status 404",
        f"{L7OK}, code: 404",
    ),
    ("ok", f"{HTTP}\n http-check connect port {{refused}} comment K", f'{REFUSED}"'),
    ("banner", f"{TCP} expect string +OK", f'{L7OK}, code: 0, info: "(tcp-check)"'),
    ("banner", f"{TCP} expect string -ERR", f"{L7RSP}, info: \"TCPCHK did not match content '-ERR' at step 1\""),
    ("banner", f"{TCP} expect ! string +OK", f"{L7RSP}, info: \"TCPCHK matched unwanted content '+OK' at step 1\""),
    ("banner", f"{TCP} expect ! string no", f'{L7OK}, code: 0, info: "(tcp-check)"'),
    ("banner", f"{TCP} expect rstring ^.OK", f'{L7OK}, code: 0, info: "(tcp-check)"'),
    ("banner", f"{TCP} expect binary 2b4f4b", f'{L7OK}, code: 0, info: "(tcp-check)"'),
    ("banner", f"{TCP} expect binary 2b4f4c", f'{L7RSP}, info: "TCPCHK did not match content (binary) at step 1"'),
    ("banner", f"{TCP} expect rbinary ^2B4F", f'{L7OK}, code: 0, info: "(tcp-check)"'),
    ("banner", f"{TCP} expect rbinary ^ff", f'{L7RSP}, info: "TCPCHK did not match content (binary regex) at step 1"'),
    ("banner", f"{TCP} expect ! rstring O", f'{L7RSP}, info: "TCPCHK matched unwanted content (regex) at step 1"'),
    ("empty", f"{TCP} send x\n tcp-check expect string y", f'{L7RSP}, info: "TCPCHK got an empty response at step 2"'),
    ("slow", f"{TCP} expect string OK", "Layer7 timeout, info: \" at step 1 of tcp-check (expect string 'OK')\""),
    ("slow", f"{TCP} expect rstring OK", 'Layer7 timeout, info: " at step 1 of tcp-check (expect regex)"'),
    ("ok", f"{TCP} send GET\\ /\\r\\n\n tcp-check expect string HTTP", f'{L7OK}, code: 0, info: "(tcp-check)"'),
    ("ok", f"{TCP} send-binary 50494e47\n tcp-check expect rstring ^HTTP", f'{L7OK}, code: 0, info: "(tcp-check)"'),
    ("ok", f"{TCP} send QUIT", f'{L7OK}, code: 0, info: "(tcp-check)"'),
    ("ok", f"{TCP} connect", 'Layer4 check passed, info: "(tcp-check)"'),
    (
        "banner",
        f"{TCP} connect comment C\n tcp-check expect comment D string x",
        f"{L7RSP}, info: \"TCPCHK did not match content 'x' at step 2 comment: D\"",
    ),
    (
        "resets",
        f"{TCP} send a\n tcp-check expect comment D string b",
        "Socket error, info: \"Connection reset by peer at step 2 of tcp-check (expect string 'b') comment: 'D'\"",
    ),
    ("refused", f"{TCP} connect comment HI", f"{REFUSED} at step 1 of tcp-check (connect) comment: 'HI'\""),
    ("refused", f"{TCP} send a", f'{REFUSED} at initial connection step of tcp-check"'),
    (
        "ok",
        f"{TCP} connect\n tcp-check connect port {{refused}}",
        f'{REFUSED} at step 2 of tcp-check (connect port {{refused}})"',
    ),
    ("tls ssl verify none", "", "Layer6 check passed"),
    ("tls ssl verify required ca-file {ca}", "", "Layer6 check passed"),
    ("tls ssl verify required ca-file {ca} verifyhost good.example", "", "Layer6 check passed"),
    ("tls ssl verify required ca-file {ca} verifyhost bad.example", "", WRONG_NAME),
    ("tls ssl verify required ca-file /etc/ssl/certs/ca-certificates.crt", "", FAILED_HANDSHAKE),
    ("tls ssl verify none", HTTP, f"{L7OK}, code: 200"),
    ("tls ssl verify none", f"{TCP} connect", 'Layer4 check passed, info: "(tcp-check)"'),
    ("tls ssl verify none", f"{TCP} connect default", 'Layer6 check passed, info: "(tcp-check)"'),
    ("garbage ssl verify none", "", FAILED_HANDSHAKE),
    ("empty ssl verify none", "", FAILED_HANDSHAKE),
    ("slow ssl verify none", "", "Layer6 timeout"),
    ("refused ssl verify none", "", f'{REFUSED}"'),
]


class Farm:
    """The running servers: ports by name, what each received is of no interest."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.ca = ""


@pytest.fixture
async def farm(tmp_path: Path) -> AsyncIterator[Farm]:
    made = Farm()
    made.ca = write_certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.ca)
    asyncio.get_running_loop().set_exception_handler(lambda loop, details: None)  # failed handshakes are wanted here
    listening = []
    for name, handler in SERVERS.items():
        server = await asyncio.start_server(
            closing(handler), "127.0.0.1", 0, ssl=context if name == "tls" else None, backlog=200
        )
        made.ports[name] = server.sockets[0].getsockname()[1]
        listening.append(server)
    made.ports["refused"] = free_port()
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    made.ports["full"] = full.getsockname()[1]
    clients = [socket.socket() for _ in range(4)]
    for client in clients:
        client.setblocking(False)
        client.connect_ex(full.getsockname())
    yield made
    for sock in (*clients, full):
        sock.close()
    await end_servers(*listening)


def closing(handler: Handler) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                await handler(reader, writer)
        finally:
            writer.close()

    return handle


def write_certificate(directory: Path) -> str:
    """A self-signed certificate for good.example with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "good.example")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("good.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = directory / "server.pem"
    file.write_bytes(certificate.public_bytes(pem) + private)
    return str(file)


def configuration(farm: Farm, extra: str = "") -> str:
    """All cases, one backend each, c0 …"""
    text = (
        "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n"
        f" option log-health-checks\n{extra}"
    )
    for number, (server, lines, _) in enumerate(CASES):
        name, _, options = server.partition(" ") if server not in farm.ports else (server, "", "")
        options = options.replace("{ca}", farm.ca)
        text += f"backend c{number}\n {filled(lines, farm)}\n"
        text += f" server s 127.0.0.1:{farm.ports[name]} check inter 700 rise 1 fall 1 {options}\n"
    return text


def filled(text: str, farm: Farm) -> str:
    return re.sub(r"\{([a-z0-9]+)\}", lambda match: str(farm.ports[match[1]]), text)


def reasons(lines: list[str]) -> dict[str, str]:
    """The first reason that was logged for each backend, durations taken out."""
    found: dict[str, str] = {}
    for line in lines:
        match = re.match(r"Health check for server (c\d+)/s .*?, reason: (.*), check duration: \d+ms, status: ", line)
        if match is not None:
            found.setdefault(match[1], match[2])
    return found


def expected(farm: Farm) -> dict[str, str]:
    return {f"c{number}": filled(reason, farm) for number, (_, _, reason) in enumerate(CASES)}


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what it waits for happens in another process too)
            await asyncio.sleep(0.05)


async def checked(config: model.Config, lines: list[str], enough: Callable[[], bool]) -> list[Backend]:
    """Run the checks of a configuration until there is enough in the log."""
    backends = [Backend(declared, log=lambda level, text: lines.append(text)) for declared in config.backends]
    checker = Checker(backends, config.globals, "node")
    checker.start()
    try:
        await until(enough)
    finally:
        await checker.stop()
    return backends


async def test_every_kind_of_server_gets_its_result(farm: Farm) -> None:
    config, _ = read_haproxy([("checks", configuration(farm))], {})
    lines: list[str] = []
    await checked(config, lines, lambda: len(reasons(lines)) == len(CASES))
    assert reasons(lines) == expected(farm)


@pytest.mark.interop
async def test_haproxy_says_the_same_of_every_server(farm: Farm, tmp_path: Path) -> None:
    lines: list[str] = []
    log = socket.socket(type=socket.SOCK_DGRAM)  # not a unix socket: it has room for ten lines
    log.bind(("127.0.0.1", 0))
    log.setblocking(False)
    loop = asyncio.get_running_loop()
    loop.add_reader(log, lambda: lines.append(log.recv(65536).decode("latin-1").partition("]: ")[2].rstrip("\n")))
    file = tmp_path / "haproxy.cfg"
    general = f"global\n log 127.0.0.1:{log.getsockname()[1]} local0\n stats socket {tmp_path}/admin\n"
    file.write_text(general + configuration(farm, " log global\n"))
    process = await asyncio.create_subprocess_exec(
        require_program("haproxy"), "-db", "-f", str(file), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await until(lambda: len(reasons(lines)) == len(CASES))
    finally:
        process.kill()
        await process.wait()
        loop.remove_reader(log)
        log.close()
    assert reasons(lines) == expected(farm)


async def recorded(received: list[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    received.append(await reader.read(65536))
    writer.write(OK)


async def test_a_server_goes_down_and_comes_back_with_its_listener() -> None:
    port = free_port()
    config, _ = read_haproxy(
        [("c", f"backend b\n mode tcp\n server s 127.0.0.1:{port} check inter 30ms rise 2 fall 2\n")], {}
    )
    lines: list[str] = []
    backend = Backend(config.backends[0], log=lambda level, text: lines.append(text))
    checker = Checker([backend], config.globals, "node")
    checker.start()
    try:
        await until(lambda: len(lines) == 2)
        assert lines[0].startswith('Server b/s is DOWN, reason: Layer4 connection problem, info: "Connection refused"')
        assert lines[1] == "backend b has no server available!" and not backend.servers[0].usable
        server = await asyncio.start_server(closing(says(b"")), "127.0.0.1", port)
        await until(lambda: backend.servers[0].usable)
        assert lines[2].startswith("Server b/s is UP, reason: Layer4 check passed, check duration: ")
    finally:
        await checker.stop()
    await end_servers(server)


async def test_the_proxy_protocol_and_unix_sockets_are_spoken(tmp_path: Path) -> None:
    received: list[bytes] = []
    server = await asyncio.start_server(closing(lambda r, w: recorded(received, r, w)), "127.0.0.1", 0)
    local = await asyncio.start_unix_server(closing(lambda r, w: recorded(received, r, w)), str(tmp_path / "s"))
    port = server.sockets[0].getsockname()[1]
    text = (
        f"defaults\n mode http\n option httpchk\nbackend v1\n server s 127.0.0.1:{port} send-proxy check inter 600s\n"
        f"backend v2\n server s 127.0.0.1:{port} send-proxy-v2 check inter 600s\n"
        f"backend none\n server s 127.0.0.1:1 send-proxy check port {port} inter 600s\n"
        f"backend unix\n server s unix@{tmp_path}/s check inter 600s\n"
    )
    config, _ = read_haproxy([("c", text)], {})
    seen = {}
    for declared in config.backends:
        lines: list[str] = []
        backend = (await checked(model.Config(backends=(declared,)), lines, lambda: len(received) > len(seen)))[0]
        seen[declared.name] = received[-1]
        assert backend.servers[0].usable
    await end_servers(server, local)
    request = b"OPTIONS / HTTP/1.0\r\n\r\n"
    assert re.fullmatch(rb"PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ %d\r\n" % port + re.escape(request), seen["v1"])
    assert seen["v2"] == b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00" + request
    assert seen["none"] == seen["unix"] == request


async def test_observed_errors_bring_the_next_check_forward() -> None:
    received: list[bytes] = []
    server = await asyncio.start_server(closing(lambda r, w: recorded(received, r, w)), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    line = f"server s 127.0.0.1:{port} check inter 600s fastinter 20ms observe layer4 error-limit 1"
    config, _ = read_haproxy([("c", f"backend b\n mode http\n option httpchk\n {line}\n")], {})
    backend = Backend(config.backends[0])
    checker = Checker([backend], config.globals, "node")
    checker.start()
    try:
        await until(lambda: backend.servers[0].check is not None and backend.servers[0].check.last is not None)
        observe(backend.servers[0], Event.CONNECTION_FAILED, asyncio.get_running_loop().time())
        assert backend.servers[0].status == "UP 2/3"
        await until(lambda: len(received) == 2 and backend.servers[0].status == "UP")
    finally:
        await checker.stop()
        await end_servers(server)


async def test_first_checks_are_spread_over_the_interval() -> None:
    received: list[float] = []
    loop = asyncio.get_running_loop()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(loop.time())

    server = await asyncio.start_server(closing(note), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    servers = "".join(f" server s{n} 127.0.0.1:{port} check inter 1s\n" for n in range(4))
    config, _ = read_haproxy([("c", f"backend b\n mode tcp\n{servers}")], {})
    checker = Checker([Backend(config.backends[0])], config.globals, "node")
    checker.start()
    try:
        await until(lambda: len(received) >= 4)
    finally:
        await checker.stop()
        await end_servers(server)
    assert 0.3 < received[3] - received[0] < 5.0  # 0.75 on a quiet machine, 0 if they all began at once


async def test_checks_that_have_not_begun_never_do_after_the_end() -> None:
    checked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        checked.append(writer.get_extra_info("sockname")[0])
        writer.close()

    server = await asyncio.start_server(closing(answer), "0.0.0.0", 0)
    port = server.sockets[0].getsockname()[1]
    lines = "".join(f" server s{n} 127.0.0.{n}:{port} check inter 20ms\n" for n in (1, 2, 3))
    config, _ = read_haproxy([("c", f"backend b\n mode http\n option httpchk\n{lines}")], {})
    backend = Backend(config.backends[0])
    checker = Checker([backend], config.globals, "node")
    steps = checker.starting()
    for _ in range(4):  # all are made, one has begun
        next(steps)
    await until(lambda: bool(checked))
    await checker.stop()
    assert list(steps) == []
    await asyncio.sleep(0.2)  # in which the first one's last check may still be heard of
    assert set(checked) == {"127.0.0.1"}
    await end_servers(server)


async def test_a_server_that_is_deleted_before_its_check_begins_is_not_checked() -> None:
    received: list[bytes] = []
    server = await asyncio.start_server(closing(lambda r, w: recorded(received, r, w)), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    config, _ = read_haproxy([("c", f"backend b\n mode http\n option httpchk\n server s 127.0.0.1:{port} check\n")], {})
    backend = Backend(config.backends[0])
    checker = Checker([backend], config.globals, "node")
    steps = checker.starting()
    next(steps)
    checker.remove(backend.servers[0])
    for _ in steps:
        pass
    await asyncio.sleep(0.3)
    assert received == []
    await checker.stop()
    await end_servers(server)


ODD = """
defaults
 mode http
 option httpchk
 option log-health-checks
 timeout check 5s
backend tunnel
 http-check send meth CONNECT uri /
 http-check expect string hello
 server s 127.0.0.1:{port} check inter 100ms fall 1
backend method
 http-check send meth G(T uri /
 server s 127.0.0.1:{port} check inter 100ms fall 1
backend name
 server s 127.0.0.1:{port} check inter 100ms fall 1 check-ssl verify none check-sni .example
"""


async def test_odd_checks_have_results_as_all_others() -> None:
    """A tunnel that ends without what is expected, a method that is none, a name that cannot be sent."""
    server = await asyncio.start_server(closing(says(b"HTTP/1.1 200 OK\r\n\r\n")), "127.0.0.1", 0)
    config, _ = read_haproxy([("c", ODD.format(port=server.sockets[0].getsockname()[1]))], {})
    lines: list[str] = []

    def told(words: str) -> bool:
        return any(words in line for line in lines)

    backends = await checked(
        config,
        lines,
        lambda: told("tunnel/s is DOWN") and told("name/s is DOWN") and told("method/s succeeded"),
    )
    assert {backend.name: backend.servers[0].check_status for backend in backends} == {
        "tunnel": "L7RSP",
        "method": "L7OK",
        "name": "L6RSP",
    }
    await end_servers(server)
