"""The labs of these tests are started at once and run side by side: they mostly wait."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import require_program, skip_or_fail

sys.path.insert(0, str(Path(__file__).parent))
from lab_runs import AS_USER, ONLY_OURS, Run, Runs, stacks


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """To start labs with. Skips where there are no namespaces."""
    for program in ("ip", "tc", "nsenter", "setpriv", "curl", "pgrep"):
        require_program(program)
    if subprocess.run([*AS_USER, "unshare", "-Urnm", "true"], check=False, capture_output=True).returncode:
        skip_or_fail("user namespaces are not allowed here")
    made = Runs(tmp_path_factory.mktemp("labs"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def early(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """What takes longest, started before the first test waits for it."""
    found = tmp_path_factory.mktemp("results")
    quick = ["article", "--rate", "50", "--json", str(found / "quick")]
    user = ["router-stops", "--rate", "50", "--no-nginx", "--json", str(found / "user")]
    return {
        "quick": runs.start("run", *quick, "--stack", *stacks()),
        "user": runs.start("run", *user, "--name", "user", "--stack", ONLY_OURS, before=AS_USER),
        "up": runs.start("up", "--name", "first", "--rate", "20"),
    }


@pytest.fixture(scope="session")
def results(early: dict[str, Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the runs of `early` put what they saw."""
    return tmp_path_factory.getbasetemp() / "results0"
