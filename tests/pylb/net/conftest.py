"""Makes this directory's helper modules importable; worlds that are checked when their test is over."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from conversation import CONFIG, World


@pytest.fixture
def begin() -> Iterator[Callable[..., World]]:
    """Makes Worlds and ends them: the invariants of conversation.World.check hold after every test."""
    worlds: list[World] = []

    def make(text: str = CONFIG) -> World:
        worlds.append(World(text))
        return worlds[-1]

    yield make
    for world in reversed(worlds):
        world.end()
