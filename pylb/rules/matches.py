"""Match methods: patterns in, a function of one value out (manual 7.1.1 to 7.1.6).

    found                      the value exists; no patterns
    bool                       the value is true; patterns are ignored
    int, len                   numbers, ranges a:b, operators eq ge gt le lt that hold for what follows them
    ip                         addresses and networks, IPv4 and IPv6 compared across as the manual says
    str beg end sub dir dom    strings
    reg                        regular expressions, searched
    bin                        bytes written in hexadecimal

Each builder turns all its patterns into one operation (a set, startswith with a tuple, one expression), because an ACL
with many patterns is looked at on every request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any

from pylb.rules.kinds import IpAddress, Kind
from pylb.rules.patterns import compile_regex
from pylb.rules.registry import BadArgument

Match = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Method:
    """A match method: the type it looks at, and how it is built from patterns and -i."""

    kind: Kind
    build: Callable[[Sequence[str], bool], Match]
    patterns: bool = True
    """Without any, it never matches."""


METHODS: dict[str, Method] = {}


def method(name: str, kind: Kind, patterns: bool = True) -> Callable[[Any], Any]:
    """Register a builder under the word of `-m`."""

    def register(build: Callable[[Sequence[str], bool], Match]) -> Any:
        METHODS[name] = Method(kind, build, patterns)
        return build

    return register


def encode(pattern: str) -> bytes:
    """A pattern as bytes; files and TOML are UTF-8, bytes that were none keep their value."""
    return pattern.encode("utf-8", "surrogateescape")


# ----------------------------------------------------------------------------------------------- presence and truth


@method("found", Kind.ANY, patterns=False)
def _found(_patterns: Sequence[str], _ignore_case: bool) -> Match:
    return lambda _value: True  # not found never gets here


@method("bool", Kind.BOOL, patterns=False)
def _bool(_patterns: Sequence[str], _ignore_case: bool) -> Match:
    return bool


# ----------------------------------------------------------------------------------------------------------- numbers

_OPERATORS = ("eq", "ge", "gt", "le", "lt")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_LOWEST, _HIGHEST = -(1 << 63), (1 << 63) - 1


def parse_ranges(patterns: Sequence[str]) -> list[tuple[int, int]]:
    """The (lowest, highest) pairs that number patterns mean; raises BadArgument."""
    ranges = []
    operator = "eq"
    for pattern in patterns:
        if pattern in _OPERATORS:
            operator = pattern
        else:
            ranges.append(_range(pattern, operator))
    return ranges


def _range(pattern: str, operator: str) -> tuple[int, int]:
    low_text, colon, high_text = pattern.partition(":")
    low = _number(low_text, pattern) if low_text or not colon else _LOWEST
    high = _number(high_text, pattern) if high_text else (_HIGHEST if colon else low)
    if operator == "eq":
        return low, high
    if operator in ("ge", "gt"):
        return low + (operator == "gt"), _HIGHEST
    return _LOWEST, high - (operator == "lt")


def _number(text: str, pattern: str) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise BadArgument(
            f'"{pattern}" is no number; numbers are 5, 1:10, 5: or :5, with eq, ge, gt, le or lt before them'
        )
    return int(text)


@method("int", Kind.INT)
def _int(patterns: Sequence[str], _ignore_case: bool) -> Match:
    ranges = parse_ranges(patterns)
    if all(low == high for low, high in ranges):
        numbers = frozenset(low for low, _ in ranges)
        return lambda value: value in numbers
    if len(ranges) == 1:
        low, high = ranges[0]
        return lambda value: low <= value <= high
    return lambda value: any(low <= value <= high for low, high in ranges)


@method("len", Kind.STR)
def _len(patterns: Sequence[str], ignore_case: bool) -> Match:
    matches = _int(patterns, ignore_case)
    return lambda value: matches(len(value))


# --------------------------------------------------------------------------------------------------------- addresses


def parse_network(pattern: str) -> IPv4Network | IPv6Network:
    """An address or network; short IPv4 forms fill in zeros before the last number (127.1 is 127.0.0.1)."""
    text, slash, mask = pattern.partition("/")
    if ("." in text and ":" not in text) or text.isdigit():
        numbers = text.split(".")
        if 1 <= len(numbers) < 4:
            text = ".".join([*numbers[:-1], *["0"] * (4 - len(numbers)), numbers[-1]])
    try:
        return ip_network(text + slash + mask, strict=False)
    except ValueError:
        raise BadArgument(f'"{pattern}" is no address or network; names are not looked up here') from None


class Networks:
    """A set of networks: for each prefix length the set of prefixes, so that size does not matter."""

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._prefixes: dict[tuple[int, int], set[int]] = {}
        self._unlike = True
        """No two of the networks are the same, so that one can be taken out."""
        self._lookups: list[tuple[int, int, set[int]]] = []
        self._has_4 = self._has_6 = False
        for network in networks:
            self._add(*prefix_of(network))

    def _add(self, version: int, bits: int, prefix: int) -> None:
        prefixes = self._prefixes.get((version, bits))
        if prefixes is None:
            prefixes = self._prefixes[version, bits] = set()
            self._lookups.append((version, bits, prefixes))
            self._has_4 |= version == 4
            self._has_6 |= version == 6
        self._unlike &= prefix not in prefixes
        prefixes.add(prefix)

    def adjust(self, network: IPv4Network | IPv6Network, present: bool) -> bool:
        """Add a network or take one out; False where it may be there for another reason, too."""
        version, bits, prefix = prefix_of(network)
        if present:
            self._add(version, bits, prefix)
        elif self._unlike:
            self._prefixes[version, bits].discard(prefix)
        return present or self._unlike

    def __contains__(self, address: IpAddress) -> bool:
        number = int(address)
        if self._has(address.version, number):
            return True
        if isinstance(address, IPv6Address):
            inner = embedded(number) if self._has_4 else None
            return inner is not None and self._has(4, inner)
        return self._has_6 and self._has(6, 0xFFFF << 32 | number)

    def _has(self, wanted: int, number: int) -> bool:
        for version, bits, prefixes in self._lookups:  # noqa: SIM110 - a generator costs twice the loop
            if version == wanted and number >> bits in prefixes:
                return True
        return False


def prefix_of(network: IPv4Network | IPv6Network) -> tuple[int, int, int]:
    """IP version, number of bits that do not count, the others as a number."""
    bits = network.max_prefixlen - network.prefixlen
    return network.version, bits, int(network.network_address) >> bits


def embedded(number: int) -> int | None:
    """The IPv4 address in 2002:IPV4::, ::IPV4 or ::ffff:IPV4."""
    if number >> 112 == 0x2002:
        return number >> 80 & 0xFFFFFFFF
    return number & 0xFFFFFFFF if number >> 32 in (0, 0xFFFF) else None


@method("ip", Kind.ADDR)
def _ip(patterns: Sequence[str], _ignore_case: bool) -> Match:
    return Networks([parse_network(pattern) for pattern in patterns]).__contains__


# ----------------------------------------------------------------------------------------------------------- strings


def _cased(patterns: Sequence[str], ignore_case: bool) -> tuple[bytes, ...]:
    return tuple(encode(p).lower() if ignore_case else encode(p) for p in patterns)


@method("str", Kind.STR)
def _str(patterns: Sequence[str], ignore_case: bool) -> Match:
    wanted = set(_cased(patterns, ignore_case))
    return (lambda value: value.lower() in wanted) if ignore_case else wanted.__contains__


@method("beg", Kind.STR)
def _beg(patterns: Sequence[str], ignore_case: bool) -> Match:
    wanted = _cased(patterns, ignore_case)
    return (lambda value: value.lower().startswith(wanted)) if ignore_case else lambda value: value.startswith(wanted)


@method("end", Kind.STR)
def _end(patterns: Sequence[str], ignore_case: bool) -> Match:
    wanted = _cased(patterns, ignore_case)
    return (lambda value: value.lower().endswith(wanted)) if ignore_case else lambda value: value.endswith(wanted)


@method("sub", Kind.STR)
def _sub(patterns: Sequence[str], ignore_case: bool) -> Match:
    wanted = _cased(patterns, ignore_case)
    if len(wanted) == 1:
        single = wanted[0]
        return (lambda value: single in value.lower()) if ignore_case else lambda value: single in value
    return _search(b"|".join(map(re.escape, wanted)), ignore_case) if wanted else _never


@method("dir", Kind.STR)
def _dir(patterns: Sequence[str], ignore_case: bool) -> Match:
    return _delimited(patterns, ignore_case, b"/?")


@method("dom", Kind.STR)
def _dom(patterns: Sequence[str], ignore_case: bool) -> Match:
    return _delimited(patterns, ignore_case, b"./:?")


def _delimited(patterns: Sequence[str], ignore_case: bool, delimiters: bytes) -> Match:
    """Anywhere between delimiters or ends; those around the patterns themselves do not count."""
    words = [word for word in (p.strip(delimiters) for p in _cased(patterns, ignore_case)) if word]
    if not words:
        return _never
    around = b"[^" + re.escape(delimiters) + b"]"
    return _search(b"(?<!%b)(?:%b)(?!%b)" % (around, b"|".join(map(re.escape, words)), around), ignore_case)


def _search(expression: bytes, lower_first: bool) -> Match:
    search = re.compile(expression).search
    if lower_first:
        return lambda value: search(value.lower()) is not None
    return lambda value: search(value) is not None


def _never(_value: Any) -> bool:
    return False


@method("reg", Kind.STR)
def _reg(patterns: Sequence[str], ignore_case: bool) -> Match:
    searches = [compile_regex(pattern, ignore_case).search for pattern in patterns]
    if len(searches) == 1:
        search = searches[0]
        return lambda value: search(value) is not None
    return lambda value: any(search(value) is not None for search in searches)


def adjust(matches: Match, pattern: str, present: bool) -> bool:
    """Let a match that `str` or `ip` has built find a pattern, or find it no more; False for all others, which have to
    be built anew."""
    holder = getattr(matches, "__self__", None)
    if isinstance(holder, set):
        (holder.add if present else holder.discard)(encode(pattern))
        return True
    return isinstance(holder, Networks) and holder.adjust(parse_network(pattern), present)


@method("bin", Kind.BIN)
def _bin(patterns: Sequence[str], _ignore_case: bool) -> Match:
    try:
        return frozenset(map(bytes.fromhex, patterns)).__contains__
    except ValueError:
        raise BadArgument("binary patterns are an even number of hexadecimal digits") from None
