"""keepalived.conf as text: includes, conditions, definitions and quoting resolved, blocks nested.

    file ── lines ── comments cut ── @condition ── $NAME=value stored ── ~SEQ, ~LST repeated ── $NAME replaced
         ── words, quotes removed ── statements, `{ }` nested

A `Word` knows where it stands; what comes out of a definition stands where the definition is used.  A statement ends
at the end of its line, at `{` or at `}`; a `{` on a line of its own belongs to the statement before it.
(keepalived.conf(5): "Quoted strings", "Conditional configuration", "Parameter substitution", "Sequence blocks".)
"""

from __future__ import annotations

import glob
import random
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vrrpd.config.errors import Report
from vrrpd.config.model import Origin

MAX_INCLUDE_DEPTH = 16
MAX_REPLACEMENTS = 100
MAX_LINES = 1_000_000


@dataclass(frozen=True, slots=True)
class Word:
    """One word, unquoted."""

    text: str
    at: Origin
    quoted: bool = False


@dataclass(slots=True)
class Statement:
    """A line's words and the block behind them."""

    words: list[Word]
    block: list[Statement] | None = None

    @property
    def keyword(self) -> str:
        """The first word."""
        return self.words[0].text

    @property
    def at(self) -> Origin:
        """Where the first word stands."""
        return self.words[0].at

    @property
    def arguments(self) -> list[Word]:
        """The words after the keyword."""
        return self.words[1:]


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    file: str
    number: int
    shift: int = 0
    """How many columns were cut from the front."""
    moved: bool = False
    """Made by a replacement: columns are those of the line that caused it."""

    def at(self, index: int) -> Origin:
        return Origin(self.file, self.number, self.shift + (0 if self.moved else index) + 1)


def read(path: str, report: Report, config_id: str | None = None) -> list[Statement]:
    """The statements of a file and all that it includes; mistakes go to `report`."""
    reader = _Reader(report, config_id or socket.gethostname().split(".")[0])
    return _nest(reader.tokens(Path(path)), report, path)


# Quoting

_UNDEFINED = re.compile(r"\$\{[^{}]*\}")
_WORD_START = re.compile(r"\s*")
_ESCAPES = {"a": "\a", "b": "\b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]+)|c(.)|(.))")


def unescape(text: str) -> str:
    r"""Replace what keepalived replaces in quoted strings: \n, \t, \nnn, \xHH, \cC and \ before anything else."""

    def one(match: re.Match[str]) -> str:
        octal, hexa, control, other = match.groups()
        if octal:
            return chr(int(octal, 8) & 0xFF)
        if hexa:
            return chr(int(hexa, 16) & 0xFF)
        if control:
            return chr(ord(control) & 0x1F)
        return _ESCAPES.get(other, other)

    return _ESCAPE.sub(one, text)


def _cut_comment(text: str) -> str:
    """Everything up to a # or ! that is not quoted."""
    quote, skip = "", False
    for index, char in enumerate(text):
        if skip:
            skip = False
        elif char == "\\":
            skip = True
        elif quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "#!":
            return text[:index]
    return text


def _words(line: _Line, report: Report) -> Iterator[Word]:
    """The words of a line; `{` and `}` are words of their own unless quoted."""
    text, index = line.text, 0
    while True:
        start = match.end() if (match := _WORD_START.match(text, index)) else index
        if start >= len(text):
            return
        if text[start] in "{}":
            yield Word(text[start], line.at(start))
            index = start + 1
            continue
        word, index, quoted = _one_word(text, start, line, report)
        yield Word(word, line.at(start), quoted)


def _one_word(text: str, start: int, line: _Line, report: Report) -> tuple[str, int, bool]:
    parts: list[str] = []
    index, quoted = start, False
    while index < len(text) and not text[index].isspace() and text[index] not in "{}":
        if text[index] in "\"'":
            end = _closing(text, index)
            if end < 0:
                report.error(line.at(index), f"the quote {text[index]} is never closed")
                end = len(text)
            parts.append(unescape(text[index + 1 : end]))
            index, quoted = end + 1, True
        elif text[index] == "\\" and index + 1 < len(text):
            parts.append(text[index + 1])
            index += 2
        elif undefined := _UNDEFINED.match(text, index):
            parts.append(undefined[0])  # an unknown ${NAME} stays what it is
            index = undefined.end()
        else:
            parts.append(text[index])
            index += 1
    return "".join(parts), index, quoted


def _closing(text: str, start: int) -> int:
    index = start + 1
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == text[start]:
            return index
        index += 1
    return -1


# Lines

_INCLUDE = re.compile(r"\s*include([rmwba]*)\s+(\S.*)$")
_CONDITION = re.compile(r"\s*@(\^?)(\S+)(\s+|$)")
_DEFINITION = re.compile(r"\s*\$([A-Za-z_][A-Za-z0-9_]*)=(.*)$", re.DOTALL)
_PARAMETER = re.compile(
    r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?:\s+(\d+))?(?:\s+(\d+))?\}|([A-Za-z_][A-Za-z0-9_]*)(?=\s|$))"
)
_SEQUENCE = re.compile(r"(\s*)~SEQ(x?)\(\s*([A-Za-z_]\w*)\s*,([^)]*)\)\s*")
_LIST = re.compile(r"(\s*)~LST\(([^)]*)\)\s*")


@dataclass(slots=True)
class _Reader:
    report: Report
    config_id: str
    definitions: dict[str, str] = field(default_factory=dict)
    lines_read: int = 0

    def tokens(self, path: Path) -> Iterator[list[Word]]:
        """The words of each line, files included in place."""
        yield from self._file(path, Origin(str(path)), 0)

    def _file(self, path: Path, origin: Origin, depth: int) -> Iterator[list[Word]]:
        try:
            text = path.read_text("utf-8", "surrogateescape")
        except OSError as error:
            self.report.error(origin, f"cannot read {path}: {error.strerror}")
            return
        if depth > MAX_INCLUDE_DEPTH:
            self.report.error(origin, f"files include each other more than {MAX_INCLUDE_DEPTH} deep")
            return
        for line in _logical_lines(text, str(path)):
            yield from self._line(line, path.parent, depth)

    def _line(self, line: _Line, directory: Path, depth: int) -> Iterator[list[Word]]:
        self.lines_read += 1
        if self.lines_read > MAX_LINES:
            if self.lines_read == MAX_LINES + 1:
                self.report.error(line.at(0), f"more than {MAX_LINES} lines after repetition")
            return
        unconditional = self._condition(line)
        if unconditional is None:
            return
        line = unconditional
        if definition := _DEFINITION.match(line.text):
            self.definitions[definition[1]] = definition[2].strip(" \t")
            return
        if include := _INCLUDE.match(line.text):
            yield from self._include(include, line, directory, depth)
            return
        yield from self._expanded(line, directory, depth)

    def _condition(self, line: _Line) -> _Line | None:
        """The line without its @conditions; None if one does not hold."""
        while match := _CONDITION.match(line.text):
            wanted = (match[2] == self.config_id) != bool(match[1])
            if not wanted:
                return None
            line = _Line(line.text[match.end() :], line.file, line.number, line.shift + match.end(), line.moved)
        return line

    def _expanded(self, line: _Line, directory: Path, depth: int) -> Iterator[list[Word]]:
        if match := _SEQUENCE.match(line.text):
            yield from self._repeat(line, match.end(), [(match[3],)], self._sequence(match, line), directory, depth)
            return
        if match := _LIST.match(line.text):
            names, values = self._list(match, line)
            yield from self._repeat(line, match.end(), [names], values, directory, depth)
            return
        replaced = self._replace(line, directory)
        if replaced is line:
            if words := list(_words(line, self.report)):
                yield words
            return
        for text in replaced.text.split("\n"):
            moved = _Line(text, line.file, line.number, line.shift, True)
            yield from self._line(moved, directory, depth)

    def _replace(self, line: _Line, directory: Path) -> _Line:
        """The line with its first known parameter replaced; the line itself if there is none."""
        for match in _PARAMETER.finditer(line.text):
            value = self._value(match, directory)
            if value is not None:
                text = line.text[: match.start()] + value + line.text[match.end() :]
                if len(text) > 1_000_000 or text == line.text:
                    self.report.error(line.at(match.start()), f"the definition of {match[0]} contains itself")
                    return line
                return _Line(text, line.file, line.number, line.shift, True)
        return line

    def _value(self, match: re.Match[str], directory: Path) -> str | None:
        name = match[1] or match[4]
        if name in self.definitions:
            return self.definitions[name]
        if name == "_RANDOM":
            return str(random.randint(int(match[2] or 0), int(match[3] or 32767)))
        # A backslash keeps what would begin a comment.
        fixed = {"_PWD": str(directory), "_INSTANCE": self.config_id, "_HASH": "\\#", "_BANG": "\\!"}
        return fixed.get(name)

    def _sequence(self, match: re.Match[str], line: _Line) -> list[tuple[str, ...]]:
        try:
            numbers = [int(part, 0) for part in match[4].split(",")]
        except ValueError:
            numbers = []
        if not 1 <= len(numbers) <= 3:
            self.report.error(line.at(0), f"cannot read {match[0].strip()}", "write ~SEQ(NAME, start, step, end)")
            return []
        end = numbers[-1]
        start = numbers[0] if len(numbers) > 1 else (1 if end > 0 else -1)
        step = numbers[1] if len(numbers) == 3 else (1 if end >= start else -1)
        if step == 0 or abs(end - start) // abs(step) > MAX_LINES:
            self.report.error(line.at(0), f"{match[0].strip()} does not end")
            return []
        stop = end + (1 if step > 0 else -1)
        return [(f"{n:x}" if match[2] else str(n),) for n in range(start, stop, step)]

    def _list(self, match: re.Match[str], line: _Line) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        parts = [p.strip() for p in re.findall(r"\{[^}]*\}|[^,{}]+", match[2]) if p.strip()]
        rows = [tuple(value.strip() for value in part.strip("{}").split(",")) for part in parts]
        if len(rows) < 2 or any(len(row) != len(rows[0]) for row in rows):
            self.report.error(line.at(0), f"cannot read {match[0].strip()}", "write ~LST(NAME, value, value)")
            return (), []
        return rows[0], rows[1:]

    def _repeat(
        self,
        line: _Line,
        start: int,
        names: list[tuple[str, ...]],
        rows: list[tuple[str, ...]],
        directory: Path,
        depth: int,
    ) -> Iterator[list[Word]]:
        rest = _Line(line.text[start:], line.file, line.number, line.shift + start, line.moved)
        for row in rows:
            self.definitions.update(zip(names[0], row, strict=True))
            yield from self._line(rest, directory, depth)

    def _include(self, include: re.Match[str], line: _Line, directory: Path, depth: int) -> Iterator[list[Word]]:
        replaced = self._replace(line, directory)
        if replaced is not line:
            yield from self._line(replaced, directory, depth)
            return
        at = line.at(include.start(2))
        pattern = include[2].strip().strip("\"'")
        # pathlib finds nothing for absolute patterns, which includes mostly are.
        found = sorted(
            name
            for part in _braces(pattern)
            for name in glob.glob(str(directory / part))  # noqa: PTH207
        )
        has_wildcard = glob.has_magic(pattern)
        if not found:
            if not has_wildcard or set(include[1]) & set("wa"):
                self.report.error(at, f"include finds no file {pattern}")
            return
        for name in found:
            yield from self._file(Path(name), at, depth + 1)


def _braces(pattern: str) -> list[str]:
    """The alternatives of {a,b} in a pattern, as a shell has them."""
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None:
        return [pattern]
    head, tail = pattern[: match.start()], pattern[match.end() :]
    return [one for part in match[1].split(",") for one in _braces(head + part + tail)]


def _logical_lines(text: str, file: str) -> Iterator[_Line]:
    r"""Lines without comments; one that ends in `\` goes on in the next, with a newline kept between them."""
    held: list[str] = []
    first = 0
    for number, raw in enumerate(text.split("\n"), 1):
        part = _cut_comment(raw.rstrip("\r")).rstrip()
        first = first if held else number
        if part.endswith("\\") and not part.endswith("\\\\"):
            held.append(part[:-1])
            continue
        whole = "\n".join([*held, part])
        held = []
        if _DEFINITION.match(whole) or "\n" not in whole:
            yield _Line(whole, file, first)
        else:
            yield _Line(whole.replace("\n", " "), file, first)
    if held:
        yield _Line(" ".join(held), file, first)


# Blocks


def _nest(lines: Iterator[list[Word]], report: Report, path: str) -> list[Statement]:
    root: list[Statement] = []
    stack: list[tuple[list[Statement], Word | None]] = [(root, None)]
    for words in lines:
        statement: Statement | None = None
        for word in words:
            if word.quoted or word.text not in "{}" or not word.text:
                if statement is None:
                    statement = Statement([])
                    stack[-1][0].append(statement)
                statement.words.append(word)
            elif word.text == "{":
                owner = statement or (stack[-1][0][-1] if stack[-1][0] else None)
                if owner is None or owner.block is not None:
                    report.error(word.at, "this { belongs to nothing", "a keyword has to come before it")
                    owner = Statement([Word("", word.at)])
                owner.block = []
                stack.append((owner.block, word))
                statement = None
            else:
                statement = None
                if len(stack) == 1:
                    report.error(word.at, "this } closes nothing")
                else:
                    stack.pop()
    for _, opening in stack[1:]:
        if opening is not None:
            report.error(opening.at, "this { is never closed", "a } is missing")
    return root
