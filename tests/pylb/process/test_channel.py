"""Messages arrive whole and in order, the last words of a process that ends, too."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest
import uvloop

from pylb.process.channel import Channel, Kind


def nobody() -> None:
    """Hears of no end."""


def speak(sock: socket.socket, messages: list[bytes]) -> None:
    """As a worker does that ends."""

    async def main() -> None:
        channel = await Channel.over(sock, lambda kind, payload: None, nobody)
        for message in messages:
            channel.send(Kind.STICK, message)
        await channel.finish()

    uvloop.run(main())


def test_last_words_arrive_though_the_speaker_has_ended_before_they_are_read() -> None:
    ours, theirs = socket.socketpair()
    messages = [b"%d" % number for number in range(40)]
    pid = os.fork()
    if not pid:
        ours.close()
        speak(theirs, messages)
        os._exit(0)
    theirs.close()
    os.waitpid(pid, 0)
    heard: list[bytes] = []

    async def main() -> None:
        channel = Channel(lambda kind, payload: heard.append(payload), nobody)
        await channel.open(ours)
        channel.drain()  # before the loop has had a turn
        assert heard == messages
        channel.drain()
        channel.close()

    uvloop.run(main())
    assert heard == messages


def test_more_last_words_than_fit_into_the_socket_wait_for_a_reader() -> None:
    ours, theirs = socket.socketpair()
    message = b"x" * 3_000_000
    pid = os.fork()
    if not pid:
        ours.close()
        speak(theirs, [message, b"the end"])
        os._exit(0)
    theirs.close()
    got = b""
    while piece := ours.recv(1 << 20):
        got += piece
    ours.close()
    os.waitpid(pid, 0)
    assert len(got) == 5 + len(message) + 5 + len(b"the end") and got.endswith(b"the end")


def test_who_is_not_read_ends_all_the_same() -> None:
    ours, theirs = socket.socketpair()
    speak(theirs, [b"x" * 3_000_000])  # returns
    ours.close()


def test_a_message_that_fails_costs_no_other_one(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[bytes] = []

    def receive(kind: Kind, payload: bytes) -> None:
        if payload == b"bad":
            raise KeyError("a mistake of ours")
        heard.append(payload)

    async def main() -> None:
        ours, theirs = socket.socketpair()
        speaker, hearer = await Channel.over(theirs, receive, nobody), await Channel.over(ours, receive, nobody)
        for message in (b"1", b"bad", b"2"):
            speaker.send(Kind.STATES, message)
        await asyncio.sleep(0.05)
        speaker.send(Kind.STATES, b"3")
        async with asyncio.timeout(20):
            while len(heard) < 3:  # noqa: ASYNC110 (there is no event)
                await asyncio.sleep(0.005)
        hearer.close()
        speaker.close()

    uvloop.run(main())
    assert heard == [b"1", b"2", b"3"] and "STATES" in caplog.text and "a mistake of ours" in caplog.text
