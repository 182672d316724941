"""pylb and the real HAProxy with one haproxy.cfg, each behind its admin socket, so that both can be asked the same."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from support import free_port, require_program, wait_for, wait_for_port

DEFAULTS = """\
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 1s
"""
"""What most configurations here have for `{defaults}`."""


@dataclass
class Program:
    """One of the two, running; `directory` has its files."""

    directory: Path
    process: subprocess.Popen[bytes]
    port: int
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def socket(self) -> Path:
        return self.directory / "admin.sock"

    def ask(self, command: str, name: str = "admin.sock") -> str:
        """The answer to one line (or a line with a payload)."""
        return ask(self.directory / name, command)


def ask(path: Path, command: str) -> str:
    """Send, half-close nothing, read to the end."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(command.encode() + b"\n")
        return read_all(client).decode("utf-8", "replace")


def read_all(client: socket.socket) -> bytes:
    answer = bytearray()
    while block := client.recv(65536):
        answer += block
    return bytes(answer)


@contextmanager
def running(directory: Path, words: list[str], config: str, ports: dict[str, int]) -> Iterator[Program]:
    """One program with `config`, in which {dir}, {defaults} and the names of `ports` are filled in; "port" answers."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "haproxy.cfg"
    path.write_text(config.format(dir=directory, defaults=DEFAULTS, **ports))
    with (directory / "err").open("wb") as err:
        process = subprocess.Popen([*words, "-f", str(path)], stdout=err, stderr=err)
        try:
            try:
                wait_for_port(ports["port"])
                names = re.findall(r"stats socket \{dir\}/(\S+)", config)  # which are there a moment later
                wait_for(lambda: all((directory / name).exists() for name in names), what="the admin sockets")
            except AssertionError:
                raise AssertionError((directory / "err").read_text()) from None
            yield Program(directory, process, ports["port"], ports)
        finally:
            process.terminate()
            wait_for(lambda: process.poll() is not None, 10, "it to end")
    assert "Traceback" not in (directory / "err").read_text()


def pylb(directory: Path, config: str, **ports: int):
    """pylb alone."""
    ports.setdefault("port", free_port())
    return running(directory, [sys.executable, "-m", "pylb"], config, ports)


@contextmanager
def both(directory: Path, config: str, *names: str, shared: dict[str, int] | None = None):
    """(pylb, haproxy): each has ports of its own, one for each of `names` and "port"; `shared` are the same in both."""
    program = require_program("haproxy")
    own = ({name: free_port() for name in ("port", *names)} | (shared or {}) for _ in range(2))
    with (
        running(directory / "pylb", [sys.executable, "-m", "pylb"], config, next(own)) as ours,
        running(directory / "haproxy", [program, "-db"], config, next(own)) as real,
    ):
        yield ours, real


@contextmanager
def listening() -> Iterator[int]:
    """A server that accepts connections and says 200 to whatever comes; its port."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_OPTIONS(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            body = b"hello\n"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_words: object) -> None:
            """Checks and clients that leave early are no errors."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def shown(program: Program, name: str | None, port: str = "tls") -> list[str]:
    """The names in the certificate that a client gets who asks for `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", program.ports[port]), timeout=5) as raw,
        context.wrap_socket(raw, server_hostname=name) as client,
    ):
        certificate = x509.load_der_x509_certificate(client.getpeercert(True))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


def said(pair: tuple[Program, Program], command: str) -> str:
    """What both answer to a command, in which DIR is each one's directory; empty lines are left out."""
    ours, real = (each.ask(command.replace("DIR", str(each.directory))) for each in pair)
    real = real.replace("\0", "")  # which HAProxy writes behind a protocol of ALPN
    ours, real = (text.replace(str(each.directory), "DIR") for each, text in zip(pair, (ours, real), strict=True))
    ours, real = ("\n".join(line for line in text.splitlines() if line) for text in (ours, real))
    assert re.sub(r"(?<=payload): .*", "", ours) == real, command
    return ours
