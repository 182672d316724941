"""What a client begins with decides, beside the real program: TLS names in TCP mode, lengths, bytes, RDP cookies,
delays, and connections that are dropped without a word."""

from __future__ import annotations

import re
import select
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import differences as differ
import pytest
from haproxy_pair import Talk, normal_line, running_pair
from same_cases import get, judge

pytestmark = pytest.mark.interop

CONFIG = r"""
global
    log "127.0.0.1:${LOG}" local0

defaults
    mode tcp
    log global
    option tcplog
    timeout connect 500ms
    timeout client 3s
    timeout server 3s

frontend sni
    bind "127.0.0.1:${FE_sni}"
    tcp-request inspect-delay 400ms
    tcp-request content reject if { req.ssl_sni -i -m end .evil.test }
    tcp-request content accept if { req.ssl_hello_type 1 }
    use_backend b if { req.ssl_sni -i b.test }
    use_backend c if { req.ssl_alpn -m sub h2 }
    default_backend a

frontend length
    bind "127.0.0.1:${FE_length}"
    tcp-request inspect-delay 300ms
    tcp-request content accept if { req.len ge 5 }
    tcp-request content reject
    default_backend a

frontend short
    bind "127.0.0.1:${FE_short}"
    tcp-request inspect-delay 300ms
    tcp-request content reject unless { req.payload(0,3) -m str GET }
    use_backend b if { req.payload(4,2) -m str /b }
    default_backend a

frontend either
    bind "127.0.0.1:${FE_either}"
    tcp-request inspect-delay 300ms
    acl late req.payload(0,20) -m found
    tcp-request content reject if late || { req.payload(0,1) -m str X }
    tcp-request content accept if !late !{ req.payload_lv(0,1) -m str ab } { req.len gt 2 }
    default_backend b

frontend web
    bind "127.0.0.1:${FE_web}"
    tcp-request inspect-delay 300ms
    tcp-request content reject if !HTTP
    default_backend a

frontend end
    bind "127.0.0.1:${FE_end}"
    tcp-request inspect-delay 200ms
    tcp-request content reject if { src 127.0.0.9 }
    tcp-request content accept if WAIT_END
    default_backend a

frontend nodelay
    bind "127.0.0.1:${FE_nodelay}"
    tcp-request content reject if { req.len eq 0 }
    default_backend a

frontend rdp
    bind "127.0.0.1:${FE_rdp}"
    tcp-request inspect-delay 300ms
    tcp-request content accept if RDP_COOKIE
    default_backend rdp

frontend rdpname
    bind "127.0.0.1:${FE_rdpname}"
    tcp-request inspect-delay 300ms
    tcp-request content reject unless { req.rdp_cookie(user) -m beg al }
    default_backend a

frontend later
    bind "127.0.0.1:${FE_later}"
    default_backend later

frontend dropped
    bind "127.0.0.1:${FE_dropped}"
    tcp-request connection silent-drop if { src 127.0.0.8 }
    tcp-request connection reject if { src 127.0.0.7 }
    tcp-request session silent-drop if { src 127.0.0.6 }
    tcp-request inspect-delay 300ms
    tcp-request content silent-drop if { req.payload(0,1) -m str X }
    default_backend a

frontend httpdropped
    mode http
    option httplog
    bind "127.0.0.1:${FE_httpdropped}"
    http-request silent-drop if { path /drop }
    http-request reject if { path /reject }
    default_backend h

backend a
    server a "127.0.0.1:${SRV_a}"

backend b
    server b "127.0.0.1:${SRV_b}"

backend c
    server c "127.0.0.1:${SRV_c}"

backend h
    mode http
    server a "127.0.0.1:${SRV_a}"

backend rdp
    balance rdp-cookie
    server a "127.0.0.1:${SRV_a}" weight 1
    server b "127.0.0.1:${SRV_b}" weight 3
    server c "127.0.0.1:${SRV_c}" weight 2

backend later
    tcp-request inspect-delay 300ms
    tcp-request content reject if { req.payload(0,1) -m str X }
    tcp-request content accept if { req.payload(0,3) -m found }
    server a "127.0.0.1:${SRV_a}"
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with running_pair(tmp_path_factory.mktemp("payload"), CONFIG) as pair:
        yield pair


def hello(name: str | None, *alpn: str) -> bytes:
    """A ClientHello as OpenSSL makes it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(list(alpn))
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


def play(side, frontend: str, pieces: list[bytes], finish: bool = False, source: str = "127.0.0.1") -> dict:
    """Send the pieces, a moment between them; what comes back, which origin got it, what is logged.

    An origin answers a whole HTTP request only; who got a TLS hello is seen in the log.
    """
    started = time.monotonic()
    with side.talk(frontend, source) as talk:
        for number, piece in enumerate(pieces):
            if number:
                time.sleep(0.05)
            talk.send(piece)
        if finish:
            talk.finish()
        talk.sock.settimeout(0.7)
        data, end = talk.rest()
        waited = time.monotonic() - started
        talk.finish()
    lines = [normal_line(line) for line in side.logged(1, client=talk.address)]
    lines = [re.sub(r" c/c/\d+/\d+/", " c/c/n/n/", line) for line in lines]  # others are there at the same time
    return {"data": data.split(b"\r\n")[0], "end": end, "log": lines, "waited": bool(data) and waited > 0.15}


REQUEST = get("/b")
A, B, EVIL, H2, NONE = hello("a.test"), hello("b.test"), hello("www.evil.test"), hello("x.test", "h2"), hello(None)
FIRST_RECORD = B[:5]

CASES = {
    "sni a": ("sni", [A]),
    "sni b": ("sni", [B]),
    "sni b in pieces": ("sni", [B[:1], B[1:7], B[7:90], B[90:]]),
    "sni in capitals": ("sni", [hello("B.TEST")]),
    "sni refused": ("sni", [EVIL]),
    "sni alpn": ("sni", [H2]),
    "sni none": ("sni", [NONE]),
    "sni no tls": ("sni", [REQUEST]),
    "sni cut": ("sni", [B[:60]]),
    "sni cut and ended": ("sni", [B[:60]], True),
    "sni silent": ("sni", []),
    "sni ended at once": ("sni", [], True),
    "sni an alert": ("sni", [b"\x15\x03\x01\x00\x02\x02\x28"]),
    "sni a server's hello": ("sni", [b"\x16\x03\x03\x00\x06\x02\x00\x00\x02\x03\x03"]),
    "sni short record": ("sni", [b"\x16\x03\x01\x00\x02\x01\x00"]),
    "sni SSL 2": ("sni", [b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"]),
    "length enough": ("length", [REQUEST]),
    "length in pieces": ("length", [REQUEST[:3], REQUEST[3:]]),
    "length too little": ("length", [b"abc"]),
    "length too little and ended": ("length", [b"abc"], True),
    "length nothing": ("length", []),
    "payload": ("short", [REQUEST]),
    "payload in pieces": ("short", [REQUEST[:2], REQUEST[2:]]),
    "payload other": ("short", [b"PUT /b HTTP/1.1\r\nHost: x\r\n\r\n"]),
    "payload nothing": ("short", []),
    "either holds": ("either", [b"Xyz"]),
    "either later": ("either", [b"aaa", b"b" * 20]),
    "either not": ("either", [b"\x02xy"]),
    "either length-value": ("either", [b"\x02ab"]),
    "http": ("web", [REQUEST]),
    "http in pieces": ("web", [REQUEST[:9], REQUEST[9:]]),
    "http not": ("web", [b"SSH-2.0-x\r\n"]),
    "http cut": ("web", [REQUEST[:-2]]),
    "end": ("end", [REQUEST]),
    "end in pieces": ("end", [REQUEST[:5], REQUEST[5:]]),
    "end and refused": ("end", [], False, "127.0.0.9"),
    "no delay": ("nodelay", []),
    "in the backend": ("later", [REQUEST]),
    "in the backend in pieces": ("later", [REQUEST[:2], REQUEST[2:]]),
    "in the backend refused": ("later", [b"X"]),
    "in the backend silent": ("later", []),
}


def rdp(cookie: bytes) -> bytes:
    """An X.224 connection request (MS-RDPBCGR 2.2.1.1)."""
    body = b"\xe0\x00\x00\x00\x00\x00" + cookie
    return b"\x03\x00" + (len(body) + 5).to_bytes(2, "big") + bytes([len(body)]) + body


RDP = {
    **{f"user {n}": [rdp(b"Cookie: mstshash=user%d\r\n\x01\x00\x08\x00\x03\x00\x00\x00" % n)] for n in range(12)},
    "in pieces": [rdp(b"Cookie: mstshash=alice\r\n")[:20], rdp(b"Cookie: mstshash=alice\r\n")[20:]],
}  # fmt: skip


NAMED = (
    b"Cookie: user=alice\r\n",
    b"cookie:   USER=al\r\n",
    b"Cookie: user=bob\r\n",
    b"Cookie: u=alice\r\n",
    b"",
    b"X",
)

CASES |= {f"rdp {name}": ("rdp", pieces) for name, pieces in RDP.items()}
CASES |= {f"rdp name {cookie!r}": ("rdpname", [rdp(cookie)]) for cookie in NAMED}


@pytest.fixture(scope="module")
def outcomes(pair):
    """Most of a case is waiting, so all of them run at once."""

    def scenario(side):
        with ThreadPoolExecutor(16) as pool:
            played = {name: pool.submit(play, side, *case) for name, case in CASES.items()}
            return {name: outcome.result() for name, outcome in played.items()}

    return pair.both(scenario)


@pytest.mark.parametrize("name", CASES)
def test_connections_are_judged_by_what_they_begin_with(outcomes, name):
    theirs, ours = outcomes
    judge(theirs[name], ours[name])


def test_rdp_cookies_spread(outcomes):
    """The cases above would be alike, too, if everybody went to one server."""
    assert len({re.search(r" rdp/(\w) ", outcomes[1][name]["log"][0])[1] for name in CASES if "rdp user" in name}) == 3


# ------------------------------------------------------------------------------------------------------------ dropped


def silence(talk: Talk) -> str:
    """How the client finds its connection after half a second: silent, or ended; then what a byte more meets."""
    readable, _, _ = select.select([talk.sock], [], [], 0.5)
    if readable:
        return talk.rest()[1]
    talk.send(b"x")
    time.sleep(0.05)
    talk.send(b"x")
    return f"silent, then {talk.rest()[1]}"


@pytest.mark.parametrize(
    ("frontend", "data", "source"),
    [
        ("dropped", b"", "127.0.0.8"),
        ("dropped", b"", "127.0.0.6"),
        ("dropped", b"", "127.0.0.7"),
        ("dropped", b"X", "127.0.0.1"),
        ("httpdropped", get("/drop"), "127.0.0.1"),
        ("httpdropped", get("/reject"), "127.0.0.1"),
    ],
)
def test_silent_drop_leaves_the_client_hanging(pair, frontend, data, source):
    def scenario(side):
        try:
            with side.talk(frontend, source) as talk:
                if data:
                    talk.send(data)
                outcome = silence(talk)
        except ConnectionResetError:
            return {"outcome": "reset", "log": []}
        lines = [normal_line(line) for line in side.logged(1, client=talk.address, timeout=0.5)]
        return {"outcome": outcome, "log": [re.sub(r" c/c/\d/\d/\d", "", line) for line in lines]}

    known = (differ.request_time_is_known,) if frontend == "httpdropped" else ()
    judge(*pair.both(scenario), known)


def test_a_dropped_connection_leaves_no_socket_behind(pair):
    def sockets(side) -> int:
        port = f"{side.ports['httpdropped']:04X}"
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[1].endswith(f":{port}") and row[3] == "01" for row in rows)

    clients = []
    for _ in range(20):
        sock = socket.create_connection(("127.0.0.1", pair.pylb.ports["httpdropped"]))
        sock.sendall(get("/drop"))
        clients.append(sock)
    deadline = time.monotonic() + 5
    while sockets(pair.pylb) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert sockets(pair.pylb) == 0
    for sock in clients:
        sock.close()
