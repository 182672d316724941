"""Fetches of header fields and cookies (manual 7.3.6).

`hdr` splits values at commas, `fhdr` does not. Without an occurrence number a sample is the last value, while a test
looks at every value. `hdr`, `cook` and their kin read the head that the rule is about; `req.…` and `res.…` say which.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from pylb.http1.fields import Head
from pylb.rules.context import Context
from pylb.rules.kinds import Kind, Value, address, leading_integer
from pylb.rules.registry import BadArgument, Getter, ManyGetter, Needs, fetch_with
from pylb.rules.scope import Scope

Finder = Callable[[Head], list[bytes]]
HeadGetter = Callable[[Context], Head]

_find_elements = re.compile(rb'(?:"(?:[^"\\]|\\.)*"?|[^",])+|(?<=,)(?=,|\Z)|\A(?=,)').findall
_find_pairs = re.compile(rb'(?:"(?:[^"\\]|\\.)*"?|[^";,])+').findall


def elements(value: bytes) -> list[bytes]:
    """The comma-separated elements of a value, empty ones included, quotes respected."""
    if b"," not in value:
        return [value]
    found = value.split(b",") if b'"' not in value else _find_elements(value)
    return [element.strip(b" \t") for element in found]


def header_values(head: Head, name: bytes) -> list[bytes]:
    """All comma-separated values of a field."""
    return [element for value in head.get_all(name) for element in elements(value)]


def cookies(header: bytes) -> list[tuple[bytes, bytes]]:
    """Names and values of a Cookie field; HAProxy takes a comma for a semicolon, and so do we."""
    pairs = []
    for text in _find_pairs(header):
        name, equals, value = text.partition(b"=")
        if equals:
            pairs.append((name.strip(b" \t"), value.strip(b" \t")))
    return pairs


# ----------------------------------------------------------------------------------------- which head, which value


def _head(which: str, scope: Scope) -> HeadGetter:
    """Getter of the head: "req", "res", or "" for the one the rule is about."""
    response = which == "res" or (which == "" and scope.place.has_response)
    return attrgetter("response" if response else "request")


def _pick(values: list[bytes], occurrence: int) -> bytes | None:
    """The Nth value, counted from 1, or from the end with -1; None beyond."""
    index = occurrence - 1 if occurrence > 0 else occurrence
    return values[index] if -len(values) <= index < len(values) else None


def _single(head: HeadGetter, find: Finder, occurrence: int | None) -> Getter:
    if occurrence == 0:
        raise BadArgument("occurrences are counted from 1, or from the end with -1; there is no occurrence 0")
    number = -1 if occurrence is None else occurrence

    def get(x: Context) -> Value:
        return _pick(find(head(x)), number)

    return get


def _every(head: HeadGetter, find: Finder, occurrence: int | None) -> ManyGetter | None:
    return None if occurrence is not None else lambda x: find(head(x))


def _name(args: tuple[Any, ...]) -> bytes | None:
    return args[0].lower().encode("latin-1") if args[0] else None


# ---------------------------------------------------------------------------------------------------------- headers


def _split_finder(args: tuple[Any, ...]) -> Finder:
    name = _name(args)
    if name is None:
        return lambda head: [element for _, value in head.fields() for element in elements(value)]
    return lambda head: header_values(head, name)


def _full_finder(args: tuple[Any, ...]) -> Finder:
    name = _name(args)
    if name is None:
        return lambda head: [value for _, value in head.fields()]
    return lambda head: head.get_all(name)


def _last_of(head: HeadGetter, name: bytes) -> Getter:
    """The commonest form, `hdr(name)`, without a list: most fields stand once and have no comma."""

    def get(x: Context) -> Value:
        value = head(x).last(name)
        return value if value is None or b"," not in value else elements(value)[-1]

    return get


def _register_headers(prefix: str, names: dict[str, str], needs: Needs) -> None:
    which = prefix.rstrip(".")

    def split_all(args: tuple[Any, ...], scope: Scope) -> ManyGetter | None:
        return _every(_head(which, scope), _split_finder(args), args[1])

    def full_all(args: tuple[Any, ...], scope: Scope) -> ManyGetter | None:
        return _every(_head(which, scope), _full_finder(args), args[1])

    @fetch_with(names["hdr"], Kind.STR, "str?", "int?", needs=needs, many=split_all)
    def _hdr(args: tuple[Any, ...], scope: Scope) -> Getter:
        name = _name(args)
        if name is None:
            return lambda _x: None
        if args[1] in (None, -1):
            return _last_of(_head(which, scope), name)
        return _single(_head(which, scope), _split_finder(args), args[1])

    @fetch_with(names["fhdr"], Kind.STR, "str?", "int?", needs=needs, many=full_all)
    def _fhdr(args: tuple[Any, ...], scope: Scope) -> Getter:
        if not args[0]:
            return lambda _x: None
        return _single(_head(which, scope), _full_finder(args), args[1])

    @fetch_with(names["hdr_cnt"], Kind.INT, "str?", needs=needs)
    def _hdr_cnt(args: tuple[Any, ...], scope: Scope) -> Getter:
        return _count(_head(which, scope), _split_finder(args))

    @fetch_with(names["fhdr_cnt"], Kind.INT, "str?", needs=needs)
    def _fhdr_cnt(args: tuple[Any, ...], scope: Scope) -> Getter:
        return _count(_head(which, scope), _full_finder(args))

    @fetch_with(names["hdr_val"], Kind.INT, "str?", "int?", needs=needs, many=_many_as(split_all, leading_integer))
    def _hdr_val(args: tuple[Any, ...], scope: Scope) -> Getter:
        return _converted(_hdr(args, scope), leading_integer)

    @fetch_with(names["hdr_ip"], Kind.ADDR, "str?", "int?", needs=needs, many=_many_as(split_all, header_address))
    def _hdr_ip(args: tuple[Any, ...], scope: Scope) -> Getter:
        return _converted(_hdr(args, scope), header_address)

    @fetch_with(names["hdr_names"], Kind.STR, "str?", needs=needs)
    def _hdr_names(args: tuple[Any, ...], scope: Scope) -> Getter:
        head, delimiter = _head(which, scope), (args[0] or ",").encode()
        return lambda x: delimiter.join(head(x).names())

    @fetch_with(names["hdrs"], Kind.BIN, needs=needs)
    def _hdrs(_args: tuple[Any, ...], scope: Scope) -> Getter:
        head = _head(which, scope)
        return lambda x: b"".join(b"%b: %b\r\n" % (n.lower(), v) for n, v in head(x).fields()) + b"\r\n"


def header_address(value: bytes) -> Value:
    """The address a header value holds; a port behind an IPv4 address and brackets around IPv6 are allowed."""
    text = value.decode("latin-1")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return address(text)


def _count(head: HeadGetter, find: Finder) -> Getter:
    return lambda x: len(find(head(x)))


def _converted(getter: Getter, convert: Callable[[bytes], Value]) -> Getter:
    def get(x: Context) -> Value:
        value = getter(x)
        return convert(value) if isinstance(value, bytes) else None

    return get


def _many_as(
    build: Callable[[tuple[Any, ...], Scope], ManyGetter | None], convert: Callable[[bytes], Value]
) -> Callable[[tuple[Any, ...], Scope], ManyGetter | None]:
    def build_converted(args: tuple[Any, ...], scope: Scope) -> ManyGetter | None:
        find = build(args, scope)
        return None if find is None else lambda x: [convert(value) for value in find(x)]  # type: ignore[misc]

    return build_converted


_SUFFIXES = ("hdr", "fhdr", "hdr_cnt", "fhdr_cnt", "hdr_val", "hdr_ip", "hdr_names", "hdrs")
_register_headers("req.", {suffix: f"req.{suffix}" for suffix in _SUFFIXES}, Needs.REQUEST)
_register_headers(
    "res.",
    {s: f"res.{s} s{s}" if s in ("hdr", "hdr_cnt", "hdr_val", "hdr_ip") else f"res.{s}" for s in _SUFFIXES},
    Needs.RESPONSE,
)
_register_headers("", {s: s if s in ("hdr", "hdr_cnt", "hdr_val", "hdr_ip") else "" for s in _SUFFIXES}, Needs.EITHER)


# ---------------------------------------------------------------------------------------------------------- cookies


def _cookie_finder(args: tuple[Any, ...], response: bool) -> Finder:
    wanted = args[0].encode("latin-1") if args[0] else None
    field = b"set-cookie" if response else b"cookie"
    if wanted is not None and not response:
        return _request_cookie_finder(wanted)

    def find(head: Head) -> list[bytes]:
        found = []
        for header in head.get_all(field):
            if wanted is None or wanted in header:
                pairs = cookies(header)[:1] if response else cookies(header)
                found += [value for name, value in pairs if wanted is None or name == wanted]
        return found

    return find


def _request_cookie_finder(wanted: bytes) -> Finder:
    """One expression where no quotes could hide a separator, as in nearly all Cookie fields."""
    search = re.compile(rb"(?:\A|[;,])[ \t]*" + re.escape(wanted) + rb"[ \t]*=[ \t]*([^;,]*)").findall

    def find(head: Head) -> list[bytes]:
        found: list[bytes] = []
        for header in head.get_all(b"cookie"):
            if b'"' not in header:
                found += [value.rstrip(b" \t") for value in search(header)]
            elif wanted in header:
                found += [value for name, value in cookies(header) if name == wanted]
        return found

    return find


def _register_cookies(which: str, names: dict[str, str], needs: Needs) -> None:
    def finder(args: tuple[Any, ...], scope: Scope) -> Finder:
        return _cookie_finder(args, which == "res" or (which == "" and scope.place.has_response))

    def every(args: tuple[Any, ...], scope: Scope) -> ManyGetter:
        head, find = _head(which, scope), finder(args, scope)
        return lambda x: find(head(x))

    @fetch_with(names["cook"], Kind.STR, "str?", needs=needs, many=every)
    def _cook(args: tuple[Any, ...], scope: Scope) -> Getter:
        # The last cookie of the name; without a name, the first cookie.
        return _single(_head(which, scope), finder(args, scope), -1 if args[0] else 1)

    @fetch_with(names["cook_cnt"], Kind.INT, "str?", needs=needs)
    def _cook_cnt(args: tuple[Any, ...], scope: Scope) -> Getter:
        return _count(_head(which, scope), finder(args, scope))

    @fetch_with(names["cook_val"], Kind.INT, "str?", needs=needs, many=_many_as(every, leading_integer))
    def _cook_val(args: tuple[Any, ...], scope: Scope) -> Getter:
        return _converted(_cook(args, scope), leading_integer)


_COOKIES = ("cook", "cook_cnt", "cook_val")
_register_cookies("req", {s: f"req.{s} {s}{' cookie' if s == 'cook' else ''}" for s in _COOKIES}, Needs.REQUEST)
_register_cookies("res", {s: f"res.{s} s{s}" for s in _COOKIES}, Needs.RESPONSE)
