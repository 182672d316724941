"""Long work on a loop: others get their turns between its pieces, and all of it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import perf_counter

import pytest

from pylb.process.piecemeal import PIECE, Hurry, Leisure, Pace, piecemeal


def work(done: list[int], steps: int = 40) -> Iterator[None]:
    """Each step takes longer than a piece may."""
    for step in range(steps):
        until = perf_counter() + 1.2 * PIECE
        while perf_counter() < until:
            pass
        done.append(step)
        yield


async def turns_during(pace: Pace) -> int:
    """How often another task has its turn meanwhile."""
    done: list[int] = []
    working = asyncio.ensure_future(pace.all(work(done)))
    turns = 0
    while not working.done():
        await asyncio.sleep(0)
        turns += 1
    assert done == list(range(40))
    return turns


@pytest.mark.parametrize("pace", [Pace, Leisure])
async def test_others_have_their_turns_between_two_pieces(pace: type[Pace]) -> None:
    assert await turns_during(pace()) >= 40


async def test_who_is_in_a_hurry_does_it_at_once() -> None:
    assert await turns_during(Hurry()) <= 2


async def test_who_is_told_to_hurry_does() -> None:
    done: list[int] = []
    pace = Leisure()
    working = asyncio.ensure_future(pace.all(work(done)))
    await asyncio.sleep(0.001)
    assert len(done) < 10
    pace.hurry()
    await asyncio.wait_for(working, 20)
    assert len(done) == 40
    assert await turns_during(pace) <= 2


async def test_leisure_takes_longer() -> None:
    async def seconds(pace: Pace) -> float:
        began = perf_counter()
        await turns_during(pace)
        return perf_counter() - began

    quickest = min([await seconds(Pace()) for _ in range(5)])  # on a busy machine some are held up
    assert await seconds(Leisure()) > 1.5 * quickest


async def test_what_is_little_is_done_when_the_call_returns() -> None:
    loop, done, ended = asyncio.get_running_loop(), [], asyncio.Event()
    piecemeal(loop, iter([done.append(1)]), ended.set)
    assert ended.is_set()
    ended.clear()
    piecemeal(loop, work(done), ended.set)
    assert not ended.is_set()
    await asyncio.wait_for(ended.wait(), 20)
    assert len(done) == 41


async def test_an_error_reaches_who_waits() -> None:
    def breaks() -> Iterator[None]:
        yield
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Pace().all(breaks())
