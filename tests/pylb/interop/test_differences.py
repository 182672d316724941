"""docs/differences.md and the differences that the tests allow are one list."""

from __future__ import annotations

import re
from pathlib import Path

import differences

PAGE = (Path(__file__).parents[3] / "docs/differences.md").read_text()
TESTS = {path.name: path.read_text() for path in Path(__file__).parent.glob("test_same_*.py")}
ROWS = [line for line in PAGE.splitlines() if line.startswith("| `")]
TOLD = {name for row in ROWS for name in re.findall(r"`(\w+)`", row.split("|")[1])}
ALLOWED = {name for name, value in vars(differences).items() if callable(value) and name[0].islower()}


def test_every_difference_has_its_row_and_every_row_its_difference():
    assert TOLD - {"bytes_on_the_wire", "structured_data_that_does_not_fit"} == ALLOWED


def test_every_difference_is_used_by_a_test():
    assert {name for name in ALLOWED if not any(f"differ.{name}" in text for text in TESTS.values())} == set()


def test_every_row_names_a_test_that_exists():
    for row in ROWS:
        file, test = re.search(r"`(test_\w+\.py)::(test_\w+)` \|$", row).groups()
        assert f"def {test}(" in TESTS[file], row
