"""The line protocol as bytes: what becomes a command, what is read as its answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylb.admin.control.session import Command, Level, Session, split_commands


def commands(session: Session) -> list[Command]:
    found = []
    while (command := session.next()) is not None:
        found.append(command)
    return found


def test_one_line_is_one_command_and_the_end():
    session = Session()
    assert session.receive(b"show  \t info\r\n") == b""
    assert commands(session) == [Command(("show", "info"))]
    assert session.finish(b"Name: x\n") == b"Name: x\n\n"
    assert session.over


def test_semicolons_divide_and_backslashes_protect():
    assert split_commands("show info;set x a\\;b\\ c\\\\") == [("show", "info"), ("set", "x", "a;b c\\")]


def test_an_answer_without_a_line_s_end_gets_one():
    assert Session().finish(b"no") == b"no\n\n"
    assert Session().finish(b"") == b"\n"


def test_interactive_mode_prompts_and_stays():
    session = Session()
    session.receive(b"prompt\n")
    commands(session)
    session.interactive = True
    assert session.finish(b"") == b"\n> "
    assert not session.over
    session.receive(b"show version\n")
    commands(session)
    assert session.finish(b"1\n") == b"1\n\n> "


def test_a_payload_ends_with_an_empty_line_and_belongs_to_the_last_command():
    session = Session()
    session.receive(b"show info; add map x <<\nkey value; more\nother\n")
    assert commands(session) == []
    assert not session.over
    session.receive(b"\nshow version\n")
    assert commands(session) == [
        Command(("show", "info")),
        Command(("add", "map", "x"), "key value; more\nother"),
        Command(("show", "version")),
    ]


def test_the_prompt_of_a_payload():
    session = Session(interactive=True)
    assert session.receive(b"add map x <<\n") == b"+ "
    assert session.receive(b"a b\n") == b"+ "
    assert session.receive(b"\n") == b""


def test_the_pattern_must_stand_alone():
    session = Session()
    session.receive(b"add map x y<<\n")
    assert commands(session) == [Command(("add", "map", "x", "y<<"))]


@pytest.mark.parametrize("sent", [b"x" * 70_000, b"set ssl cert a <<\n" + b"y" * 100 + b"\n" + b"z\n" * 10_000])
def test_what_is_too_long_is_refused_and_ends_the_connection(sent):
    session = Session(limit=16384)
    told = b"".join(session.receive(sent[at : at + 1000]) for at in range(0, len(sent), 1000))
    assert told.count(b"too big") == 1
    assert session.over
    assert session.next() is None


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_any_division_of_the_bytes_gives_the_same_commands(data, cuts):
    whole, parts = Session(Level.ADMIN), Session(Level.ADMIN)
    whole.receive(data)
    start = 0
    for cut in [*sorted(cuts), len(data)]:
        parts.receive(data[start : max(start, cut)])
        start = max(start, cut)
    assert commands(whole) == commands(parts)
