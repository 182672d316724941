"""Makes tests/support.py importable from every test directory, and lets Hypothesis take its time."""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

# The repository comes first: tests/pylb would otherwise pass for the package, when the package is installed editable.
sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent)]

from support import examples  # noqa: E402

# What an example takes says more about the machine than about the code; a test has its timeout all the same.
settings.register_profile(
    "unhurried", settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
)
settings.load_profile("unhurried")
