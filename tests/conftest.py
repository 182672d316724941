"""Makes tests/support.py importable from every test directory, says which tests may run beside each other (`-n`), and
lets Hypothesis take its time."""

import compileall
import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# The repository comes first: tests/pylb would otherwise pass for the package, when the package is installed editable.
sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent)]

import beside  # noqa: E402
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

machine = beside.Machine(None)


def pytest_configure(config: pytest.Config) -> None:
    """With `-n`: ask the other processes."""
    global machine
    if hasattr(config, "workerinput"):
        machine = beside.Machine(Path(config.option.basetemp).parent)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n`: who runs what."""
    return beside.scheduler(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What belongs together comes first."""
    items.sort(key=lambda item: not item.nodeid.startswith(beside.TOGETHER))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Around everything, its timeout, too."""
    machine.take(beside.wants_it_alone(item))
    try:
        return (yield)
    finally:
        machine.leave(beside.wants_it_alone(nextitem))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Modules and thousands of tests stay: the garbage collector, a sixth of what tests in this process take, need not
    look at them again and again."""
    gc.collect()
    gc.freeze()
