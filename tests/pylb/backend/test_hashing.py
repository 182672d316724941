"""Hash-based balancing: the same keys find the same servers as in the real HAProxy, and only moved keys move."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from backend_tools import Exchange, declared_server, make_backend
from haproxy_rig import Origin, named, running_haproxy
from support import free_port

from pylb.backend.balance import hashes
from pylb.config import model

NAMES = ("s1", "s2", "s3", "s4")
WEIGHTS = (2, 4, 6, 3)

CASES = [
    ("uri", "map-based sdbm"),
    ("uri", "map-based djb2"),
    ("uri", "map-based wt6"),
    ("uri", "map-based crc32"),
    ("uri", "map-based sdbm avalanche"),
    ("uri", "map-based djb2 avalanche"),
    ("uri", "consistent sdbm avalanche"),
    ("uri", "consistent djb2"),
    ("uri", "consistent wt6"),
    ("uri", "consistent crc32 avalanche"),
    ("uri whole", "map-based sdbm"),
    ("uri len 9", "map-based sdbm"),
    ("uri depth 2", "map-based sdbm"),
    ("uri len 30 depth 3 whole", "map-based sdbm"),
    ("uri path-only", "map-based sdbm"),
    ("url_param user", "map-based sdbm"),
    ("url_param user", "consistent wt6"),
    ("hdr(X-Key)", "map-based sdbm"),
    ("hdr(X-Key)", "consistent sdbm avalanche"),
    ("hdr(X-Key) use_domain_only", "map-based crc32"),
    ("source", "map-based sdbm"),
    ("source", "map-based sdbm avalanche"),
    ("source", "consistent sdbm avalanche"),
]


def requests(case: int) -> list[tuple[bytes, str]]:
    """Requests whose every hashed element varies, each with a source address.

    A field follows X-Key because `use_domain_only` of HAProxy looks one byte past the value.
    """
    dice = random.Random(case)
    letters = "abcdefghijklmnopqrstuvwxyzABC0123456789-_.%~"

    def word(longest: int) -> str:
        return "".join(dice.choices(letters, k=dice.randint(1, longest)))

    made = []
    for _ in range(40):
        path = "/" + "/".join(word(8) for _ in range(dice.randint(1, 5)))
        query = f"?a={word(4)}&user={word(20)}&b=1" if dice.random() < 0.7 else ""
        if query and dice.random() < 0.2:
            query = query.replace("&user=", "&xuser=") + "&user="
        prefix = "http://h.example" if dice.random() < 0.2 else ""
        key = ".".join(word(6).replace(".", "") or "x" for _ in range(dice.randint(1, 4)))
        key += f", {word(5)}" if dice.random() < 0.2 else ""
        line = f"GET {prefix}{path}{query} HTTP/1.1\r\nHost: h.example\r\n"
        head = f"{line}X-Key: {key}\r\nX-Case: c{case}\r\nConnection: close\r\n\r\n"
        made.append((head.encode(), f"127.0.{dice.randint(0, 255)}.{dice.randint(1, 254)}"))
    return made


@pytest.fixture(scope="module")
def origins():
    started = [Origin(named(name)) for name in NAMES]
    yield started
    for origin in started:
        origin.close()


@pytest.mark.interop
def test_equal_requests_reach_equal_servers(tmp_path: Path, origins: list[Origin]) -> None:
    """Every algorithm and hash-type, one backend each; requests without the element are left out here."""
    lines = "\n".join(
        f" server {name} 127.0.0.1:{origin.port} weight {weight}"
        for name, origin, weight in zip(NAMES, origins, WEIGHTS, strict=True)
    )
    port = free_port()
    sections = (
        "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n"
        f"frontend f\n bind 127.0.0.1:{port}\n use_backend %[req.hdr(x-case)]\n"
    ) + "".join(
        f"backend c{case}\n balance {algorithm}\n hash-type {kind}\n{lines}\n"
        for case, (algorithm, kind) in enumerate(CASES)
    )
    servers = [declared_server(name, weight=weight) for name, weight in zip(NAMES, WEIGHTS, strict=True)]
    with running_haproxy(tmp_path, sections, port) as haproxy:
        for case, (algorithm, kind) in enumerate(CASES):
            keyword, *args = algorithm.split()
            backend = make_backend(
                *servers, balance=model.Balance(keyword, tuple(args)), hash_type=model.HashType(*kind.split())
            )
            compared = 0
            for head, source in requests(case):
                x = Exchange(head, source)
                if backend.balance.hash_of(x) is None:
                    continue
                reached = haproxy.request(head.decode(), source).rpartition(b"\r\n\r\n")[2].decode()
                server = backend.assign(x, 0.0)
                backend.release(x, 0.0)
                assert server.name == reached, (algorithm, kind, head, source)
                compared += 1
            assert compared >= 15, algorithm


def test_the_hash_functions_give_their_published_values() -> None:
    assert hashes.sdbm(b"") == 0
    assert hashes.djb2(b"") == 5381
    assert hashes.djb2(b"a") == 5381 * 33 + 97
    assert hashes.crc32(b"123456789") == 0xCBF43926


@pytest.mark.parametrize("function", ["sdbm", "djb2"])
def test_the_summed_polynomials_equal_the_loop_they_replace(function: str) -> None:
    base, start = {"sdbm": (65599, 0), "djb2": (33, 5381)}[function]
    dice = random.Random(1)
    for length in (0, 1, 7, 1023, 1024, 1025, 5000):
        key = dice.randbytes(length)
        value = start
        for byte in key:
            value = (value * base + byte) & 0xFFFFFFFF
        assert hashes.FUNCTIONS[function](key) == value
