"""Actions that answer in the server's place: deny, tarpit, return, auth, reject, services."""

from __future__ import annotations

from dataclasses import dataclass, field

from pylb.config.model import Origin
from pylb.rules.action import ANYWHERE, BOTH, HEADERS, REQUEST_ONLY, TCP, Step, Words, action
from pylb.rules.actions.headers import header_name
from pylb.rules.context import Context
from pylb.rules.errors import ErrorPages, error_file
from pylb.rules.logformat import compile_text
from pylb.rules.registry import BadArgument
from pylb.rules.reply import ALLOW, Reply, Text, silent
from pylb.rules.scope import Place, Scope


def termination(scope: Scope, first: bytes) -> bytes:
    """Who answered and when: `PR` denied in the request, `LH` answered locally on a response."""
    return first + (b"H" if scope.place.has_response else b"R")


# ----------------------------------------------------------------------------------------------------------- replies

_PAYLOADS = ("errorfile", "file", "lf-file", "string", "lf-string")


@dataclass
class _ReplyWords:
    """The words of a reply as they are read."""

    status: int
    content_type: str | None = None
    payload: tuple[str, str] | None = None
    """(kind, argument); ("default-errorfiles", "") for the section's error page."""
    headers: list[tuple[bytes, Text]] = field(default_factory=list)


def reply_of_words(
    keyword: str, words: tuple[str, ...], at: Origin, scope: Scope, ended: bytes, default_status: int,
    page_by_default: bool = False, denied: bool = False,
) -> Reply | None:  # fmt: skip
    """`[status N] [content-type T] [string S | lf-string F | file P | lf-file P | errorfile P | default-errorfiles]
    [hdr NAME FORMAT]…`; None after reporting. Raises BadArgument."""
    read = _read_words(keyword, words, at, scope, default_status)
    if read is None:
        return None
    if read.payload is None and page_by_default and not read.headers:
        read.payload = ("default-errorfiles", "")
    reply = _make(read, at, scope)
    return None if reply is None else reply.ended(ended, denied)


def _read_words(keyword: str, words: tuple[str, ...], at: Origin, scope: Scope, status: int) -> _ReplyWords | None:
    read = _ReplyWords(status)
    position = 0
    while position < len(words):
        word = words[position]
        count = 3 if word == "hdr" else 1 if word == "default-errorfiles" else 2
        values = words[position + 1 : position + count]
        if len(values) < count - 1:
            raise BadArgument(f'"{keyword}": a word is missing behind "{word}"')
        position += count
        if not _read_word(read, keyword, word, values, at, scope):
            return None
    return read


def _read_word(read: _ReplyWords, keyword: str, word: str, values: tuple[str, ...], at: Origin, scope: Scope) -> bool:
    if word in ("status", "deny_status"):
        read.status = _status(values[0])
    elif word == "content-type":
        read.content_type = values[0]
    elif word == "hdr":
        value = compile_text(values[1], scope, at)
        if value is None:
            return False
        read.headers.append((header_name(values[0]).lower(), value))
    elif word == "errorfiles":
        raise BadArgument('"errorfiles" with a name is not supported by pylb yet; name the file with "errorfile"')
    elif word in _PAYLOADS or word == "default-errorfiles":
        if read.payload is not None:
            raise BadArgument(f'"{keyword}": "{read.payload[0]}" and "{word}" exclude each other')
        read.payload = (word, values[0] if values else "")
    else:
        known = ("status", "content-type", "hdr", "default-errorfiles", *_PAYLOADS)
        scope.report.unknown(at, f'word of "{keyword}"', word, known)
        return False
    return True


def _status(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 200 <= int(text) <= 599):
        raise BadArgument(f'"{text}" is no status; it is a number from 200 to 599')
    return int(text)


def _make(read: _ReplyWords, at: Origin, scope: Scope) -> Reply | None:
    kind, argument = read.payload or ("", "")
    if kind == "default-errorfiles":
        return (scope.error_page or ErrorPages())(read.status)
    if kind == "errorfile":
        return error_file(argument, at, scope)
    body = _body(kind, argument, at, scope)
    if body is None:
        return None
    headers = [*read.headers]
    if kind and read.content_type:
        headers.append((b"content-type", read.content_type.encode("latin-1", "replace")))
    return Reply(read.status, tuple(headers), body)


def _body(kind: str, argument: str, at: Origin, scope: Scope) -> Text | None:
    if kind in ("", "string"):
        return argument.encode("utf-8", "surrogateescape")
    if kind == "lf-string":
        return compile_text(argument, scope, at)
    try:
        content = scope.world.read_file(argument)
    except OSError as error:
        raise BadArgument(f'the file "{argument}" cannot be read: {error.strerror or error}') from None
    return content if kind == "file" else compile_text(content.decode("utf-8", "surrogateescape"), scope, at)


def _constant(reply: Reply | None) -> Step | None:
    return None if reply is None else lambda _x: reply


# ----------------------------------------------------------------------------------------------------------- actions


@action("deny", BOTH)
def _deny(words: Words) -> Step | None:
    scope = words.scope
    status = 502 if scope.place is Place.RESPONSE else 403
    ended = termination(scope, b"P")
    return _constant(reply_of_words("deny", words.args, words.at, scope, ended, status, True, True))


@action("tarpit", REQUEST_ONLY)
def _tarpit(words: Words) -> Step | None:
    reply = reply_of_words("tarpit", words.args, words.at, words.scope, b"PT", 500, True, True)
    if reply is None:
        return None
    times = words.scope.proxy.timeouts if words.scope.proxy else None
    delay = (times.tarpit or times.connect or 0.0) if times else 0.0
    return _constant(reply.ended(b"PT", True, delay))


@action("return", BOTH | {Place.AFTER_RESPONSE})
def _return(words: Words) -> Step | None:
    ended = termination(words.scope, b"L")
    return _constant(reply_of_words("return", words.args, words.at, words.scope, ended, 200))


@action("allow", HEADERS)
def _allow(words: Words) -> Step | None:
    words.expect(0, 0, "allow, without words behind it")
    return _constant(ALLOW)


@action("auth", REQUEST_ONLY)
def _auth(words: Words) -> Step | None:
    if words.args and (words.args[0] != "realm" or len(words.args) != 2):
        raise BadArgument('"auth" is written auth [realm TEXT]')
    realm = words.args[1] if words.args else (words.scope.proxy.name if words.scope.proxy else "")
    page = (words.scope.error_page or ErrorPages())(401)
    challenge = f'Basic realm="{realm}"'.encode("utf-8", "replace")
    headers = (*page.headers, (b"www-authenticate", challenge))
    reply = Reply(401, headers, page.body, termination=termination(words.scope, b"L"))
    reply.asks_login = True
    return _constant(reply)


@action("reject", TCP | REQUEST_ONLY)
def _reject(words: Words) -> Step | None:
    words.expect(0, 0, "reject, without words behind it")
    return _constant(silent())


@action("silent-drop", ANYWHERE - {Place.AFTER_RESPONSE})
def _silent_drop(words: Words) -> Step | None:
    words.expect(0, 0, "silent-drop, without words behind it")
    return _constant(silent(drops=True))


@action("accept", TCP)
def _accept(words: Words) -> Step | None:
    words.expect(0, 0, "accept, without words behind it")
    return _constant(ALLOW)


SERVICES = {"prometheus-exporter": b"<PROMEX>"}
"""By name: how the log calls them. Who answers is registered in World.services."""


@action("use-service", REQUEST_ONLY)
def _use_service(words: Words) -> Step | None:
    words.expect(1, 1, "use-service NAME")
    name = words.args[0]
    if name not in SERVICES:
        words.scope.report.unknown(words.at, "service", name, SERVICES)
        return None
    services, applet = words.scope.world.services, SERVICES[name]

    def serve(x: Context) -> Reply | None:
        x.applet = applet
        return services[name](x)

    return serve
