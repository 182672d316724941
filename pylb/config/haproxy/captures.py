"""What the log remembers: `capture …`, `declare capture …`, and the slots that `http-request capture … len` makes.

Headers, declared slots and rules with a length of their own share one numbering per direction, in the order of their
lines. The model keeps the slots apart from the rules, so a rule that made one becomes a rule that names it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pylb.config.haproxy.keywords import Keyword, Line, Refusal
from pylb.config.haproxy.proxy import ProxyDraft
from pylb.config.haproxy.scalars import choice, integer, text
from pylb.config.model import Capture, Rule
from pylb.config.words import Word

P = Callable[[ProxyDraft, Line], None]


def slotted(draft: ProxyDraft, rule: Rule) -> Rule:
    """A `capture SAMPLE len N` rule with the slot it makes; others as they are. Raises Refusal."""
    if len(rule.args) != 3 or rule.args[1] != "len":
        return rule
    if draft.kind not in ("frontend", "listen"):
        raise Refusal(
            rule.at,
            f'"capture … len" in {draft.kind} "{draft.name}" is not supported by pylb: it makes no slot',
            "write declare capture request len N in the frontend, and id 0 here",
        )
    length = integer(1)(Word(rule.args[2], rule.at))
    number = sum(capture.kind == "request" for capture in draft.captures)
    draft.captures.append(Capture("request", length, at=rule.at))
    return replace(rule, args=(rule.args[0], "id", str(number)))


def _header(kind: str) -> P:
    def read(draft: ProxyDraft, line: Line) -> None:
        line.value(choice("header", kind=f'word behind "capture {kind}":'))
        _append(draft, line, kind)

    return read


def _append(draft: ProxyDraft, line: Line, kind: str) -> None:
    name = line.value(text, "a name")
    line.value(choice("len", kind="word"))
    draft.captures.append(Capture(kind, line.value(integer(1)), name, line.at))  # type: ignore[arg-type]


def _read_cookie(draft: ProxyDraft, line: Line) -> None:
    for before in [capture for capture in draft.captures if capture.kind == "cookie"]:
        line.report.warning(line.at, f'this captured cookie replaces "{before.name}"', "one cookie can be captured")
        draft.captures.remove(before)
    _append(draft, line, "cookie")


def _read_declare(draft: ProxyDraft, line: Line) -> None:
    kind = line.value(choice("request", "response", kind='word behind "declare capture":'))
    line.value(choice("len", kind="word"))
    draft.captures.append(Capture(kind, line.value(integer(1)), at=line.at))


CAPTURES: list[Keyword[ProxyDraft]] = [
    Keyword("capture cookie", _read_cookie, "fl"),
    Keyword("capture request", _header("request"), "fl"),
    Keyword("capture response", _header("response"), "fl"),
    Keyword("declare capture", _read_declare, "fl", strict=True),
]
