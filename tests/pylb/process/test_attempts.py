"""Reloads one at a time: who asks meanwhile gets another one, and waits for its end."""

from __future__ import annotations

import asyncio

from pylb.process.attempts import Attempts


def test_one_at_a_time_and_one_more_for_all_who_asked_meanwhile() -> None:
    attempts = Attempts()
    assert attempts.ask()
    assert not attempts.ask() and not attempts.ask()
    assert attempts.conclude(True, "", reload=False)
    assert attempts.ask()
    assert not attempts.conclude(True, "", reload=True)


def test_the_start_is_no_reload() -> None:
    attempts = Attempts()
    attempts.ask()
    attempts.conclude(True, "", reload=False)
    assert attempts.last["count"] == 0 and attempts.last["at"] == 0.0


def test_failures_are_counted_until_one_succeeds() -> None:
    attempts = Attempts()
    for success, reason, failed, count in ((False, "bad", 1, 0), (False, "worse", 2, 0), (True, "", 0, 1)):
        attempts.ask()
        attempts.conclude(success, reason, reload=True)
        assert (attempts.failed, attempts.last["count"]) == (failed, count)
        assert (attempts.last["success"], attempts.last["reason"]) == (success, reason)


async def test_who_waits_hears_of_the_last_one() -> None:
    attempts = Attempts()
    await attempts.settled()  # nothing is under way
    attempts.ask()
    waiting = asyncio.create_task(attempts.settled())
    await asyncio.sleep(0)
    attempts.ask()
    assert attempts.conclude(True, "", reload=True)
    await asyncio.sleep(0)
    assert not waiting.done()
    attempts.ask()
    attempts.conclude(False, "bad", reload=True)
    await asyncio.wait_for(waiting, 1)
