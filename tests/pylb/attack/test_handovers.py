"""Clients and servers that break off while a descriptor changes hands.

A descriptor that is closed twice is somebody else's the second time: the event loop then aborts the process, or one
client's bytes go to another. So hundreds of connections are broken at every stage of connecting and TLS, and afterwards
the process is the same, with the same descriptors, and every answer was its client's own.
"""

from __future__ import annotations

import random
import re
import socket
import ssl
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hostile import RESET, Origin, Victim, read_head
from support import TlsSocket, require_program, wait_for

CONFIG = """
defaults
  mode http
  timeout client 1s
  timeout server 1s
  timeout connect 300ms
frontend f
  bind 127.0.0.1:{port}
  bind 127.0.0.1:{port2} ssl crt {pem}
  use_backend tls if {{ path_beg /tls }}
  default_backend b
backend b
  http-reuse always
  server s 127.0.0.1:{plain} pool-purge-delay 300ms
backend tls
  server s 127.0.0.1:{tls} ssl verify none pool-purge-delay 300ms
"""


def reset(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    key, bundle = tmp_path / "key", tmp_path / "bundle.pem"
    make = [
        require_program("openssl"),
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ]
    subprocess.run(
        [*make, "-keyout", key, "-out", bundle, "-days", "2", "-subj", "/CN=a"], check=True, capture_output=True
    )
    bundle.write_text(bundle.read_text() + key.read_text())
    return bundle


def echo(sock: socket.socket, origin: Origin) -> None:
    """Answers with the path asked for, unless it feels otherwise."""
    while head := read_head(sock):
        if random.random() < 0.1:
            reset(sock)
            return
        path = head.split(b" ")[1]
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))


def client(victim: Victim, number: int, until: float, wrong: list[bytes]) -> None:
    chance = random.Random(number)
    context = ssl._create_unverified_context()
    context.sslsocket_class = TlsSocket
    count = 0
    while time.monotonic() < until:
        count += 1
        path = b"/%b%d-%d" % (chance.choice([b"", b"tls"]), number, count)
        tls = chance.random() < 0.4
        with suppress(OSError), victim.connect(0.5, victim.ports["port2" if tls else "port"]) as sock:
            if tls and chance.random() < 0.2:
                sock.sendall(chance.choice([b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\x00"]))
                reset(sock)
            elif tls:
                with context.wrap_socket(sock) as wrapped:
                    ask(wrapped, path, chance, wrong)
            else:
                ask(sock, path, chance, wrong)


def ask(sock: socket.socket, path: bytes, chance: random.Random, wrong: list[bytes]) -> None:
    """One request; half of the clients do not wait for the answer."""
    sock.sendall(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
    if chance.random() < 0.5:
        time.sleep(chance.random() * 0.004)
        reset(sock)
        return
    answer = sock.recv(4096)
    if answer.startswith(b"HTTP/1.1 200") and not answer.endswith(b"\r\n\r\n" + path):
        wrong.append(answer)


@pytest.mark.parametrize("seconds", [1.5, pytest.param(60, marks=pytest.mark.soak)])
def test_no_descriptor_is_closed_twice_and_no_answer_goes_astray(seconds: float, tmp_path: Path, pem: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.sslsocket_class = TlsSocket
    server.load_cert_chain(pem)

    def secret(sock: socket.socket, origin: Origin) -> None:
        what = random.random()
        if what < 0.3:
            reset(sock)
        elif what < 0.4:
            sock.sendall(b"no TLS here" * 5)
        elif what < 0.5:
            time.sleep(0.4)
        else:
            with server.wrap_socket(sock, server_side=True) as wrapped:
                echo(wrapped, origin)

    plain, tls = Origin(echo), Origin(secret)
    with Victim(CONFIG, tmp_path, pem=pem, plain=plain.port, tls=tls.port) as victim:
        victim.stats()
        descriptors = victim.visited()
        until, wrong = time.monotonic() + seconds, list[bytes]()
        clients = [threading.Thread(target=client, args=(victim, n, until, wrong)) for n in range(16)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        assert not wrong
        victim.at_rest()
        assert not re.search(r"Traceback|Fatal|Exception", victim.errors())
        plain.close()
        tls.close()
        wait_for(lambda: victim.descriptors() <= descriptors + 2, 8, "descriptors to come back")


def test_a_name_of_any_bytes_is_an_event_and_no_traceback(tmp_path: Path, pem: Path) -> None:
    def hello(name: bytes) -> bytes:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        asking = ssl._create_unverified_context().wrap_bio(incoming, outgoing, server_hostname="q" * len(name))
        with suppress(ssl.SSLWantReadError):
            asking.do_handshake()
        return outgoing.read().replace(b"q" * len(name), name, 1)

    with Victim(CONFIG, tmp_path, pem=pem, plain=1, tls=1) as victim:
        for name in (b"\xff\xfe\xfd\xfc", b"a\x00bc", b"a b\n", b"....", b"\r\n\r\nx"):
            with victim.connect(0.5, victim.ports["port2"]) as sock:
                sock.sendall(hello(name))
                with suppress(OSError):
                    sock.recv(4096)
        victim.leaves_nothing("HttpSession")
