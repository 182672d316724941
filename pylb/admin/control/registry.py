"""The table of commands: each family's file adds its rows by `command`, and everything else walks the rows.

Dispatch, `help`, the suggestions for unknown commands, the levels and docs/commands.md come from the same rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import Enum
from typing import Any

from pylb.admin.control.session import Command, Level, Session, Severity
from pylb.backend.operate import Refused


class Kind(Enum):
    """Where a command runs when several processes serve (see the package)."""

    OWN = "own"
    """It concerns the connection that it came from."""
    READ = "read"
    """It reads what can be summed over the processes."""
    ORDER = "order"
    """It changes a server's state, weight, address or limits, which one process keeps for all."""
    CHANGE = "change"
    """Every process carries it out, in one order; the answers are the same."""
    GATHER = "gather"
    """Every process answers for itself; the answers are joined."""


Answer = bytes | Iterator[bytes]
"""What a command says; where that may be much, line by line as somebody takes it."""
Run = Callable[[Session, Any, Sequence[str], str], Answer]


@dataclass(frozen=True, slots=True)
class Row:
    """One command."""

    words: tuple[str, ...]
    arguments: str
    """As `help` shows them."""
    help: str
    kind: Kind
    level: Level
    """The least level that may give it."""
    run: Run
    join: Callable[[list[bytes]], bytes] | None = None
    """How a GATHER makes one answer of several; None: one behind the other."""

    @property
    def usage(self) -> str:
        """The words and what follows them."""
        return " ".join((*self.words, self.arguments)).rstrip()


Rows = Mapping[tuple[str, ...], Row]

ROWS: dict[tuple[str, ...], Row] = {}
"""The admin socket's. The master socket has others (control/master.py)."""
_LONGEST = 4


def command(
    words: str,
    arguments: str = "",
    *,
    help: str,
    kind: Kind = Kind.READ,
    level: Level = Level.USER,
    join: Callable[[list[bytes]], bytes] | None = None,
) -> Callable[[Run], Run]:
    """Add a function to the table under its words."""

    def register(run: Run) -> Run:
        key = tuple(words.split())
        assert key not in ROWS and len(key) <= _LONGEST, key
        ROWS[key] = Row(key, arguments, help, kind, level, run, join)
        return run

    return register


def find(words: Sequence[str], rows: Rows = ROWS) -> Row | None:
    """The row whose words a command begins with, the longest."""
    for length in range(min(_LONGEST, len(words)), 0, -1):
        row = rows.get(tuple(words[:length]))
        if row is not None:
            return row
    return None


def execute(session: Session, world: Any, given: Command, rows: Rows = ROWS) -> bytes:
    """Carry a command out where it is to run; its answer, as Session.finish takes it."""
    answer = begin(session, world, given, rows)
    return answer if isinstance(answer, bytes) else b"".join(answer)


def begin(session: Session, world: Any, given: Command, rows: Rows = ROWS) -> Answer:
    """The same; a long answer is made while it is read."""
    row = find(given.words, rows)
    if row is None:
        return session.feedback(Severity.INFO, unknown(session, given.words, rows))
    if session.level < row.level:
        return session.feedback(Severity.ERROR, "Permission denied")
    try:
        return row.run(session, world, given.words[len(row.words) :], given.payload)
    except Refused as refusal:
        return session.feedback(Severity.ERROR, str(refusal))


def in_lines(lines: Iterable[str]) -> Iterator[bytes]:
    """A long answer."""
    for line in lines:
        yield f"{line}\n".encode("utf-8", "surrogateescape")


def text_of(session: Session, given: Command) -> str:
    """A command as text again, for a connection to another process that is to carry it out for this session."""
    words = (_SPECIAL.sub(r"\\\g<0>", word) for word in given.words)
    before = "" if session.severity == "none" else f"set severity-output {session.severity};"
    payload = f" <<\n{given.payload}\n" if given.payload else ""
    return f"{before}{' '.join(words)}{payload}\n"


_SPECIAL = re.compile(r"[\\; \t<]")


# -------------------------------------------------------------------------------------------------------------- help


def usages(session: Session, begins: Sequence[str] = (), rows: Rows = ROWS) -> list[str]:
    """A line per command that the session may give, in HAProxy's columns; those of the connection come last."""
    return _lines([row for row in allowed(session, rows) if row.words[: len(begins)] == tuple(begins)])


def help_text(session: Session, words: Sequence[str], rows: Rows = ROWS) -> bytes:
    """The answer to `help`."""
    lines = usages(session, words, rows)
    if words and len(lines) == len(ALWAYS):
        lines = [f"  {row.usage:<40}: {row.help}" for row in suggestions(session, words, rows)] + lines
    return session.feedback(Severity.INFO, "\n".join(("The following commands are valid at this level:", *lines)))


def allowed(session: Session, rows: Rows = ROWS) -> list[Row]:
    """What the session may ask for, in order of the words."""
    may = [row for row in rows.values() if row.level <= session.level]
    return sorted((row for row in may if row.words[0] not in ALWAYS and row.words[0][0] != "_"), key=lambda r: r.words)


ALWAYS = ("help", "prompt", "quit")
"""Shown at the end of every list."""


def _lines(rows: Sequence[Row]) -> list[str]:
    rows = [*rows, *(ROWS[(word,)] for word in ALWAYS)]
    return [f"  {row.usage:<40}: {row.help}" for row in rows]


def unknown(session: Session, words: Sequence[str], rows: Rows = ROWS) -> str:
    """What is said to a command that there is not: the nearest ones."""
    if not words:
        head, lines = "Unknown command. Please enter one of the following commands only:", usages(session, (), rows)
    else:
        near = suggestions(session, words, rows)
        if near:
            head, lines = "Unknown command, but maybe one of the following ones is a better match:", _lines(near)
        else:
            head, lines = "Unknown command. Please enter one of the following commands only:", usages(session, (), rows)
    return "\n".join((head, *lines))


def suggestions(session: Session, words: Sequence[str], rows: Rows = ROWS) -> list[Row]:
    """Commands that begin as the words do, else those that resemble them."""
    may = allowed(session, rows)
    for length in range(min(len(words), _LONGEST), 0, -1):
        same = [row for row in may if row.words[:length] == tuple(words[:length])]
        if same and (length == len(words) or length > 1):
            return same
    typed = " ".join(words)[:80]
    scored = [(SequenceMatcher(None, typed, " ".join(row.words)).ratio(), row) for row in may]
    scored = sorted((pair for pair in scored if pair[0] >= 0.6), key=lambda pair: -pair[0])
    return [row for _, row in scored[:5]]
