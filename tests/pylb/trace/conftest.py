"""Makes the conversations of tests/pylb/net importable, and tells them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "net"))
sys.path.insert(0, str(Path(__file__).parent))

from conversation import CONFIG
from traced_world import Traced


@pytest.fixture
def begin() -> Iterator[Callable[..., Traced]]:
    """Makes traced Worlds and ends them: what conversation.World.check demands holds after every test."""
    worlds: list[Traced] = []

    def make(text: str = CONFIG) -> Traced:
        worlds.append(Traced(text))
        return worlds[-1]

    yield make
    for world in reversed(worlds):
        world.end()
