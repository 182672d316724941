"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from pylb.config.haproxy.listing import markdown

ROOT = Path(__file__).resolve().parents[2]


def test_the_keyword_table_is_the_readers_own() -> None:
    assert (ROOT / "docs/keywords.md").read_text() == markdown(), (
        "make it anew: python -m pylb.config.haproxy.listing > docs/keywords.md"
    )


def test_every_file_that_a_document_links_to_exists() -> None:
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_test_that_a_difference_names_exists() -> None:
    """docs/differences.md names the test that shows each difference."""
    tests = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    document = (ROOT / "docs/differences.md").read_text()
    named = set(re.findall(r"`(test_\w+)", document))
    assert named, "no test is named"
    assert named <= tests, named - tests
