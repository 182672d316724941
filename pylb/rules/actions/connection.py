"""Actions on what an exchange knows of its connections: addresses, timeouts, marks of packets.

`set-src` and its like change what rules, logs, balance and X-Forwarded-For see of the client, for this exchange only
(in `tcp-request connection` and `session` rules: for the connection). `fc_src` and `fc_dst` stay what they were.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from pylb.config.expression import parse_sample
from pylb.config.model import Backend
from pylb.config.values import parse_time
from pylb.rules.action import ANYWHERE, HEADERS, REQUEST_ONLY, TCP, Step, Words, action
from pylb.rules.compile import compile_sample
from pylb.rules.context import Context
from pylb.rules.kinds import IpAddress, Kind, to_str
from pylb.rules.registry import BadArgument, Getter
from pylb.rules.reply import Reply
from pylb.rules.scope import Place


def _sample(words: Words, text: str, wanted: Kind) -> Getter | None:
    sample = parse_sample(text, words.at, words.scope.report)
    return None if sample is None else compile_sample(sample, words.scope, wanted)


# --------------------------------------------------------------------------------------------------------- addresses

_ADDRESSES = {"set-src": "src", "set-src-port": "src_port", "set-dst": "dst", "set-dst-port": "dst_port"}


@action(" ".join(_ADDRESSES), TCP | REQUEST_ONLY)
def _set_address(words: Words) -> Step | None:
    words.expect(1, 1, f"{words.name} SAMPLE")
    is_port = words.name.endswith("port")
    get = _sample(words, words.args[0], Kind.INT if is_port else Kind.ADDR)
    if get is None:
        return None
    name = _ADDRESSES[words.name]
    lasts = words.scope.place in (Place.CONNECTION, Place.SESSION)
    if not lasts:
        words.scope.world.readdresses = True

    def step(x: Any) -> Reply | None:
        value = get(x)
        if isinstance(value, IpAddress):
            x.session.readdress(name, cast(bytes, to_str(value)).decode(), lasts)
        elif is_port and isinstance(value, int) and 0 <= value < 65536:
            x.session.readdress(name, value, lasts)
        return None

    return step


def restore_addresses(x: Any) -> Reply | None:
    """The first step of a request where rules change addresses: those of the request before are forgotten."""
    if x.session.original is not None:
        x.session.restore_addresses()
    return None


# ---------------------------------------------------------------------------------------------------------- timeouts


@action("set-timeout", REQUEST_ONLY)
def _set_timeout(words: Words) -> Step | None:
    words.expect(2, 2, "set-timeout server|tunnel TIME|SAMPLE")
    kind, text = words.args
    if kind not in ("server", "tunnel"):
        raise BadArgument(f'"set-timeout" sets server or tunnel, not "{kind}"')
    if not isinstance(words.scope.proxy, Backend):
        raise BadArgument('"set-timeout" is about the server\'s side: it stands in a backend')
    seconds = _constant_time(text)
    if seconds is not None:
        if not seconds:
            raise BadArgument('"set-timeout" wants a time above 0')
        return _changing_plan(kind, lambda _x: seconds)
    get = _sample(words, text, Kind.INT)
    if get is None:
        return None

    def from_sample(x: Context) -> float | None:
        value = get(x)
        return value / 1000 if isinstance(value, int) and value > 0 else None

    return _changing_plan(kind, from_sample)


def _constant_time(text: str) -> float | None:
    """Seconds; None for what is a sample."""
    try:
        return parse_time(text, "ms")
    except ValueError:
        return None


def _changing_plan(kind: str, seconds: Callable[[Context], float | None]) -> Step:
    def step(x: Any) -> Reply | None:
        time = seconds(x)
        if time is not None:
            x.plan = x.plan.with_timeout(kind, time)
        return None

    return step


@action("disable-l7-retry", REQUEST_ONLY)
def _disable_replay(words: Words) -> Step | None:
    """Only a failed connection is tried again, whatever `retry-on` says."""
    words.expect(0, 0, "disable-l7-retry, without words behind it")
    if not isinstance(words.scope.proxy, Backend):
        raise BadArgument('"disable-l7-retry" is about the server\'s side: it stands in a backend')

    def step(x: Any) -> Reply | None:
        x.plan = x.plan.without_replay()
        return None

    return step


SERVER_SIDE = frozenset({"set-timeout", "disable-l7-retry"})
"""Actions that a `listen` carries out as a backend; all its other rules are its frontend's."""


# ------------------------------------------------------------------------------------------------------------ packets


def _number(text: str, most: int, what: str) -> int:
    try:
        value = int(text, 0)
    except ValueError:
        value = -1
    if not 0 <= value <= most:
        raise BadArgument(f'"{text}" is no {what}: it is a number from 0 to {most}, in decimal or with 0x before it')
    return value


_OPTIONS = {"set-mark": (socket.SOL_SOCKET, socket.SO_MARK, 0xFFFFFFFF), "set-tos": (socket.SOL_IP, socket.IP_TOS, 255)}


@action("set-mark set-tos", ANYWHERE - {Place.AFTER_RESPONSE})
def _set_packet_option(words: Words) -> Step | None:
    """What the packets to the client carry from now on, for routing and queueing. A mark takes CAP_NET_ADMIN."""
    words.expect(1, 1, f"{words.name} NUMBER")
    level, option, most = _OPTIONS[words.name]
    value = _number(words.args[0], most, "mark" if words.name == "set-mark" else "type of service")

    def step(x: Any) -> Reply | None:
        sock = x.session.transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            with suppress(OSError):
                if option == socket.IP_TOS and sock.family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, value)
                else:
                    sock.setsockopt(level, option, value)
        return None

    return step


@action("strict-mode", HEADERS)
def _strict_mode(words: Words) -> Step | None:
    """Whether a rewrite that fails for want of room answers 500: here there is always room."""
    words.expect(1, 1, "strict-mode on|off")
    if words.args[0] not in ("on", "off"):
        raise BadArgument(f'"strict-mode" is on or off, not "{words.args[0]}"')
    return lambda _x: None
