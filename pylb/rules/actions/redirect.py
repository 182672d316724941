"""`redirect location|prefix|scheme …` as a rule of its own and as `http-request redirect` (manual: `redirect`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pylb.rules.action import BOTH, Step, Words, action
from pylb.rules.actions.replies import termination
from pylb.rules.context import Context
from pylb.rules.logformat import compile_text
from pylb.rules.registry import BadArgument
from pylb.rules.reply import Reply, Text

_CODES = (301, 302, 303, 307, 308)
_OPTIONS = ("drop-query", "append-slash", "ignore-empty")


@dataclass
class _Redirect:
    kind: str = ""
    target: str = ""
    code: int = 302
    options: frozenset[str] = frozenset()
    cookie: bytes | None = None


@action("redirect", BOTH)
def _redirect(words: Words) -> Step | None:
    reply = redirect_reply(words)
    if reply is None:
        return None
    location = reply.headers[0][1]
    if "ignore-empty" in words.args and not isinstance(location, bytes):
        return lambda x: reply if location(x) else None
    return lambda _x: reply


def redirect_reply(words: Words) -> Reply | None:
    """The answer that a redirect's words describe, Location first; None after reporting. Raises BadArgument."""
    read = _read(words)
    target = compile_text(read.target, words.scope, words.at)
    if target is None:
        return None
    location = _location(read, target)
    headers: list[tuple[bytes, Text]] = [(b"location", location)]
    if read.code in (302, 303, 307):
        headers.append((b"cache-control", b"no-cache"))
    if read.cookie is not None:
        headers.append((b"set-cookie", read.cookie))
    return Reply(read.code, tuple(headers), termination=termination(words.scope, b"L"))


def _read(words: Words) -> _Redirect:
    read = _Redirect()
    position = 0
    while position < len(words.args):
        word = words.args[position]
        position += 1
        if word in _OPTIONS:
            read.options |= {word}
            continue
        if position >= len(words.args):
            raise BadArgument(f'"redirect": a word is missing behind "{word}"')
        _read_pair(read, word, words.args[position])
        position += 1
    if not read.kind:
        raise BadArgument('"redirect" is written redirect location|prefix|scheme TEXT [code N] [option…]')
    return read


def _read_pair(read: _Redirect, word: str, value: str) -> None:
    if word in ("location", "prefix", "scheme"):
        if read.kind:
            raise BadArgument(f'"redirect": "{read.kind}" and "{word}" exclude each other')
        read.kind, read.target = word, value
    elif word == "code":
        if value not in map(str, _CODES):
            raise BadArgument(f'"{value}" is no redirection; codes are 301, 302, 303, 307 and 308')
        read.code = int(value)
    elif word == "set-cookie":
        read.cookie = f"{value}; path=/;".encode("latin-1", "replace")
    elif word == "clear-cookie":
        equals = "" if "=" in value else "="
        read.cookie = f"{value}{equals}; path=/; Max-Age=0;".encode("latin-1", "replace")
    else:
        raise BadArgument(f'"redirect" knows no word "{word}"; its words are location, prefix, scheme, code, '
                          f'set-cookie, clear-cookie, {", ".join(_OPTIONS)}')  # fmt: skip


def _location(read: _Redirect, target: Text) -> Text:
    if read.kind == "location":
        return target
    rest = _rest(read)

    def prefixed(x: Context) -> bytes:
        prefix = target if isinstance(target, bytes) else target(x)
        return rest(x) if prefix == b"/" else prefix + rest(x)

    def with_scheme(x: Context) -> bytes:
        scheme = target if isinstance(target, bytes) else target(x)
        return b"%b://%b%b" % (scheme, x.request.get(b"host") or b"", rest(x))

    return prefixed if read.kind == "prefix" else with_scheme


def _rest(read: _Redirect) -> Callable[[Context], bytes]:
    """Path and query as they are carried over."""
    drop, slash = "drop-query" in read.options, "append-slash" in read.options

    def rest(x: Context) -> bytes:
        path = x.request.path if drop else x.request.uri
        return path + b"/" if slash and not path.endswith(b"/") else path

    return rest
