"""Actions that leave the messages alone or nearly so: variables, log level, priority, status."""

from __future__ import annotations

from collections.abc import Callable

from pylb.config.expression import parse_sample
from pylb.rules.action import ANYWHERE, HEADERS, Step, Words, action
from pylb.rules.compile import compile_sample
from pylb.rules.context import Context
from pylb.rules.kinds import Kind
from pylb.rules.logformat import compile_text
from pylb.rules.registry import BadArgument, Getter
from pylb.rules.reply import Reply, reason_phrase
from pylb.rules.scope import Place
from pylb.rules.variables import variable_setter

LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""syslog's, in the order of their numbers."""


def _sample(words: Words, text: str, wanted: Kind | None = None) -> Getter | None:
    sample = parse_sample(text, words.at, words.scope.report)
    return None if sample is None else compile_sample(sample, words.scope, wanted)


def _variable(words: Words) -> str:
    if not words.subject:
        raise BadArgument(f'"{words.name}" is written {words.name}(SCOPE.NAME)')
    name, comma, conditions = words.subject.partition(",")
    if comma:
        raise BadArgument(f'conditions inside {words.name}(…) ("{conditions}") are not supported by pylb yet; use "if"')
    return name


@action("set-var", ANYWHERE)
def _set_var(words: Words) -> Step | None:
    store = variable_setter(_variable(words), words.scope)
    words.expect(1, 1, f"set-var({words.subject}) SAMPLE; converters follow after commas, without blanks")
    get = _sample(words, words.args[0])
    if get is None:
        return None

    def step(x: Context) -> Reply | None:
        value = get(x)
        if value is not None:  # a sample without value leaves the variable as it is
            store(x, value)
        return None

    return step


@action("set-var-fmt", ANYWHERE)
def _set_var_fmt(words: Words) -> Step | None:
    store = variable_setter(_variable(words), words.scope)
    words.expect(1, 1, f"set-var-fmt({words.subject}) FORMAT")
    text = compile_text(words.args[0], words.scope, words.at)
    if text is None:
        return None
    return lambda x: store(x, text if isinstance(text, bytes) else text(x))


@action("unset-var", ANYWHERE)
def _unset_var(words: Words) -> Step | None:
    store = variable_setter(_variable(words), words.scope)
    words.expect(0, 0, f"unset-var({words.subject})")
    return lambda x: store(x, None)


@action("set-log-level", HEADERS)
def _set_log_level(words: Words) -> Step | None:
    words.expect(1, 1, "set-log-level LEVEL")
    name = words.args[0]
    if name != "silent" and name not in LEVELS:
        words.scope.report.unknown(words.at, "log level", name, ("silent", *LEVELS))
        return None
    level = -1 if name == "silent" else LEVELS.index(name)

    def step(x: Context) -> Reply | None:
        x.log_level = level
        return None

    return step


def _within(words: Words, most: int) -> Callable[[Context], int | None] | None:
    """The number that the action's only argument, a sample, gives, brought between -`most` and `most`."""
    words.expect(1, 1, f"{words.name} SAMPLE")
    get = _sample(words, words.args[0], Kind.INT)
    if get is None:
        return None

    def number(x: Context) -> int | None:
        value = get(x)
        return max(-most, min(most, value)) if isinstance(value, int) else None

    return number


@action("set-priority-class", frozenset({Place.REQUEST, Place.CONTENT}))
def _set_priority_class(words: Words) -> Step | None:
    number = _within(words, 2047)
    if number is None:
        return None

    def step(x: Context) -> Reply | None:
        if (value := number(x)) is not None:
            x.priority_class = value
        return None

    return step


@action("set-priority-offset", frozenset({Place.REQUEST, Place.CONTENT}))
def _set_priority_offset(words: Words) -> Step | None:
    number = _within(words, 524287)
    if number is None:
        return None

    def step(x: Context) -> Reply | None:
        if (value := number(x)) is not None:
            x.priority_offset = value
        return None

    return step


@action("set-status", HEADERS - {Place.REQUEST})
def _set_status(words: Words) -> Step | None:
    args = words.args
    if len(args) not in (1, 3) or (len(args) == 3 and args[1] != "reason"):
        raise BadArgument('"set-status" is written set-status NUMBER [reason TEXT]')
    if not (args[0].isascii() and args[0].isdigit() and 100 <= int(args[0]) <= 999):
        raise BadArgument(f'"{args[0]}" is no status')
    status = int(args[0])
    reason = args[2].encode("latin-1", "replace") if len(args) == 3 else reason_phrase(status)

    def step(x: Context) -> Reply | None:
        if x.response is not None:
            x.response.set_status(status, reason)
        return None

    return step
