"""Conditional blocks: `.if .elif .else .endif` around lines, and the expressions they test.

Manual: 2.4 "Conditional blocks". A stack of levels, each with a state: lines count when every level is TAKEN. The
expressions are parsed by descent, `||` under `&&` under `!` under parentheses and predicates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum, auto

from pylb.config.haproxy.keywords import Refusal
from pylb.config.model import Origin
from pylb.config.words import Report, Word, nearest

HAPROXY_VERSION = (2, 6, 12)
"""The version whose language is read; version_atleast() and version_before() compare with it."""

FEATURES = frozenset({"OPENSSL", "PROMEX", "THREAD", "EPOLL", "GETADDRINFO", "TFO", "CRYPT_H", "LIBCRYPT", "ACCEPT4"})
"""What feature() answers for: HAProxy's build options whose effect pylb has too."""

_TOKEN = re.compile(r"\s*(&&|\|\||!|\(|\)|[A-Za-z_]+\s*\(|[0-9]+)")


class _Level(Enum):
    TAKEN = auto()  # this branch holds
    WAITING = auto()  # no branch held yet
    DONE = auto()  # an earlier branch held, or the level around it does not


class Conditionals:
    """The open blocks of one file."""

    def __init__(self, report: Report, environment: Mapping[str, str]) -> None:
        self._report = report
        self._environment = environment
        self._levels: list[tuple[_Level, Origin, bool]] = []  # state, its .if, whether .else has been seen

    @property
    def active(self) -> bool:
        """Whether lines count here."""
        return all(state is _Level.TAKEN for state, _, _ in self._levels)

    def directive(self, words: list[Word]) -> None:
        """Act on a line whose first word starts with a dot. Raises Refusal."""
        name = words[0].text
        handler = _DIRECTIVES.get(name)
        if handler is None:
            near = nearest(name, _DIRECTIVES)
            raise Refusal(words[0].at, f'unknown directive "{name}"', f'did you mean "{near}"?' if near else "")
        handler(self, words)

    def end_of_file(self) -> None:
        """Report blocks left open."""
        for _, at, _ in self._levels:
            self._report(at, '".if" without ".endif"', "close the block with .endif in the same file")

    def begin(self, words: list[Word]) -> None:
        """.if CONDITION"""
        state = _Level.DONE
        if self.active:
            state = _Level.TAKEN if self._holds(words) else _Level.WAITING
        self._levels.append((state, words[0].at, False))

    def otherwise_if(self, words: list[Word]) -> None:
        """.elif CONDITION"""
        state, at = self._reopen(words)
        if state is _Level.TAKEN:
            state = _Level.DONE
        elif state is _Level.WAITING and self._holds(words):
            state = _Level.TAKEN
        self._levels.append((state, at, False))

    def otherwise(self, words: list[Word]) -> None:
        """.else"""
        _no_more(words, 1)
        state, at = self._reopen(words)
        self._levels.append((_Level.TAKEN if state is _Level.WAITING else _Level.DONE, at, True))

    def end(self, words: list[Word]) -> None:
        """.endif"""
        _no_more(words, 1)
        if not self._levels:
            raise Refusal(words[0].at, 'lone ".endif" without ".if"')
        self._levels.pop()

    def message(self, words: list[Word]) -> None:
        """.notice, .warning, .alert: text for whoever starts the program; .diag is for a mode that we lack."""
        if not self.active:
            return
        _no_more(words, 2)
        text = words[1].text if len(words) > 1 else ""
        if words[0].text == ".alert":
            self._report(words[0].at, text)
        elif words[0].text != ".diag":
            self._report.warning(words[0].at, text)

    def _reopen(self, words: list[Word]) -> tuple[_Level, Origin]:
        if not self._levels:
            raise Refusal(words[0].at, f'lone "{words[0].text}" without ".if"')
        state, at, closed = self._levels[-1]
        if closed:
            raise Refusal(words[0].at, f'"{words[0].text}" after ".else"', "only .endif may follow .else")
        self._levels.pop()
        return state, at

    def _holds(self, words: list[Word]) -> bool:
        """A condition that cannot be read has been reported and does not hold; an empty one does not hold either."""
        try:
            return holds(words[1:], self._environment)
        except Refusal as refusal:
            self._report(refusal.at, refusal.message, refusal.advice)
            return False


def holds(words: list[Word], environment: Mapping[str, str]) -> bool:
    """Whether a condition holds; one without words does not. Raises Refusal for what is not a condition."""
    condition = " ".join(word.text for word in words)
    return bool(condition.strip()) and _Expression(Word(condition, words[0].at), environment).value()


def _no_more(words: list[Word], most: int) -> None:
    if len(words) > most:
        raise Refusal(words[most].at, f'unexpected "{words[most].text}" after "{words[most - 1].text}"', "quote spaces")


_DIRECTIVES: dict[str, Callable[[Conditionals, list[Word]], None]] = {
    ".if": Conditionals.begin,
    ".elif": Conditionals.otherwise_if,
    ".else": Conditionals.otherwise,
    ".endif": Conditionals.end,
    ".notice": Conditionals.message,
    ".warning": Conditionals.message,
    ".alert": Conditionals.message,
    ".diag": Conditionals.message,
}


class _Expression:
    """One condition; every operand is evaluated so that errors in the second one show as well."""

    _DEEPEST = 64

    def __init__(self, word: Word, environment: Mapping[str, str]) -> None:
        self._word = word
        self._text = word.text
        self._position = 0
        self._depth = 0
        self._environment = environment

    def value(self) -> bool:
        """Raises Refusal for what is not an expression."""
        result = self._any()
        if self._text[self._position :].strip():
            raise self._refusal(f'unexpected "{self._text[self._position :].strip()}" in a condition')
        return result

    def _any(self) -> bool:
        result = self._all()
        while self._take("||"):
            result = self._all() or result
        return result

    def _all(self) -> bool:
        result = self._operand()
        while self._take("&&"):
            result = self._operand() and result
        return result

    def _operand(self) -> bool:
        self._depth += 1
        if self._depth > self._DEEPEST:
            raise self._refusal("the condition is nested too deeply")
        try:
            return self._one()
        finally:
            self._depth -= 1

    def _one(self) -> bool:
        token = _TOKEN.match(self._text, self._position)
        if token is None or token[1] in ("&&", "||", ")"):
            raise self._refusal(f'unparsable condition "{self._text}"', "see .if: 0, 1, defined(NAME), streq(a,b) …")
        self._position = token.end()
        if token[1] == "!":
            return not self._operand()
        if token[1].isdigit():
            return token[1].strip("0") != ""
        if token[1] == "(":
            return self._parenthesis()
        return self._predicate(token[1].removesuffix("(").strip())

    def _parenthesis(self) -> bool:
        result = self._any()
        if not self._take(")"):
            raise self._refusal("a parenthesis is not closed in a condition", "add )")
        return result

    def _predicate(self, name: str) -> bool:
        predicate = _PREDICATES.get(name)
        if predicate is None:
            near = nearest(name, _PREDICATES)
            raise self._refusal(f'unknown predicate "{name}"', f'did you mean "{near}"?' if near else "")
        end = self._text.find(")", self._position)
        if end < 0:
            raise self._refusal(f'the parenthesis of "{name}(" is not closed', "add )")
        args = [arg.strip() for arg in self._text[self._position : end].split(",")]
        self._position = end + 1
        count, test = predicate
        if len(args) != count:
            raise self._refusal(f'"{name}" takes {count} argument{"s" if count > 1 else ""}, found {len(args)}')
        try:
            return test(self._environment, *args)
        except ValueError as error:
            raise self._refusal(str(error)) from error

    def _take(self, token: str) -> bool:
        match = _TOKEN.match(self._text, self._position)
        if match is None or match[1] != token:
            return False
        self._position = match.end()
        return True

    def _refusal(self, message: str, advice: str = "") -> Refusal:
        return Refusal(self._word.at, message, advice)


def _version(text: str) -> tuple[int, ...]:
    match = re.fullmatch(r"([0-9]{1,6})(?:\.([0-9]{1,6}))?(?:\.([0-9]{1,6}))?(?:-(?:dev|rc)[0-9]{1,6})?.*", text)
    if match is None:
        raise ValueError(f'"{text}" is not a version such as 2.6')
    numbers = tuple(int(part or 0) for part in match.groups())
    # a development version stands before the release it leads to
    return (*numbers, -1) if "-dev" in text or "-rc" in text else (*numbers, 0)


_PREDICATES: dict[str, tuple[int, Callable[..., bool]]] = {
    "defined": (1, lambda environment, name: name in environment),
    "feature": (1, lambda _, name: name in FEATURES),
    "streq": (2, lambda _, one, other: one == other),
    "strneq": (2, lambda _, one, other: one != other),
    "version_atleast": (1, lambda _, version: _version(version) <= (*HAPROXY_VERSION, 0)),
    "version_before": (1, lambda _, version: _version(version) > (*HAPROXY_VERSION, 0)),
}
