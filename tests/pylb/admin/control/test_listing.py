"""docs/commands.md says of every command of the real HAProxy whether it is there."""

from __future__ import annotations

import re

import pytest
from admin_pair import running
from support import free_port, require_program

from pylb.admin.control import load
from pylb.admin.control.listing import DIFFERS, NOT_SUPPORTED
from pylb.admin.control.registry import ROWS

CONFIG = """
global
    stats socket {dir}/admin.sock level admin
defaults
    mode http
    timeout client 1s
    timeout server 1s
    timeout connect 1s
frontend web
    bind 127.0.0.1:{port}
"""


def not_supported() -> set[str]:
    """The commands of the table's rows: "a, b x; c y" are a x, b x and c y; "p and q" are two last words."""
    found = set()
    for row in NOT_SUPPORTED:
        for group in row.split("; "):
            *first, last = group.split(", ")
            verb, *rest = last.split()
            for words in first:
                found |= {words} if " " in words else {f"{words} {' '.join(rest)}"}
            found.add(f"{verb} {' '.join(rest)}".strip())
    pairs = {words for words in found if " and " in words}
    for words in pairs:
        start, _, second = words.partition(" and ")
        found |= {start, f"{start.rpartition(' ')[0]} {second}"}
    return found - pairs


def test_differences_are_of_commands_that_there_are():
    load()
    assert [words for words in DIFFERS if tuple(words.split()) not in ROWS] == []
    assert [words for words in not_supported() if tuple(words.split()) in ROWS] == []


@pytest.mark.interop
def test_every_command_of_haproxy_s_is_in_one_of_the_tables(tmp_path):
    load()
    with running(tmp_path, [require_program("haproxy"), "-db"], CONFIG, {"port": free_port()}) as real:
        text = real.ask("help")
    theirs = {
        re.split(r" *[\[<{(:@]", line)[0].strip() for line in text.splitlines() if line.startswith("  ") and ":" in line
    }
    ours = {" ".join(words) for words in ROWS}
    assert len(theirs) > 80
    told = not_supported() | ours
    missing = {words for words in theirs if words not in told and words.replace("crlfile", "crl-file") not in told}
    assert missing == set()
