"""What docs/vrrpd.md says a test shows, a test of that name is there for; its module names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/vrrpd.md").read_text()


def test_every_test_that_is_named_exists():
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    written = "\n".join(path.read_text() for path in (ROOT / "tests/vrrpd").rglob("test_*.py"))
    assert len(named) > 15
    assert not {name for name in named if not re.search(rf"def {name}\b", written)}


def test_every_difference_names_its_test():
    differences = TEXT.partition("## What differs")[2].partition("\n## ")[0]
    rows = [
        line
        for line in differences.splitlines()
        if line.startswith("| ") and not line.startswith(("| keepalived", "| ---"))
    ]
    assert len(rows) > 15
    assert not [row for row in rows if "`test_" not in row.split("|")[3]]


@pytest.mark.parametrize("module", sorted(set(re.findall(r"\b(?:core|system|packet)/\w+", TEXT))))
def test_every_module_that_is_named_exists(module):
    assert (ROOT / "vrrpd" / f"{module}.py").exists()
