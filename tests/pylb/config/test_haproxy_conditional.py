"""Conditional blocks and environment variables across lines."""

from __future__ import annotations

import pytest
from haproxy_tools import errors, read, warnings


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("", False),
        ("0", False),
        ("1", True),
        ("!1", False),
        ("!!1", True),
        ("0 || 1 && 0", False),
        ("(0 || 1) && 1", True),
        ("1 || 0 && 0", True),
        ("defined(A)", True),
        ("defined(Z)", False),
        ("feature(OPENSSL)", True),
        ("feature(LUA)", False),
        ("streq(a,a)", True),
        ("strneq(a,a)", False),
        ('streq("$A",b c)', True),
        ("version_atleast(2.6)", True),
        ("version_atleast(2.6.12)", True),
        ("version_atleast(2.6.13)", False),
        ("version_atleast(2.7-dev1)", False),
        ("version_before(2.7-dev1)", True),
        ("version_before(2.6)", False),
    ],
)
def test_conditions(condition, holds):
    config = read(f".if {condition}\nfrontend yes\n.else\nfrontend no\n.endif\n", A="b c")
    assert [f.name for f in config.frontends] == ["yes" if holds else "no"]


def test_blocks_nest_and_one_branch_of_each_counts():
    config = read("""
        .if 0
        .if 1
        frontend a
        .else
        frontend b
        .endif
        .elif 1
        .if 0
        frontend c
        .elif 1
        frontend d
        .elif 1
        frontend e
        .else
        frontend f
        .endif
        .elif 1
        frontend g
        .else
        frontend h
        .endif
        frontend i
    """)
    assert [f.name for f in config.frontends] == ["d", "i"]


def test_branches_that_do_not_hold_are_not_read():
    assert errors(".if 0\nnonsense\n .elif 1\n.else\n.if nonsense\n.endif\n.endif\n") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (".if 1\n", '".if" without ".endif"'),
        (".endif\n", 'lone ".endif"'),
        (".else\n", 'lone ".else"'),
        (".if 1\n.else\n.elif 1\n.endif\n", 'after ".else"'),
        (".if nosuch(1)\n.endif\n", 'unknown predicate "nosuch"'),
        (".if define(A)\n.endif\n", 'did you mean "defined"'),
        (".if defined(A,B)\n.endif\n", "takes 1 argument, found 2"),
        (".if defined(A\n.endif\n", "is not closed"),
        (".if (1\n.endif\n", "is not closed"),
        (".if 1 2\n.endif\n", 'unexpected "2"'),
        (".if version_atleast(x)\n.endif\n", "is not a version"),
        (".iff 1\n", 'did you mean ".if"'),
        (".alert no\n", "no"),
        (f".if {'!' * 100}1\n.endif\n", "nested too deeply"),
    ],
)
def test_wrong_directives(text, message):
    (error,) = errors(text)
    assert message in error


def test_notices_are_passed_on_and_diagnoses_are_not():
    found = warnings('.notice "hello there"\n.warning careful\n.diag hm\n.if 0\n.alert never\n.endif\n')
    assert found == ["t.cfg:1:1: warning: hello there", "t.cfg:2:1: warning: careful"]


def test_variables_set_in_the_global_section_hold_from_then_on():
    config = read("""
        global
            setenv PORT 81
            presetenv HOST kept
            presetenv EXTRA new
            unsetenv GONE
        frontend f
            bind "${HOST}:$PORT"
            bind ":${GONE-82}"
        frontend "$EXTRA"
    """, HOST="kept.example", GONE="1")  # fmt: skip
    assert [(b.address.host, b.address.port) for b in config.frontends[0].binds] == [("kept.example", 81), ("", 82)]
    assert config.frontends[1].name == "new"


def test_resetenv_keeps_only_what_it_names():
    text = 'global\n setenv A changed\n resetenv A\nfrontend f\n log-tag "$A${B-nothing}"\n'
    assert read(text, A="old", B="b").frontends[0].log_tag == "oldnothing"


def test_a_variable_may_hold_several_words():
    (server,) = read('backend b\n server s 10.0.0.1:80 "${OPTIONS[*]}"\n', OPTIONS="check weight 5").backends[0].servers
    assert (server.weight, server.check is not None) == (5, True)


def test_a_line_knows_its_file_section_and_number():
    text = 'frontend f\n log-format "$.FILE:$.LINE $.SECTION"\n'
    assert read(text).frontends[0].log_format == "t.cfg:2 f"
