"""What a keyword table is made of: keywords, the line they stand in, and how a line is refused.

Every word that HAProxy knows is a row in some table, also those that pylb does not support. A row says where the
keyword may stand and what becomes of it; the readers, the error messages and the manual's list all come from the rows.

    status        a line with it …
    supported     goes into the model
    ignored       is accepted with a warning that says why it has no effect here
    unsupported   is an error that says so: nothing is dropped silently
    removed       HAProxy itself refuses it; an error that names its successor, or a meaning kept for old files
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from pylb.config.model import Origin
from pylb.config.words import Report, Word, nearest

D = TypeVar("D")
T = TypeVar("T")

Status = Literal["supported", "ignored", "unsupported", "removed"]


class Refusal(Exception):
    """A line that cannot be used: reported by whoever reads lines, which then goes on with the next.

    An empty message: all there is to say has been reported already.
    """

    def __init__(self, at: Origin, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.at = at
        self.message = message
        self.advice = advice


class Line:
    """One line: its keyword, and the arguments behind it, taken from the left."""

    __slots__ = ("_position", "args", "at", "keyword", "negation", "report")

    def __init__(
        self, keyword: str, at: Origin, args: list[Word], report: Report, negation: Literal["", "no", "default"] = ""
    ) -> None:
        self.keyword = keyword
        self.at = at
        self.args = args
        self.report = report
        self.negation = negation
        """ "no" or "default" before the keyword."""
        self._position = 0

    def next(self, what: str = "a value") -> Word:
        """The next argument. Raises Refusal when there is none."""
        if self._position >= len(self.args):
            last = self.args[-1].text if self.args else self.keyword
            raise Refusal(self.args[-1].at if self.args else self.at, f'"{last}" needs {what} behind it')
        self._position += 1
        return self.args[self._position - 1]

    def value(self, parse: Callable[[Word], T], what: str = "a value") -> T:
        """The next argument, parsed. Raises Refusal."""
        return parse(self.next(what))

    @property
    def more(self) -> bool:
        """Whether arguments are left."""
        return self._position < len(self.args)

    def peek(self) -> str:
        """The next argument's text without taking it; "" when there is none."""
        return self.args[self._position].text if self.more else ""

    def take(self, text: str) -> bool:
        """Take the next argument if it is this one."""
        if not self.more or self.args[self._position].text != text:
            return False
        self._position += 1
        return True

    def skip_to(self, known: Callable[[str], bool]) -> None:
        """Pass over arguments up to one that is `known`: what belonged to a refused word is no error of its own."""
        while self.more and not known(self.args[self._position].text):
            self._position += 1

    def rest(self) -> list[Word]:
        """All arguments that are left."""
        rest = self.args[self._position :]
        self._position = len(self.args)
        return rest

    def refuse(self, refusal: Refusal) -> None:
        """Report a refusal and go on with the line."""
        if refusal.message:
            self.report(refusal.at, refusal.message, refusal.advice)

    def end(self) -> None:
        """Refuse arguments that nobody took."""
        if self.more:
            extra = self.args[self._position]
            raise Refusal(extra.at, f'unexpected argument "{extra.text}" behind "{self.keyword}"', "remove it")


def unknown_word(word: Word, kind: str, candidates: Iterable[str]) -> Refusal:
    """The refusal of a word that is none of `candidates`, with the nearest of them, or all when they are few."""
    known = list(candidates)
    near = nearest(word.text, known)
    if near:
        advice = f'did you mean "{near}"?'
    else:
        advice = f"one of {', '.join(known)}" if 0 < len(known) <= 12 else ""
    return Refusal(word.at, f'unknown {kind} "{word.text}"', advice)


@dataclass(frozen=True, slots=True)
class Keyword(Generic[D]):
    """One row: a keyword of one or two words ("maxconn", "timeout client")."""

    name: str
    read: Callable[[D, Line], None] | None = None
    """Moves the arguments into the draft; raises Refusal. None for what is ignored or unsupported."""
    where: str = ""
    """Letters of the sections it may stand in: d defaults, n named defaults only, f frontend, l listen, b backend."""
    status: Status = "supported"
    note: str = ""
    """What happens here instead, or what to write."""
    negatable: bool = False
    """May be written behind "no" and "default"."""
    strict: bool = False
    """In a section without the capability HAProxy refuses it; otherwise it warns and goes on."""


class Table(Generic[D]):
    """Keywords by name; the first word of a two-word keyword is a group."""

    def __init__(self, rows: Iterable[Keyword[D]]) -> None:
        self._rows: dict[str, Keyword[D]] = {}
        self._groups: dict[str, list[str]] = {}
        for row in rows:
            if row.name in self._rows:
                raise ValueError(f"two rows for {row.name}")
            self._rows[row.name] = row
            first, _, second = row.name.partition(" ")
            if second:
                self._groups.setdefault(first, []).append(second)

    def __iter__(self) -> Iterator[Keyword[D]]:
        return iter(self._rows.values())

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def find(self, words: list[Word], kind: str) -> tuple[Keyword[D], int]:
        """The row for a line and how many words its keyword has. Raises Refusal with the nearest keyword."""
        first = words[0].text
        group = self._groups.get(first)
        if group is not None and len(words) > 1:
            row = self._rows.get(f"{first} {words[1].text}")
            if row is not None:
                return row, 2
        row = self._rows.get(first)
        if row is not None:
            return row, 1
        if group is None:
            raise unknown_word(words[0], kind, [*self._rows, *self._groups])
        if len(words) == 1:
            raise Refusal(words[0].at, f'"{first}" needs one of {", ".join(group)} behind it')
        raise unknown_word(words[1], f'word behind "{first}":', group)


def perform(row: Keyword[D], draft: D, line: Line) -> None:
    """Read a line by its row's status. Raises Refusal."""
    if line.negation and not row.negatable:
        raise Refusal(line.at, f'"{line.negation}" cannot stand before "{row.name}"', "only switches can be negated")
    if row.status == "ignored":
        line.report.warning(line.at, f'"{row.name}" has no effect here', row.note)
    elif row.status == "unsupported" and line.negation != "":
        return  # turned off is what it is
    elif row.read is None:
        raise refused(row, line.at)
    else:
        row.read(draft, line)
        line.end()


def refused(row: Keyword[D], at: Origin) -> Refusal:
    """The refusal of a keyword that is known and not supported."""
    if row.status == "removed":
        return Refusal(at, f'"{row.name}" was removed from HAProxy', row.note)
    return Refusal(at, f'"{row.name}" is not supported by pylb', row.note)
