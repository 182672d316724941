"""A request pays only for what its configuration asks: calls per exchange, which no machine changes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST = {"bare": (44, 38), "keepalive": (68, 67), "post-2k": (73, 70), "client-close": (104, 86)}
"""Calls of Python and of C functions; a few above what it was when this was written."""


def test_an_exchange_makes_no_more_calls_than_it_did() -> None:
    command = [sys.executable, "bench/micro/exchange.py", "--calls", *MOST]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)
    assert not done.returncode, done.stderr
    rows = re.findall(r"^(\S+) +([\d.]+) calls +([\d.]+) calls of C", done.stdout, re.M)
    assert [name for name, *_ in rows] == list(MOST), done.stdout
    for name, python, native in rows:
        assert float(python) <= MOST[name][0] and float(native) <= MOST[name][1], done.stdout
