"""The variables of log formats (manual 8.2.6), each a row: name, form, expression over `x` and `s` (its session).

The expressions are put into generated code by logformat.py; the helpers they call are below. Times are whole
milliseconds, cut from moments since the request's first byte, so that the parts of a line add up to its total.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from typing import Any

from pylb.config.model import Frontend
from pylb.rules.context import Context
from pylb.rules.kinds import address
from pylb.rules.scope import Scope
from pylb.rules.unique import unique_id_getter

_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")

# ------------------------------------------------------------------------------------------------------------- dates


@lru_cache(maxsize=64)
def local_date(second: int) -> bytes:
    """`23/Nov/2026:16:39:39` in local time; once a second is enough."""
    t = time.localtime(second)
    clock = (t.tm_hour, t.tm_min, t.tm_sec)
    return b"%02d/%b/%04d:%02d:%02d:%02d" % (t.tm_mday, _MONTHS[t.tm_mon - 1], t.tm_year, *clock)


@lru_cache(maxsize=64)
def gmt_date(second: int) -> bytes:
    """`23/Nov/2026:16:39:39 +0000`"""
    t = time.gmtime(second)
    clock = (t.tm_hour, t.tm_min, t.tm_sec)
    return b"%02d/%b/%04d:%02d:%02d:%02d +0000" % (t.tm_mday, _MONTHS[t.tm_mon - 1], t.tm_year, *clock)


@lru_cache(maxsize=64)
def zoned_date(second: int) -> bytes:
    """`23/Nov/2026:17:39:39 +0100` in local time."""
    return local_date(second) + time.strftime(" %z", time.localtime(second)).encode()


def exact_date(wall: float) -> bytes:
    """`23/Nov/2026:16:39:39.947` in local time."""
    second = int(wall)
    return _exact_date(second, int((wall - second) * 1000))


@lru_cache(maxsize=64)
def _exact_date(second: int, millisecond: int) -> bytes:
    """Requests that come at once share it."""
    return b"%b.%03d" % (local_date(second), millisecond)


def accept_wall(x: Context) -> float:
    """When this exchange could begin: the accept, or the end of the previous one on a kept connection."""
    session = x.session
    return session.accepted_wall if session.requests <= 1 else x.started_wall - x.idle


# ------------------------------------------------------------------------------------------------------------ timers


def timers(x: Context) -> tuple[int, int, int, int, int]:
    """TR, Tw, Tc, Tr, Ta of an HTTP exchange; -1 for what was not reached (manual 8.4)."""
    start, responded, ended = x.started, x.responded, x.ended
    if x.connected == start and responded is not None and ended is not None:
        # Moments follow each other: here all up to the connection are one, as over an idle connection.
        return 0, 0, 0, int((responded - start) * 1000), int((ended - start) * 1000)
    return _all_timers(x)


def _all_timers(x: Context) -> tuple[int, int, int, int, int]:
    start = x.started
    moment = x.head_received
    received = -1 if moment is None else int((moment - start) * 1000)
    moment = x.dequeued
    queued = -1 if moment is None else int((moment - start) * 1000)
    moment = x.connected
    connected = -1 if moment is None else int((moment - start) * 1000)
    moment = x.responded
    responded = -1 if moment is None else int((moment - start) * 1000)
    moment = x.ended
    ended = max(responded, received, 0) if moment is None else int((moment - start) * 1000)
    return (
        received,
        queued if queued < 0 else queued - received,
        connected if connected < 0 else connected - queued,
        responded if responded < 0 else responded - connected,
        ended,
    )


def tcp_timers(x: Context) -> tuple[int, int, int, int, int]:
    """The same in TCP mode, where everything counts from the accept."""
    start = x.started
    queued = -1 if x.dequeued is None else int((x.dequeued - start) * 1000)
    connected = -1 if x.connected is None else int((x.connected - start) * 1000)
    ended = max(connected, 0) if x.ended is None else int((x.ended - start) * 1000)
    return 0, queued, connected if connected < 0 else connected - queued, -1, ended


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def data_time(x: Context, ended: int) -> int:
    """Td: from the response's head to the end."""
    return -1 if x.responded is None else ended - int((x.responded - x.started) * 1000)


# ------------------------------------------------------------------------------------------------------------- texts

_HIDDEN = re.compile(rb'[\x00-\x1f\x7f-\xff"#]')
_HIDDEN_HEADER = re.compile(rb'[\x00-\x1f\x7f-\xff"#{|}]')
_CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ESCAPED = re.compile(rb'["\\\]]')


def _number_sign(match: re.Match[bytes]) -> bytes:
    return b"#%02X" % match[0][0]


def visible(text: bytes) -> bytes:
    """Only what may stand in a log; the rest as #XX (manual 8.6)."""
    return _HIDDEN.sub(_number_sign, text)


def visible_header(text: bytes) -> bytes:
    """The same for captured headers, whose separators are hidden too."""
    return _HIDDEN_HEADER.sub(_number_sign, text)


def plain(text: bytes) -> bytes:
    """A sample in a log: control characters, above all line ends, would forge lines."""
    return _CONTROLS.sub(_number_sign, text) if _CONTROLS.search(text) else text


def escaped(text: bytes) -> bytes:
    """Flag E."""
    return _ESCAPED.sub(rb"\\\g<0>", text)


def dressed(expression: str, flags: frozenset[str], dash: bool) -> str:
    """A string's expression with its flags: `-` for an empty one in logs, unless quoted."""
    if "E" in flags:
        expression = f"escaped({expression})"
    if "Q" in flags:
        return f"b'\"' + {expression} + b'\"'"
    return f"({expression} or b'-')" if dash else expression


def request_part(x: Context, part: int) -> bytes:
    """Method (0), target (1) or version (2) as received."""
    if x.head_received is None:
        return b"<BADREQ>"
    parts = x.request_line.split(b" ")
    return visible(parts[part]) if part < len(parts) else b""


def request_line(x: Context) -> bytes:
    """%r"""
    return b"<BADREQ>" if x.head_received is None else visible(x.request_line)


def request_path(x: Context) -> bytes:
    """%HP: the target without its query."""
    return request_part(x, 1).split(b"?", 1)[0]


def request_path_only(x: Context) -> bytes:
    """%HPO: without scheme and host either."""
    target = request_path(x)
    if target.startswith(b"/") or b"://" not in target:
        return target
    _, slash, path = target.partition(b"://")[2].partition(b"/")
    return slash + path


def request_query(x: Context) -> bytes:
    """%HQ: the query with its question mark; empty without one."""
    target = request_part(x, 1)
    if target == b"<BADREQ>":
        return target
    _, mark, query = target.partition(b"?")
    return mark + query


def headers(captured: list[bytes | None] | None, number: int, x: Context) -> bytes:
    """`{a|b}`; nothing for a request that was never read."""
    if captured is None:
        return b"" if x.head_received is None else b"{%b}" % (b"|" * (number - 1))
    return b"{%b}" % b"|".join([visible_header(value) if value else b"" for value in captured])


def header_list(captured: list[bytes | None] | None, number: int, x: Context, quoted: bool, escape: bool) -> bytes:
    """CLF style: one word each."""
    if captured is None and x.head_received is None:
        return b""
    absent = b'""' if quoted else b"-"
    values = [None if value is None else visible_header(value) for value in captured or [None] * number]
    if escape:
        values = [value and escaped(value) for value in values]
    return b" ".join([absent if value is None else b'"%b"' % value if quoted else value for value in values])


def spaced(text: bytes) -> bytes:
    """With a blank behind it, if there is any."""
    return text + b" " if text else text


def in_quotes(text: bytes) -> bytes:
    """Flag Q of what may be absent."""
    return b'"%b"' % text if text else text


# --------------------------------------------------------------------------------------------- addresses and numbers


def hex_address(text: str) -> bytes:
    """Flag X: 7F000001"""
    found = address(text)
    return b"" if found is None else found.packed.hex().upper().encode()


def server_address(x: Context) -> str:
    """%si"""
    return "" if x.server is None else x.server.address.host


def server_port(x: Context) -> int:
    """%sp"""
    return (x.server.address.port or 0) if x.server is not None else 0


def own_address(x: Context) -> tuple[str, int]:
    """%bi, %bp: our end of the server's connection, where the exchange tells (`server_source`)."""
    source: tuple[str, int] | None = getattr(x, "server_source", None)
    return source or ("", 0)


class Names(dict[str, bytes]):
    """The names of proxies and servers as bytes: few, asked for with every line."""

    def __missing__(self, name: str) -> bytes:
        made = self[name] = name.encode()
        return made


names = Names()


_exchanges = count(1)


def request_number(x: Context) -> int:
    """%rt: counts exchanges; the same for every use within one."""
    variables = x.variables
    if variables is None:
        variables = x.variables = {}
    if "%rt" not in variables:
        variables["%rt"] = next(_exchanges)
    number: int = variables["%rt"]
    return number


NAMESPACE: dict[str, Any] = {
    function.__name__.strip("_"): function
    for function in (
        local_date, gmt_date, zoned_date, exact_date, accept_wall, timers, tcp_timers, _milliseconds, data_time,
        visible, plain, escaped, request_part, request_line, request_path, request_path_only, request_query, headers,
        header_list, spaced, in_quotes, hex_address, server_address, server_port, own_address, request_number,
    )
} | {"names": names}  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ the rows


@dataclass(frozen=True, slots=True)
class Field:
    """One variable."""

    kind: str
    """number, string (flags Q and E), raw (bytes as they are), ip (string, X), port (number or "-", X), hex (number,
    X), request or list (strings whose emptiness is no dash)."""
    code: str
    timers: bool = False
    http: bool = False
    """In `mode http` only."""
    optional: bool = False
    """Leaves nothing, not even its blank, when there is nothing."""
    bound: Mapping[str, Callable[[Scope], Any]] = field(default_factory=dict)
    """Values that the code names with a dollar sign, made at load."""
    present: Callable[[Scope], bool] = lambda _scope: True
    width: int = 4
    """Digits of flag X."""
    plain: bytes = b"%d"
    """The form without it. `code` has a value for each of its conversions."""

    def form(self, flags: frozenset[str]) -> bytes:
        """The conversion in the template."""
        if self.kind == "number":
            return self.plain
        if self.kind == "hex":
            return b"%%0%dX" % self.width if "X" in flags else self.plain
        return b"%b"

    def expression(self, flags: frozenset[str], dash: bool) -> str:
        """The code that gives the value, flags applied."""
        code = self.code
        if self.kind in ("number", "raw", "hex"):
            return code
        if self.kind == "port":
            digits = "%04X" if "X" in flags else "%d"
            absent = b'""' if "Q" in flags else b"-"
            return f"(b'{digits}' % {code} if {code} else {absent!r})" if dash else f"b'{digits}' % {code}"
        if self.kind == "ip":
            text = f"hex_address({code})" if "X" in flags else f"{code}.encode()"
            return dressed(text, flags - {"E"}, dash)
        if self.kind == "list":
            return code.replace("QUOTED", str("Q" in flags)).replace("ESCAPED", str("E" in flags))
        if self.optional and "Q" in flags:
            return f"in_quotes({dressed(code, flags - {'Q'}, False)})"
        return dressed(code, flags, dash and self.kind == "string")


def _captures(kind: str) -> Callable[[Scope], int]:
    def number(scope: Scope) -> int:
        captures = scope.proxy.captures if isinstance(scope.proxy, Frontend) else ()
        return sum(1 for capture in captures if capture.kind == kind)

    return number


def _header_field(kind: str, code: str, which: str) -> Field:
    number = _captures(which)
    return Field(kind, code, optional=True, bound={"n": number}, present=lambda scope: number(scope) > 0)


def _string(code: str, http: bool = False) -> Field:
    return Field("string", code, http=http)


def _time(code: str, http: bool = False) -> Field:
    return Field("number", code, timers=True, http=http)


FIELDS: dict[str, Field] = {
    "B": Field("number", "x.frontend.plus, x.bytes_read", plain=b"%b%d"),
    "CC": _string("(x.captured_request_cookie or b'')", http=True),
    "CS": _string("(x.captured_response_cookie or b'')", http=True),
    "H": Field("string", "$hostname", bound={"hostname": lambda scope: scope.world.hostname.encode()}),
    "HM": Field("request", "request_part(x, 0)", http=True),
    "HP": Field("request", "request_path(x)", http=True),
    "HPO": Field("request", "request_path_only(x)", http=True),
    "HQ": Field("request", "request_query(x)", http=True),
    "HU": Field("request", "request_part(x, 1)", http=True),
    "HV": Field("request", "request_part(x, 2)", http=True),
    "ID": Field("string", "($id(x) or b'')", bound={"id": unique_id_getter}),
    "ST": Field("number", "(x.status or $none)", bound={"none": lambda scope: -1 if scope.http else 0}),
    "T": Field("raw", "gmt_date(int(accept_wall(x)))"),
    "Ta": Field("number", "x.frontend.plus, Ta", plain=b"%b%d", timers=True, http=True),
    "Tc": _time("Tc"),
    "Td": _time("data_time(x, Ta)"),
    "Tl": Field("raw", "zoned_date(int(accept_wall(x)))"),
    "Th": Field("number", "milliseconds(x.handshake)"),
    "Ti": Field("number", "milliseconds(x.idle)", http=True),
    "Tq": _time("(TR if TR < 0 else TR + milliseconds(x.idle) + milliseconds(x.handshake))", http=True),
    "TR": _time("TR", http=True),
    "Tr": _time("Tr", http=True),
    "Ts": Field("hex", "int(accept_wall(x))"),
    "Tt": Field("number", "x.frontend.plus, $total(x, Ta)", plain=b"%b%d", timers=True, bound={
        "total": lambda scope: _total if scope.http else (lambda _x, total: total)}),
    "Tu": Field("number", "x.frontend.plus, Ta + milliseconds(x.handshake)", plain=b"%b%d", timers=True),
    "Tw": _time("Tw"),
    "U": Field("number", "x.bytes_uploaded"),
    "ac": Field("number", "x.actconn"),
    "b": _string("names[(x.backend or x.frontend).name]"),  # the frontend's until there is a backend
    "bc": Field("number", "(0 if x.backend is None else x.backend.counters.scur)"),
    "bi": Field("ip", "own_address(x)[0]"),
    "bp": Field("port", "own_address(x)[1]"),
    "bq": Field("number", "x.backend_queue"),
    "ci": Field("ip", "s.src"),
    "cp": Field("hex", "s.src_port"),
    "f": _string("names[x.frontend.name]"),
    "fc": Field("number", "x.frontend.counters.scur"),
    "fi": Field("ip", "s.dst"),
    "fp": Field("hex", "s.dst_port"),
    "ft": _string("(names[x.frontend.name] if s.tls is None else names[x.frontend.name] + b'~')"),
    "lc": Field("hex", "next($lines)", bound={"lines": lambda _scope: count()}),
    "hr": _header_field("request", "headers(x.captured_request, $n, x)", "request"),
    "hrl": _header_field("list", "header_list(x.captured_request, $n, x, QUOTED, ESCAPED)", "request"),
    "hs": _header_field("request", "headers(x.captured_response, $n, x)", "response"),
    "hsl": _header_field("list", "header_list(x.captured_response, $n, x, QUOTED, ESCAPED)", "response"),
    "ms": Field("hex", "int(accept_wall(x) % 1 * 1000)", width=2, plain=b"%03d"),
    "pid": Field("hex", "$world.pid", bound={"world": lambda scope: scope.world}),
    "r": Field("request", "request_line(x)", http=True),
    "rc": Field("number", "b'+' if x.redispatched else b'', x.retries", plain=b"%b%d"),
    "rt": Field("hex", "request_number(x)"),
    "s": _string("(x.applet or b'<NOSRV>' if x.server is None else names[x.server.name])"),
    "sc": Field("number", "(0 if x.server is None else x.server.counters.scur)"),
    "si": Field("ip", "server_address(x)"),
    "sp": Field("port", "server_port(x)"),
    "sq": Field("number", "x.server_queue"),
    "sslc": _string("(b'' if s.tls is None else s.tls.cipher.encode())"),
    "sslv": _string("(b'' if s.tls is None else s.tls.version.encode())"),
    "t": Field("raw", "exact_date(accept_wall(x))"),
    "tr": Field("raw", "exact_date(x.started_wall)", http=True),
    "trg": Field("raw", "gmt_date(int(x.started_wall))", http=True),
    "trl": Field("raw", "zoned_date(int(x.started_wall))", http=True),
    "ts": Field("raw", "x.termination"),
    "tsc": Field("raw", "x.termination + x.cookie_state"),
}  # fmt: skip


def _total(x: Context, active: int) -> int:
    """Tt of an HTTP exchange: idle time and handshake before it count."""
    return active + _milliseconds(x.idle) + _milliseconds(x.handshake)
