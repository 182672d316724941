"""lb.toml: what it means, what is said about a wrong one, and that writing and reading give the same model."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

from hypothesis import HealthCheck, given, settings

from pylb.config.toml import read, write

sys.path.insert(0, str(Path(__file__).parent))
import model_strategies as models


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(models.configs())
def test_every_configuration_reads_back_as_it_was_written(config):
    text = write(config)
    again = read(text, env={})
    assert again.globals == config.globals, text
    assert again.userlists == config.userlists, text
    for side in ("frontends", "backends"):
        for one, other in zip(getattr(again, side), getattr(config, side), strict=True):
            assert differences(one, other) == {}, text
    assert again == config


def differences(one, other):
    """The fields in which two sections differ."""
    return {
        f.name: (getattr(one, f.name), getattr(other, f.name))
        for f in fields(one)
        if f.compare and getattr(one, f.name) != getattr(other, f.name)
    }
