"""The parts of HAProxy's language that stay one string in TOML: rules, ACLs, conditions, addresses, log targets.

They read as they do behind their keyword in haproxy.cfg: `http-request = ["set-header X-Proto https if { ssl_fc }"]`,
and where that language's reader has a parser for the words, it is the one used here.
Each parser takes the text, its place and a report, and gives None after reporting; each has its inverse beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pylb.config.expression import (
    condition_words,
    parse_acl,
    parse_condition,
    parse_rule,
    rule_words,
    split_condition,
    str_acl,
    str_sample,
)
from pylb.config.haproxy.keywords import Line, Refusal
from pylb.config.haproxy.logs import read_target
from pylb.config.haproxy.persistence import PERSISTENCE, stored_data
from pylb.config.haproxy.scalars import Draft
from pylb.config.haproxy.sticking import read_phrase
from pylb.config.model import Acl, Address, Balance, Condition, HashType, LogTarget, Origin, Rule, StickRule, UseBackend
from pylb.config.values import parse_address, parse_size, parse_time, str_address, str_size, str_time
from pylb.config.words import Report, Word, join_words, split_words


@dataclass(frozen=True, slots=True)
class Phrase:
    """One kind of string: how to read it, how to write it, and what to call it in an error."""

    what: str
    parse: Callable[[str, Origin, Report], Any]
    """Text to value; None after reporting what is wrong."""
    show: Callable[[Any], str | None]
    """Value to text; None for a value that has no text of this kind."""


# ------------------------------------------------------------------------------------------------------------ values


def _time(text: str, at: Origin, report: Report) -> float | None:
    try:
        return parse_time(text, default_unit=None)
    except ValueError as error:
        report(at, str(error))
        return None


def _size(text: str, at: Origin, report: Report) -> int | None:
    try:
        return parse_size(text)
    except ValueError as error:
        report(at, str(error))
        return None


def _workers(text: str, at: Origin, report: Report) -> int | None:
    if text == "auto":
        return 0
    report(at, f'"{text}" is not a number of workers', 'write a number, or "auto" for one per CPU')
    return None


def _bind_address(text: str, at: Origin, report: Report) -> Address | None:
    return _address(text, at, report, bind=True)


def _address(text: str, at: Origin, report: Report, bind: bool = False) -> Address | None:
    try:
        return parse_address(text, bind)
    except ValueError as error:
        report(at, str(error))
        return None


def _permissions(text: str, at: Origin, report: Report) -> int | None:
    try:
        return int(text, 8)
    except ValueError:
        report(at, f'"{text}" are not octal permissions', 'for example "600"')
        return None


def _name_and_password(text: str, at: Origin, report: Report) -> tuple[str, str] | None:
    user, colon, password = text.partition(":")
    if not colon:
        report(at, f'"{text}" has no password', 'write "user:password"')
        return None
    return user, password


# ------------------------------------------------------------------------------------------------------------- rules


def _rule(text: str, at: Origin, report: Report) -> Rule | None:
    return parse_rule(split_words(text, at, report), at, report)


def _show_rule(rule: Rule) -> str:
    action, *args = rule_words(rule)
    return join_words([*action.split(" "), *args])


PHASES = ("connection", "session", "content")


def _tcp_rule(text: str, at: Origin, report: Report) -> Rule | None:
    """A `tcp-request` rule: the phase is part of the action."""
    words = split_words(text, at, report)
    if len(words) > 1 and words[0].text in PHASES:
        words = [Word(f"{words[0].text} {words[1].text}", words[0].at), *words[2:]]
    return parse_rule(words, at, report)


def _acl(text: str, at: Origin, report: Report) -> Acl | None:
    words = split_words(text, at, report)
    if not words:
        report(at, "an ACL needs a name", 'for example "is_api path_beg /api"')
        return None
    test = parse_acl(words[1:], words[0].at, report)
    return Acl(words[0].text, test, words[0].at) if test else None


def _condition(text: str, at: Origin, report: Report) -> Condition | None:
    return parse_condition(split_words(text, at, report), at, report)


def _show_condition(condition: Condition) -> str:
    return join_words(condition_words(condition))


def _use_backend(text: str, at: Origin, report: Report) -> UseBackend | None:
    name, condition_part = split_condition(split_words(text, at, report))
    if len(name) != 1:
        report(at, f'"{text}" should be one name and a condition', 'for example "api if is_api"')
        return None
    if not condition_part:
        return UseBackend(name[0].text, None, name[0].at)
    condition = parse_condition(condition_part, at, report)
    return UseBackend(name[0].text, condition, name[0].at) if condition else None


def _show_use_backend(rule: UseBackend) -> str:
    return join_words([rule.backend, *(condition_words(rule.condition) if rule.condition else ())])


def _show_stick(rule: StickRule) -> str:
    table = ("table", rule.table) if rule.table is not None else ()
    return join_words(
        [rule.kind, str_sample(rule.sample), *table, *(condition_words(rule.condition) if rule.condition else ())]
    )


# ----------------------------------------------------------------------------------------------------------- choices


def _line(read: Callable[[Line], Any]) -> Callable[[str, Origin, Report], Any]:
    """A parser that takes the text for the words behind a keyword of haproxy.cfg."""

    def parse(text: str, at: Origin, report: Report) -> Any:
        line = Line("", at, split_words(text, at, report), report)
        try:
            value = read(line)
            line.end()
        except Refusal as refusal:
            line.refuse(refusal)
            return None
        return value

    return parse


def _keyword(name: str, field: str) -> Callable[[Line], Any]:
    """What a keyword of haproxy.cfg puts into a section's draft."""
    row = next(row for row in PERSISTENCE if row.name == name)

    def read(line: Line) -> Any:
        draft: Any = Draft()
        assert row.read is not None
        row.read(draft, line)
        return draft.values.get(field)

    return read


def _stored(line: Line) -> str:
    return ",".join(line.value(stored_data))


def _show_balance(balance: Balance) -> str:
    return join_words([balance.algorithm, *balance.args])


def _show_hash_type(hash_type: HashType) -> str:
    modifier = (hash_type.modifier,) if hash_type.modifier is not None else ()
    return join_words([hash_type.method, hash_type.function, *modifier])


def _show_log_target(target: LogTarget) -> str:
    options = ["len", str(target.length)] if target.length != 1024 else []
    options += ["format", target.format] if target.format else []
    options += ["sample", target.sample] if target.sample else []
    levels = (target.level, target.min_level)
    shown = levels if levels[1] != "emerg" else levels[:1] if levels[0] != "debug" else ()
    return join_words([target.address, *options, target.facility, *shown])


TIME = Phrase('a time such as "10s"', _time, str_time)
WORKERS = Phrase('a number of workers or "auto"', _workers, lambda number: "auto" if number == 0 else number)
SIZE = Phrase('a size such as "16k"', _size, str_size)
ADDRESS = Phrase('an address such as "10.0.0.1:80"', _address, str_address)
BIND_ADDRESS = Phrase('an address such as ":80"', _bind_address, str_address)
PERMISSIONS = Phrase('permissions such as "600"', _permissions, lambda value: f"{value:o}")
LOGIN = Phrase('"user:password"', _name_and_password, lambda pair: f"{pair[0]}:{pair[1]}")
RULE = Phrase('a rule such as "deny if is_bad"', _rule, _show_rule)
TCP_RULE = Phrase('a rule such as "connection reject if is_bad"', _tcp_rule, _show_rule)
ACL = Phrase('an ACL such as "is_api path_beg /api"', _acl, str_acl)
CONDITION = Phrase('a condition such as "if is_api"', _condition, _show_condition)
USE_BACKEND = Phrase('a name and a condition such as "api if is_api"', _use_backend, _show_use_backend)
STICK = Phrase('a rule such as "on src table clients if is_api"', _line(read_phrase), _show_stick)
BALANCE = Phrase('an algorithm such as "leastconn"', _line(_keyword("balance", "balance")), _show_balance)
HASH_TYPE = Phrase('a hash type such as "consistent sdbm"', _line(_keyword("hash-type", "hash_type")), _show_hash_type)
STORED = Phrase('what to store, such as "http_req_rate(10s)"', _line(_stored), str)
LOG_TARGET = Phrase('a log target such as "127.0.0.1:514 local0"', _line(read_target), _show_log_target)
