"""Scenarios of all modules run side by side, as they mostly wait; each test takes its own result.

What is measured rather than compared has the machine to itself: such a test asks for `alone`, and comes last.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
from netlab import Lab

AT_ONCE = 8
LONGEST = ("test_ours_and_frr_take_turns", "test_the_address_leaves_the_node_without_haproxy_and_comes_back")
"""Started first, so that nothing is left to wait for in the end."""
Scenario = Callable[[Lab, Any], None]
Campaign = dict[tuple[str, Any], Future[None]]
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What wants to be alone goes behind the other tests of this directory."""
    ours = [number for number, item in enumerate(items) if HERE in item.path.parents]
    order = sorted((items[number] for number in ours), key=lambda item: "alone" in getattr(item, "fixturenames", ()))
    for number, item in zip(ours, order, strict=True):
        items[number] = item


@pytest.fixture(scope="session")
def campaign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """Start every selected (scenario, case); results by (test name, case)."""
    pool = ThreadPoolExecutor(AT_ONCE)
    futures: Campaign = {}
    for item in sorted(request.session.items, key=lambda item: getattr(item, "originalname", "") not in LONGEST):
        scenarios = getattr(item.module, "SCENARIOS", {}) if isinstance(item, pytest.Function) else {}
        if HERE in item.path.parents and item.originalname in scenarios:
            key = item.originalname, item.callspec.params["case"]
            assert key not in futures, f"there are two of {key}"
            futures[key] = pool.submit(_run, scenarios[item.originalname], tmp_path_factory.mktemp("lab"), key[1])
    yield futures
    for future in futures.values():
        future.cancel()
    pool.shutdown()


@pytest.fixture
def alone(campaign: Campaign) -> None:
    """Nothing of the campaign runs any more."""
    wait(campaign.values())


def _run(scenario: Scenario, directory: Path, case: Any) -> None:
    # What is judged are tenths of a second, of which others of this machine may take many: this thread and all that it
    # starts go before them, where that is allowed.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    with Lab(directory) as lab:
        scenario(lab, case)
