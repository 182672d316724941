"""What the documents show in a console happens when it is typed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from doc_sessions import Block, blocks, pattern, play, steps
from support import require_program, skip_or_fail

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {
    "request.md": ("curl",),
    "advert.md": ("ip",),
    "walkthrough.md": ("curl", "haproxy", "nginx", "socat", "openssl", "ip", "tc"),
}
"""Pages with sessions, and the programs that these need."""
LONG = ("walkthrough.md",)
"""Played in `make soak`: they wait for a whole lab, with the article's intervals."""
TRANSLATED = {"walkthrough.md": "walkthrough.vi.md"}


@pytest.mark.netns
@pytest.mark.parametrize("page", [pytest.param(page, marks=pytest.mark.soak if page in LONG else ()) for page in PAGES])
def test_the_sessions_of_a_page(page: str, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        skip_or_fail("needs root")
    for program in PAGES[page]:
        require_program(program)
    wrong = play(DOCS / page, tmp_path)
    assert not wrong, "\n".join(wrong)


def test_every_page_with_a_session_is_played() -> None:
    with_sessions = {page.name for page in DOCS.glob("*.md") if any(b.language == "console" for b in blocks(page))}
    assert with_sessions == {*PAGES, *TRANSLATED.values()}


@pytest.mark.parametrize("page", TRANSLATED)
def test_a_translation_shows_the_same_sessions_and_files(page: str) -> None:
    def shown(name: str) -> list[tuple[str, tuple[str, ...]]]:
        return [(block.language, block.lines) for block in blocks(DOCS / name)]

    assert shown(page) == shown(TRANSLATED[page])


def test_what_a_page_promises_is_compared() -> None:
    """The comparison itself: words, "…" inside a line and alone, and nothing that was not promised."""
    block = Block("console", "", ("$ echo a \\", "> b", "a   b", "$ seq 3", "1", "…", "$ true"), 1)
    echo, seq, true = steps(block)
    assert (echo.command, echo.printed, true.printed) == ("echo a \\\nb", ("a   b",), ())
    assert pattern(echo.printed).fullmatch("a b\n")
    assert pattern(seq.printed).fullmatch("1\n2\n3\n")
    assert not pattern(seq.printed).fullmatch("2\n3\n")
    assert not pattern(true.printed).fullmatch("something\n")
    assert pattern(("at … o'clock",)).fullmatch("at 10 o'clock\n")


@pytest.mark.netns
def test_a_session_that_comes_out_otherwise_is_reported(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        skip_or_fail("needs root")
    page = tmp_path / "page.md"
    page.write_text("```console\n$ echo one\none\n$ cd /\n$ echo two\nthree\n$ pwd\n/\n```\n")
    (tmp_path / "scratch").mkdir()
    (wrong,) = play(page, tmp_path / "scratch")
    assert wrong.startswith("page.md:5: $ echo two") and "two" in wrong
