"""`option httpchk`, `option tcp-check` and the steps of `http-check` and `tcp-check` (manual: 4.2).

Steps come out as the checker runs them: an http check that has any step begins with a `send` (HAProxy's
`option httpchk METHOD URI VERSION` and the first `http-check send` are one request); connecting comes first unless
a `connect` step says how.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pylb.config.haproxy.keywords import Line, Refusal
from pylb.config.haproxy.scalars import choice, integer, text
from pylb.config.model import CheckStep, HealthCheck, Origin
from pylb.config.words import Report

_DEFAULT_REQUEST = (("meth", "OPTIONS"), ("uri", "/"), ("ver", "HTTP/1.0"))


class CheckDraft:
    """How a backend checks, so far. Steps of defaults hold until a section writes steps of its own."""

    def __init__(self) -> None:
        self.kind: Literal["tcp", "http"] = "tcp"
        self.request: CheckStep | None = None
        """What `option httpchk` says of the request."""
        self.steps: dict[str, tuple[CheckStep, ...]] = {"tcp": (), "http": ()}
        self.own: set[str] = set()
        self.disable_on_404 = False
        self.send_state = False

    def inherited(self) -> CheckDraft:
        """What a section that uses these defaults starts from."""
        draft = CheckDraft()
        draft.kind, draft.request, draft.steps = self.kind, self.request, dict(self.steps)
        draft.disable_on_404, draft.send_state = self.disable_on_404, self.send_state
        return draft

    def add(self, family: str, step: CheckStep) -> None:
        """Append a step of "tcp" or "http"."""
        if family not in self.own:
            self.own.add(family)
            self.steps[family] = ()
        self.steps[family] = (*self.steps[family], step)

    def build(self, report: Report) -> HealthCheck:
        """The model."""
        other = "http" if self.kind == "tcp" else "tcp"
        if other in self.own and self.steps[other]:
            option = "option httpchk" if other == "http" else "option tcp-check"
            report.warning(
                self.steps[other][0].at, f'"{other}-check" has no effect without "{option}"', f"add {option}"
            )
        steps = self.steps[self.kind]
        if self.kind == "http":
            steps = self._with_request(steps)
        return HealthCheck(self.kind, steps, self.disable_on_404, self.send_state)

    def _with_request(self, steps: tuple[CheckStep, ...]) -> tuple[CheckStep, ...]:
        """The request line of the option goes into the first send, or before everything but a connect."""
        if self.request is None and not steps:
            return ()
        line = self.request or CheckStep("send", _DEFAULT_REQUEST)
        for number, step in enumerate(steps):
            if step.kind == "send":
                return (*steps[:number], _merge(line, step), *steps[number + 1 :])
            if step.kind == "expect":
                return (*steps[:number], line, *steps[number:])
        return (*steps, line)


def _merge(line: CheckStep, send: CheckStep) -> CheckStep:
    options = {**dict(line.options), **dict(send.options)}
    return CheckStep("send", tuple(options.items()), send.headers or line.headers, send.at)


def read_httpchk(draft: Any, line: Line) -> None:
    """`option httpchk [URI | METHOD URI [VERSION]]`; headers behind the version, once a common trick, still work."""
    check: CheckDraft = draft.check
    check.kind = "http"
    words = [word.text for word in line.rest()]
    if not words:
        check.request = None
        return
    if len(words) > 3:
        raise Refusal(line.args[3].at, f'unexpected argument "{words[3]}" behind "option httpchk"', "http-check send")
    method, uri = ("OPTIONS", words[0]) if len(words) == 1 else (words[0], words[1])
    version, _, headers = (words[2] if len(words) == 3 else "HTTP/1.0").partition("\r\n")
    options = (("meth", method), ("uri", uri), ("ver", version))
    check.request = CheckStep("send", options, tuple(_headers(headers, line.at)), line.at)


def _headers(block: str, at: Origin) -> list[tuple[str, str]]:
    fields = []
    for field in filter(None, re.split("\r?\n", block)):
        name, colon, value = field.partition(":")
        if not colon:
            raise Refusal(at, f'"{field}" is not a header', "http-check send hdr NAME VALUE")
        fields.append((name, value.strip(" \t")))
    return fields


def read_tcp_check_option(draft: Any, line: Line) -> None:
    """`option tcp-check`"""
    draft.check.kind = "tcp"


def read_disable_on_404(draft: Any, line: Line) -> None:
    """`http-check disable-on-404`"""
    draft.check.disable_on_404 = True


def read_send_state(draft: Any, line: Line) -> None:
    """`http-check send-state`"""
    draft.check.send_state = True


def read_comment(draft: Any, line: Line) -> None:
    """`http-check comment`, `tcp-check comment`: for whoever reads the file."""
    line.next("a text")


def _family(line: Line) -> str:
    return line.keyword.partition("-")[0]


_CONNECT_FLAGS = ("default", "send-proxy", "ssl", "linger")
_CONNECT_VALUES = ("port", "addr", "sni", "alpn", "comment")


def read_connect(draft: Any, line: Line) -> None:
    """`http-check connect …`, `tcp-check connect …`"""
    options: dict[str, str] = {}
    while line.more:
        word = line.next()
        name: str = choice(*_CONNECT_FLAGS, *_CONNECT_VALUES, "via-socks4", "proto", kind="connect option")(word)
        if name in ("via-socks4", "proto"):
            raise Refusal(word.at, f'"{name}" of check connections is not supported by pylb')
        if name == "port":
            options[name] = str(line.value(integer(1, 65535)))
        else:
            options[name] = line.value(text) if name in _CONNECT_VALUES else ""
    draft.check.add(_family(line), CheckStep("connect", tuple(options.items()), at=line.at))


def read_http_send(draft: Any, line: Line) -> None:
    """`http-check send [meth M] [uri U] [ver V] [hdr NAME VALUE]… [body B]`"""
    options: dict[str, str] = {}
    headers: list[tuple[str, str]] = []
    while line.more:
        word = line.next()
        name = choice("meth", "uri", "ver", "hdr", "body", "comment", "uri-lf", "body-lf", kind="send option")(word)
        if name in ("uri-lf", "body-lf"):
            raise Refusal(word.at, f'"{name}" is not supported by pylb', f"use {name.removesuffix('-lf')}")
        if name == "hdr":
            headers.append((line.value(text), line.next("the header's value").text))
        else:
            options[name] = line.next().text
    draft.check.add("http", CheckStep("send", tuple(options.items()), tuple(headers), line.at))


def read_tcp_send(draft: Any, line: Line) -> None:
    """`tcp-check send TEXT`: the text goes as it is."""
    _send(draft, line, "data", line.value(text))


def read_tcp_send_binary(draft: Any, line: Line) -> None:
    """`tcp-check send-binary HEX`"""
    word = line.next("hexadecimal digits")
    if re.fullmatch("(?:[0-9A-Fa-f]{2})+", word.text) is None:
        raise Refusal(word.at, f'"{word.text}" is not hexadecimal', "two digits for each byte")
    _send(draft, line, "binary", word.text)


def _send(draft: Any, line: Line, name: str, value: str) -> None:
    options = [(name, value)]
    if line.take("comment"):
        options.append(("comment", line.value(text)))
    draft.check.add("tcp", CheckStep("send", tuple(options), at=line.at))


_HTTP_MATCHES = ("status", "rstatus", "hdr", "fhdr", "string", "rstring")
_TCP_MATCHES = ("string", "rstring", "binary", "rbinary")
_UNSUPPORTED_MATCHES = ("string-lf", "binary-lf")
_EXPECT_VALUES = ("min-recv", "comment", "ok-status", "error-status", "tout-status", "on-success", "on-error")


def read_expect(draft: Any, line: Line) -> None:
    """`http-check expect … [!] MATCH PATTERN`, `tcp-check expect …`"""
    family = _family(line)
    matches = _HTTP_MATCHES if family == "http" else _TCP_MATCHES
    options: dict[str, str] = {}
    while "match" not in options:
        word = line.next("what to expect, as in status 200")
        name = word.text
        if name.startswith("!"):
            options["negate"] = ""
            name = name[1:]
            if not name:
                continue
        if name in matches:
            options["match"] = name
        elif name in _EXPECT_VALUES:
            options[name] = str(line.value(integer(-1))) if name == "min-recv" else line.value(text)
        elif name in _UNSUPPORTED_MATCHES or name == "status-code":
            raise Refusal(word.at, f'"{name}" is not supported by pylb')
        else:
            choice(*matches, *_EXPECT_VALUES, kind="word to expect:")(word)
    _read_pattern(line, options)
    draft.check.add(family, CheckStep("expect", tuple(options.items()), at=line.at))


def _read_pattern(line: Line, options: dict[str, str]) -> None:
    match = options["match"]
    if match in ("hdr", "fhdr"):
        _read_header_pattern(line, options)
        return
    pattern = line.next("a pattern")
    if match == "status" and re.fullmatch("[0-9]{3}(-[0-9]{3})?(,[0-9]{3}(-[0-9]{3})?)*", pattern.text) is None:
        raise Refusal(pattern.at, f'"{pattern.text}" is not a list of status codes', "as in 200,301-308")
    if match in ("binary", "rbinary") and match == "binary" and not re.fullmatch("(?:[0-9A-Fa-f]{2})+", pattern.text):
        raise Refusal(pattern.at, f'"{pattern.text}" is not hexadecimal', "two digits for each byte")
    if match in ("rstatus", "rstring", "rbinary"):
        _check_regex(pattern.text, pattern.at)
    options["pattern"] = pattern.text


def _read_header_pattern(line: Line, options: dict[str, str]) -> None:
    """`hdr name [-m METHOD] NAME [value [-m METHOD] VALUE]`"""
    line.value(choice("name", kind="word"))
    for part, key in (("name", "pattern"), ("value", "value")):
        if part == "value" and not line.take("value"):
            return
        if line.take("-m"):
            options[f"{part}-match"] = line.value(choice("str", "beg", "end", "sub", "reg", kind="match method"))
        word = line.next(f"the header's {part}")
        if options.get(f"{part}-match") == "reg":
            _check_regex(word.text, word.at)
        options[key] = word.text


def _check_regex(pattern: str, at: Origin) -> None:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise Refusal(at, f'"{pattern}" is not a regular expression: {error}') from error
