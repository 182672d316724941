"""Requests that are none, clients that leave at the worst moment: one line each, no traceback, nothing left."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from hostile import OK, RESET, Origin, Victim, says, statuses

CONFIG = """
global
  log stdout format raw local0
defaults
  mode http
  log global
  option httplog
  timeout client 2s
  timeout server 2s
  timeout connect 1s
  timeout http-request 1s
  timeout tarpit 1s
frontend f
  bind 127.0.0.1:{port}
  capture request header Host len 30
  unique-id-format %ci:%cp_%Ts
  {format}
  http-error status 400 content-type text/plain lf-string "bad %[method] %HU"
  http-request tarpit if {{ path_beg /tarpit }}
  http-request deny if {{ path_beg /deny }}
  http-request redirect location https://%[hdr(host)]/%[url_param(x),url_dec] if {{ path_beg /redirect }}
  http-request set-header X-In %[url_param(x),url_dec]
  http-after-response set-header X-Method %[method]%[capture.req.uri]
  default_backend b
backend b
  server s 127.0.0.1:{origin}
"""
EVERY = (
    "%ci [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %U %CC %CS %tsc %hr %hs %r %HM %HP %HQ %HU %HV %ID %bi %sslv %si"
)


def leave(sock: socket.socket) -> None:
    """Reset the connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


def test_rules_and_formats_meet_requests_that_could_not_be_read(tmp_path: Path) -> None:
    origin = Origin(says(OK))
    samples = "%[method] %[capture.req.uri] %[http_first_req] %[status] %[unique-id]"
    with Victim(CONFIG, tmp_path, origin=origin.port, format=f'log-format "{EVERY} {samples}"') as victim:
        assert statuses(victim.tell(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n")) == [400]
        assert statuses(victim.tell(b"\x16\x03\x01\x02\x00\x01\x00")) == [400]
        assert statuses(victim.tell(b"GET / HTT")) == [408]
        assert victim.tell(b"GET / HTT", half_close=True) == b""
        victim.at_rest()
        assert all("BADREQ" in line for line in victim.logs(4))


def test_who_leaves_is_noted_once_and_not_at_all_between_requests(tmp_path: Path) -> None:
    origin = Origin(says(OK))
    with Victim(CONFIG, tmp_path, origin=origin.port, format="") as victim:
        for wait in (0.0, 0.1):
            held = victim.connect()
            held.sendall(b"GET /tarpit HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(wait)
            leave(held)
        idle = victim.connect()
        idle.sendall(b"GET /idle HTTP/1.1\r\nHost: a\r\n\r\n")
        idle.recv(4096)
        leave(idle)
        posting = victim.connect()
        posting.sendall(b"POST /tarpit HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n" + b"x" * 20_000)
        time.sleep(0.1)
        posting.sendall(b"x" * 20_000)
        assert statuses(posting.recv(4096)) == [500]
        posting.close()
        victim.leaves_nothing()
        assert not [line for line in victim.logs(4) if "BADREQ" in line]


def test_no_rule_splits_a_message_and_no_request_a_log_line(tmp_path: Path) -> None:
    origin = Origin(says(OK))
    with Victim(CONFIG, tmp_path, origin=origin.port, format="") as victim:
        evil = b"?x=a%0d%0aSet-Cookie:%20b%3d1%0d%0a%0d%0a%00%ff HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        for path in (b"/redirect", b"/forwarded"):
            head = victim.tell(b"GET " + path + evil).split(b"\r\n\r\n")[0]
            assert not any(line.lower().startswith(b"set-cookie") for line in head.split(b"\r\n"))
        forwarded = origin.received[0]
        assert forwarded.count(b"\r\n\r\n") == 1
        assert b"\r\nSet-Cookie" not in forwarded
        assert statuses(victim.tell(b'GET /"x\\{}| HTTP/1.1\r\nHost: a"}} x\r\nConnection: close\r\n\r\n')) == [400]
        assert statuses(victim.tell(b'GET /"x\\{}| HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')) == [200]
        victim.at_rest()
        assert all(line.count('"') == 2 for line in victim.logs(4))


def test_a_flood_of_bad_requests_is_a_line_each_and_no_garbage(tmp_path: Path) -> None:
    with Victim(CONFIG, tmp_path, origin=1, format="") as victim:
        victim.census()
        bad = (b"GET /\x01", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", b"x\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n")
        for number in range(400):
            assert statuses(victim.tell(bad[number % 4])) == [400]
        victim.at_rest()
        garbage = victim.census()["garbage"]
        assert not {kind for kind in garbage if kind in ("HttpSession", "HttpExchange", "ProtocolError", "frame")}
        victim.leaves_nothing()
        victim.logs(400)
