"""Cookie persistence beside the real HAProxy: same cookies to server and client, same letters in the log."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from backend_tools import Exchange, declared_server, make_backend
from haproxy_rig import Haproxy, Origin, running_haproxy
from support import free_port, wait_for

from pylb.backend.persist import decode_date, encode_date
from pylb.config import model

NOW = time.time()


def date(ago: float) -> str:
    return encode_date(NOW - ago).decode()


def cookie(mode: str, *flags: str, **options: object) -> model.Cookie:
    return model.Cookie("SRV", mode, **dict.fromkeys(flags, True), **options)  # type: ignore[arg-type]


MODES: dict[str, model.Cookie] = {
    "SRV": cookie("passive"),
    "SRV indirect": cookie("passive", "indirect"),
    "SRV insert": cookie("insert"),
    "SRV insert indirect": cookie("insert", "indirect"),
    "SRV insert indirect nocache": cookie("insert", "indirect", "nocache"),
    "SRV insert postonly": cookie("insert", "postonly"),
    "SRV insert preserve": cookie("insert", "preserve"),
    "SRV insert indirect preserve": cookie("insert", "indirect", "preserve"),
    "SRV insert httponly secure domain .a.com domain b.com attr SameSite=None attr X": cookie(
        "insert", "httponly", "secure", domains=(".a.com", "b.com"), attrs=("SameSite=None", "X")
    ),
    "SRV insert indirect maxidle 30m maxlife 8h": cookie("insert", "indirect", maxidle=1800.0, maxlife=28800.0),
    "SRV insert maxidle 30m": cookie("insert", maxidle=1800.0),
    "SRV insert indirect maxlife 8h": cookie("insert", "indirect", maxlife=28800.0),
    "SRV rewrite": cookie("rewrite"),
    "SRV prefix": cookie("prefix"),
    "SRV prefix indirect": cookie("prefix", "indirect"),
}
PLAIN_COOKIES: list[tuple[str, ...]] = [
    (),
    ("SRV=A",),
    ("SRV=B",),
    ("SRV=C",),
    ("SRV=X",),
    ("SRV=",),
    ("SRV",),
    ("a=1; SRV=B; b=2",),
    ("a=1;SRV=B;b=2",),
    ("a=1; SRV=B",),
    ("SRV=B; b=2",),
    ("SRV=B; SRV=A",),
    ("SRV=X; SRV=B",),
    ("SRV=C; SRV=A",),
    ('SRV="B"',),
    ("xSRV=B; SRVx=B",),
    ("a=SRV=B",),
    (" SRV = B ",),
    ("a=1, SRV=B, c=3",),
    ("SRV=B~session",),
    ("a=1; SRV=B~session; b=2",),
    ("SRV=~session",),
    ("SRV=X~session",),
    ("SRV=C~one~two",),
    ("a=1", "SRV=B"),
    ("SRV=B", "b=2"),
    ("srv=B",),
]
DATED_COOKIES = [
    ("SRV=B",),
    (f"SRV=B|{date(0)}",),
    (f"SRV=B|{date(60)}",),
    (f"SRV=B|{date(60)}|{date(3600)}",),
    (f"SRV=B|{date(7200)}|{date(7200)}",),
    (f"SRV=B|{date(7200)}",),
    (f"SRV=B|{date(60)}|{date(40000)}",),
    (f"SRV=B|{date(-3600)}|{date(-3600)}",),
    (f"SRV=B|{date(-100000)}",),
    (f"SRV=B|{date(60)}|{date(-100000)}",),
    ("SRV=B|short",),
    ("SRV=B|!!!!!|!!!!!",),
    (f"SRV=C|{date(60)}|{date(60)}",),
    (f"SRV=X|{date(60)}",),
    (f"a=1; SRV=B|{date(60)}|{date(600)}; c=3",),
]
SET_COOKIES: list[tuple[str, ...]] = [
    (),
    ("Set-Cookie: SRV=own; path=/app",),
    ("Set-Cookie: other=1", "Set-Cookie: SRV=own"),
    ("Set-Cookie: SRV=; expires=Thu, 01-Jan-1970 00:00:01 GMT", "Cache-Control: max-age=60"),
]


def scenarios(mode: str) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """(method, Cookie fields, the server's fields) to try in one mode."""
    dated = "max" in mode
    requests = DATED_COOKIES if dated else PLAIN_COOKIES
    every = [("GET", cookies, ()) for cookies in requests]
    for cookies in ((), ("SRV=B",), ("SRV=C",)):
        every += [("POST", cookies, fields) for fields in SET_COOKIES]
        every += [("GET", cookies, fields) for fields in SET_COOKIES[1:]]
    return every


def response_to(request: bytes) -> bytes:
    """What the origin answers: the fields that the request names in X-Set."""
    fields = [line[7:] for line in request.split(b"\r\n") if line.lower().startswith(b"x-set: ")]
    return b"\r\n".join([b"HTTP/1.1 200 OK", *fields, b"Content-Length: 0", b"Connection: close", b"", b""])


def lines_of(head: bytes, *names: bytes) -> list[str]:
    """Fields of those names as "name: value", spaces around the value taken off, dates made minutes from now."""
    found = []
    for line in head.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() in names:
            # HAProxy rewrites spaces around "=" and behind delimiters when it edits; we leave them.
            value = re.sub(rb" *([=;,]) *", rb"\1", value)
            text = re.sub(rb"\|([A-Za-z0-9+/]{5})(?=[|;]|$)", _minutes, value.strip())
            found.append(f"{name.lower().decode()}: {text.decode()}")
    return sorted(found)


def _minutes(match: re.Match[bytes]) -> bytes:
    wall = decode_date(match[1])
    assert wall is not None
    return b"|%d min" % round((wall - NOW) / 60)


Outcome = tuple[str, list[str], list[str], str]
"""server, Cookie fields it got, cookie fields of the response, letters"""


def by_haproxy(haproxy: Haproxy, origins: dict[str, Origin], head: bytes) -> Outcome:
    for origin in origins.values():
        origin.requests.clear()
    seen = len(haproxy.log)
    response = haproxy.request(head.decode())
    wait_for(lambda: len(haproxy.log) > seen, what="HAProxy's log line")
    reached = next(name for name, origin in origins.items() if origin.requests)
    letters = haproxy.log[seen][1].split(" ")[9][2:]
    got = lines_of(origins[reached].requests[0], b"cookie")
    return reached, got, lines_of(response, b"set-cookie", b"cache-control"), letters


def by_pylb(declared: model.Cookie, head: bytes) -> Outcome:
    servers = (
        declared_server("s1", cookie="A"),
        declared_server("s2", cookie="B", backup=True),
        declared_server("s3", cookie="C", disabled=True),
    )
    backend = make_backend(*servers, cookie=declared)
    x = Exchange(head)
    x.started_wall = time.time()
    backend.persist.request(x)
    server = backend.assign(x, 0.0)
    x.answer(response_to(head))
    backend.persist.response(x)
    return (
        server.name,
        lines_of(x.request.serialise(), b"cookie"),
        lines_of(x.response.serialise(), b"set-cookie", b"cache-control"),
        x.cookie_state.decode(),
    )


@pytest.mark.interop
def test_cookies_and_letters_are_those_of_haproxy(tmp_path: Path) -> None:
    origins = {name: Origin(response_to) for name in ("s1", "s2")}
    port = free_port()
    sections = (
        "defaults\n mode http\n log global\n option httplog\n"
        " timeout connect 5s\n timeout client 5s\n timeout server 5s\n"
        f"frontend f\n bind 127.0.0.1:{port}\n use_backend %[req.hdr(x-case)]\n"
    ) + "".join(
        f"backend c{case}\n cookie {mode}\n"
        f" server s1 127.0.0.1:{origins['s1'].port} cookie A\n"
        f" server s2 127.0.0.1:{origins['s2'].port} cookie B backup\n"
        f" server s3 127.0.0.1:{origins['s1'].port} cookie C disabled\n"
        for case, mode in enumerate(MODES)
    )
    differences = []
    with running_haproxy(tmp_path, sections, port) as haproxy:
        for case, (mode, declared) in enumerate(MODES.items()):
            for method, cookies, fields in scenarios(mode):
                head = "".join(
                    [
                        f"{method} / HTTP/1.1\r\nHost: h\r\nX-Case: c{case}\r\n",
                        *(f"Cookie: {value}\r\n" for value in cookies),
                        *(f"X-Set: {field}\r\n" for field in fields),
                        "Content-Length: 0\r\nConnection: close\r\n\r\n",
                    ]
                ).encode()
                expected, got = by_haproxy(haproxy, origins, head), by_pylb(declared, head)
                if expected != got:
                    differences.append(f"{mode} | {method} {cookies} {fields}\n   haproxy {expected}\n   pylb    {got}")
    for origin in origins.values():
        origin.close()
    assert not differences, "\n" + "\n".join(differences)
