"""Scenarios of one module run side by side, as they mostly wait; each test takes its own result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from netlab import Lab

AT_ONCE = 4
Scenario = Callable[[Lab, Any], None]


@pytest.fixture(scope="module")
def campaign(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, Any], Future[None]]]:
    """Start every selected (scenario, case) of the module; results by (test name, case)."""
    pool = ThreadPoolExecutor(AT_ONCE)
    futures: dict[tuple[str, Any], Future[None]] = {}
    for item in request.session.items:
        ours = isinstance(item, pytest.Function) and item.module is request.module
        if ours and hasattr(item, "callspec"):
            case = item.callspec.params["case"]
            directory = tmp_path_factory.mktemp("lab")
            scenario = request.module.SCENARIOS[item.originalname]
            futures[item.originalname, case] = pool.submit(_run, scenario, directory, case)
    yield futures
    for future in futures.values():
        future.cancel()
    pool.shutdown()


def _run(scenario: Scenario, directory: Path, case: Any) -> None:
    with Lab(directory) as lab:
        scenario(lab, case)
