"""`crt-list` files: certificates with settings and names of their own (manual: 5.1 "crt-list").

    CERTIFICATE [[OPTION …]] [NAME | *.DOMAIN | !NAME | !*]…

With names, those take the place of what the certificate covers; `!NAME` takes one out of the line's wildcards, and `!*`
leaves none. Settings stand in square brackets and replace those of the bind line. Those that a handshake has settled
before it knows the client's name (versions, whether clients show a certificate) belong on the bind line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pylb.config.haproxy.bind import BindDraft, ignored, put_tls, read_alpn, read_options, tls_version, unsupported
from pylb.config.haproxy.keywords import Keyword, Line, Table
from pylb.config.haproxy.scalars import choice, text
from pylb.config.model import BindTls, Origin
from pylb.config.words import Report, Word

_WORD = re.compile(r"\[|\]|[^\s\[\]]+")

OPTIONS: Table[BindDraft] = Table(
    [
        Keyword("alpn", read_alpn),
        Keyword("ca-file", put_tls("ca_file", text)),
        Keyword("ciphers", put_tls("ciphers", text)),
        Keyword("ciphersuites", put_tls("ciphersuites", text)),
        Keyword("crl-file", put_tls("crl_file", text)),
        Keyword("verify", put_tls("verify", choice("none", "optional", "required"))),
        Keyword("ssl-min-ver", put_tls("min_version", tls_version)),
        Keyword("ssl-max-ver", put_tls("max_version", tls_version)),
        ignored("curves", "OpenSSL's own list of curves is offered", 1),
        ignored("ecdhe", "OpenSSL's own list of curves is offered", 1),
        ignored("no-ca-names", "the names of the CAs are sent"),
        ignored("npn", "NPN gave way to ALPN in 2014", 1),
        *unsupported("allow-0rtt", "early data can be replayed"),
        *unsupported("ca-verify-file", "ca-file holds the whole chain"),
    ]
)
_WORDS = {
    "verify": "verify",
    "min_version": "ssl-min-ver",
    "max_version": "ssl-max-ver",
    "ciphersuites": "ciphersuites",
}
"""Settings that hold for the whole bind, and their words."""
_ORDER = (
    "npn",
    "alpn",
    "verify",
    "no-ca-names",
    "ca-file",
    "crl-file",
    "ciphers",
    "ciphersuites",
    "curves",
    "ecdhe",
    "ssl-min-ver",
    "ssl-max-ver",
)
"""The order in which `show ssl crt-list` has the settings."""
_FLAGS = {"no-ca-names"}


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of the file."""

    certificate: str
    """A PEM file, as it is written."""
    settings: BindTls
    """The bind's, with what the line changes."""
    names: tuple[str, ...] | None
    """Names and wildcards that it is shown for; None: those that the certificate covers."""
    excluded: frozenset[str]
    """Names that the line's wildcards do not cover."""
    at: Origin
    text: str = field(default="", compare=False)
    """Settings and names as HAProxy shows them."""


def read_crt_list(content: bytes, path: str, settings: BindTls, report: Report) -> Iterator[Listed]:
    """The lines of a file; `settings` are those of the bind that names it. Lines that are wrong are reported and left
    out."""
    for number, raw in enumerate(content.decode("utf-8", "surrogateescape").split("\n"), 1):
        words = [Word(match[0], Origin(path, number, match.start() + 1)) for match in _WORD.finditer(raw)]
        if words and not words[0].text.startswith("#"):
            listed = _read(words, settings, report)
            if listed is not None:
                yield listed


def _read(words: list[Word], settings: BindTls, report: Report) -> Listed | None:
    first, rest = words[0], words[1:]
    if first.text in "[]":
        report(first.at, "a line begins with the certificate's file", "FILE [alpn http/1.1] www.example.com")
        return None
    before = len(report.errors)
    own: dict[str, Any] = {}
    text: list[str] = []
    if rest and rest[0].text == "[":
        closing = next((place for place, word in enumerate(rest) if word.text == "]"), None)
        if closing is None:
            report(rest[0].at, '"[" is not closed', "write ] behind the settings")
            return None
        own = _settings(rest[1:closing], settings, first.at, report)
        text.append(_settings_text([word.text for word in rest[1:closing]]))
        rest = rest[closing + 1 :]
    for word in rest:
        if word.text in "[]":
            report(word.at, "settings stand once, behind the file's name", "FILE [alpn http/1.1] www.example.com")
    if len(report.errors) > before:
        return None
    names = [word.text.lower() for word in rest]
    shown = tuple(name for name in names if not name.startswith("!") and name != "*")
    excluded = frozenset(name[1:] for name in names if name.startswith("!") and not name.startswith("!*"))
    text += [word.text for word in rest]
    return Listed(first.text, replace(settings, **own), shown if names else None, excluded, first.at, " ".join(text))


def _settings_text(words: list[str]) -> str:
    """Settings in HAProxy's order, whatever the order they were written in."""
    given: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        given[word] = word if word in _FLAGS else f"{word} {next(rest, '')}"
    return "[" + " ".join(given[word] for word in _ORDER if word in given) + "]"


def _settings(words: list[Word], settings: BindTls, at: Origin, report: Report) -> dict[str, Any]:
    draft = BindDraft()
    read_options(OPTIONS, draft, Line("crt-list", at, words, report), "setting of a crt-list")
    own = draft.tls
    for name, word in _WORDS.items():
        if name in own and own[name] != getattr(settings, name):
            place = next(each.at for each in words if each.text == word)
            report(
                place,
                f'"{word}" cannot differ from the bind line\'s',
                f"write it there, or give {at} a bind of its own",
            )
    if "crl_file" in own and settings.crl_file is None:
        place = next(each.at for each in words if each.text == "crl-file")
        report(place, '"crl-file" needs one on the bind line, too', "add crl-file there")
    return own
