"""Words of a configuration file, and what is said about the wrong ones.

A `Word` is a piece of text together with where it stands, so that a finding can point at its column whichever language
it came from. A `Report` is handed through every reader and compiler: nobody stops at the first mistake, everybody
appends, and the loader raises once at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from pylb.config.model import NOWHERE, Config, ConfigError, Finding, Origin


@dataclass(frozen=True, slots=True)
class Word:
    """One word with quotes and escapes already resolved; equal when the texts are, wherever they stand."""

    text: str
    at: Origin = field(default=NOWHERE, compare=False)
    expanded: str | None = field(default=None, compare=False)
    """The text with the environment's variables in it, where it names any."""

    def __str__(self) -> str:
        return self.text

    @property
    def as_address(self) -> Word:
        """The word where an address stands: HAProxy puts variables into those whether they are quoted or not."""
        return self if self.expanded is None else Word(self.expanded, self.at)


class Report:
    """Collects findings; calling it adds an error."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def __call__(self, at: Origin, message: str, advice: str = "") -> None:
        """Add an error: one sentence with the offending word quoted, and what to write instead."""
        self.findings.append(Finding("error", at, message, advice))

    def warning(self, at: Origin, message: str, advice: str = "") -> None:
        """Add a warning: it does not keep the configuration from running."""
        self.findings.append(Finding("warning", at, message, advice))

    def unknown(self, at: Origin, kind: str, word: str, candidates: Iterable[str]) -> None:
        """Add the error for a word that is none of `candidates`, naming the nearest one."""
        near = nearest(word, candidates)
        self(at, f'unknown {kind} "{word}"', f'did you mean "{near}"?' if near else "")

    @property
    def errors(self) -> list[Finding]:
        """The findings that are errors."""
        return [finding for finding in self.findings if finding.severity == "error"]

    def raise_errors(self, config: Config | None = None) -> None:
        """Raise ConfigError with all findings, and what could be read, when one of them is an error."""
        if self.errors:
            raise ConfigError(tuple(self.findings), config)


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like `word`, or None when nothing is near enough to suggest."""
    matches = get_close_matches(word.lower(), {c.lower(): c for c in candidates}, n=1, cutoff=0.6)
    if not matches:
        return None
    return next((c for c in candidates if c.lower() == matches[0]), matches[0])


# ------------------------------------------------------------------------------------------------------- one string
# Conditions and ACLs stand as one string in TOML and as words of a line in haproxy.cfg. Quotes and escapes are those of
# the manual's 2.2; environment variables belong to the file's reader and are not touched here.

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}
_LITERAL_AFTER_BACKSLASH = frozenset(" \t\\'\"#$")
_NEEDS_QUOTES = frozenset(" \t\n\r\"'#$\\")


def split_words(text: str, at: Origin, report: Report) -> list[Word]:
    """Cut a string into words as the manual's 2.2 says; reports a quote that is never closed."""
    words: list[Word] = []
    position = 0
    while position < len(text):
        if text[position] in " \t\n\r":
            position += 1
            continue
        start, position = position, _word_end(text, position)
        if position < 0:
            report(_moved(at, start), f"a quote in {text[start:]!r} is not closed", 'close it, or escape it as \\"')
            break
        words.append(Word(_unquote(text[start:position]), _moved(at, start)))
    return words


def quote_word(text: str) -> str:
    """`text` as one word of a line; split_words() gives it back."""
    if text and not _NEEDS_QUOTES.intersection(text):
        return text
    if "'" not in text and not {"\n", "\r"}.intersection(text):
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return '"' + escaped.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'


def join_words(words: Iterable[str]) -> str:
    """A line of these words."""
    return " ".join(map(quote_word, words))


def _moved(at: Origin, columns: int) -> Origin:
    return Origin(at.file, at.line, at.column + columns) if at.line else at


def _word_end(text: str, position: int) -> int:
    """Where the word that begins at `position` ends; -1 when a quote stays open."""
    quote = ""
    while position < len(text):
        char = text[position]
        if char == "\\" and quote != "'":
            position += 1
        elif quote:
            if char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
        elif char in " \t\n\r":
            return position
        position += 1
    return -1 if quote else min(position, len(text))


def _unquote(raw: str) -> str:
    out: list[str] = []
    quote = ""
    position = 0
    while position < len(raw):
        char = raw[position]
        if char == "\\" and quote != "'" and position + 1 < len(raw):
            piece, position = unescape(raw, position)
            out.append(piece)
            continue
        if char in "\"'" and quote in ("", char):
            quote = "" if quote else char
        else:
            out.append(char)
        position += 1
    return "".join(out)


def unescape(raw: str, position: int) -> tuple[str, int]:
    """The text of the escape whose backslash stands at `position`, and where it ends; an unknown one stays as it is."""
    char = raw[position + 1]
    if char in _ESCAPES:
        return _ESCAPES[char], position + 2
    if char in _LITERAL_AFTER_BACKSLASH:
        return char, position + 2
    digits = raw[position + 2 : position + 4]
    if char == "x" and len(digits) == 2 and all(c in "0123456789abcdefABCDEF" for c in digits):
        return chr(int(digits, 16)), position + 4
    return "\\", position + 1
