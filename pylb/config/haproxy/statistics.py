"""`stats …` of a proxy: the statistics page (manual: 4.2)."""

from __future__ import annotations

from collections.abc import Callable

from pylb.config.expression import parse_condition, parse_rule
from pylb.config.haproxy.keywords import Keyword, Line, Refusal
from pylb.config.haproxy.proxy import ProxyDraft
from pylb.config.haproxy.scalars import duration, text
from pylb.config.words import Word

P = Callable[[ProxyDraft, Line], None]


def _read_enable(draft: ProxyDraft, line: Line) -> None:
    draft.own_stats()


def _set(field: str, parse: Callable[[Word], object]) -> P:
    def read(draft: ProxyDraft, line: Line) -> None:
        value = line.value(parse)
        draft.own_stats()[field] = value

    return read


def _flag(field: str) -> P:
    def read(draft: ProxyDraft, line: Line) -> None:
        draft.own_stats()[field] = True

    return read


def _optional_text(field: str) -> P:
    """All words, joined; none is the empty text, which stands for the process's own."""

    def read(draft: ProxyDraft, line: Line) -> None:
        draft.own_stats()[field] = " ".join(word.text for word in line.rest())

    return read


def _read_auth(draft: ProxyDraft, line: Line) -> None:
    word = line.next("USER:PASSWORD")
    user, colon, password = word.text.partition(":")
    if not colon or not user:
        raise Refusal(word.at, f'"{word.text}" is not a user and a password', "USER:PASSWORD")
    stats = draft.own_stats()
    stats["auth"] = (*stats.get("auth", ()), (user, password))
    stats["auth_at"] = (*stats.get("auth_at", ()), word.at)


def _read_scope(draft: ProxyDraft, line: Line) -> None:
    stats = draft.own_stats()
    stats["scope"] = (*stats.get("scope", ()), line.value(text))


def _read_admin(draft: ProxyDraft, line: Line) -> None:
    words = line.rest()
    if not words:
        raise Refusal(line.at, '"stats admin" needs a condition', 'add "if …" or "unless …"')
    condition = parse_condition(words, line.at, line.report)
    if condition is not None:
        stats = draft.own_stats()
        stats["admin"] = (*stats.get("admin", ()), condition)


def _read_http_request(draft: ProxyDraft, line: Line) -> None:
    action = line.peek()
    if action not in ("allow", "deny", "auth"):
        raise Refusal(line.next("allow, deny or auth").at, f'unknown action "{action}"', "one of allow, deny, auth")
    rule = parse_rule(line.rest(), line.at, line.report)
    if rule is not None:
        stats = draft.own_stats()
        stats["http_request"] = (*stats.get("http_request", ()), rule)


STATISTICS: list[Keyword[ProxyDraft]] = [
    Keyword("stats admin", _read_admin, "flb", strict=True),
    Keyword("stats auth", _read_auth, "dflb"),
    Keyword("stats enable", _read_enable, "dflb"),
    Keyword("stats hide-version", _flag("hide_version"), "dflb"),
    Keyword("stats http-request", _read_http_request, "flb", strict=True),
    Keyword("stats realm", _set("realm", text), "dflb"),
    Keyword("stats refresh", _set("refresh", duration("s")), "dflb"),
    Keyword("stats scope", _read_scope, "dflb"),
    Keyword("stats show-desc", _optional_text("show_desc"), "dflb"),
    Keyword("stats show-legends", _flag("show_legends"), "dflb"),
    Keyword("stats show-modules", None, "dflb", "ignored", "there are no modules with columns of their own"),
    Keyword("stats show-node", _optional_text("show_node"), "dflb"),
    Keyword("stats uri", _set("uri", text), "dflb"),
]
