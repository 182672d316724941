"""Work that recurs: when it is due, who can hasten it, what ends it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest

from pylb.net.recurring import Recurring


class Log:
    """What was done and when; the work may be made to take its time."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.began = self.loop.time()
        self.times: list[float] = []
        self.wanted = True
        self.free = asyncio.Event()
        self.free.set()
        self.recurring = Recurring(self.loop, self.work, lambda: self.wanted, lambda: 0.05)

    async def work(self) -> None:
        self.times.append(self.loop.time() - self.began)
        await self.free.wait()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 (the condition has no event)
                await asyncio.sleep(0.005)


async def test_it_is_done_again_and_again_after_a_delay() -> None:
    log = Log()
    log.recurring.begin(0.1)
    await log.until(lambda: len(log.times) == 4)
    log.recurring.end()
    assert log.times[0] >= 0.095
    assert all(later - before >= 0.045 for before, later in zip(log.times, log.times[1:], strict=False))


async def test_work_that_fails_is_done_again(caplog: pytest.LogCaptureFixture) -> None:
    log = Log()

    async def work() -> None:
        log.times.append(0.0)
        raise KeyError("a mistake of ours")

    recurring = Recurring(log.loop, work, lambda: True, lambda: 0.01)
    recurring.begin(0.0)
    await log.until(lambda: len(log.times) > 2)
    recurring.end()
    await recurring.ended()
    gc.collect()
    assert "a mistake of ours" in caplog.text


async def test_the_interval_begins_when_the_work_is_done() -> None:
    log = Log()
    log.free.clear()
    log.recurring.begin(0.0)
    await asyncio.sleep(0.2)
    assert len(log.times) == 1
    log.free.set()
    await log.until(lambda: len(log.times) == 2)
    log.recurring.end()


async def test_it_can_be_hastened_but_not_put_off() -> None:
    log = Log()
    log.recurring.begin(600.0)
    log.recurring.hasten(0.02)
    log.recurring.hasten(500.0)
    await log.until(lambda: len(log.times) == 1)
    log.recurring.end()
    assert log.times[0] >= 0.015


async def test_what_is_not_wanted_is_left_out_until_it_is() -> None:
    log = Log()
    log.wanted = False
    log.recurring.begin(0.0)
    await asyncio.sleep(0.2)
    assert log.times == []
    log.wanted = True
    await log.until(lambda: len(log.times) == 1)
    log.recurring.end()


@pytest.mark.parametrize("running", [False, True])
async def test_the_end_is_the_end(running: bool) -> None:
    log = Log()
    log.free.clear()
    log.recurring.begin(0.0 if running else 0.05)
    await log.until(lambda: len(log.times) == running)
    log.recurring.end()
    await log.recurring.ended()
    log.recurring.hasten(0.0)
    log.recurring.begin(0.0)
    await asyncio.sleep(0.15)
    assert len(log.times) == running
