"""Replies of our own: errorfile, errorloc, http-error, and the `http-errors` section (manual: 3.8, 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pylb.config.expression import parse_rule
from pylb.config.haproxy.keywords import Keyword, Line, Refusal
from pylb.config.haproxy.proxy import ProxyDraft
from pylb.config.haproxy.scalars import integer, text
from pylb.config.haproxy.server import check_name
from pylb.config.model import ErrorFile, Origin, Rule
from pylb.config.words import Word

STATUSES = (
    200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 421, 422, 425, 429, 431, 500, 501, 502, 503, 504,
)  # fmt: skip
"""Those HAProxy answers with itself. (431 is ours: too large a head; HAProxy says 400.)"""


def status(word: Word) -> int:
    """A status that can have a page of its own."""
    code = integer()(word)
    if code not in STATUSES:
        raise Refusal(word.at, f'status code "{word.text}" is not handled', f"one of {', '.join(map(str, STATUSES))}")
    return code


def _read_errorfile(draft: ProxyDraft, line: Line) -> None:
    code = line.value(status, "a status and a file")
    draft.error_files[code] = ErrorFile(code, line.value(text, "a file"), at=line.at)


def _redirect(code_of_redirect: str) -> Callable[[ProxyDraft, Line], None]:
    """errorloc: the answer is a redirect, which must not be kept for the next time."""

    def read(draft: ProxyDraft, line: Line) -> None:
        code = line.value(status, "a status and a URL")
        where = line.value(text, "a URL").replace("%", "%%")
        words = ("status", code_of_redirect, "hdr", "Location", where, "hdr", "Cache-Control", "no-cache")
        rule = Rule("return", words, at=line.at)
        draft.error_files[code] = ErrorFile(code, reply=rule, at=line.at)

    return read


def _read_http_error(draft: ProxyDraft, line: Line) -> None:
    """`http-error status CODE …`: the words of `http-request return`."""
    words = line.rest()
    at = next((number for number, word in enumerate(words) if word.text == "status"), None)
    if at is None or at + 1 >= len(words):
        raise Refusal(line.at, '"http-error" needs a status', "http-error status 503 file PATH")
    code = status(words[at + 1])
    rule = parse_rule([Word("return", line.at), *words], line.at, line.report)
    if rule is not None and rule.condition is not None:
        raise Refusal(rule.condition.at, '"http-error" takes no condition', "remove it")
    if rule is not None:
        draft.error_files[code] = ErrorFile(code, reply=rule, at=line.at)


def _read_errorfiles(draft: ProxyDraft, line: Line) -> None:
    name = line.value(text, "the name of an http-errors section")
    codes = tuple(status(word) for word in line.rest())
    draft.error_sections.append((name, codes, line.at))


def resolve_error_sections(draft: ProxyDraft, sections: Mapping[str, dict[int, ErrorFile]]) -> None:
    """Copy the files of http-errors sections into a proxy. A later line of the same status has precedence anyway."""
    for name, codes, at in draft.error_sections:
        files = sections.get(name)
        if files is None:
            draft.report(at, f'unknown http-errors section "{name}"', "add a section http-errors " + name)
            continue
        for code in codes or files:
            if code not in files:
                draft.report(at, f'http-errors section "{name}" has no file for status {code}')
            elif code not in draft.error_files:
                draft.error_files[code] = files[code]


class HttpErrorsDraft:
    """An `http-errors NAME` section."""

    def __init__(self, name: Word, at: Origin) -> None:
        check_name(name, "section")
        self.name = name.text
        self.at = at
        self.error_files: dict[int, ErrorFile] = {}


HTTP_ERRORS: list[Keyword[Any]] = [Keyword("errorfile", _read_errorfile)]

REPLIES: list[Keyword[ProxyDraft]] = [
    Keyword("errorfile", _read_errorfile, "dflb"),
    Keyword("errorfiles", _read_errorfiles, "dflb"),
    Keyword("errorloc", _redirect("302"), "dflb"),
    Keyword("errorloc302", _redirect("302"), "dflb"),
    Keyword("errorloc303", _redirect("303"), "dflb"),
    Keyword("http-error", _read_http_error, "dflb"),
]
