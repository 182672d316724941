"""Lines of haproxy.cfg cut into words: quotes, escapes, comments and environment variables.

Manual: 2.2 "Quoting and escaping", 2.3 "Environment variables". Most lines hold neither quote, backslash nor dollar and
are cut by one pattern; only the others are walked character by character. Variables are replaced inside double quotes
and nowhere else; `"${NAME[*]}"` is the one construct that makes several words of one.

Invariant: a Word's column is that of its first character in the file, quotes and escapes included.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pylb.config.model import Origin
from pylb.config.words import Word

Variables = Callable[[str], str | None]
"""The value of an environment variable (or of .FILE, .LINE, .SECTION); None when it is not set."""

_PLAIN_WORD = re.compile(r"[^ \t\r\n\v\f]+")
_SPECIAL = re.compile(r"[\\\"'\x00\ud800-\udfff]")
_SPACE = frozenset(" \t\r\n\v\f")
_NAME = re.compile(r"[A-Za-z_.][A-Za-z0-9_.]*")
_IN_ADDRESS = re.compile(r"\$\{?([A-Za-z0-9_]*)\}?")
_HEX = re.compile(r"[0-9A-Fa-f]{2}")
_BRACES = 'write "${NAME}", "${NAME-default}" or "${NAME[*]}"'
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", " ": " ", "\\": "\\", "#": "#", "'": "'", '"': '"'}


class LexicalError(Exception):
    """A line that cannot be cut into words; `offset` counts characters from 0."""

    def __init__(self, offset: int, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message
        self.advice = advice


def split_line(line: str, file: str, number: int, variables: Variables) -> list[Word]:
    """The words of one line, none for a blank or a comment. Raises LexicalError."""
    if _SPECIAL.search(line) is None:
        text = line.partition("#")[0]
        found = [(m[0], Origin(file, number, m.start() + 1)) for m in _PLAIN_WORD.finditer(text)]
        if "$" in text:
            return [Word(word, at, _expanded(word, variables)) for word, at in found]
        return [Word(word, at) for word, at in found]
    return _Scanner(line, file, number, variables).words()


def _expanded(text: str, variables: Variables) -> str | None:
    return _IN_ADDRESS.sub(lambda match: variables(match[1]) or "", text) if "$" in text else None


class _Scanner:
    """Walks a line that holds quotes or escapes."""

    def __init__(self, line: str, file: str, number: int, variables: Variables) -> None:
        self._line = line
        self._file = file
        self._number = number
        self._variables = variables
        self._position = 0
        self._words: list[Word] = []
        self._piece: list[str] = []
        self._start = -1  # where the current word began; -1 between words

    def words(self) -> list[Word]:
        """All words up to the end or a comment."""
        while self._position < len(self._line):
            char = self._line[self._position]
            if char == "#":
                break
            if char in _SPACE:
                self._end_word()
                self._position += 1
            else:
                self._begin_word()
                self._unquoted(char)
        self._end_word()
        return self._words

    def _begin_word(self) -> None:
        if self._start < 0:
            self._start = self._position

    def _end_word(self) -> None:
        if self._start >= 0:
            text, at = self._text(), Origin(self._file, self._number, self._start + 1)
            self._words.append(Word(text, at, _expanded(text, self._variables)))
            self._piece.clear()
            self._start = -1

    def _text(self) -> str:
        """The word; bytes written as \\xNN from 0x80 on must make up UTF-8 characters."""
        try:
            return "".join(self._piece).encode("utf-8", "surrogateescape").decode("utf-8")
        except UnicodeDecodeError as error:
            raise LexicalError(self._start, "the bytes written as \\xNN are not UTF-8") from error

    def _unquoted(self, char: str) -> None:
        if char == "'":
            self._strong()
        elif char == '"':
            self._weak()
        elif char == "\\":
            self._escape()
        else:
            self._literal(char)

    def _literal(self, char: str) -> None:
        if char == "\0":
            raise LexicalError(self._position, "stray NUL byte", "remove it: a configuration is text")
        if "\ud800" <= char <= "\udfff":
            raise LexicalError(
                self._position, f"byte 0x{ord(char) - 0xDC00:02x} is not UTF-8", "save the file as UTF-8"
            )
        self._piece.append(char)
        self._position += 1

    def _strong(self) -> None:
        end = self._line.find("'", self._position + 1)
        if end < 0:
            raise LexicalError(self._position, "unmatched quote (')", "close it on the same line")
        self._position += 1
        while self._position < end:
            self._literal(self._line[self._position])
        self._position = end + 1

    def _weak(self) -> None:
        opened = self._position
        self._position += 1
        while self._position < len(self._line):
            char = self._line[self._position]
            if char == '"':
                self._position += 1
                return
            if char == "\\":
                self._escape(weak=True)
            elif char == "$":
                self._variable()
            else:
                self._literal(char)
        raise LexicalError(opened, 'unmatched quote (")', "close it on the same line")

    def _escape(self, weak: bool = False) -> None:
        """What is not known to be an escape keeps its backslash: regular expressions are full of them."""
        following = self._line[self._position + 1 : self._position + 2]
        if following == "x":
            self._hexadecimal()
            return
        known = "$" if weak and following == "$" else _ESCAPES.get(following)
        self._piece.append("\\" if known is None else known)
        self._position += 1 if known is None else 2

    def _hexadecimal(self) -> None:
        digits = _HEX.match(self._line, self._position + 2)
        if digits is None:
            raise LexicalError(
                self._position, r"truncated or invalid hexadecimal sequence after \x", r"write two digits, as in \x0a"
            )
        byte = int(digits[0], 16)
        if byte == 0:
            raise LexicalError(self._position, r"a word cannot hold \x00")
        self._piece.append(chr(byte if byte < 0x80 else 0xDC00 + byte))
        self._position += 4

    def _variable(self) -> None:
        dollar = self._position
        braced = self._line.startswith("{", dollar + 1)
        name = _NAME.match(self._line, dollar + 1 + braced)
        if name is None:
            raise LexicalError(
                dollar, 'forbidden first character in the name of an environment variable behind "$"', r"or write \$"
            )
        self._position = name.end()
        value = self._variables(name[0])
        if not braced:
            self._piece.append(value or "")
            return
        listed, default = self._inside_braces(dollar)
        value = default if value is None else value
        if listed:
            self._spread(value)
        else:
            self._piece.append(value)

    def _inside_braces(self, dollar: int) -> tuple[bool, str]:
        """What follows the name in `${NAME[*]-default}`: whether it is a list, and the default."""
        listed = self._line.startswith("[*]", self._position)
        if listed:
            self._position += 3
        end = self._line.find("}", self._position)
        rest = self._line[self._position : end] if end >= 0 else "?"
        if rest and not rest.startswith("-"):
            raise LexicalError(dollar, "unmatched brace or odd character in an environment variable", _BRACES)
        self._position = end + 1
        return listed, rest[1:]

    def _spread(self, value: str) -> None:
        """A list becomes words of its own; what touches it is joined to the first and the last."""
        start = self._start
        for number, part in enumerate(re.split(r"[ \t]+", value)):
            if number:
                self._end_word()
                self._start = start
            self._piece.append(part)
