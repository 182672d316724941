"""Addresses, routes and rules, from words like those of `ip address`, `ip route` and `ip rule`.

Both formats write them so: keepalived.conf in its blocks, vrrpd.toml in strings.  A mistake is reported and gives
None; it does not stop the reading of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network

from vrrpd.config import iproute, values_of
from vrrpd.config.errors import Report, did_you_mean
from vrrpd.config.keepalived_text import Word
from vrrpd.config.model import Address, Network, Nexthop, Route, Rule, VirtualAddress

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


def network(text: str) -> Network:
    """A network or a single address; "default" is every IPv4 address."""
    return ip_network("0.0.0.0/0" if text in ("default", "any", "all") else text, strict=False)


_TABLE = _set("table", values_of.named("rt_tables"), "a routing table, by number or by a name in rt_tables")
_PROTOCOL = _set("protocol", values_of.named("rt_protos"), "a routing protocol, by number or by a name in rt_protos")
_REALMS = _set("realms", values_of.realms, "a realm, or FROM/TO")

ADDRESS: Mapping[str, Setter] = {
    "brd": _set("broadcast", values_of.broadcast, "an IPv4 address, + or -"),
    "broadcast": _set("broadcast", values_of.broadcast, "an IPv4 address, + or -"),
    "dev": _set("interface", str, "an interface"),
    "scope": _set("scope", values_of.scope, "a scope (global, site, link, host, nowhere)"),
    "label": _set("label", str, "a label"),
    "peer": _set("peer", lambda text: ip_address(text.split("/")[0]), "an address"),
    "preferred_lft": _set("preferred_lifetime", values_of.lifetime, "a number of seconds or forever"),
    "track_group": _set("track_group", str, "a track_group"),
    "use_vmac": _flag("use_vmac"),
    "no_track": _flag("track", False),
    "home": _flag("home"),
    "-nodad": _flag("nodad", False),
    "mngtmpaddr": _flag("mngtmpaddr"),
    "noprefixroute": _flag("noprefixroute"),
    "autojoin": _flag("autojoin"),
}


def _metric(name: str, read: Callable[[str], object], what: str) -> Setter:
    """[lock] VALUE."""
    plain = _set(name, read, what)

    def setter(words: _Words, values: Values, keyword: Word) -> None:
        if words.peek() == "lock":
            words.take()
            locked = values.setdefault("lock", ())
            assert isinstance(locked, tuple)
            values["lock"] = (*locked, name)
        plain(words, values, keyword)

    return setter


def _features(words: _Words, values: Values, keyword: Word) -> None:
    word = words.value(keyword)
    if word is None:
        return
    if word.text != "ecn":
        words.fail(word, f'"{word.text}" is not a feature', "the kernel knows ecn")
    values["ecn"] = True


_PLAIN_METRICS = ["mtu", "advmss", "hoplimit", "window", "ssthresh", "cwnd", "initcwnd", "initrwnd", "reordering"]

ROUTE: Mapping[str, Setter] = {
    "via": _set("via", ip_address, "an address"),
    "gw": _set("via", ip_address, "an address"),
    "src": _set("source", ip_address, "an address"),
    "dev": _set("interface", str, "an interface"),
    "oif": _set("interface", str, "an interface"),
    "table": _TABLE,
    "scope": _set("scope", values_of.scope, "a scope (global, site, link, host, nowhere)"),
    "proto": _PROTOCOL,
    "protocol": _PROTOCOL,
    "metric": _set("metric", values_of.number, "a number"),
    "priority": _set("metric", values_of.number, "a number"),
    "preference": _set("metric", values_of.number, "a number"),
    "tos": _set("tos", values_of.number, "a number"),
    "dsfield": _set("tos", values_of.number, "a number"),
    **{name: _metric(name, values_of.number, "a number") for name in _PLAIN_METRICS},
    **{
        name: _metric(name, values_of.milliseconds, "a time, such as 200 or 200ms")
        for name in ("rtt", "rttvar", "rto_min")
    },
    "quickack": _set("quickack", values_of.bit, "0 or 1"),
    "fastopen_no_cookie": _set("fastopen_no_cookie", values_of.bit, "0 or 1"),
    "congctl": _metric("congctl", str, "a name"),
    "features": _features,
    "realms": _REALMS,
    "realm": _REALMS,
    "expires": _set("expires", values_of.number, "a number of seconds"),
    "pref": _set("preference", values_of.preference, "low, medium or high"),
    "onlink": _flag("onlink"),
    "append": _flag("append"),
    "add": _flag("add"),
    "no_track": _flag("track", False),
    "track_group": _set("track_group", str, "a track_group"),
}

ELSEWHERE = "vrrpd does not set it; a notify_master program with ip(8) can"
NOT_HERE = frozenset(("encap", "vrf", "as", "ttl-propagate"))
"""Words of `ip route` and `ip rule` that keepalived takes too."""

NEXTHOP: Mapping[str, Setter] = {
    "via": ROUTE["via"],
    "gw": ROUTE["via"],
    "dev": ROUTE["dev"],
    "weight": _set("weight", values_of.number, "a number"),
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
    _set("goto", values_of.number, "a preference")(words, values, keyword)


RULE: Mapping[str, Setter] = {
    "from": _set("source", network, "a network"),
    "to": _set("to", network, "a network"),
    "table": _TABLE,
    "lookup": _TABLE,
    "preference": _set("preference", values_of.number, "a number"),
    "priority": _set("preference", values_of.number, "a number"),
    "order": _set("preference", values_of.number, "a number"),
    "iif": _set("iif", str, "an interface"),
    "dev": _set("iif", str, "an interface"),
    "oif": _set("oif", str, "an interface"),
    "fwmark": _mark,
    "tos": _set("tos", values_of.number, "a number"),
    "dsfield": _set("tos", values_of.number, "a number"),
    "goto": _goto,
    "realms": _REALMS,
    "realm": _REALMS,
    "uidrange": _set("uid_range", values_of.span(0xFFFFFFFE), "a range of users, such as 1000-1999"),
    "ip_proto": _set("ip_protocol", values_of.ip_protocol, "an IP protocol, by number or by name"),
    "ipproto": _set("ip_protocol", values_of.ip_protocol, "an IP protocol, by number or by name"),
    "sport": _set("source_ports", values_of.span(0xFFFF), "a port, or a range such as 10-20"),
    "dport": _set("destination_ports", values_of.span(0xFFFF), "a port, or a range such as 10-20"),
    "l3mdev": _flag("l3mdev"),
    "tun_id": _set("tunnel_id", values_of.number, "a number"),
    "suppress_prefixlength": _set("suppress_prefix_length", values_of.number, "a number of bits"),
    "suppress_ifgroup": _set("suppress_group", values_of.number, "the number of a group"),
    "protocol": _PROTOCOL,
    "proto": _PROTOCOL,
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
    decides = ("table", "action", "l3mdev", "realms")
    if not any(what in values for what in decides):
        line.fail(words[0], "the rule says nothing to do", "write a table")
    if "l3mdev" in values and "table" in values:
        line.fail(words[0], "l3mdev chooses the table, so the rule cannot name one", "leave one of them out")
    if line.failed:
        return None
    protocol = values.get("protocol", "keepalived")
    assert isinstance(protocol, str | int)
    if values.get("track", True) and iproute.number("rt_protos", protocol) != 18:
        text = 'a rule of another protocol than "keepalived" cannot be watched; the protocol is not used'
        report.warn(words[0].at, "rule-protocol", f"{text}, write no_track to use it")
        del values["protocol"]
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
