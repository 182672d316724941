"""The benchmarks need the packages of the `bench` extra; without them their tests are left out (in CI: fail)."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

MISSING = [name for name in ("matplotlib", "aiohttp", "pyproxy", "pyhaproxy") if importlib.util.find_spec(name) is None]
collect_ignore_glob = ["test_*.py"] if MISSING and not os.environ.get("CI") else []


def pytest_report_header() -> str | None:
    """Say so."""
    return f"tests/bench left out: not installed: {', '.join(MISSING)} (pip install .[bench])" if MISSING else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In CI nothing is left out silently."""
    assert not (MISSING and os.environ.get("CI")), f"not installed: {', '.join(MISSING)}"
