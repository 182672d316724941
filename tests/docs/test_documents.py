"""The documents say what the code does."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support import require_program

from pylb.admin.control import listing as commands
from pylb.config.haproxy.listing import markdown
from pylb.rules import known
from pylb.rules import listing as samples
from pylb.rules.action import ACTIONS
from pylb.rules.registry import CONVERTERS, FETCHES

ROOT = Path(__file__).resolve().parents[2]


def test_the_keyword_table_is_the_readers_own() -> None:
    assert (ROOT / "docs/keywords.md").read_text() == markdown(), (
        "make it anew: python -m pylb.config.haproxy.listing > docs/keywords.md"
    )


def test_the_table_of_samples_is_the_rule_engine_s_own() -> None:
    assert (ROOT / "docs/samples.md").read_text() == samples.markdown(), (
        "make it anew: python -m pylb.rules.listing > docs/samples.md"
    )
    for names, registry in (
        (known.FETCHES, FETCHES),
        (known.CONVERTERS, CONVERTERS),
        (known.ACTIONS, ACTIONS),
    ):
        assert not set(names.split()) & registry.keys(), "it is there by now"


@pytest.mark.interop
@pytest.mark.parametrize(
    "what, heading, there, is_known",
    [
        ("smp", r"\[.*\] ([^(:]+)", FETCHES, known.is_known_fetch),
        ("cnv", r"([^(: ]+)[(:]", CONVERTERS, known.is_known_converter),
    ],
)
def test_haproxy_has_nothing_that_the_table_of_samples_leaves_out(
    what: str, heading: str, there: dict[str, object], is_known: Callable[[str], bool]
) -> None:
    program = require_program("haproxy")
    command = [program, f"-dK{what}", "-q", "-c", "-f", "/dev/null"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    names = set(re.findall(rf"(?m)^{heading}", listed))
    assert len(names) > 100
    assert {name for name in names if name not in there and not is_known(name)} == set()


def test_the_table_of_commands_is_the_socket_s_own() -> None:
    assert (ROOT / "docs/commands.md").read_text() == commands.markdown(), (
        "make it anew: python -m pylb.admin.control.listing > docs/commands.md"
    )


def test_every_file_that_a_document_links_to_exists() -> None:
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_module_on_the_two_ways_exists() -> None:
    """The modules that docs/request.md and docs/advert.md lead through, in their text and in their pictures."""
    for page, package in (("request", "pylb"), ("advert", "vrrpd")):
        text = (ROOT / f"docs/{page}.md").read_text()
        names = re.findall(r"`((?:[a-z0-9]+/)?[a-z0-9_]+\.py|[a-z0-9]+/)`", text)
        assert len(names) > 10
        for name in names:
            assert (ROOT / package / name).exists(), f"{page}.md: {name}"
        for line in re.findall(r"monospace'>([^<]+)<", (ROOT / f"docs/{page}.svg").read_text()):
            folder = ""
            for name in re.split(r", | → ", line):
                folder = f"{name.split('/')[0]}/" if "/" in name else folder
                where = ROOT / package
                places = [where / name, where / folder / name, where / f"{name}.py", where / folder / f"{name}.py"]
                assert any(place.exists() for place in places), f"{page}.svg: {name}"
