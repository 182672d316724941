"""The line protocol as bytes: what becomes a command, what is read as its answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylb.admin.control.session import Command, Level, Session, split_words


def commands(session: Session) -> list[Command]:
    found = []
    while (command := session.next()) is not None:
        found.append(command)
    return found


def test_one_line_is_one_command_and_the_end():
    session = Session()
    session.receive(b"show  \t info\r\n")
    assert commands(session) == [Command(("show", "info"))]
    assert session.finish(b"Name: x\n") == b"Name: x\n\n"
    assert session.over


def test_semicolons_divide_and_backslashes_protect():
    session = Session()
    session.receive(b"show info;set x a\\;b\\ c\\\\\nshow a\\\n")
    assert commands(session) == [
        Command(("show", "info")),
        Command(("set", "x", "a;b c\\")),
        Command(("show", "a\\")),
    ]
    assert split_words("a\\;b\\ c\\\\ d") == ("a;b c\\", "d")


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


def test_a_payload_ends_with_an_empty_line_and_belongs_to_the_command_before():
    session = Session()
    session.receive(b"show info; add map x <<\nkey value; more\nother\n")
    assert commands(session) == [Command(("show", "info"))]
    assert not session.over
    session.receive(b"\nshow version\nadd map y <<;a b\n\n")
    assert commands(session) == [
        Command(("add", "map", "x"), "key value; more\nother"),
        Command(("show", "version")),
        Command(("add", "map", "y"), "a b"),
    ]


def test_the_prompt_of_a_payload():
    session = Session(interactive=True)
    for line, prompt in ((b"add map x <<\n", b"+ "), (b"a b\n", b"+ ")):
        session.receive(line)
        assert session.next() is None
        assert session.unsaid() == prompt
    session.receive(b"\n")
    assert session.next() == Command(("add", "map", "x"), "a b")
    assert session.unsaid() == b""


def test_what_comes_behind_prompt_is_prompted_for():
    session = Session()
    session.receive(b"prompt\nadd map x <<\na b\n\n")
    assert session.next() == Command(("prompt",))
    session.interactive = True
    assert session.next() == Command(("add", "map", "x"), "a b")
    assert session.unsaid() == b"+ + "


def test_the_pattern_must_stand_alone():
    session = Session()
    session.receive(b"add map x y<<\n")
    assert commands(session) == [Command(("add", "map", "x", "y<<"))]


@pytest.mark.parametrize("sent", [b"x" * 70_000, b"set ssl cert a <<\n" + b"y" * 100 + b"\n" + b"z\n" * 10_000])
def test_what_is_too_long_is_refused_and_ends_the_connection(sent):
    session = Session(limit=16384)
    told = b""
    for at in range(0, len(sent), 1000):
        session.receive(sent[at : at + 1000])
        assert commands(session) == []
        told += session.unsaid()
    assert told.count(b"too big") == 1
    assert session.over
    assert session.next() is None


pieces = st.lists(st.sampled_from([b"\\", b";", b"\n", b" ", b"<<", b"a", b"\r", b"\xff", b"\n\n"]), max_size=100)


@given(st.one_of(pieces.map(b"".join), st.binary(max_size=300)), st.lists(st.integers(0, 300)))
def test_any_division_of_the_bytes_gives_the_same_commands(data, cuts):
    whole, parts = Session(Level.ADMIN), Session(Level.ADMIN)
    taken: list[Command] = []
    whole.receive(data)
    start = 0
    for cut in [*sorted(cuts), len(data)]:
        parts.receive(data[start : max(start, cut)])
        taken += commands(parts)
        start = max(start, cut)
    assert commands(whole) == taken + commands(parts)
