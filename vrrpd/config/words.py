"""Addresses, routes and rules, from words like those of `ip address`, `ip route` and `ip rule`.

Both formats write them so: keepalived.conf in its blocks, vrrpd.toml in strings.  A mistake is reported and gives
None; it does not stop the reading of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, ip_address, ip_network

from vrrpd.config.errors import Report, did_you_mean
from vrrpd.config.keepalived_text import Word
from vrrpd.config.model import Address, Network, Nexthop, Route, Rule, VirtualAddress

_SCOPES = ("global", "site", "link", "host", "nowhere")
_KINDS = ("unicast", "blackhole", "unreachable", "prohibit", "throw", "local")
Values = dict[str, object]
Setter = Callable[["_Words", Values, Word], None]


class _Words:
    """Takes words from a line, one after the other."""

    def __init__(self, words: list[Word], report: Report) -> None:
        self._words = words
        self._next = 0
        self.report = report
        self.failed = False

    def __bool__(self) -> bool:
        return self._next < len(self._words)

    def take(self) -> Word:
        self._next += 1
        return self._words[self._next - 1]

    def peek(self) -> str:
        return self._words[self._next].text if self else ""

    def value(self, keyword: Word) -> Word | None:
        """The word behind `keyword`."""
        if self:
            return self.take()
        self.fail(keyword, f'"{keyword.text}" needs a value')
        return None

    def fail(self, word: Word, text: str, hint: str = "") -> None:
        self.failed = True
        self.report.error(word.at, text, hint)


def _set(name: str, read: Callable[[str], object], what: str) -> Setter:
    """A setter of field `name` from the next word; `read` raises ValueError if it is not `what`."""

    def setter(words: _Words, values: Values, keyword: Word) -> None:
        word = words.value(keyword)
        if word is None:
            return
        try:
            values[name] = read(word.text)
        except ValueError:
            words.fail(word, f'"{word.text}" is not {what}')

    return setter


def _flag(name: str, value: object = True) -> Setter:
    def setter(words: _Words, values: Values, keyword: Word) -> None:
        values[name] = value

    return setter


def _number(text: str) -> int:
    return int(text, 0)


def _scope(text: str) -> str | int:
    if text in _SCOPES:
        return text
    return _number(text)


def _name_or_number(text: str) -> str | int:
    return int(text) if text.isdigit() else text


def _lifetime(text: str) -> str | int:
    return text if text == "forever" else _number(text)


def _milliseconds(text: str) -> int:
    if text.endswith("ms"):
        return int(text[:-2])
    return round(float(text[:-1]) * 1000) if text.endswith("s") else int(text)


def _bit(text: str) -> int:
    if text not in ("0", "1"):
        raise ValueError(text)
    return int(text)


def _preference(text: str) -> str:
    if text not in ("low", "medium", "high"):
        raise ValueError(text)
    return text


def _broadcast(text: str) -> IPv4Address | str:
    return text if text in ("+", "-") else IPv4Address(text)


def network(text: str) -> Network:
    """A network or a single address; "default" is every IPv4 address."""
    return ip_network("0.0.0.0/0" if text in ("default", "any", "all") else text, strict=False)


ADDRESS: Mapping[str, Setter] = {
    "brd": _set("broadcast", _broadcast, "an IPv4 address, + or -"),
    "broadcast": _set("broadcast", _broadcast, "an IPv4 address, + or -"),
    "dev": _set("interface", str, "an interface"),
    "scope": _set("scope", _scope, "a scope (global, site, link, host, nowhere)"),
    "label": _set("label", str, "a label"),
    "peer": _set("peer", lambda text: ip_address(text.split("/")[0]), "an address"),
    "preferred_lft": _set("preferred_lifetime", _lifetime, "a number of seconds or forever"),
    "track_group": _set("track_group", str, "a track_group"),
    "use_vmac": _flag("use_vmac"),
    "no_track": _flag("track", False),
    "home": _flag("home"),
    "-nodad": _flag("nodad", False),
    "mngtmpaddr": _flag("mngtmpaddr"),
    "noprefixroute": _flag("noprefixroute"),
    "autojoin": _flag("autojoin"),
}

ROUTE: Mapping[str, Setter] = {
    "via": _set("via", ip_address, "an address"),
    "gw": _set("via", ip_address, "an address"),
    "src": _set("source", ip_address, "an address"),
    "dev": _set("interface", str, "an interface"),
    "oif": _set("interface", str, "an interface"),
    "table": _set("table", _name_or_number, "a table"),
    "scope": _set("scope", _scope, "a scope (global, site, link, host, nowhere)"),
    "proto": _set("protocol", _name_or_number, "a protocol"),
    "protocol": _set("protocol", _name_or_number, "a protocol"),
    "metric": _set("metric", _number, "a number"),
    "priority": _set("metric", _number, "a number"),
    "preference": _set("metric", _number, "a number"),
    "tos": _set("tos", _number, "a number"),
    "dsfield": _set("tos", _number, "a number"),
    **{
        name: _set(name, _number, "a number")
        for name in ("mtu", "advmss", "hoplimit", "window", "ssthresh", "cwnd", "initcwnd", "initrwnd", "reordering")
    },
    **{name: _set(name, _milliseconds, "a time, such as 200 or 200ms") for name in ("rtt", "rttvar", "rto_min")},
    "quickack": _set("quickack", _bit, "0 or 1"),
    "congctl": _set("congctl", str, "a name"),
    "pref": _set("preference", _preference, "low, medium or high"),
    "onlink": _flag("onlink"),
    "append": _flag("append"),
    "no_track": _flag("track", False),
    "track_group": _set("track_group", str, "a track_group"),
}

ELSEWHERE = "vrrpd does not set it; a notify_master program with ip(8) can"
NOT_HERE = frozenset(
    ("encap", "vrf", "lock", "as", "realms", "ttl-propagate", "features", "expires", "fastopen_no_cookie", "l3mdev")
    + ("uidrange", "ip_proto", "ipproto", "sport", "dport", "tun_id", "suppress_prefixlength", "suppress_ifgroup")
)
"""Words of `ip route` and `ip rule` that keepalived takes too."""

NEXTHOP: Mapping[str, Setter] = {
    "via": ROUTE["via"],
    "gw": ROUTE["via"],
    "dev": ROUTE["dev"],
    "weight": _set("weight", _number, "a number"),
    "onlink": _flag("onlink"),
}


def _mark(words: _Words, values: Values, keyword: Word) -> None:
    word = words.value(keyword)
    if word is None:
        return
    mark, _, mask = word.text.partition("/")
    try:
        values["fwmark"] = int(mark, 0)
        if mask:
            values["fwmask"] = int(mask, 0)
    except ValueError:
        words.fail(word, f'"{word.text}" is not a mark, or a mark and a mask')


def _goto(words: _Words, values: Values, keyword: Word) -> None:
    values["action"] = "goto"
    _set("goto", _number, "a preference")(words, values, keyword)


RULE: Mapping[str, Setter] = {
    "from": _set("source", network, "a network"),
    "to": _set("to", network, "a network"),
    "table": _set("table", _name_or_number, "a table"),
    "lookup": _set("table", _name_or_number, "a table"),
    "preference": _set("preference", _number, "a number"),
    "priority": _set("preference", _number, "a number"),
    "order": _set("preference", _number, "a number"),
    "iif": _set("iif", str, "an interface"),
    "dev": _set("iif", str, "an interface"),
    "oif": _set("oif", str, "an interface"),
    "fwmark": _mark,
    "tos": _set("tos", _number, "a number"),
    "dsfield": _set("tos", _number, "a number"),
    "goto": _goto,
    "blackhole": _flag("action", "blackhole"),
    "unreachable": _flag("action", "unreachable"),
    "prohibit": _flag("action", "prohibit"),
    "nop": _flag("action", "nop"),
    "not": _flag("invert"),
    "inet6": _flag("family", 6),
    "no_track": _flag("track", False),
    "track_group": _set("track_group", str, "a track_group"),
}


def address(words: list[Word], report: Report) -> VirtualAddress | None:
    """ADDR[/LEN] and what may follow it."""
    line = _Words(words, report)
    first = line.take()
    text, slash, length = first.text.partition("/")
    values: Values = {"at": first.at}
    try:
        parsed: Address = ip_address(text)
    except ValueError:
        line.fail(first, f'"{first.text}" is not an address')
        return None
    values["address"] = parsed
    if slash:
        prefix = int(length) if length.isdigit() else -1
        if not 0 <= prefix <= parsed.max_prefixlen:
            line.fail(first, f'"/{length}" is not a prefix length', f"write /0 to /{parsed.max_prefixlen}")
        values["prefix"] = prefix
    _options(line, values, ADDRESS, "an option of an address")
    if line.failed:
        return None
    return VirtualAddress(**values)  # type: ignore[arg-type]


def route(words: list[Word], report: Report) -> Route | None:
    """[src ADDR] [to] NET [via ADDR] ..., with `or ADDR` and `nexthop` for several ways."""
    line = _Words(words, report)
    values: Values = {"at": words[0].at}
    if line.peek() in _KINDS:
        values["kind"] = line.take().text
    while line and "to" not in values:
        word = line.take()
        if word.text in ("inet", "inet6"):
            continue
        if word.text in ROUTE and word.text != "to":
            ROUTE[word.text](line, values, word)
            continue
        target = line.value(word) if word.text == "to" else word
        if target is not None:
            _destination(line, values, target)
    nexthops: list[Nexthop] = []
    _route_options(line, values, nexthops)
    if "to" not in values and not line.failed:
        line.fail(words[0], "a route needs a network")
    if line.failed:
        return None
    return Route(**values, nexthops=tuple(nexthops))  # type: ignore[arg-type]


def _destination(line: _Words, values: Values, word: Word) -> None:
    try:
        values["to"] = network(word.text)
    except ValueError:
        line.fail(word, f'"{word.text}" is not a network')
        values["to"] = None


def _route_options(line: _Words, values: Values, nexthops: list[Nexthop]) -> None:
    while line:
        word = line.take()
        if word.text == "or" and "via" in values:
            other: Values = {}
            ROUTE["via"](line, other, word)
            nexthops += [Nexthop(via=values.pop("via")), Nexthop(**other)]  # type: ignore[arg-type]
        elif word.text == "nexthop":
            one: Values = {}
            while line and line.peek() in NEXTHOP:
                keyword = line.take()
                NEXTHOP[keyword.text](line, one, keyword)
            nexthops.append(Nexthop(**one))  # type: ignore[arg-type]
        else:
            _option(line, values, ROUTE, word, "an option of a route that vrrpd knows")


def rule(words: list[Word], report: Report) -> Rule | None:
    """from NET to NET table N ..."""
    line = _Words(words, report)
    values: Values = {"at": words[0].at}
    _options(line, values, RULE, "an option of a rule that vrrpd knows")
    if "table" not in values and "action" not in values:
        line.fail(words[0], "the rule says nothing to do", "write a table")
    if line.failed:
        return None
    for end in ("source", "to"):
        if getattr(values.get(end), "version", 4) == 6:
            values["family"] = 6
    return Rule(**values)  # type: ignore[arg-type]


def _options(line: _Words, values: Values, known: Mapping[str, Setter], what: str) -> None:
    while line:
        _option(line, values, known, line.take(), what)


def _option(line: _Words, values: Values, known: Mapping[str, Setter], word: Word, what: str) -> None:
    setter = known.get(word.text)
    if setter is not None:
        setter(line, values, word)
        return
    if word.text in NOT_HERE:
        line.fail(word, f'"{word.text}" is not supported', ELSEWHERE)
    else:
        line.fail(word, f'"{word.text}" is not {what}', did_you_mean(word.text, known))
    while line and line.peek() not in known:
        line.take()  # its values: one mistake is said once
