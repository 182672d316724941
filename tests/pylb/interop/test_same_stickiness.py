"""Cookie stickiness beside the real program: what the server sees of the cookie, what the client gets, which server is
chosen, and the two letters in the log."""

from __future__ import annotations

import re

import differences as differ
import pytest
from haproxy_pair import Answer, running_pair
from same_cases import Case, compare, describe, get, judge
from support import wait_for

pytestmark = pytest.mark.interop

KINDS = {
    "insert": "insert",
    "insert_indirect": "insert indirect",
    "insert_nocache": "insert indirect nocache",
    "insert_postonly": "insert indirect postonly",
    "insert_preserve": "insert indirect preserve",
    "insert_dressed": "insert indirect httponly secure domain .example.com domain .example.org attr SameSite=Lax",
    "insert_dates": "insert indirect maxidle 1h maxlife 8h",
    "rewrite": "rewrite",
    "rewrite_nocache": "rewrite nocache",
    "prefix": "prefix",
    "prefix_nocache": "prefix nocache",
}

CONFIG = (
    r"""
global
    log "127.0.0.1:${LOG}" local0

defaults
    mode http
    log global
    option httplog
    option redispatch
    retries 1
    timeout connect 300ms
    timeout client 3s
    timeout server 3s
    default-server inter 100ms fastinter 50ms fall 1 rise 1
"""
    + "".join(
        f"""
frontend {name}
    bind "127.0.0.1:${{FE_{name}}}"
    default_backend {name}

backend {name}
    cookie SRV {words}
    server a "127.0.0.1:${{SRV_a}}" cookie A
    server b "127.0.0.1:${{SRV_b}}" cookie B weight 0
    server down "127.0.0.1:${{DEAD}}" cookie D check
"""
        for name, words in KINDS.items()
    )
    + r"""
frontend forced
    bind "127.0.0.1:${FE_forced}"
    default_backend forced

backend forced
    option persist
    cookie SRV insert indirect
    force-persist if { path /force }
    ignore-persist if { path /ignore }
    use-server b if { path /use }
    server a "127.0.0.1:${SRV_a}" cookie A
    server b "127.0.0.1:${SRV_b}" cookie B weight 0
    server down "127.0.0.1:${DEAD}" cookie D check

frontend captures
    bind "127.0.0.1:${FE_captures}"
    capture cookie SRV len 6
    capture request header User-Agent len 10
    capture request header X-None len 10
    capture response header X-Origin len 10
    capture response header Set-Cookie len 40
    default_backend insert
"""
)


def answer(*fields: str) -> Answer:
    head = "".join(f"{field}\r\n" for field in fields)
    return Answer(f"HTTP/1.1 200 OK\r\n{head}Content-Length: 2\r\n\r\nok".encode())


ANSWERS = {
    "sets": answer("Set-Cookie: SRV=own; path=/"),
    "sets others": answer("Set-Cookie: SESSION=1", "Set-Cookie: SRV=mine", "Set-Cookie: LAST=2"),
    "no cache": answer("Set-Cookie: SRV=own", "Cache-Control: public, max-age=3600"),
}
COOKIES = {
    "none": (), "empty": ("Cookie: SRV=",), "A": ("Cookie: SRV=A",), "B": ("Cookie: SRV=B",),
    "unknown": ("Cookie: SRV=X",), "down": ("Cookie: SRV=D",), "among others": ("Cookie: one=1; SRV=B; two=2",),
    "first": ("Cookie: SRV=B; two=2",), "last": ("Cookie: one=1; SRV=B",), "two of them": ("Cookie: SRV=B; SRV=A",),
    "two fields": ("Cookie: one=1", "Cookie: SRV=B"), "prefixed": ("Cookie: SRV=B~own",),
    "prefixed among others": ("Cookie: one=1; SRV=B~own; two=2",), "quoted": ('Cookie: one="a; b"; SRV=B',),
    "another name": ("Cookie: XSRV=B; SRVX=A",), "spaces": ("Cookie: SRV = B ;two=2",),
}  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with running_pair(tmp_path_factory.mktemp("sticky"), CONFIG, ANSWERS) as pair:
        for side in pair.sides:
            wait_for(
                lambda side=side: sum("is DOWN" in line for line in side.logs.lines) == len(KINDS) + 1,
                10,
                f"{side.name} to notice the dead servers",
            )
        yield pair


@pytest.mark.parametrize("cookie", COOKIES)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "insert_dates"])
def test_requests_with_cookies(pair, kind, cookie):
    spaces = cookie == "spaces" and not kind.startswith("insert_")
    compare(pair, Case(kind, get("/", *COOKIES[cookie]), kind, differs=(differ.cookie_spaces,) if spaces else ()))


@pytest.mark.parametrize("do", ANSWERS)
@pytest.mark.parametrize("cookie", ["none", "B", "prefixed"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "insert_dates"])
def test_answers_with_cookies(pair, kind, cookie, do):
    compare(pair, Case(kind, get("/", f"Do: {do}", *COOKIES[cookie]), kind))


@pytest.mark.parametrize("kind", ["insert_postonly", "insert_indirect"])
def test_posts(pair, kind):
    compare(pair, Case(kind, get("/", "Content-Length: 2", method="POST") + b"ab", kind))


@pytest.mark.parametrize("path", ["/force", "/ignore", "/use", "/"])
@pytest.mark.parametrize("cookie", ["none", "A", "B", "down"])
def test_rules_about_persistence(pair, path, cookie):
    compare(pair, Case(path, get(path, *COOKIES[cookie]), "forced"))


@pytest.mark.parametrize("cookie", ["none", "B", "down", "two fields"])
def test_captures(pair, cookie):
    compare(pair, Case(cookie, get("/", "User-Agent: a long name", *COOKIES[cookie]), "captures"))


def dates_of(value: str) -> tuple[str, int, int]:
    """Server, and how many dates of which length a dated cookie has."""
    server, *dates = value.split("|")
    return server, len(dates), max(map(len, dates), default=0)


def test_dated_cookies_are_read_by_either_program(pair):
    """A cookie that one program has made is accepted by the other, which is what a migration needs."""
    made = {}

    def first(side):
        with side.talk("insert_dates") as talk:
            talk.send(get("/"))
            cookie = re.match(r"SRV=([^;]*)", talk.response().get("set-cookie"))[1]
            made[side.name] = cookie
            return {"cookie": dates_of(cookie)}

    judge(*pair.both(first))
    assert made["haproxy"][:4] == made["pylb"][:4], made  # the dates begin alike

    def second(side):
        outcomes = []
        for cookie in (*made.values(), "A|AAAAA|AAAAA", "A", "A|zzzzz"):
            with side.talk("insert_dates") as talk:
                talk.send(get("/", f"Cookie: SRV={cookie.replace('A|', 'B|')}"))
                seen = describe([talk.response()])
                line = side.logged(1, client=talk.address)[0]
            outcomes.append((seen["body"], "set-cookie" in dict(seen["headers"][0]), line.split()[11]))
        return {"outcomes": outcomes}

    judge(*pair.both(second))
