"""Which server a client had before: use-server rules, force-/ignore-persist, stick rules (sticking.py), the persistence
cookie (manual: `cookie`).

`request(x)` runs before the server is chosen and may set `x.persist_server`; `response(x)` tells the client. In between
stands the third and fourth letter of the log's termination state (manual 8.5), kept as `x.cookie_state`:

    request   N none  I invalid  D its server is down  V valid  E idle too long  O too old  U unused
    response  N none  I inserted  P server's left alone  U date updated  D server's deleted  R rewritten

    mode      request's cookie                         response
    insert    read; removed if indirect                Set-Cookie unless the client has it; the server's own is dropped
    rewrite   read                                     the server's value is replaced by the server's name
    prefix    read up to "~", which is cut off         the server's value gets "name~" in front
    passive   read                                     nothing

With `maxidle` or `maxlife` the value is `name|LAST` or `name|LAST|FIRST`: times of the last and first visit, five
digits of base 64 counting units of four seconds (HAProxy's format, so either may take over from the other).
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import xxhash

from pylb.config import model
from pylb.http1.grammar import NEUTRAL
from pylb.http1.patterns import compiled

if TYPE_CHECKING:
    from pylb.backend.backend import Backend
    from pylb.backend.server import Server
    from pylb.backend.sticking import Sticking

Test = Callable[[Any], bool]

_DAY = 86400
_DELIMITERS = b";,"
_SET_COOKIE = b"\r\nset-cookie:"
_COOKIE, _COOKIE_LINE, _SET_COOKIE_LINE = b"\r\ncookie:", b"\r\nCookie: ", b"\r\nSet-Cookie: "
_PRIVATE = b"\r\nCache-control: private"
_STATES = (b"I", b"D", b"V", b"E", b"O", b"U")
_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_EXPIRED = b"; Expires=Thu, 01-Jan-1970 00:00:01 GMT"
_CACHEABLE = frozenset({200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501})
"""Statuses that a cache may keep without being told (RFC 7231 6.1): `nocache` concerns these."""
_CACHEABLE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_UNCACHEABLE = frozenset({b"no-cache", b"no-store", b"private", b"max-age=0", b"s-maxage=0"})
# Without one of these HAProxy takes a response for uncacheable.
_has_freshness = re.compile(rb"\n(?:expires:|etag:|last-modified:|cache-control:[^\r]*(?:max-age|s-maxage)=)").search


def encode_date(wall: float) -> bytes:
    """Five digits for a time in seconds since the epoch, rounded up to four seconds."""
    units = (int(wall) + 3) >> 2
    return bytes(_DIGITS[units >> shift & 63] for shift in (24, 18, 12, 6, 0))


def decode_date(digits: bytes) -> int | None:
    """Seconds since the epoch; None unless these are five digits."""
    if len(digits) != 5:
        return None
    units = 0
    for digit in digits:
        value = _VALUES.get(digit)
        if value is None:
            return None
        units = units << 6 | value
    return units << 2


class Persistence:
    """All that may bind an exchange of one backend to a server; the rules' conditions are set by the loader."""

    __slots__ = ("backend", "cookie", "force", "ignore", "sticking", "use_server")

    def __init__(self, backend: Backend, cookie: CookiePersistence | None) -> None:
        self.backend = backend
        self.cookie = cookie
        self.sticking: Sticking | None = None
        """Stick rules."""
        self.force: tuple[Test, ...] = ()
        """`force-persist`: true sends the client to its server even if that is down."""
        self.ignore: tuple[Test, ...] = ()
        """`ignore-persist`: true forgets the client's server."""
        self.use_server: tuple[tuple[Test, Callable[[Any], bytes]], ...] = ()
        """(condition, name of the server) of each `use-server`, in order."""

    @classmethod
    def of(cls, backend: Backend) -> Persistence | None:
        """What the configuration asks for, or None."""
        declared = backend.model
        cookie = None
        if declared.cookie is not None and declared.mode == "http":
            cookie = CookiePersistence(declared.cookie, backend)
        if cookie or declared.use_server or declared.stick or declared.force_persist or declared.ignore_persist:
            return cls(backend, cookie)
        return None

    @property
    def needed(self) -> Persistence | CookiePersistence:
        """What to ask about each exchange: the cookie itself where no rule has a say. To be read when all is loaded."""
        if self.cookie is None or self.force or self.ignore or self.use_server or self.sticking is not None:
            return self
        return self.cookie

    def request(self, x: Any) -> None:
        """Set `x.persist_server` where rules or the cookie name a server that can be reached."""
        if self.force and any(test(x) for test in self.force):
            x.force_persist = True
        if self.ignore and any(test(x) for test in self.ignore):
            x.ignore_persist = True
        for test, name in self.use_server:
            if test(x) and self._use(x, name(x)):
                break
        if self.cookie is not None:
            self.cookie.request(x)
        if self.sticking is not None:
            self.sticking.request(x)

    def response(self, x: Any) -> None:
        """Remember `x.server`, and edit the response head so that the client comes back to it."""
        if self.sticking is not None:
            self.sticking.response(x)
        if self.cookie is not None:
            self.cookie.response(x)

    def _use(self, x: Any, name: bytes) -> bool:
        server = self.backend.by_name.get(name.decode("latin-1"))
        if server is None or not (server.reachable or x.force_persist or self.backend.model.persist):
            return False
        x.persist_server = server
        return True


class CookiePersistence:
    """The cookie of one backend. Everything that does not depend on the request is bytes made at load."""

    __slots__ = (
        "_attributes", "_backend", "_by_value", "_dated", "_find", "_hides", "_indirect", "_inserts", "_key",
        "_letters", "_logged", "_maxidle", "_maxlife", "_name", "_nocache", "_only", "_persist", "_postonly",
        "_prefixes", "_preserve", "_ready", "_rewrites", "_set_cookie", "_unknown", "_valid",
    )  # fmt: skip

    def __init__(self, declared: model.Cookie, backend: Backend) -> None:
        name = declared.name.encode()
        self._backend = backend
        self._name = name
        self._inserts = declared.mode == "insert"
        self._rewrites = declared.mode == "rewrite"
        self._prefixes = declared.mode == "prefix"
        self._logged = declared.mode != "passive" or declared.indirect  # whether the log shows letters at all
        self._letters = {state: state + b"N" if self._logged else b"--" for state in (b"N", *_STATES)}
        self._unknown, self._valid = self._letters[b"N"], self._letters[b"V"]
        self._indirect = declared.indirect
        self._hides = declared.indirect and self._inserts
        self._nocache = declared.nocache
        self._postonly = declared.postonly
        self._preserve = declared.preserve
        self._persist = backend.model.persist
        self._maxidle = int(declared.maxidle or 0)
        self._maxlife = int(declared.maxlife or 0)
        self._dated = bool(self._maxidle or self._maxlife)
        # One pair of a Cookie field. What precedes it is looked at by hand: a pattern that begins with the name is
        # found sooner. A comma delimits too, as in HAProxy (and RFC 2965); quotes hide delimiters.
        self._find = compiled(re.escape(name) + rb'[ \t]*+=[ \t]*+([^;,"]*+(?:"[^"]*+"?[^;,"]*+)*+)').search
        self._set_cookie = compiled(rb"[ \t]*" + re.escape(name) + rb"[ \t]*+=[ \t]*+((?:[ \t]*+[^; \t]++)*+)")
        self._attributes = _attributes(declared)
        self._key = backend.model.dynamic_cookie_key if declared.dynamic else None
        self._by_value: dict[bytes, tuple[Server, ...]] = {}
        self._only: dict[bytes, Server] = {}
        """Those whose value no other has and no mode reads otherwise: the usual case of `_interpret`."""
        self._ready: dict[Server, bytes] = {}
        self.learn()

    def learn(self) -> None:
        """Read the servers' cookie values (again, when one was added or has moved)."""
        self._by_value.clear()
        self._ready.clear()
        if self._key is not None:
            for server in self._backend.servers:
                if not server.model.cookie:
                    server.cookie = dynamic_value(self._key, server.address)
        for server in self._backend.servers:
            if server.cookie is None:
                # A server without a value takes the client's cookie away.
                self._ready[server] = self._line(_EXPIRED + b"; path=/")
                continue
            self._by_value[server.cookie] = (*self._by_value.get(server.cookie, ()), server)
            self._ready[server] = self._line(server.cookie + b"; path=/")
        self._only = {
            value: servers[0]
            for value, servers in self._by_value.items()
            if len(servers) == 1 and not (self._prefixes or b"|" in value)
        }

    # ------------------------------------------------------------------------------------------------------- request

    def request(self, x: Any) -> None:
        """Read the cookie; hide it from the server where the mode says so."""
        x.cookie_state = self._unknown
        head = x.request
        place = head.place(_COOKIE)
        if place is None:
            return
        start, end = place
        if head.repeats(_COOKIE, end):
            self._read_several(x, head)
            return
        edited = self._read(x, head.block, start + len(_COOKIE), end)
        if edited is not None:
            head.put(start, end, _COOKIE_LINE + edited if edited else b"")

    def _read_several(self, x: Any, head: Any) -> None:
        """Clients send one Cookie field (RFC 6265 5.4); from HTTP/2 there may come more, which an edit joins."""
        fields = head.get_all(b"cookie")
        edited = [self._read(x, field, 0, len(field)) for field in fields]
        if any(field is not None for field in edited):
            seen = [before if after is None else after for before, after in zip(fields, edited, strict=True)]
            together = b"; ".join(filter(None, seen))
            if together:
                head.set(b"Cookie", together)
            else:
                head.remove(b"cookie")

    def _read(self, x: Any, text: bytes, first: int, last: int) -> bytes | None:
        """Interpret every occurrence in the value of a Cookie field, text[first:last]; the value that the server shall
        see, or None for the same one."""
        found = self._find(text, first, last)
        kept = []
        position = first
        while found is not None:
            start, end = found.span()
            before = text[first:start].rstrip(b" \t")
            if before and before[-1] not in _DELIMITERS:
                found = self._find(text, start + 1, last)  # the end of a longer name
                continue
            value = found[1].rstrip(b" \t")
            server = self._only.get(value)
            if server is not None and server.reachable and x.persist_server is None and not x.ignore_persist:
                x.persist_server = server
                x.cookie_state = self._valid
            else:
                self._interpret(x, value)
            if self._prefixes and b"~" in value:
                kept.append(text[position : found.start(1)])
                position = found.start(1) + value.index(b"~") + 1
            elif self._hides:
                if before:  # the delimiter in front goes too
                    kept.append(text[position : first + len(before) - 1])
                position = end
            found = self._find(text, end, last)
        if position == first:
            return None
        kept.append(text[position:last])
        edited = b"".join(kept).strip(b" \t")
        return edited if self._prefixes else edited.lstrip(b" \t;,")

    def _interpret(self, x: Any, value: bytes) -> None:
        """What one occurrence means. A valid one wins over any; among others the first says what is logged, but one
        that named a server or had its time is told rather than one that nobody knows."""
        if self._prefixes:
            value = value.partition(b"~")[0]
        elif b"|" in value:
            value, too_old = self._check_dates(x, value)
            if too_old:
                x.cookie_state = self._letters[too_old]
                return
        if x.persist_server is not None or x.ignore_persist:
            state = b"U"
        else:
            state = self._find_server(x, value) if value else b"I"
        if state in b"VDEO" or x.cookie_state == self._letters[b"N"]:
            x.cookie_state = self._letters[state]

    def _find_server(self, x: Any, value: bytes) -> bytes:
        """The first server of that value that can be reached."""
        state = b"I"
        for server in self._by_value.get(value, ()):
            if server.reachable or self._persist or x.force_persist:
                x.persist_server = server
                return b"V" if server.reachable else b"D"
            state = b"D"
        return state

    def _check_dates(self, x: Any, value: bytes) -> tuple[bytes, bytes]:
        """Cut the dates off; the value becomes empty when they are too old, with the state E or O."""
        value, _, dates = value.partition(b"|")
        last_digits, _, first_digits = dates.partition(b"|")
        last, first = decode_date(last_digits[:5]), decode_date(first_digits[:5])
        wall = x.started_wall
        if first and self._maxlife and not -_DAY <= int(wall) - first <= self._maxlife:
            return b"", b"O"
        if last and self._maxidle and not -_DAY <= int(wall) - last <= self._maxidle:
            return b"", b"E"
        x.cookie_dates = (last or 0, first or 0)
        return value, b""

    # ------------------------------------------------------------------------------------------------------ response

    def response(self, x: Any) -> None:
        """Rewrite the server's cookie, insert ours."""
        if x.response.place(_SET_COOKIE) is not None:
            self._edit_set_cookies(x)
        if self._inserts:
            self._insert(x)

    def _edit_set_cookies(self, x: Any) -> None:
        head = x.response
        fields = head.get_all(b"set-cookie")
        edited = [self._edit_set_cookie(x, field) for field in fields]
        if edited == fields:
            return
        head.remove(b"set-cookie")
        for field in edited:
            if field is not None:
                head.add(b"Set-Cookie", field)

    def _edit_set_cookie(self, x: Any, field: bytes) -> bytes | None:
        """One Set-Cookie of the server as the client shall see it; None: not at all."""
        found = self._set_cookie.match(field)
        if found is None:
            return field
        server: Server | None = x.server
        if self._preserve:
            self._told(x, b"P")
        elif (self._inserts and server is not None) or (self._indirect and x.persist_server is not None):
            self._told(x, b"D")
            return None
        elif server is not None and server.cookie is not None and self._rewrites:
            self._told(x, b"R")
            return field[: found.start(1)] + server.cookie + field[found.end(1) :]
        elif server is not None and server.cookie is not None and self._prefixes:
            self._told(x, b"R")
            return field[: found.start(1)] + server.cookie + b"~" + field[found.start(1) :]
        else:
            self._told(x, b"P")
        return field

    def _told(self, x: Any, letter: bytes) -> None:
        if self._logged:
            x.cookie_state = x.cookie_state[:1] + letter

    def _insert(self, x: Any) -> None:
        server = x.server
        direct = x.persist_server is not None
        if server is None or (direct and not self._stale(x)):
            return
        if (self._preserve and x.cookie_state[1:] == b"P") or x.ignore_persist:
            return
        if self._postonly and x.request.method != b"POST":
            return
        cached = self._nocache and _may_be_cached(x)  # looked up before the edit: the lower-cased copy still fits
        line = self._dated_cookie(x, server) if self._dated and server.cookie else self._ready[server]
        x.response.append(line + _PRIVATE if cached else line)
        self._told(x, b"U" if direct and server.cookie else b"I")

    def _stale(self, x: Any) -> bool:
        """Whether the client is at the right server but its cookie's dates need refreshing."""
        if not self._dated and x.cookie_dates is None:
            return False
        last, first = x.cookie_dates or (0, 0)
        if (self._maxidle or last) and (not last or last < int(_wall(x))):
            return True
        return bool(self._maxlife) != bool(first)

    def _dated_cookie(self, x: Any, server: Server) -> bytes:
        now = encode_date(_wall(x))
        value = (server.cookie or b"") + b"|" + now
        if self._maxlife:
            first = (x.cookie_dates or (0, 0))[1]
            value += b"|" + (encode_date(first) if first else now)
        return self._line(value + b"; path=/")

    def _line(self, value: bytes) -> bytes:
        """A whole Set-Cookie line; what the configuration says may hold anything."""
        return _SET_COOKIE_LINE + (self._name + b"=" + value + self._attributes).translate(NEUTRAL)


def dynamic_value(key: str, address: model.Address) -> bytes | None:
    """The cookie of a server by its address: XXH64 of the key, the packed address and the port in four bytes, as
    HAProxy computes it (manual: dynamic-cookie-key). None for a unix socket."""
    if address.kind != "inet":
        return None
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    packed = socket.inet_pton(family, address.host) + (address.port or 0).to_bytes(4, "big")
    return xxhash.xxh64_hexdigest(key.encode("utf-8", "surrogateescape") + packed).encode()


def _attributes(declared: model.Cookie) -> bytes:
    """What follows `path=/` in every Set-Cookie of ours."""
    parts = [f"; domain={domain}" for domain in declared.domains]
    if declared.httponly:
        parts.append("; HttpOnly")
    if declared.secure:
        parts.append("; Secure")
    parts += [f"; {attr}" for attr in declared.attrs]
    return "".join(parts).encode()


def _wall(x: Any) -> float:
    """The time of day when the response came."""
    return float(x.started_wall + max(0.0, (x.responded or x.started) - x.started))


def _may_be_cached(x: Any) -> bool:
    """Whether a cache might keep this response: what HAProxy looks at, in its order."""
    head = x.response
    if not head.mentions(_has_freshness) or (head.get(b"pragma") or b"").lower() == b"no-cache":
        return False
    cacheable = head.status in _CACHEABLE and x.request.method in _CACHEABLE_METHODS
    for value in head.values(b"cache-control"):
        word = value.lower()
        if word in _UNCACHEABLE:
            return False
        if word == b"public":
            cacheable = True
    return cacheable
