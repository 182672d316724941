"""balance source, uri, url_param, hdr(NAME), rdp-cookie(NAME), hash EXPR: the same key goes to the same server.

The algorithms differ in the key only; what becomes of its hash is ring.py's. An exchange without the key is rotated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from socket import AF_INET6, inet_aton, inet_pton
from typing import Any

from pylb.backend.balance import hashes
from pylb.backend.balance.base import Algorithm, Settings, balance
from pylb.backend.balance.ring import Map, Ring


class Hashed(Algorithm):
    """Base: subclasses give `hash_of`."""

    __slots__ = ("_avalanche", "_function", "_table")

    dynamic = False

    def __init__(self, settings: Settings, servers: Sequence[Any]) -> None:
        super().__init__(settings, servers)
        kind = settings.hash_type
        self._table: Map | Ring = Ring() if kind.method == "consistent" else Map(settings, servers)
        self._function = hashes.FUNCTIONS[kind.function]
        self._avalanche = kind.modifier == "avalanche"

    @classmethod
    def is_dynamic(cls, settings: Settings) -> bool:
        return settings.hash_type.method == "consistent"

    def update(self, servers: Sequence[Any]) -> None:
        self._table.update(servers)

    def pick(self, x: Any, avoid: Any) -> Any:
        value = self.hash_of(x)
        if value is None:
            return self._table.pick(x, avoid)
        return self._table.find(hashes.avalanche(value) if self._avalanche else value, avoid)

    def where(self, value: int) -> str:
        """Where a hash leads, in words; for who explains a choice."""
        return self._table.where(value)

    def hash_of(self, x: Any) -> int | None:
        """The raw hash of the exchange's key; None where it has none."""
        raise NotImplementedError


@balance("source")
class Source(Hashed):
    """The client's address; its 32-bit words combined by exclusive or, the hash function takes no part."""

    __slots__ = ()

    def hash_of(self, x: Any) -> int | None:
        try:
            if ":" not in x.session.src:
                return int.from_bytes(inet_aton(x.session.src), "big")
            packed = inet_pton(AF_INET6, x.session.src)
        except OSError:  # a unix socket's client has no address
            return None
        value = 0
        for word in range(0, 16, 4):
            value ^= int.from_bytes(packed[word : word + 4], "big")
        return value


@balance("uri")
class Uri(Hashed):
    """The request target up to "?" (or `whole`), at most `len` bytes and `depth` directories, or from its path on."""

    __slots__ = ("_depth", "_length", "_path_only", "_plain", "_whole")

    def __init__(self, settings: Settings, servers: Sequence[Any]) -> None:
        super().__init__(settings, servers)
        words = iter(settings.args)
        self._whole = self._path_only = False
        self._depth: int | None = None
        self._length: int | None = None
        for word in words:
            if word == "whole":
                self._whole = True
            elif word == "path-only":
                self._path_only = True
            elif word in ("len", "depth"):
                self._bound(word, next(words, ""))
            else:
                raise ValueError(f"balance uri: unknown word '{word}'; it takes len, depth, whole and path-only")
        self._plain = self._depth is None and self._length is None and not self._path_only and not self._whole

    def _bound(self, word: str, number: str) -> None:
        if not (number.isascii() and number.isdigit() and int(number)):
            raise ValueError(f"balance uri: '{word}' needs a positive number, not '{number}'")
        if word == "len":
            self._length = int(number)
        else:
            self._depth = int(number)

    def hash_of(self, x: Any) -> int | None:
        target: bytes = x.request.target
        if self._plain:
            return self._function(target.partition(b"?")[0])
        if self._path_only:
            target = _from_path(target)
        return self._function(self._cut(target[: self._length]))

    def _cut(self, target: bytes) -> bytes:
        """Up to "?" (unless `whole`) or the slash after `depth` directories, whichever comes first."""
        if not self._whole:
            target = target.partition(b"?")[0]
        if self._depth is None:
            return target
        return b"/".join(target.split(b"/", self._depth + 1)[: self._depth + 1])


def _from_path(target: bytes) -> bytes:
    """The target without scheme and authority."""
    if target.startswith(b"/"):
        return target
    scheme = target.find(b"://")
    path = target.find(b"/", scheme + 3 if scheme >= 0 else 0)
    return target[path:] if path >= 0 else target


@balance("url_param")
class UrlParam(Hashed):
    """A parameter of the query string."""

    __slots__ = ("_name",)

    def __init__(self, settings: Settings, servers: Sequence[Any]) -> None:
        super().__init__(settings, servers)
        if not settings.args:
            raise ValueError("balance url_param: the parameter's name is missing")
        if len(settings.args) > 1:
            raise ValueError(f"balance url_param: '{settings.args[1]}' is not supported, bodies are not searched")
        self._name = settings.args[0].encode() + b"="

    def hash_of(self, x: Any) -> int | None:
        for parameter in x.request.target.partition(b"?")[2].split(b"&"):
            if parameter.startswith(self._name):
                return self._function(parameter[len(self._name) :])
        return None


@balance("hdr")
class Header(Hashed):
    """The first value of a header; with `use_domain_only` of a host name only its main label."""

    __slots__ = ("_domain_only", "_name")

    def __init__(self, settings: Settings, servers: Sequence[Any]) -> None:
        super().__init__(settings, servers)
        name = settings.keyword.partition("(")[2].rstrip(")")
        if not name:
            raise ValueError("balance hdr: write the header's name in parentheses: hdr(host)")
        if any(word != "use_domain_only" for word in settings.args):
            raise ValueError(f"balance hdr: unknown word '{settings.args[0]}'; it takes use_domain_only")
        self._name = name.lower().encode()
        self._domain_only = bool(settings.args)

    def hash_of(self, x: Any) -> int | None:
        value = x.request.get(self._name)
        if value and (b"," in value):
            value = next(iter(x.request.values(self._name)), None)
        if not value:
            return None
        return self._function(_domain(value) if self._domain_only else value)


def _domain(host: bytes) -> bytes:
    """ "haproxy.1wt.eu" → "1wt": the label before the last dot; all of it without a dot behind the first character.

    As in HAProxy an empty label takes its dot along: "a..b" → "a.".
    """
    end = host.rfind(b".", 1)
    return host if end < 0 else host[host.rfind(b".", 0, end - 1) + 1 : end]


@balance("hash")
class Expression(Hashed):
    """A sample expression, compiled by the loader."""

    __slots__ = ("_fetch",)

    def __init__(self, settings: Settings, servers: Sequence[Any]) -> None:
        super().__init__(settings, servers)
        if settings.fetch is None:
            raise ValueError("balance hash: needs a sample expression")
        self._fetch: Callable[[Any], Any] = settings.fetch

    def hash_of(self, x: Any) -> int | None:
        value = self._fetch(x)
        return None if value is None else self._function(_as_bytes(value))


@balance("rdp-cookie")
class RdpCookie(Hashed):
    """A cookie of an RDP connection request, read by the loader's `req.rdp_cookie(NAME)`."""

    __slots__ = ("_fetch",)

    def __init__(self, settings: Settings, servers: Sequence[Any]) -> None:
        super().__init__(settings, servers)
        if settings.fetch is None:
            raise ValueError("balance rdp-cookie: needs the cookie's sample")
        self._fetch: Callable[[Any], Any] = settings.fetch

    def hash_of(self, x: Any) -> int | None:
        value = self._fetch(x)
        return self._function(value) if value else None


def _as_bytes(value: Any) -> bytes:
    """A sample as the binary that HAProxy casts it to: numbers as eight bytes, addresses packed."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return int(value).to_bytes(8, "big", signed=True)
    packed: bytes = getattr(value, "packed", b"")
    return packed or str(value).encode()
