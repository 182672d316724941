"""`log-format = "json"`: a line is one JSON object (RFC 8259) of ASCII characters, whatever clients send.

The rows below say which member has which value; those that a frontend has no use for are left out when it is compiled.
They become one generated function, as a log format does (logformat.py). Strings that need no escape, nearly all, cost a
pattern's match; bytes that are no UTF-8 are taken as ISO-8859-1, so that nothing is lost.

A line that would not fit its targets' `len` would be no JSON, so its strings are cut, as far as needed, and it says so:
`"cut": true`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from typing import Any

from pylb.config.model import Frontend
from pylb.rules.context import Context
from pylb.rules.logfields import NAMESPACE, accept_wall
from pylb.rules.scope import Scope
from pylb.rules.unique import unique_id_getter

WHOLE = 65536
"""Characters of a string that are shown: longer than any head."""
CUTS = (512, 256, 128, 64, 32, 16, 8, 0)
"""The same of a line that is too long."""
LEAST = 400
"""Bytes that a line needs with all of its strings empty, two captured headers included."""
HEADER = 64
"""Bytes before a line, beside the host's name and the tag, in the longest of syslog's formats."""

_NEEDS_NO_ESCAPE = re.compile(rb"[ !#-\[\]-~]*").fullmatch

# ------------------------------------------------------------------------------------------------------------- values


def text(value: bytes | None, most: int) -> bytes:
    """A JSON string of up to `most` characters; null for None."""
    if value is None:
        return b"null"
    if len(value) <= most and _NEEDS_NO_ESCAPE(value):
        return b'"%b"' % value
    return encode_basestring_ascii(_decoded(value)[:most]).encode()


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


@lru_cache(maxsize=4096)
def name(value: str | None) -> bytes:
    """A name of the configuration."""
    return b"null" if value is None else encode_basestring_ascii(value).encode()


@lru_cache(maxsize=64)
def _second(second: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()


def moment(wall: float) -> bytes:
    """`2026-11-23T16:39:39.947Z` (RFC 3339), in UTC."""
    second = int(wall)
    return b"%b.%03dZ" % (_second(second), int((wall - second) * 1000))


def number(value: int) -> bytes:
    """null for what was not reached (-1)."""
    return b"null" if value < 0 else b"%d" % value


def boolean(value: object) -> bytes:
    """true or false."""
    return b"true" if value else b"false"


def request_parts(x: Context) -> tuple[bytes | None, ...]:
    """Method, target without its query, query and version; None for what there is not."""
    if x.head_received is None:
        return None, None, None, None
    method, _, rest = x.request_line.partition(b" ")
    target, _, version = rest.partition(b" ")
    path, mark, query = target.partition(b"?")
    return method, path, query if mark else None, version


def slot(captured: list[bytes | None] | None, index: int) -> bytes | None:
    """A captured value."""
    return None if captured is None else captured[index]


def variable(x: Context, key: str) -> bytes | None:
    """A txn variable."""
    return None if x.variables is None else x.variables.get(key)


# --------------------------------------------------------------------------------------------------------------- rows

Row = tuple[str, str]
"""Member, and the expression of its JSON over `x`, `s` (its session), `method`, `path`, `query`, `version`, `most` and
the timers. One that begins with "%d " is that of a number which is always there."""

_WHO: tuple[Row, ...] = (
    ("client", "text(s.src.encode(), most)"),
    ("client_port", "%d s.src_port"),
    ("frontend", "name(x.frontend.name)"),
    ("backend", "name(None if x.backend is None else x.backend.name)"),
    ("server", "name(None if x.server is None else x.server.name)"),
)
_HTTP: tuple[Row, ...] = (
    ("method", "text(method, most)"),
    ("path", "text(path, most)"),
    ("query", "text(query, most)"),
    ("version", "text(version, most)"),
    ("status", "b'%d' % x.status if x.status else b'null'"),
)
_SIZES: tuple[Row, ...] = (("bytes_read", "%d x.bytes_read"), ("bytes_uploaded", "%d x.bytes_uploaded"))
_HTTP_TIMES: tuple[Row, ...] = (
    ("time_handshake", "%d milliseconds(x.handshake)"),
    ("time_idle", "%d milliseconds(x.idle)"),
    ("time_request", "number(TR)"),
    ("time_queue", "number(Tw)"),
    ("time_connect", "number(Tc)"),
    ("time_response", "number(Tr)"),
    ("time_active", "%d Ta"),
)
_TCP_TIMES: tuple[Row, ...] = (
    ("time_handshake", "%d milliseconds(x.handshake)"),
    ("time_queue", "number(Tw)"),
    ("time_connect", "number(Tc)"),
    ("time_active", "%d Ta"),
)
_STATE: tuple[Row, ...] = (
    ("retries", "%d (x.retries)"),
    ("redispatched", "boolean(x.redispatched)"),
    ("process_connections", "%d (x.actconn)"),
    ("frontend_connections", "%d (x.frontend.counters.scur)"),
    ("backend_connections", "%d (0 if x.backend is None else x.backend.counters.scur)"),
    ("server_connections", "%d (0 if x.server is None else x.server.counters.scur)"),
    ("server_queue", "%d (x.server_queue)"),
    ("backend_queue", "%d (x.backend_queue)"),
)
_TLS: tuple[Row, ...] = (
    ("tls_version", "name(None if s.tls is None else s.tls.version)"),
    ("tls_cipher", "name(None if s.tls is None else s.tls.cipher)"),
    ("tls_name", "text(s.tls.sni.encode() if s.tls is not None and s.tls.sni else None, most)"),
)
_COOKIES: tuple[Row, ...] = (
    ("request_cookie", "text(x.captured_request_cookie, most)"),
    ("response_cookie", "text(x.captured_response_cookie, most)"),
)
_TRACE: tuple[Row, ...] = (
    ("trace_id", "text(variable(x, 'txn.trace_id'), most)"),
    ("span_id", "text(variable(x, 'txn.span_id'), most)"),
    ("parent_id", "text(variable(x, 'txn.parent_id'), most)"),
)


def rows(declared: Frontend) -> Iterator[Row]:
    """The members of a frontend's lines, in order."""
    http = declared.mode == "http"
    yield "time", "b'\"%b\"' % moment(x.started_wall)" if http else "b'\"%b\"' % moment(accept_wall(x))"
    yield from _WHO
    if any(bind.tls is not None for bind in declared.binds):
        yield from _TLS
    if http:
        yield from _HTTP
    yield from _SIZES
    yield from _HTTP_TIMES if http else _TCP_TIMES
    yield "termination", "b'\"%b\"' % (x.termination + x.cookie_state)" if http else "b'\"%b\"' % x.termination"
    yield from _STATE
    if declared.logasap:
        yield "complete", "b'false'"
    if declared.unique_id_format is not None:
        yield "unique_id", "text(unique_id(x), most)"
    if declared.traceparent is not None:
        yield from _TRACE
    for kind in ("request", "response"):
        members = [f"{key}:%b" for key in _slot_names(declared, kind)]
        if members:
            values = ", ".join(f"text(slot(x.captured_{kind}, {i}), most)" for i in range(len(members)))
            template = ("{" + ",".join(members) + "}").encode()
            yield f"{kind}_headers", f"{template!r} % ({values},)"
    if any(capture.kind == "cookie" for capture in declared.captures):
        yield from _COOKIES


def _slot_names(declared: Frontend, kind: str) -> list[str]:
    """Header names in lower case, `slot0` for those that rules fill; a name that comes again gets its number."""
    names: list[str] = []
    for position, capture in enumerate(c for c in declared.captures if c.kind == kind):
        known = capture.name.lower() or f"slot{position}"
        names.append(known if known not in names else f"{known}#{position}")
    return [encode_basestring_ascii(known).replace("%", "%%") for known in names]


# ------------------------------------------------------------------------------------------------------------ the line


def compile_json(declared: Frontend, scope: Scope) -> Callable[[Context], bytes] | None:
    """The function that makes a frontend's lines; None after reporting that they have no room."""
    room = _room(declared, scope)
    if room < LEAST:
        scope.report(declared.at, f"{room} bytes are too few for a JSON line", "write len 8192 in its log target")
        return None
    if declared.log_format_sd is not None:
        scope.report(declared.at, "log-format-sd beside JSON lines says everything twice", "remove one of them")
        return None
    line = _generate(declared)

    def fitting(x: Context) -> bytes:
        whole = line(x)
        return whole if len(whole) <= room else _cut(line, x, room)

    return fitting


def _room(declared: Frontend, scope: Scope) -> int:
    """Bytes of a line that the narrowest of its targets lets through."""
    tag = declared.log_tag or scope.world.log_tag
    host = scope.world.config.globals.log_send_hostname or scope.world.hostname
    before = HEADER + len(tag.encode()) + len(host.encode())
    return min((target.length for target in declared.log), default=WHOLE) - before


def _cut(line: Callable[..., bytes], x: Context, room: int) -> bytes:
    for most in CUTS:
        short = line(x, most)[:-1] + b',"cut":true}'
        if len(short) <= room:
            return short
    return b'{"cut":true}'


def _generate(declared: Frontend) -> Callable[..., bytes]:
    """`line(x, most=WHOLE)`; the code holds names and templates of ours only, never a client's text."""
    members = list(rows(declared))
    forms = [(key, "%d", code[3:]) if code.startswith("%d ") else (key, "%b", code) for key, code in members]
    template = ("{" + ",".join(f'"{key}":{form}' for key, form, _ in forms) + "}").encode()
    prologue = (
        "    method, path, query, version = request_parts(x)\n    TR, Tw, Tc, Tr, Ta = timers(x)\n"
        if declared.mode == "http"
        else "    TR, Tw, Tc, Tr, Ta = tcp_timers(x)\n"
    )
    values = "".join(f"{code}, " for _, _, code in forms)
    source = f"def line(x, most={WHOLE}):\n    s = x.session\n{prologue}    return {template!r} % ({values})\n"
    helpers = (text, name, moment, number, boolean, request_parts, slot, variable, accept_wall)
    names: dict[str, Any] = {**NAMESPACE, **{helper.__name__: helper for helper in helpers}}
    names["unique_id"] = unique_id_getter()
    exec(compile(source, "<log-format json>", "exec"), names)
    made: Callable[..., bytes] = names["line"]
    return made
