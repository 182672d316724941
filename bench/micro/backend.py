"""What choosing a server costs: `python bench/micro/backend.py`, microseconds per call, best of several runs.

assign + release is the price of every request; targets are 2 µs for round robin over three servers without a cookie and
5 µs with `cookie … insert`, request and response side included. The hash functions explain backend/balance/hashes.py.
"""

from __future__ import annotations

import json
import sys
import timeit
from collections.abc import Callable
from typing import Any

from pylb.backend.backend import Backend
from pylb.backend.balance import hashes
from pylb.config import model
from pylb.http1.head import Limits, parse_request, parse_response

LIMITS = Limits()
URI = b"/shop/articles/4711/pictures/front.jpg?size=large"
REQUEST = (
    b"GET " + URI + b" HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
    b"Accept: text/html,application/xhtml+xml\r\nAccept-Language: en\r\nAccept-Encoding: gzip\r\n%sX-Last: 1\r\n\r\n"
)
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: x\r\nContent-Length: 5\r\n\r\n"


class Client:
    """A session's address."""

    src = "192.0.2.33"


class Exchange:
    """As lean as the real one, where backend/ looks."""

    __slots__ = (
        "backend_queue", "cookie_dates", "cookie_state", "force_persist", "ignore_persist", "persist_server",
        "priority_class", "redispatched", "request", "responded", "response", "server", "server_queue", "session",
        "slot_server", "started", "started_wall",
    )  # fmt: skip

    def __init__(self, cookie: bytes = b"") -> None:
        request = REQUEST % cookie
        self.request = parse_request(request, 0, len(request) - 4, LIMITS)
        self.response: Any = parse_response(RESPONSE, 0, len(RESPONSE) - 4, LIMITS)
        self.session = Client()
        self.persist_server = self.slot_server = self.server = self.cookie_dates = self.responded = None
        self.force_persist = self.ignore_persist = self.redispatched = False
        self.priority_class = self.server_queue = self.backend_queue = 0
        self.cookie_state = b"--"
        self.started = 1.0
        self.started_wall = 1_700_000_000.0


def backend(algorithm: str, servers: int = 3, cookie: model.Cookie | None = None, **options: Any) -> Backend:
    """A backend of equal servers."""
    address = model.Address(host="192.0.2.1", port=80)
    listed = tuple(model.Server(f"s{n}", address, cookie=f"c{n}", **options) for n in range(servers))
    return Backend(model.Backend("b", mode="http", servers=listed, cookie=cookie, balance=model.Balance(algorithm)))


def assigning(subject: Backend) -> Callable[[], None]:
    x = Exchange()
    assign, release = subject.assign, subject.release

    def once() -> None:
        assign(x, 5.0)
        release(x, 5.0)

    once()
    assert x.server in subject.servers and x.slot_server is None
    return once


def persisting(subject: Backend, cookie: bytes) -> Callable[[], None]:
    """The whole way with a cookie; the heads are put back to what they were by hand, which costs 0.1 µs."""
    x = Exchange(cookie)
    persist = subject.persist
    assert persist is not None
    request, response = x.request, x.response
    sent, told, sent_lower, told_lower = request.block, response.block, request._lower, response._lower

    def once() -> None:
        request.block, response.block, request._lower, response._lower = sent, told, sent_lower, told_lower
        x.persist_server = None
        persist.request(x)
        subject.assign(x, 5.0)
        persist.response(x)
        subject.release(x, 5.0)

    once()
    assert x.cookie_state == (b"VN" if b"SRV" in cookie else b"NI")
    return once


def subjects() -> dict[str, Callable[[], Any]]:
    """Name to what is timed."""
    insert = model.Cookie("SRV", "insert", indirect=True, nocache=True)
    timed: dict[str, Callable[[], Any]] = {
        f"assign+release {algorithm}, {servers} servers": assigning(backend(algorithm, servers))
        for algorithm in ("roundrobin", "static-rr", "leastconn", "random", "first", "source", "uri")
        for servers in (3, 100)
    }
    timed["assign+release roundrobin, maxconn set"] = assigning(backend("roundrobin", maxconn=100))
    inserting = backend("roundrobin", cookie=insert)
    timed["cookie insert, new client"] = persisting(inserting, b"")
    timed["cookie insert, client has it"] = persisting(inserting, b"Cookie: lang=en; SRV=c1; theme=dark\r\n")
    timed["cookie insert, client has others"] = persisting(inserting, b"Cookie: lang=en; theme=dark\r\n")
    for name, function in hashes.FUNCTIONS.items():
        timed[f"hash {name}, {len(URI)} bytes"] = lambda function=function: function(URI)
    timed["avalanche"] = lambda: hashes.avalanche(0x12345678)
    return timed


def main() -> None:
    """Print a table, or JSON with --json."""
    results = {}
    for name, once in subjects().items():
        number = 20_000
        results[name] = min(timeit.repeat(once, number=number, repeat=7)) / number * 1e6
    if "--json" in sys.argv:
        print(json.dumps(results, indent=1))
        return
    for name, cost in results.items():
        print(f"{cost:7.2f} µs  {name}")


if __name__ == "__main__":
    main()
