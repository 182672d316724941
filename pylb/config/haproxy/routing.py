"""ACLs, rule sets and choices by condition: the keywords of a proxy that hold expressions.

What actions exist and what their words mean is the rule compiler's business; here a line is cut into action, words and
condition. The removed `reqadd` and `rspadd` keep their meaning, as files from before HAProxy 2.1 are full of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from pylb.config.expression import parse_acl, parse_condition, parse_rule
from pylb.config.haproxy.captures import slotted
from pylb.config.haproxy.keywords import Keyword, Line, Refusal
from pylb.config.haproxy.proxy import ProxyDraft
from pylb.config.haproxy.scalars import duration, text
from pylb.config.model import Acl, Condition, Rule, UseBackend
from pylb.config.words import Word

P = Callable[[ProxyDraft, Line], None]

_ACL_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
_RESERVED_NAMES = ("or",)


def _condition(line: Line, what: str) -> Condition:
    """The condition that the rest of the line must be. Raises Refusal."""
    words = line.rest()
    if not words:
        raise Refusal(line.at, f'"{what}" needs a condition', 'add "if …" or "unless …"')
    condition = parse_condition(words, line.at, line.report)
    if condition is None:
        raise Refusal(line.at, "")
    return condition


def _optional_condition(line: Line, words: list[Word]) -> Condition | None:
    if not words:
        return None
    condition = parse_condition(words, line.at, line.report)
    if condition is None:
        raise Refusal(line.at, "")
    return condition


def read_acl(draft: ProxyDraft, line: Line) -> None:
    """`acl NAME CRITERION …`"""
    name = line.next("a name")
    odd = next((c for c in name.text if not _ACL_NAME.fullmatch(c)), None)
    if odd is not None or name.text in _RESERVED_NAMES or not name.text:
        reason = f"character {odd!r} is not permitted" if odd else "the name is reserved"
        raise Refusal(name.at, f'"{name.text}" cannot name an acl: {reason}', "letters, digits and - _ . : are")
    test = parse_acl(line.rest(), line.at, line.report)
    if test is not None:
        draft.acls.append(Acl(name.text, test, line.at))


def _rules(rule_set: str) -> P:
    def read(draft: ProxyDraft, line: Line) -> None:
        if not line.more:
            line.next("an action")
        rule = parse_rule(line.rest(), line.at, line.report)
        if rule is not None:
            makes_slot = rule.action == "capture" and rule_set == "http_request"
            draft.add_rule(rule_set, slotted(draft, rule) if makes_slot else rule)

    return read


def _read_redirect(draft: ProxyDraft, line: Line) -> None:
    """`redirect …` is `http-request redirect …` under its old name."""
    line.args.insert(0, Word("redirect", line.at))
    _rules("http_request")(draft, line)


def _read_tcp_request(draft: ProxyDraft, line: Line) -> None:
    """`tcp-request PHASE ACTION …`: the phase stays in front of the action."""
    phase = line.keyword.partition(" ")[2]
    if not line.more:
        line.next("an action")
    rule = parse_rule(line.rest(), line.at, line.report)
    if rule is not None:
        if rule.action == "capture":
            rule = slotted(draft, rule)
        draft.add_rule("tcp_request", replace(rule, action=f"{phase} {rule.action}"))


def _read_inspect_delay(draft: ProxyDraft, line: Line) -> None:
    word = line.next("a time")
    duration()(word)
    draft.add_rule("tcp_request", Rule("inspect-delay", (word.text,), at=line.at))


def _add_header(rule_set: str) -> P:
    """`reqadd Name:\\ value [if …]`: the value was plain text, so its % signs are doubled."""

    def read(draft: ProxyDraft, line: Line) -> None:
        word = line.next("a header, as in X-Forwarded-Proto:\\ https")
        name, colon, value = word.text.partition(":")
        if not colon or not name:
            raise Refusal(word.at, f'"{word.text}" is not a header', "NAME:\\ VALUE")
        condition = _optional_condition(line, line.rest())
        value = value.strip(" \t").replace("%", "%%")
        rule = Rule("add-header", (name, value), condition, line.at, written_as=line.keyword)
        draft.add_rule(rule_set, rule)

    return read


def _read_use_backend(draft: ProxyDraft, line: Line) -> None:
    name = line.value(text, "a backend")
    draft.use_backend.append(UseBackend(name, _optional_condition(line, line.rest()), line.at))


def _read_use_server(draft: ProxyDraft, line: Line) -> None:
    name = line.value(text, "a server")
    draft.use_server.append(UseBackend(name, _condition(line, "use-server"), line.at))


def _read_default_backend(draft: ProxyDraft, line: Line) -> None:
    word = line.next("a backend")
    draft.values["default_backend"], draft.values["default_backend_at"] = text(word), word.at


def _conditions(attribute: str) -> P:
    def read(draft: ProxyDraft, line: Line) -> None:
        getattr(draft, attribute).append(_condition(line, line.keyword))

    return read


_GONE = {
    "reqallow": "http-request allow",
    "reqiallow": "http-request allow",
    "reqdel": "http-request del-header",
    "reqidel": "http-request del-header",
    "reqdeny": "http-request deny",
    "reqideny": "http-request deny",
    "reqpass": "http-request allow",
    "reqipass": "http-request allow",
    "reqrep": "http-request replace-header, replace-path or replace-uri",
    "reqirep": "http-request replace-header, replace-path or replace-uri",
    "reqtarpit": "http-request tarpit",
    "reqitarpit": "http-request tarpit",
    "rspdel": "http-response del-header",
    "rspidel": "http-response del-header",
    "rspdeny": "http-response deny",
    "rspideny": "http-response deny",
    "rsprep": "http-response replace-header",
    "rspirep": "http-response replace-header",
    "block": "http-request deny",
    "reqsetbe": "use_backend",
    "reqisetbe": "use_backend",
}

ROUTING: list[Keyword[ProxyDraft]] = [
    Keyword("acl", read_acl, "nflb"),
    Keyword("http-request", _rules("http_request"), "nflb", strict=True),
    Keyword("http-response", _rules("http_response"), "nflb", strict=True),
    Keyword("http-after-response", _rules("http_after_response"), "nflb", strict=True),
    Keyword("redirect", _read_redirect, "flb"),
    Keyword("tcp-request connection", _read_tcp_request, "nfl", strict=True),
    Keyword("tcp-request content", _read_tcp_request, "nflb", strict=True),
    Keyword("tcp-request session", _read_tcp_request, "nfl", strict=True),
    Keyword(
        "tcp-request inspect-delay",
        _read_inspect_delay,
        "nflb",
        strict=True,
        note="for TCP mode: in HTTP, rules run when the head is complete",
    ),
    Keyword("tcp-response content", None, "nlb", "unsupported", "http-response works on responses", strict=True),
    Keyword("tcp-response inspect-delay", None, "nlb", "unsupported", "responses are not held back", strict=True),
    Keyword("use_backend", _read_use_backend, "fl"),
    Keyword("use-server", _read_use_server, "lb", strict=True),
    Keyword("default_backend", _read_default_backend, "dfl"),
    Keyword("force-persist", _conditions("force_persist"), "lb"),
    Keyword("ignore-persist", _conditions("ignore_persist"), "lb"),
    Keyword("monitor fail", _conditions("monitor_fail"), "fl"),
    Keyword("reqadd", _add_header("http_request"), "dflb", "removed", "write http-request add-header"),
    Keyword("rspadd", _add_header("http_response"), "dflb", "removed", "write http-response add-header"),
    *(Keyword(name, None, "dflb", "removed", f"write {successor}") for name, successor in _GONE.items()),
]
