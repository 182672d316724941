"""Backends and exchanges for tests: no sockets, time in the test's hand."""

from __future__ import annotations

from typing import Any

from pylb.backend.backend import Backend
from pylb.config import model
from pylb.http1.head import Limits, parse_request, parse_response

LIMITS = Limits()


def declared_server(name: str, **options: Any) -> model.Server:
    """A server line; options as in model.Server."""
    return model.Server(name, model.Address(host="127.0.0.1", port=80), **options)


def make_backend(*servers: model.Server | str, log: Any = None, name: str = "b", **options: Any) -> Backend:
    """A live backend; a string is a server with defaults. `log` is a list that gets (level, text)."""
    options.setdefault("mode", "http")
    listed = tuple(declared_server(s) if isinstance(s, str) else s for s in servers)
    declared = model.Backend(name, servers=listed, **options)
    if log is None:
        return Backend(declared)
    return Backend(declared, log=lambda level, text: log.append((level, text)))


class Client:
    """A session as rules see it."""

    def __init__(self, src: str = "127.0.0.1") -> None:
        self.src = src


class Exchange:
    """What backend/ needs of an exchange; keeps what it was granted and why it was shut down."""

    def __init__(
        self, request: bytes | None = None, src: str = "127.0.0.1", priority: int = 0, offset: int = 0
    ) -> None:
        self.session = Client(src)
        self.request = parse_request(request, 0, request.index(b"\r\n\r\n"), LIMITS) if request else None
        self.response: Any = None
        self.persist_server = self.slot_server = self.server = None
        self.force_persist = self.ignore_persist = self.redispatched = False
        self.priority_class = priority
        self.priority_offset = offset
        self.cookie_state = b"--"
        self.cookie_dates = None
        self.server_queue = self.backend_queue = self.retries = 0
        self.started = 0.0
        self.started_wall = 1_700_000_000.0
        self.responded: float | None = None
        self.grants: list[Any] = []
        self.shut: bytes | None = None

    def granted(self, server: Any) -> None:
        self.grants.append(server)

    def shutdown(self, letter: bytes) -> None:
        self.shut = letter

    def answer(self, response: bytes) -> None:
        """The server's response head has come."""
        self.response = parse_response(response, 0, response.index(b"\r\n\r\n"), LIMITS)
        self.responded = self.started


def names(backend: Backend, count: int) -> list[str]:
    """The servers of `count` exchanges, one after the other."""
    picked = []
    for _ in range(count):
        x = Exchange()
        server = backend.assign(x, 0.0)
        picked.append(server.name)
        backend.release(x, 0.0)
    return picked
