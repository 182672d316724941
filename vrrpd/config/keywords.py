"""Keyword tables: what a keyword of keepalived.conf does with the words behind it.

A table maps keywords to handlers.  A handler gets the block being read and the statement; it checks the words and
puts values where the block's builder finds them.  `whole`, `seconds`, `flag` ... make handlers; `ignored` and `refused`
make the ones for keywords that are known but not followed.  What no table knows is an error with the nearest keyword.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address

from vrrpd.config.errors import Report, did_you_mean
from vrrpd.config.keepalived_text import Statement, Word
from vrrpd.config.model import Command

_BOOLEANS = {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}


@dataclass(slots=True)
class Block:
    """A block while it is read."""

    report: Report
    statement: Statement
    values: dict[str, object] = field(default_factory=dict)

    def error(self, word: Word, text: str, hint: str = "") -> None:
        """A mistake at `word`."""
        self.report.error(word.at, text, hint)

    def append(self, name: str, value: object) -> None:
        """Add to a list of values."""
        existing = self.values.setdefault(name, [])
        assert isinstance(existing, list)
        existing.append(value)


Handler = Callable[[Block, Statement], None]
Table = Mapping[str, Handler]


def read_block(block: Block, table: Table, what: str) -> dict[str, object]:
    """Give every statement of the block to its handler; the values that they left."""
    for statement in block.statement.block or ():
        handler = table.get(statement.keyword)
        if handler is None:
            block.error(
                statement.words[0],
                f'"{statement.keyword}" is not a keyword of {what}',
                did_you_mean(statement.keyword, table),
            )
        else:
            handler(block, statement)
    return block.values


def arguments(block: Block, statement: Statement, least: int, most: int) -> list[Word] | None:
    """The words behind the keyword if there are as many as wanted, else an error and None."""
    words = statement.arguments
    if len(words) < least:
        block.error(statement.words[0], f'"{statement.keyword}" needs a value')
        return None
    if len(words) > most:
        block.error(words[most], f'"{words[most].text}" is one word too many after "{statement.keyword}"', "remove it")
        return None
    return words


def flag(name: str, value: object = True) -> Handler:
    """The keyword alone means `value`."""

    def handler(block: Block, statement: Statement) -> None:
        if arguments(block, statement, 0, 0) is not None:
            block.values[name] = value

    return handler


def boolean(name: str) -> Handler:
    """on, off, true, false, yes, no; nothing means on."""

    def handler(block: Block, statement: Statement) -> None:
        words = arguments(block, statement, 0, 1)
        if words is None:
            return
        value = _BOOLEANS.get(words[0].text) if words else True
        if value is None:
            block.error(words[0], f'"{words[0].text}" is neither on nor off', "write on or off")
        else:
            block.values[name] = value

    return handler


def whole(name: str, low: int, high: int) -> Handler:
    """A whole number in a range."""

    def handler(block: Block, statement: Statement) -> None:
        words = arguments(block, statement, 1, 1)
        number = None if words is None else whole_number(block, words[0], low, high)
        if number is not None:
            block.values[name] = number

    return handler


def whole_number(block: Block, word: Word, low: int, high: int) -> int | None:
    """The number that `word` is, or an error and None."""
    try:
        number = int(word.text, 0)
    except ValueError:
        block.error(word, f'"{word.text}" is not a whole number', f"write one from {low} to {high}")
        return None
    if not low <= number <= high:
        block.error(word, f"{number} is outside {low} to {high}")
        return None
    return number


def seconds(name: str, low: float, high: float) -> Handler:
    """A time in seconds, fractions allowed."""

    def handler(block: Block, statement: Statement) -> None:
        words = arguments(block, statement, 1, 1)
        number = None if words is None else decimal(block, words[0], low, high)
        if number is not None:
            block.values[name] = number

    return handler


def decimal(block: Block, word: Word, low: float, high: float) -> float | None:
    """The number of seconds that `word` is, or an error and None."""
    try:
        number = float(word.text)
    except ValueError:
        block.error(word, f'"{word.text}" is not a number of seconds')
        return None
    if not low <= number <= high:
        block.error(word, f"{word.text} s is outside {low:g} to {high:g}")
        return None
    return number


def extra_interfaces(name: str) -> Handler:
    """garp_extra_if [all] SECONDS; the word before the number decides whether plain interfaces are meant too."""

    def handler(block: Block, statement: Statement) -> None:
        words = arguments(block, statement, 1, 2)
        if words is None:
            return
        if len(words) == 2 and words[0].text != "all":
            block.error(words[0], f'"{words[0].text}" is not what may stand before the seconds', 'write "all"')
            return
        number = decimal(block, words[-1], 0, 86400)
        if number is not None:
            block.values[name] = number
            block.values[f"{name}_all"] = len(words) == 2

    return handler


def text(name: str) -> Handler:
    """One word, as it is."""

    def handler(block: Block, statement: Statement) -> None:
        words = arguments(block, statement, 1, 1)
        if words is not None:
            block.values[name] = words[0].text

    return handler


def choice(name: str, values: Mapping[str, object]) -> Handler:
    """One of several words."""

    def handler(block: Block, statement: Statement) -> None:
        words = arguments(block, statement, 1, 1)
        if words is None:
            return
        if words[0].text in values:
            block.values[name] = values[words[0].text]
        else:
            block.error(
                words[0],
                f'"{words[0].text}" is not a value of "{statement.keyword}"',
                did_you_mean(words[0].text, values),
            )

    return handler


def ip(name: str) -> Handler:
    """An IP address."""

    def handler(block: Block, statement: Statement) -> None:
        words = arguments(block, statement, 1, 1)
        if words is None:
            return
        try:
            block.values[name] = ip_address(words[0].text)
        except ValueError:
            block.error(words[0], f'"{words[0].text}" is not an address')

    return handler


def command(name: str) -> Handler:
    """A program with its parameters in quotes, then a user and a group."""

    def handler(block: Block, statement: Statement) -> None:
        words = arguments(block, statement, 1, 3)
        read = None if words is None else read_command(block, words)
        if read is not None:
            block.values[name] = read

    return handler


def read_command(block: Block, words: list[Word]) -> Command | None:
    """The command in the first word, its user and group in those behind."""
    try:
        argv = tuple(shlex.split(words[0].text))
    except ValueError as error:
        block.error(words[0], f"cannot split the command into words: {error}")
        return None
    if not argv:
        block.error(words[0], "the command is empty")
        return None
    names = [word.text for word in words[1:]] + [None, None]
    return Command(argv, names[0], names[1], at=words[0].at)


@dataclass(frozen=True, slots=True)
class Ignored:
    """Known, and without effect here."""

    why: str

    def __call__(self, block: Block, statement: Statement) -> None:
        block.report.info(statement.at, "ignored-keyword", f'"{statement.keyword}" is ignored: {self.why}')


@dataclass(frozen=True, slots=True)
class Refused:
    """Known, and not possible here."""

    why: str

    def __call__(self, block: Block, statement: Statement) -> None:
        block.error(statement.words[0], f'"{statement.keyword}" is not supported: {self.why}')


def ignored(why: str) -> Handler:
    """A handler that says once why the keyword has no effect."""
    return Ignored(why)


def refused(why: str) -> Handler:
    """A handler that says why the keyword cannot be followed."""
    return Refused(why)


def table_of(handler: Handler, *keywords: str) -> dict[str, Handler]:
    """The same handler for several keywords."""
    return dict.fromkeys(keywords, handler)
