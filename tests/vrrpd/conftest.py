"""Makes this directory's helpers importable, and lets namespace tests run for people who are not root."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import skip_or_fail

sys.path.insert(0, str(Path(__file__).parent))
# With tests/ on the path this directory would pass for a package called vrrpd: take the real one first.
sys.path.insert(0, str(Path(__file__).parents[2]))
importlib.import_module("vrrpd.config.model")


def _in_user_namespace(item: pytest.Item) -> None:
    """Run one test again where we are root: inside new user, network and mount namespaces."""
    unshare = ["unshare", "-Urnm", "--"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], check=False).returncode:
        skip_or_fail("needs root, and `unshare -Urnm` is not allowed here")
    command = [*unshare, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", item.nodeid]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=item.config.rootpath)
    if "1 skipped" in done.stdout:
        pytest.skip(f"within unshare -Urnm: {done.stdout[-300:]}")
    if done.returncode:
        pytest.fail(done.stdout[-6000:] + done.stderr[-2000:], pytrace=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without root, each namespace test runs in a child process of its own."""
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("netns"):
            item.setup = lambda: None  # type: ignore[method-assign]
            item.runtest = lambda item=item: _in_user_namespace(item)  # type: ignore[method-assign,misc]
