"""What a reload prepares is done with what nobody else wants, and is done even where that is nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from pylb.process import courtesy

PATIENCE = 60.0


def policy_and_nice() -> tuple[int, int]:
    """Of this thread."""
    return os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)


@pytest.fixture
def own_policy() -> Iterator[None]:
    """What a test does to itself is undone; it is a BATCH process, as a steward."""
    cores = os.sched_getaffinity(0)
    courtesy.stand_back()
    try:
        yield
    finally:
        courtesy.come_first()
        os.sched_setaffinity(0, cores)


@pytest.fixture
def returning(own_policy: None) -> None:
    """A test that needs to come back from SCHED_IDLE."""
    if not courtesy._may_return():
        pytest.skip("coming back from SCHED_IDLE needs CAP_SYS_NICE, which this process does not have")


@pytest.fixture
def idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread ever waits for a core, however busy this one is."""
    monkeypatch.setattr(courtesy, "_times", lambda thread: (1_000_000, 0))


@contextmanager
def a_core_that_is_all_taken() -> Iterator[None]:
    """This process and a busy one on the same core."""
    core = {min(os.sched_getaffinity(0))}
    os.sched_setaffinity(0, core)
    busy = subprocess.Popen(
        [sys.executable, "-c", f"import time\nuntil = time.time() + {PATIENCE}\nwhile time.time() < until: pass"]
    )
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def until_it_insists() -> tuple[int, int]:
    """Work until the thread's policy or weight has changed."""
    before, began = policy_and_nice(), time.monotonic()
    while policy_and_nice() == before and time.monotonic() < began + PATIENCE:
        sum(range(1000))
    return policy_and_nice()


@pytest.mark.usefixtures("own_policy", "idle_machine")
def test_it_is_idle_where_it_can_come_back_and_lighter_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    monkeypatch.setattr(courtesy, "_may_return", lambda: True)
    assert courtesy.behind(policy_and_nice)[0] == os.SCHED_IDLE
    monkeypatch.setattr(courtesy, "_may_return", lambda: False)
    assert courtesy.behind(policy_and_nice) == (os.SCHED_BATCH, min(19, nice + courtesy.LESS))
    assert policy_and_nice() == (os.SCHED_BATCH, nice)  # whatever its threads were


@pytest.mark.usefixtures("own_policy", "returning")
def test_a_thread_that_starves_takes_its_share() -> None:
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    with a_core_that_is_all_taken():
        assert courtesy.behind(until_it_insists) == (os.SCHED_BATCH, min(19, nice + courtesy.LESS))


@pytest.mark.usefixtures("own_policy", "returning")
def test_who_insists_while_it_is_about_to_be_idle_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = courtesy._Background(returns=True)
    become = courtesy._become

    def late(policy: int, native: int = 0) -> None:
        if policy == os.SCHED_IDLE:
            thread.insist()
        become(policy, native)

    monkeypatch.setattr(courtesy, "_become", late)
    with ThreadPoolExecutor(1, initializer=thread.begin) as threads:
        assert threads.submit(policy_and_nice).result()[0] == os.SCHED_BATCH


def test_a_thread_that_has_not_begun_does_not_starve() -> None:
    assert not courtesy._Background(returns=True).starves()


@pytest.mark.usefixtures("own_policy", "idle_machine")
def test_waiting_is_not_starving() -> None:
    def waits() -> int:
        time.sleep(5 * courtesy.LOOK_AFTER)
        return os.sched_getscheduler(0)

    before = os.SCHED_IDLE if courtesy._may_return() else os.SCHED_BATCH
    assert courtesy.behind(waits) == before


@pytest.mark.usefixtures("own_policy")
def test_what_it_raises_is_raised() -> None:
    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        courtesy.behind(fails)
