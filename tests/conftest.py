"""Makes tests/support.py importable from every test directory, and lets Hypothesis take its time."""

import compileall
import gc
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The repository comes first: tests/pylb would otherwise pass for the package, when the package is installed editable.
sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent)]

from support import examples  # noqa: E402

# Hundreds of programs are started: all is compiled once, also where the environment asks for no __pycache__, and before
# a test that cannot write here.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
for package in ("pylb", "vrrpd", "bench"):
    compileall.compile_dir(Path(__file__).parent.parent / package, quiet=2)

# What an example takes says more about the machine than about the code; a test has its timeout all the same.
settings.register_profile(
    "unhurried", settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
)
settings.load_profile("unhurried")


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Modules and thousands of tests stay: the garbage collector, a sixth of what tests in this process take, need not
    look at them again and again."""
    gc.collect()
    gc.freeze()
