"""Patterns that every Python from 3.11 on reads alike."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pylb
from pylb.http1.chunked import _line_prefix
from pylb.http1.grammar import AUTHORITY, CHUNK_EXTENSIONS, FIELD_LINE, QUOTED_STRING
from pylb.http1.patterns import SOUND, atomic


@pytest.mark.parametrize(
    ("possessive", "expected"),
    [
        (rb"a*+b++", rb"a*+b++"),
        (rb"(?:ab)*+", rb"(?>(?:ab)*)"),
        (rb"((?:\r\n[)(*+]++){0,101}+)x", rb"((?>(?:\r\n[)(*+]++){0,101}))x"),
        (rb"(?:a(?:b\)+)?+)++", rb"(?>(?:a(?>(?:b\)+)?))+)"),
        (rb"[]()*+]+(a)?", rb"[]()*+]+(a)?"),
    ],
)
def test_repeats_of_groups_become_atomic(possessive, expected):
    assert atomic(possessive) == expected


@pytest.mark.skipif(not SOUND, reason="this Python reads one of the two wrongly")
@pytest.mark.parametrize(
    "rule", [AUTHORITY, CHUNK_EXTENSIONS, QUOTED_STRING, _line_prefix, rb"(?:\r\n" + FIELD_LINE + rb"){0,5}+"]
)
@given(text=st.text(alphabet='\r\n:;="\\a0.[]%-4 ', max_size=24))
def test_both_ways_match_the_same(rule, text):
    one, other = (re.compile(pattern).match(text.encode()) for pattern in (rule, atomic(rule)))
    assert (one and (one.span(), one.groups())) == (other and (other.span(), other.groups()))


HEADS = """
from pylb.http1.chunked import ChunkedReader
from pylb.http1.errors import ProtocolError
from pylb.http1.head import Limits, parse_request, parse_response, reject_early

limits = Limits()
for head in (b"GET / HTTP/1.1\\r\\nHost: a\\r\\nAccept: */*", b"POST /x HTTP/1.1\\r\\nHost: b:80\\r\\nA:"):
    assert parse_request(head + b"\\r\\n\\r\\n", 0, len(head), limits).method
    for end in range(1, len(head)):
        reject_early(head[:end], 0, limits)
    try:
        reject_early(head + b"\\r\\nb c", 0, limits)
    except ProtocolError as error:
        assert error.status == 400
    else:
        raise AssertionError("a blank in a name")
assert parse_response(b"HTTP/1.1 200 OK\\r\\nA: b\\r\\n\\r\\n", 0, 21, limits).status == 200
body = b'5;a="b"\\r\\nhello\\r\\n1\\r\\n \\r\\n0\\r\\nx: y\\r\\nz: a\\r\\n\\r\\n'
for piece in (1, 7, 99):
    reader = ChunkedReader()
    for start in range(0, len(body), piece):
        reader.feed(body[start : start + piece], 0)
    assert reader.done, piece
"""


def interpreters() -> list[Path]:
    """This one, and what the system has; Debian 12 comes with 3.11.2."""
    return [Path(sys.executable), *(path for n in (11, 12, 13) if (path := Path(f"/usr/bin/python3.{n}")).exists())]


@pytest.mark.parametrize("interpreter", interpreters(), ids=str)
def test_heads_are_read_by_the_interpreters_at_hand(interpreter):
    place = str(Path(pylb.__file__).parents[1])
    subprocess.run([interpreter, "-c", HEADS], check=True, timeout=30, cwd=place, env={"PYTHONPATH": place})
