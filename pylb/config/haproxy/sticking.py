"""Stick rules (manual: `stick match`, `stick on`, `stick store-request`, `stick store-response`)."""

from __future__ import annotations

from pylb.config.expression import parse_condition, parse_sample, split_condition
from pylb.config.haproxy.keywords import Keyword, Line, Refusal
from pylb.config.haproxy.proxy import ProxyDraft
from pylb.config.haproxy.scalars import choice
from pylb.config.model import StickRule

KINDS = ("match", "on", "store-request", "store-response")


def stick_rule(kind: str, line: Line) -> StickRule:
    """`PATTERN [table T] [if|unless …]`, what stands behind the kind. Raises Refusal."""
    if not line.more:
        line.next("a sample, as in src")
    words, condition_words = split_condition(line.rest())
    sample = parse_sample(words[0].text, words[0].at, line.report) if words else None
    if not words:
        raise Refusal(line.at, f'"stick {kind}" needs a sample', "stick on src")
    table = None
    if len(words) > 1:
        choice("table", kind="word of a stick rule")(words[1])
        if len(words) != 3:
            raise Refusal(words[-1].at, 'after "table" stands one name', "stick on src table clients")
        table = words[2].text
    condition = parse_condition(condition_words, line.at, line.report) if condition_words else None
    if sample is None or (condition_words and condition is None):
        raise Refusal(line.at, "")
    return StickRule(kind, sample, table, condition, line.at)  # type: ignore[arg-type]


def read_phrase(line: Line) -> StickRule:
    """`on PATTERN …`, as lb.toml has it. Raises Refusal."""
    return stick_rule(
        choice(*KINDS, kind="kind of stick rule")(line.next("on, match, store-request or store-response")), line
    )


def _read(draft: ProxyDraft, line: Line) -> None:
    draft.stick.append(stick_rule(line.keyword.partition(" ")[2], line))


STICKING: list[Keyword[ProxyDraft]] = [
    *(Keyword(f"stick {kind}", _read, "lb", strict=True) for kind in KINDS),
]
