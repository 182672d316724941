"""docs/keepalived-keywords.md is the reader's own table, and leaves out no keyword of keepalived's manual page."""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path

import pytest
from support import require_program, skip_or_fail

from vrrpd.config.listing import DIFFERENT, OWN, OWN_PLACE, keywords, markdown

ROOT = Path(__file__).resolve().parents[2]
PAGE = Path("/usr/share/man/man5/keepalived.conf.5.gz")

SECTIONS = {
    "Global definitions": ("top", "global_defs"),
    "Linkbeat interfaces": ("top",),
    "Static track groups": ("top", "track_group"),
    "Static routes/addresses/rules": ("top",),
    "Track files": ("top", "track_file"),
    "VRRP track processes": ("top", "vrrp_track_process"),
    "BFD CONFIGURATION": ("top", "bfd"),
    "VRRP script(s)": ("top", "vrrp_script"),
    "VRRP synchronization group(s)": ("top", "vrrp_sync_group"),
    "VRRP gratuitous ARP and unsolicited neighbour advert delay group(s)": ("top", "garp_group"),
    "VRRP instance(s)": ("top", "vrrp_instance", "authentication"),
    "Virtual server group(s)": ("top", "ipvs"),
    "Virtual server(s)": ("top", "ipvs"),
}
"""Sections of the manual page, and the blocks of our table in which their keywords must stand."""

VALUES = {"all", "allow_if_changes", "VS", "global_defs"}
"""Words that the page sets in bold, too, and that are values or stand in for one."""


def manual() -> dict[str, set[str]]:
    """The keywords of each section: what stands in bold in its synopses, outside comments."""
    if not PAGE.exists():
        skip_or_fail("the manual page of keepalived is not installed")
    found: dict[str, set[str]] = {}
    section, synopsis = "", False
    for line in gzip.decompress(PAGE.read_bytes()).decode("utf-8", "replace").splitlines():
        if line.startswith((".SH ", ".SS ")):
            section = line[4:]
        elif line in (".nf", ".fi"):
            synopsis = line == ".nf"
        elif synopsis and not line.lstrip().startswith("#"):
            for bold in re.findall(r"\\fB([^\\]+)\\f[RI]", re.split(r"[ \t]#", line)[0]):
                found.setdefault(section, set()).update(re.findall(r"[A-Za-z][A-Za-z0-9_-]+", bold))
    return found


def test_the_table_is_the_readers_own() -> None:
    assert (ROOT / "docs/keepalived-keywords.md").read_text() == markdown(), (
        "make it anew: python -m vrrpd.config.listing > docs/keepalived-keywords.md"
    )


def test_every_keyword_of_the_manual_page_is_there() -> None:
    known: dict[str, set[str]] = {}
    for entry in keywords():
        known.setdefault(entry.block, set()).add(entry.name)
    pages = manual()
    missing = {}
    for section, blocks in SECTIONS.items():
        assert pages.get(section), f"the page has no keywords in section {section}"
        missing[section] = pages[section] - VALUES - set().union(*(known[block] for block in blocks))
    assert not any(missing.values()), missing


def test_every_remark_is_about_a_keyword() -> None:
    names = {(entry.block, entry.name): entry.status for entry in keywords()}
    assert {key: names.get(key) for key in DIFFERENT} == dict.fromkeys(DIFFERENT, "differing")
    assert {key: names.get(key) for key in OWN_PLACE} == dict.fromkeys(OWN_PLACE, "vrrpd's own")
    own = {entry.name for entry in keywords() if entry.status == "vrrpd's own"}
    assert own == OWN.keys() | {name for _, name in OWN_PLACE}


@pytest.mark.interop
def test_keepalived_knows_all_keywords_but_our_own(tmp_path: Path) -> None:
    """Each keyword alone in its block: keepalived says of ours that it does not know them, of no other that we follow."""
    keepalived = require_program("keepalived")
    for block in ("global_defs", "vrrp_script", "vrrp_instance", "vrrp_sync_group"):
        unknown = set()
        ours = {entry.name: entry.status for entry in keywords() if entry.block == block}
        for name in ours:
            file = tmp_path / f"{name}.conf"
            file.write_text(f"{block} {'' if block == 'global_defs' else 'X'} {{\n    {name}\n}}\n")
            command = [keepalived, "-t", "-f", str(file)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            unknown.update(re.findall(r"Unknown keyword '([^']+)'", done.stdout + done.stderr))
        # What is ignored or refused may be of a later version, or of a build with other options.
        followed = {name for name in unknown if ours[name] in ("supported", "differing", "vrrpd's own")}
        assert followed == {name for name, status in ours.items() if status == "vrrpd's own"}, block
