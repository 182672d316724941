"""The demo's servers: they say who they are, can be slow, failing and big, and fall sick when told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from pylb.demo.backend import DemoBackend


@pytest.fixture
async def backend() -> AsyncIterator[DemoBackend]:
    backend = DemoBackend("worker1")
    await backend.start()
    yield backend
    await backend.stop()


async def ask(backend: DemoBackend, *requests: str) -> list[tuple[str, bytes]]:
    """Send requests in one go over one connection; status line and body of each answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", backend.port)
    writer.write("".join(f"{request} HTTP/1.1\r\nHost: a\r\nX-Test: Yes\r\n\r\n" for request in requests).encode())
    answers = []
    for request in requests:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        length = 0 if request.startswith("HEAD") else int(fields[b"content-length"])
        answers.append((head.split(b"\r\n")[0].decode().split(" ")[1], await reader.readexactly(length)))
    writer.close()
    return answers


async def test_it_answers_with_its_name_and_counts(backend):
    answers = await ask(backend, "GET /a", "GET /json", "GET /headers")
    assert answers[0] == ("200", b"worker1 answers: /a (its request number 1)\n")
    assert json.loads(answers[1][1]) == {"server": "worker1", "path": "/json", "answered": 2, "sick": False}
    assert b"worker1 got:\n" in answers[2][1] and b"X-Test: Yes" in answers[2][1]


async def test_status_and_size_are_as_asked(backend):
    answers = await ask(
        backend, "GET /?status=503&bytes=100000", "HEAD /?bytes=5", "GET /?status=204", "GET /?status=9"
    )
    assert [(status, len(body)) for status, body in answers[:3]] == [("503", 100_000), ("200", 0), ("204", 0)]
    assert answers[3][0] == "400"


async def test_a_delay_holds_the_answer_back(backend):
    loop = asyncio.get_running_loop()
    before = loop.time()
    await ask(backend, "GET /?delay=0.2")
    assert loop.time() - before >= 0.2


async def test_it_falls_sick_and_gets_well(backend):
    answers = await ask(backend, "GET /health", "POST /sick", "GET /health", "POST /well", "GET /health")
    assert [status for status, _ in answers] == ["200", "200", "503", "200", "200"]
    assert backend.answered == 0


async def test_garbage_ends_the_connection_and_nothing_else(backend):
    reader, writer = await asyncio.open_connection("127.0.0.1", backend.port)
    writer.write(b"\x00\x01garbage\r\n\r\n")
    assert await reader.read() == b""
    writer.close()
    assert (await ask(backend, "GET /"))[0][0] == "200"
