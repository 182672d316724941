"""Runs of tiny chunks are read by one pattern; piece by piece reading must find the same end and the same mistakes."""

from __future__ import annotations

import random
import time

from pylb.http1.chunked import ChunkedReader
from pylb.http1.errors import ProtocolError


def body(chance: random.Random) -> bytes:
    """A chunked body of short chunks, every third with one byte wrong."""
    pieces = []
    for _ in range(chance.randrange(12)):
        data = bytes(chance.choice(b"\r\n0a1;f") for _ in range(chance.choice([1, 1, 2, 3, 15, 16, 17])))
        pieces.append(chance.choice([b"%x", b"%X", b"0%x", b"%x;a"]) % len(data) + b"\r\n" + data + b"\r\n")
    whole = b"".join(pieces) + b"0\r\n\r\n"
    if chance.random() < 0.33:
        at = chance.randrange(len(whole))
        whole = whole[:at] + bytes([chance.choice(b"\r\n0a1;f\0")]) + whole[at + 1 :]
    return whole


def end_of(pieces: list[bytes]) -> int | str | None:
    """Where the body ends in the pieces joined, None while it goes on, or why it is none."""
    reader, before = ChunkedReader(), 0
    try:
        for piece in pieces:
            end = reader.feed(piece, 0)
            if reader.done:
                return before + end
            before += len(piece)
    except ProtocolError as error:
        return error.reason
    return None


def test_runs_and_single_chunks_end_alike() -> None:
    chance = random.Random(11)
    for _ in range(4000):
        data = body(chance) + b"GET / HTTP/1.1"
        cut = chance.randrange(len(data))
        ends = {end_of([data]), end_of([data[:cut], data[cut:]])}
        assert len(ends) == 1, data
        bytewise = end_of([data[i : i + 1] for i in range(len(data))])
        assert isinstance(bytewise, str) == isinstance(ends.pop(), str), data


def test_a_flood_of_tiny_chunks_costs_little() -> None:
    """64 KB in well under a millisecond; chunk by chunk it took eight."""
    data, best = b"1\r\nx\r\n" * 11_000, 1.0
    for _ in range(5):
        began = time.perf_counter()
        ChunkedReader().feed(data, 0)
        best = min(best, time.perf_counter() - began)
    assert best < 0.004
