"""The daemon's one timer."""

from __future__ import annotations

import asyncio

from vrrpd.system.timer import Timer


async def fired(timer: Timer, rang: asyncio.Event, deadline: float) -> float:
    """How late it fires, in seconds."""
    rang.clear()
    timer.arm(deadline)
    async with asyncio.timeout(10):
        await rang.wait()
    return asyncio.get_running_loop().time() - deadline


async def test_it_fires_not_before_its_time_and_at_once_when_that_is_over() -> None:
    loop, rang = asyncio.get_running_loop(), asyncio.Event()
    timer = Timer(loop, rang.set)
    for ahead in (0.05, -1.0, 0.01):
        assert await fired(timer, rang, loop.time() + ahead) >= 0
    timer.close()


async def test_a_closed_one_leaves_the_next_owner_of_its_descriptor_alone() -> None:
    """Adverts of the node that takes over arrive while programs are told of the stop."""
    loop, rang, never = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    closed = Timer(loop, never.set)
    closed.arm(loop.time() + 60)
    closed.close()
    heir = Timer(loop, rang.set)
    heir.arm(loop.time() + 60)
    closed.arm(loop.time())
    await asyncio.sleep(0.05)
    assert not rang.is_set() and not never.is_set()
    assert await fired(heir, rang, loop.time()) >= 0
    heir.close()
