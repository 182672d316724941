"""UTF-8 for the json converter: as 4,000 values through HAProxy's came out, in the cases that differ."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylb.rules.converters.utf8 import decode


@pytest.mark.parametrize(
    ("data", "strict", "silent", "permissive"),
    [
        (b"caf\xc3\xa9", "caf\xe9", "caf\xe9", "caf\xe9"),
        (b"\xc0\xaf \xe0\x80\xaf", None, " ", "/ /"),
        (b"\xf0\x80\x80\xaf\xfc\x80\x80\x80\x80\xaf", None, "", "//"),
        (b"\xed\x9f\xbf\xed\xa0\x80\xee\x80\x80", None, "\ud7ff\ue000", "\ud7ff\ue000"),
        (b"a\xef\xbf\xbeb\xef\xbf\xbd", None, "ab\ufffd", "ab\ufffd"),
        (b"a\xf0\x9f\x92\xa9b", None, "ab", "ab"),
        (b"a\xc3(b\xe2\x82", None, "a(b", "a(b"),
        (b"\x80\xffz\xc3", None, "z", "z"),
    ],
)
def test_errors_and_what_is_left_without_them(data, strict, silent, permissive):
    assert decode(data, permissive=False, silent=False) == strict
    assert decode(data, permissive=False, silent=True) == silent
    assert decode(data, permissive=True, silent=True) == permissive


@given(st.text(st.characters(max_codepoint=0xFFFD, exclude_categories=("Cs",))))
def test_whatever_is_sound_is_read(text):
    assert decode(text.encode(), permissive=False, silent=False) == text


@given(st.binary(max_size=40))
def test_dropping_errors_leaves_what_can_be_written(data):
    decoded = decode(data, permissive=True, silent=True)
    assert decoded is not None
    assert decode(decoded.encode(), permissive=False, silent=False) == decoded
