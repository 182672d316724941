"""haproxy.cfg's words: quotes, escapes, comments, environment variables."""

from __future__ import annotations

import re
import subprocess

import pytest
from haproxy_tools import read
from hypothesis import given
from hypothesis import strategies as st
from support import require_program

from pylb.config.haproxy.lexer import LexicalError, split_line

ENVIRONMENT = {"HOME": "/root", "EMPTY": "", "LIST": "a b  c", "SPACED": " x y ", "P": "80"}


def split(line: str) -> list[str]:
    return [word.text for word in split_line(line, "f", 1, ENVIRONMENT.get)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  # all comment", []),
        ("a b\tc", ["a", "b", "c"]),
        ("daemon#comment", ["daemon"]),
        ("a # b", ["a"]),
        (r"realm A\ B", ["realm", "A B"]),
        (r"a \# b", ["a", "#", "b"]),
        ("a 'b c' d", ["a", "b c", "d"]),
        ('a "b c" d', ["a", "b c", "d"]),
        ("""x "a'b" 'c"d'""", ["x", "a'b", 'c"d']),
        ("a'b'\"c\"d", ["abcd"]),
        (r"'a\b'", [r"a\b"]),
        (r'"a\"b"', ['a"b']),
        (r"\n\r\t\x41", ["\n\r\tA"]),
        (r"^a\.b\d$", [r"^a\.b\d$"]),
        (r'"\$HOME \.x"', [r"$HOME \.x"]),
        ("'' \"\"", ["", ""]),
        (r"\xc3\xa9", ["é"]),
        ("é", ["é"]),
    ],
)
def test_words_are_cut_as_the_manual_says(line: str, words: list[str]) -> None:
    assert split(line) == words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('"$HOME"', ["/root"]),
        ('"${HOME}/x"', ["/root/x"]),
        ('":$P"', [":80"]),
        ("$HOME '$HOME'", ["$HOME", "$HOME"]),
        ('"${UNSET-a b}"', ["a b"]),
        ('"${EMPTY-a}"', [""]),
        ('"${UNSET}"', [""]),
        ('"$HOME-x"', ["/root-x"]),
        ('x "${LIST[*]}" y', ["x", "a", "b", "c", "y"]),
        ('x"${LIST[*]}"y', ["xa", "b", "cy"]),
        ('"${UNSET[*]-a b}"', ["a", "b"]),
    ],
)
def test_variables_are_replaced_inside_double_quotes_only(line: str, words: list[str]) -> None:
    assert split(line) == words


def test_columns_are_those_of_the_first_character() -> None:
    words = split_line("\tbind  'a b'  \"$HOME\"x # c", "f", 7, ENVIRONMENT.get)
    assert [(w.at.line, w.at.column) for w in words] == [(7, 2), (7, 8), (7, 15)]


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ('a "b', 3, "unmatched quote"),
        ("a 'b", 3, "unmatched quote"),
        (r"a \xZ1", 3, "hexadecimal"),
        (r"a \x00", 3, "x00"),
        (r"a \xff", 3, "UTF-8"),
        ('"$1"', 2, "forbidden first character"),
        ('"${HOME"', 2, "unmatched brace"),
        ('"${HOME!}"', 2, "unmatched brace"),
        ("a\0b", 2, "NUL"),
        ("a \udcff", 3, "0xff is not UTF-8"),
    ],
)
def test_a_line_that_cannot_be_cut_says_where_and_why(line: str, column: int, message: str) -> None:
    with pytest.raises(LexicalError, match=message) as caught:
        split(line)
    assert caught.value.offset + 1 == column


def test_what_is_not_utf_8_may_stand_in_a_comment() -> None:
    assert split("daemon # caf\udce9") == ["daemon"]


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="'\0\n"))))
def test_strong_quotes_keep_everything(words: list[str]) -> None:
    assert split(" ".join(f"'{word}'" for word in words)) == words


@given(st.text(st.sampled_from(list(" ab\\\"'$#{}x41[*]-\t"))))
def test_any_line_gives_words_or_one_lexical_error(line: str) -> None:
    try:
        words = split_line(line, "f", 1, ENVIRONMENT.get)
    except LexicalError as error:
        assert 0 <= error.offset < len(line)
    else:
        assert all(1 <= word.at.column <= len(line) for word in words)


ODD_WORDS = [
    r"a\.b\$c", r'"x\$y\.z"', r"'q\w'\x41\q", r'"${UNSET-foo}"b', r'a$HOME"$HOME"', r'"a\\b"', r"\\", r"a\'b\"c",
    r'"\x41\t."', r"'a'\''b'", r"\q\w\e", r'"\q"', r"%[path,regsub(\"^/a\",b)]", "a=b;c", r'"a b"c', r"\$",
    r'"\#"', r"\&", r'"${EMPTY-x}"y',
]  # fmt: skip


@pytest.mark.interop
def test_words_are_the_real_programs_words(tmp_path) -> None:
    """.warning prints its one argument as it was understood."""
    file = tmp_path / "words.cfg"
    file.write_text("".join(f".warning {word}\n" for word in ODD_WORDS))
    environment = {"PATH": "/usr/bin:/usr/sbin", **ENVIRONMENT}
    program = require_program("haproxy")
    result = subprocess.run([program, "-c", "-f", file], capture_output=True, text=True, env=environment, check=False)
    understood = re.findall(r"parsing \[.*:(\d+)\]: '(.*)'\.", result.stderr)
    assert len(understood) == len(ODD_WORDS)
    for number, text in understood:
        assert split(ODD_WORDS[int(number) - 1]) == [text.replace("\\t", "\t")], ODD_WORDS[int(number) - 1]


def test_addresses_hold_variables_without_quotes() -> None:
    """As in HAProxy, where they are put in once more when an address is read."""
    config = read(
        """
        global
         stats socket $DIR/admin.sock
         log ${HOST}:514 local0
        frontend f
         mode http
         bind ${HOST}:$PORT,':${PORT}'
         default_backend b
        backend b
         mode http
         server s ${HOST}:80 check addr $HOST source $HOST
         http-request set-header X "$PORT" if { path ${HOST} }
        """,
        HOST="192.0.2.1",
        PORT="8080",
        DIR="/run",
    )
    assert config.globals.stats_sockets[0].bind.address.path == "/run/admin.sock"
    assert config.globals.log[0].address == "192.0.2.1:514"
    assert [(bind.address.host, bind.address.port) for bind in config.frontends[0].binds] == [
        ("192.0.2.1", 8080),
        ("", 8080),
    ]
    (server,) = config.backends[0].servers
    assert (server.address.host, server.address.port, server.source) == ("192.0.2.1", 80, "192.0.2.1")
    assert server.check is not None and server.check.address == "192.0.2.1"
    assert "${HOST}" in str(config.backends[0].http_request), "nowhere else"
