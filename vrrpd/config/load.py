"""One door to both formats: `load(path)` reads a file, checks it, and gives its meaning or all its mistakes.

`load_in_child()` does the same in a process of its own.  What parsing needs (pydantic, tree-sitter) then never stays
in the daemon's memory, a reload holds up no advert, and a file that makes a parser fail cannot take the daemon along.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

from vrrpd.config.check import check, outside_networks
from vrrpd.config.errors import ConfigErrors, Loaded

CHILD_TIMEOUT = 30.0


def load(path: str, config_id: str | None = None) -> Loaded:
    """Read vrrpd.toml (by its suffix .toml) or keepalived.conf (everything else), and check it.

    `config_id` is what @conditions of keepalived.conf compare with, and the ID of vrrpd.toml's [node.ID].
    Raises ConfigErrors.
    """
    loaded = _read(path, config_id)
    findings = check(loaded.config)
    return Loaded(loaded.config, tuple(sorted({*loaded.findings, *findings})))


def _read(path: str, config_id: str | None) -> Loaded:
    # Each format's libraries are imported only when it is read: they are the larger part of the daemon's start.
    if Path(path).suffix == ".toml":
        from vrrpd.config import toml

        return toml.load(path, config_id)
    from vrrpd.config import keepalived

    return keepalived.load(path, config_id)


def load_in_child(path: str, config_id: str | None = None) -> Loaded:
    """`load` in a short-lived process; raises ConfigErrors as it does, or RuntimeError if the process fails."""
    command = [sys.executable, "-m", "vrrpd.config.load", path, *([config_id] if config_id else [])]
    done = subprocess.run(command, capture_output=True, check=False, timeout=CHILD_TIMEOUT)
    if done.returncode != 0:
        raise RuntimeError(f"reading {path} failed: {done.stderr.decode(errors='replace').strip()}")
    result = pickle.loads(done.stdout)  # from our own child, over a pipe
    if isinstance(result, ConfigErrors):
        raise result
    assert isinstance(result, Loaded)
    return result


def with_networks(loaded: Loaded) -> Loaded:
    """Add what only the host can tell: for processes that speak netlink anyway, which the reading child does not."""
    from vrrpd.system.host import networks

    findings = {*loaded.findings, *outside_networks(loaded.config, networks())}
    return Loaded(loaded.config, tuple(sorted(findings)))


def _child(arguments: list[str]) -> None:
    result: Loaded | ConfigErrors
    try:
        result = load(arguments[0], arguments[1] if len(arguments) > 1 else None)
    except ConfigErrors as errors:
        result = errors
    sys.stdout.buffer.write(pickle.dumps(result))


if __name__ == "__main__":
    _child(sys.argv[1:])
