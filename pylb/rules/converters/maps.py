"""map, map_<match>, map_<match>_<output>: a value looked up in a file of keys and values (manual 7.3.1 "map").

Strings and networks are found in a dictionary, whatever the size of the map; of `beg` and networks the longest that
fits wins. All other matches try the keys in the file's order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any

from pylb.config.model import NOWHERE
from pylb.rules.kinds import IpAddress, Kind, Value, address
from pylb.rules.matches import METHODS, embedded, encode, parse_network, prefix_of
from pylb.rules.pattern_edits import Entry, PatternUse
from pylb.rules.pattern_lists import How, PatternList
from pylb.rules.patterns import compile_regex, expand_substitution
from pylb.rules.registry import BadArgument, Step, converter_with
from pylb.rules.scope import Scope

Lookup = Callable[[Any], Any]
"""A key's value, or None."""

MATCHES = ("str", "beg", "sub", "dir", "dom", "end", "reg", "regm", "int", "ip")
OUTPUTS = {"str": Kind.STR, "int": Kind.INT, "ip": Kind.ADDR}


def _output(kind: str, text: str) -> Any:
    """A value of the map as its converter gives it."""
    if kind == "str":
        return encode(text)
    if kind == "int":
        try:
            return int(text)
        except ValueError:
            raise BadArgument(f'"{text}" in the map is no number') from None
    found = address(text)
    if found is None:
        raise BadArgument(f'"{text}" in the map is no address')
    return found


def _exact(pairs: list[tuple[str, Any]]) -> Lookup:
    table: dict[bytes, Any] = {}
    for key, value in pairs:
        table.setdefault(encode(key), value)
    return table.get


def _longest(pairs: list[tuple[str, Any]]) -> Lookup:
    table: dict[bytes, Any] = {}
    for key, value in pairs:
        table.setdefault(encode(key), value)
    lengths = sorted({len(key) for key in table}, reverse=True)

    def look(text: bytes) -> Any:
        for length in lengths:
            found = table.get(text[:length]) if length <= len(text) else None
            if found is not None:
                return found
        return None

    return look


class _Networks:
    """Values of networks; of those that fit the longest counts."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        self._tables: dict[tuple[int, int], dict[int, Any]] = {}
        self._order: list[tuple[tuple[int, int], dict[int, Any]]] = []
        self._unlike = True
        """No two of the keys are the same network."""
        for key, value in pairs:
            table, prefix = self._table(key)
            self._unlike &= prefix not in table
            table.setdefault(prefix, value)

    def _table(self, key: str) -> tuple[dict[int, Any], int]:
        version, bits, prefix = prefix_of(parse_network(key))
        table = self._tables.get((version, bits))
        if table is None:
            table = self._tables[version, bits] = {}
            self._order = sorted(self._tables.items(), key=lambda item: item[0][1])
        return table, prefix

    def adjust(self, key: str, value: Any, is_new: bool) -> bool:
        """Give a key a value, None: none. False where another key may mean the same network."""
        table, prefix = self._table(key)
        if not self._unlike or (is_new and prefix in table):
            return False
        if value is None:
            table.pop(prefix, None)
        else:
            table[prefix] = value
        return True

    def _look(self, version: int, number: int) -> Any:
        for (wanted, bits), table in self._order:
            if wanted == version and (found := table.get(number >> bits)) is not None:
                return found
        return None

    def look(self, wanted: IpAddress) -> Any:
        """The value of an address; IPv4 and IPv6 are compared across as in tests (matches.py)."""
        number = int(wanted)
        found = self._look(wanted.version, number)
        if found is None and isinstance(wanted, IPv6Address) and (inner := embedded(number)) is not None:
            return self._look(4, inner)
        return found if found is not None or wanted.version == 6 else self._look(6, 0xFFFF << 32 | number)


def _network(pairs: list[tuple[str, Any]]) -> Lookup:
    return _Networks(pairs).look


def _adjust(look: Lookup, key: str, value: Any, is_new: bool) -> bool:
    """Give a key a value in what a match has built, None: none; False where everything has to be built anew."""
    holder = getattr(look, "__self__", None)
    if isinstance(holder, _Networks):
        return holder.adjust(key, value, is_new)
    if not isinstance(holder, dict):
        return False
    if value is None:
        holder.pop(encode(key), None)
    else:
        holder[encode(key)] = value
    return True


def _in_order(method: str) -> Callable[[list[tuple[str, Any]]], Lookup]:
    def build(pairs: list[tuple[str, Any]]) -> Lookup:
        tries = [(METHODS[method].build([key], False), value) for key, value in pairs]

        def look(wanted: Any) -> Any:
            for matches, value in tries:
                if matches(wanted):
                    return value
            return None

        return look

    return build


def _substituted(pairs: list[tuple[str, Any]]) -> Lookup:
    """regm: the value has back references to the groups of the expression."""
    tries = []
    for key, value in pairs:
        pattern = compile_regex(key)
        tries.append((pattern.search, expand_substitution(value.decode("utf-8", "surrogateescape"), pattern)))

    def look(text: bytes) -> Any:
        for search, expand in tries:
            found = search(text)
            if found is not None:
                return expand(found)
        return None

    return look


_LOOKUPS: dict[str, Callable[[list[tuple[str, Any]]], Lookup]] = {
    "str": _exact, "beg": _longest, "ip": _network, "regm": _substituted,
}  # fmt: skip


def split_line(line: str) -> tuple[str, str]:
    """Key and value of a map's line: divided by blanks; those around do not count."""
    key, *value = re.split(r"[ \t]+", line.strip(" \t"), maxsplit=1)
    return key, value[0] if value else ""


def _read(scope: Scope, path: str) -> list[tuple[str, str | None]]:
    text = scope.world.read_file(path).decode("utf-8", "surrogateescape")
    lines = [line.rstrip("\r") for line in text.split("\n") if not line.startswith("#")]
    return [split_line(line) for line in lines if line.strip(" \t")]


def _use(
    build: Callable[[], Lookup],
    change: Callable[[Lookup], None],
    look: Lookup,
    make: Callable[[list[tuple[str, Any]]], Lookup],
    output: str,
) -> PatternUse:
    """How a converter follows the changes of its map."""

    def accept(key: str, value: str | None) -> None:
        make([(key, _output(output, value or ""))])

    def adjusted(look: Lookup, _map: PatternList, key: str, live: list[Entry], is_new: bool) -> bool:
        return _adjust(look, key, _output(output, live[0].value or "") if live else None, is_new)

    def same(look: Lookup) -> Lookup:
        return look

    return PatternUse(build, change, look, same, same, accept, adjusted)


def _register(names: str, method: str, output: str) -> None:
    source = METHODS["reg" if method == "regm" else method].kind

    @converter_with(names, source, OUTPUTS[output], "str", "str?")
    def _build(args: tuple[Any, ...], scope: Scope) -> Step:
        path, default = args
        fallback = _output(output, default) if default is not None else None
        try:
            patterns = scope.world.patterns.file(path, NOWHERE, lambda: _read(scope, path))
        except OSError as error:
            raise BadArgument(f'the map "{path}" cannot be read: {error.strerror or error}') from None
        patterns.map = True
        make = _LOOKUPS.get(method) or _in_order(method)

        def build() -> Lookup:
            return make([(entry.pattern, _output(output, entry.value or "")) for entry in patterns.live()])

        look = build()

        def change(to: Lookup) -> None:
            nonlocal look
            look = to

        patterns.uses.append(_use(build, change, look, make, output))
        if (how := How(method, False, output)) not in patterns.hows:
            patterns.hows.append(how)

        def step(value: Any) -> Value:
            found: Value = look(value)
            return fallback if found is None else found

        return step


_register("map map_str map_str_str", "str", "str")
for _method in MATCHES:
    for _output_name in OUTPUTS if _method != "regm" else ("str",):
        if (_method, _output_name) == ("str", "str"):
            continue
        _register(
            f"map_{_method} map_{_method}_str" if _output_name == "str" else f"map_{_method}_{_output_name}",
            _method, _output_name,
        )  # fmt: skip
