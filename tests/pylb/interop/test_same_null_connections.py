"""Connections that end before TLS or the PROXY header has begun, beside the real program: what probes of a port leave
in the log, and what `option dontlognull` keeps out of it."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import sys
from contextlib import suppress

import pytest
from haproxy_pair import running_pair
from same_cases import judge

pytestmark = pytest.mark.interop

FRONTENDS = {"tls": 'ssl crt "CERTIFICATE"', "header": "accept-proxy"}
CONFIG = """
global
    log "127.0.0.1:${LOG}" local3 debug

defaults
    mode http
    log global
    timeout connect 300ms
    timeout client 5s
    timeout server 1s
    error-log-format "failed %ci:%cp %f %[fc_err] %[fc_err_str]"
    log-format "%ci:%cp %ST"

frontend plain
    bind "127.0.0.1:${FE_plain}"
    http-request return status 200
""" + "".join(
    f'\nfrontend {name}{null}{silent}\n    bind "127.0.0.1:${{FE_{name}{null}{silent}}}" {words}\n    {option}\n'
    f"    {patience}\n    http-request return status 200\n"
    for name, words in FRONTENDS.items()
    for null, option in (("", "no option dontlognull"), ("_null", "option dontlognull"))
    for silent, patience in (("", ""), ("_silent", "timeout client 500ms"))
)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    directory = tmp_path_factory.mktemp("null")
    certificate = directory / "cert.pem"
    command = [sys.executable, "-m", "pylb", "cert", "localhost", "-o", str(certificate)]
    subprocess.run(command, capture_output=True, check=True, timeout=60)
    with running_pair(directory, CONFIG.replace("CERTIFICATE", str(certificate))) as pair:
        yield pair


def hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("null", [False, True], ids=["logged", "dontlognull"])
@pytest.mark.parametrize("ends", [True, False], ids=["ends", "silent"])
@pytest.mark.parametrize(
    ("frontend", "begins"),
    [
        ("tls", b""),
        ("tls", b"\x16\x03\x01\x00\xa5\x01"),
        ("tls", None),
        ("header", b""),
        ("header", b"PROXY TCP4 1.2.3.4"),
        ("header", b"GET / HTTP/1.1\r\n\r\n"),
    ],
    ids=["tls", "tls begun", "hello", "header", "header begun", "another"],
)
def test_what_ends_before_it_has_begun(pair, frontend, begins, ends, null):
    def scenario(side):
        with side.talk(frontend + "_null" * null + "_silent" * (not ends)) as talk:
            if begins != b"":
                talk.send(hello() if begins is None else begins)
            if ends and begins is None:
                assert talk.sock.recv(1)  # an end before the answer would be judged by who is faster
            if ends:
                with suppress(OSError):  # it has heard enough already
                    talk.sock.shutdown(socket.SHUT_WR)
            talk.rest()
        lines = side.logged_before("plain", talk.address)
        return {"log": [re.sub(r"(127\.0\.0\.1):\d+", r"\1:port", line) for line in lines]}

    judge(*pair.both(scenario))
