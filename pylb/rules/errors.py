"""Error pages: built-in ones, `errorfile`, `http-error` (manual 3.8 and `errorfile`).

Every status that the proxy can answer by itself has a small page. A section may replace some of them by files that hold
a whole HTTP response, or by the words of `http-error`. Files are read and checked at load.
"""

from __future__ import annotations

import re
from html import escape

from pylb.config.model import ErrorFile, Origin, Proxy
from pylb.http1.errors import ProtocolError
from pylb.http1.head import Limits, parse_response
from pylb.rules.reply import Reply, reason_phrase
from pylb.rules.scope import Place, Scope

PAGES = {
    200: "The service is ready.",
    400: "The request could not be understood.",
    401: "This needs a valid user name and password.",
    403: "The rules of this site forbid the request.",
    404: "There is nothing at this address.",
    405: "This method cannot be used here.",
    407: "The proxy needs a valid user name and password.",
    408: "The request took too long to arrive.",
    410: "What was here is gone for good.",
    413: "The request is too large.",
    414: "The address of the request is too long.",
    421: "The request was sent to a server that cannot answer it.",
    422: "The request is well formed but cannot be followed.",
    425: "The request came too early.",
    429: "Too many requests came in a short time.",
    431: "The header fields of the request are too large.",
    500: "Something went wrong inside the proxy.",
    501: "This is not implemented.",
    502: "The server gave no valid answer.",
    503: "No server is available for this request.",
    504: "The server did not answer in time.",
    505: "This version of HTTP is not spoken here.",
}
"""By status: the sentence under the heading."""

HTML_HEADERS = ((b"cache-control", b"no-cache"), (b"content-type", b"text/html"))


def _page(status: int, sentence: str) -> bytes:
    reason = escape(reason_phrase(status).decode())
    return f"<html><body><h1>{status} {reason}</h1>\n{sentence}\n</body></html>\n".encode()


def _built_in(status: int) -> Reply:
    sentence = PAGES.get(status)
    closing = status in (400, 408, 413, 414, 431)
    return Reply(status, HTML_HEADERS, _page(status, sentence) if sentence else b"", close=closing, termination=b"--")


_BUILT_IN = {status: _built_in(status) for status in PAGES}


class ErrorPages:
    """The pages of one section; calling it gives the reply for a status."""

    def __init__(self, own: dict[int, Reply] | None = None) -> None:
        self._own = own or {}

    def __call__(self, status: int) -> Reply:
        """The page of that status, a plain one for an unusual status."""
        return self._own.get(status) or _BUILT_IN.get(status) or _built_in(status)

    def own(self, status: int) -> Reply | None:
        """The page that the section itself has, None without one."""
        return self._own.get(status)


def compile_errors(proxy: Proxy, scope: Scope) -> ErrorPages:
    """Read the files, build the replies; what is wrong is reported."""
    pages: dict[int, Reply] = {}
    for entry in proxy.error_files:
        if entry.status not in PAGES:
            known = ", ".join(map(str, PAGES))
            scope.report(entry.at, f'"{entry.status}" is no status with an error page', f"one of {known}")
            continue
        reply = _from_words(entry, scope) if entry.reply is not None else error_file(entry.path, entry.at, scope)
        if reply is not None:
            pages[entry.status] = reply
    return ErrorPages(pages)


def _from_words(entry: ErrorFile, scope: Scope) -> Reply | None:
    from pylb.rules.action import Words
    from pylb.rules.actions.redirect import redirect_reply  # replies may refer to error pages
    from pylb.rules.actions.replies import reply_of_words

    assert entry.reply is not None
    words = entry.reply.args
    if entry.reply.action == "redirect":
        reply = redirect_reply(Words("redirect", None, words, entry.at, scope.at(Place.REQUEST)))
        return None if reply is None else reply.ended(b"--", False)
    if words[:1] != ("status",) and "status" not in words:
        words = ("status", str(entry.status), *words)
    return reply_of_words("http-error", words, entry.at, scope.at(Place.REQUEST), b"--", default_status=entry.status)


_MINE = re.compile(rb"\r\n(?:content-length|connection|transfer-encoding|keep-alive):[^\r]*", re.IGNORECASE)


def error_file(path: str, at: Origin, scope: Scope) -> Reply | None:
    """The response that a file holds; None after reporting what is wrong. An empty file: silence."""
    try:
        raw = scope.world.read_file(path)
    except OSError as error:
        scope.report(at, f'errorfile "{path}" cannot be read: {error.strerror or error}')
        return None
    if not raw:
        return Reply(0, reason=b"", termination=b"--", close=True, silent=True)
    try:
        return _parse_file(raw)
    except ProtocolError as error:
        scope.report(
            at,
            f'errorfile "{path}" is no HTTP response: {error.reason}',
            "status line, header fields, an empty line, then the body",
        )
        return None


def _parse_file(raw: bytes) -> Reply:
    """Line ends may be LF alone, as editors write them; what frames the message is ours."""
    head, separator, _ = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    if not separator:
        raise ProtocolError(502, "no empty line behind the header fields")
    body_start = raw.index(b"\n\n") + 2 if b"\r\n\r\n" not in raw else raw.index(b"\r\n\r\n") + 4
    lines = head.strip(b"\n").replace(b"\n", b"\r\n")
    closing = re.search(rb"\r\nconnection:\s*close\b", lines, re.IGNORECASE) is not None
    wire = _MINE.sub(b"", lines) + b"\r\n\r\n"
    parsed = parse_response(wire, 0, len(wire) - 4, Limits())
    headers = tuple((name, value) for name, value in parsed.fields())
    return Reply(parsed.status, headers, raw[body_start:], reason=parsed.reason, close=closing, termination=b"--")
