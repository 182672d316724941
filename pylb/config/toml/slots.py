"""`capture SAMPLE len N` among a frontend's rules: such a rule makes its slot, behind those of the `capture` key."""

from __future__ import annotations

from dataclasses import replace

from pylb.config.model import Capture, Frontend, Rule
from pylb.config.words import Report


def with_slots(frontend: Frontend, report: Report) -> Frontend:
    """The frontend with a slot for every rule that asks for one, and rules that name theirs."""
    captures = list(frontend.captures)
    for capture in captures:
        if capture.kind == "cookie" and not capture.name:
            report(capture.at, "a captured cookie needs a name", 'as in { kind = "cookie", name = "SID", len = 32 }')
    tcp = tuple(_slotted(rule, captures, report) for rule in frontend.tcp_request)
    http = tuple(_slotted(rule, captures, report) for rule in frontend.http_request)
    return replace(frontend, captures=tuple(captures), tcp_request=tcp, http_request=http)


def _slotted(rule: Rule, captures: list[Capture], report: Report) -> Rule:
    if rule.action.rpartition(" ")[2] != "capture" or len(rule.args) != 3 or rule.args[1] != "len":
        return rule
    length = rule.args[2]
    if not (length.isascii() and length.isdigit() and 0 < int(length) < 65536):
        report(rule.at, f'"{length}" is not a length of 1 to 65535 bytes')
        return rule
    number = sum(capture.kind == "request" for capture in captures)
    captures.append(Capture("request", int(length), at=rule.at))
    return replace(rule, args=(rule.args[0], "id", str(number)))
