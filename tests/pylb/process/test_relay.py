"""The relay: one question to all workers, and what happens when some do not answer."""

from __future__ import annotations

import asyncio
import socket

from pylb.process.channel import Channel, Kind, number_of, numbered
from pylb.process.relay import Relay


async def workers(relay: Relay, *answers: bytes | None) -> list[tuple[Channel, list[bytes]]]:
    """Workers that answer every command so; None: never. With each its end of the channel and what it heard."""
    made = []
    for slot, answer in enumerate(answers, 1):
        ours, theirs = socket.socketpair()
        heard: list[bytes] = []

        def receive(kind: Kind, payload: bytes, slot: int = slot, answer: bytes | None = answer) -> None:
            number, data = number_of(payload)
            made[slot - 1][1].append(data)
            if answer is not None:
                made[slot - 1][0].send(Kind.ANSWER, numbered(number, answer))

        def answered(kind: Kind, payload: bytes, slot: int = slot) -> None:
            assert kind is Kind.ANSWER
            relay.answered(slot, payload)

        made.append((await Channel.over(theirs, receive, lambda: None), heard))
        relay.attach(slot, await Channel.over(ours, answered, lambda slot=slot: relay.detach(slot)))  # type: ignore[misc]
    return made


async def end(made: list[tuple[Channel, list[bytes]]]) -> None:
    """Close all ends, and let the loop see it."""
    for channel, _ in made:
        channel.close()
    await asyncio.sleep(0.05)


async def test_answers_come_in_the_order_of_the_workers() -> None:
    relay = Relay()
    made = await workers(relay, b"one", b"x" * 1_000_000, b"")
    assert await relay.ask_all("show sess") == [b"one", b"x" * 1_000_000, b""]
    assert await asyncio.gather(relay.ask_all("a"), relay.ask_all("b")) == [[b"one", b"x" * 1_000_000, b""]] * 2
    assert [heard for _, heard in made] == [[b"show sess", b"a", b"b"]] * 3
    await end(made)


async def test_a_worker_that_does_not_answer_does_not_hold_the_others_up() -> None:
    relay = Relay()
    made = await workers(relay, b"one", None)
    assert await relay.ask_all("show sess", patience=0.5) == [b"one", b""]
    assert not relay._asked
    await end(made)


async def test_an_order_has_arrived_when_the_busiest_worker_has_heard_of_it() -> None:
    relay = Relay()
    _, busy = made = await workers(relay, b"", None)
    arriving = asyncio.ensure_future(relay.arrived())
    await asyncio.wait((asyncio.ensure_future(relay.settle()), arriving), return_when=asyncio.FIRST_COMPLETED)
    assert not arriving.done(), "counters are not waited for as long"
    busy[0].send(Kind.ANSWER, numbered(min(number for slot, number in relay._asked if slot == 2), b""))
    await asyncio.wait_for(arriving, 20)
    await end(made)


async def test_a_worker_that_goes_is_not_waited_for() -> None:
    relay = Relay()
    made = await workers(relay, b"one", None)
    asked = asyncio.ensure_future(relay.ask_all("show sess", patience=60))
    await asyncio.sleep(0.05)
    made[1][0].close()
    assert await asyncio.wait_for(asked, 5) == [b"one", b""]
    assert await relay.ask_all("again") == [b"one"]
    await end(made)


async def test_without_workers_there_is_nothing_to_wait_for() -> None:
    assert await Relay().ask_all("show sess") == []
    await Relay().settle()
