"""What a steward tells the generation that follows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pylb.process.packets import Packets, lines_from
from pylb.process.relay import Relay
from pylb.process.steward import Steward


def steward(master: Packets, state: Any) -> Steward:
    """One that has been made with nothing but what it needs to tell what it knows."""
    made = object.__new__(Steward)
    made._telling, made._relay, made._master = asyncio.Lock(), Relay(), master
    made._book = SimpleNamespace(settling=lambda: iter(()))  # type: ignore[assignment]
    made._crew = SimpleNamespace(tally=SimpleNamespace(begin_to_carry=lambda: None))  # type: ignore[assignment]
    made._prepared = SimpleNamespace(inheritance=SimpleNamespace(state=state))  # type: ignore[assignment]
    made._balancer = SimpleNamespace(loggers=[])  # type: ignore[assignment]
    return made


def whole() -> Iterator[list[str]]:
    yield ["row"]
    yield ["server"]


def broken() -> Iterator[list[str]]:
    yield ["row"]
    raise KeyError("server")


@pytest.mark.parametrize("state", [whole, broken])
async def test_the_next_generation_is_answered_whatever_happens(state: Any, capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = Packets.pair()
    try:
        await steward(ours, state)._send_state()
        received = theirs.receive()
        assert received is not None and received[0]["kind"] == "state"
        told = [line for descriptor in received[1] for line in lines_from(descriptor)]
        if state is whole:
            assert told == [["row"], ["server"]] and not capsys.readouterr().err
        else:
            assert not told and "begins at nothing: KeyError('server')" in capsys.readouterr().err
    finally:
        ours.close()
        theirs.close()
