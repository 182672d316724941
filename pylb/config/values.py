"""Times, sizes, addresses and samples of log lines: values that both configuration languages write the same way.

Each kind is a pair, text to value and back, with `parse(str(value)) == value`. Parsers raise ValueError with a sentence
that quotes the word; the readers add where it stands. Times divide integers (`1500 / 1000`), never multiply by 0.001,
so that one time has one float whichever unit it was written in.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise

from pylb.config.model import Address

# Manual: 2.5 "Time format". Microseconds for each unit, the longest first.
TIME_UNITS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1000, "us": 1}
_TIME = re.compile(r"([0-9]+)(us|ms|s|m|h|d)?")
# HAProxy keeps timers as signed 32-bit milliseconds: about 24.8 days.
_LONGEST = 2_147_483_647_000

# Manual: 2.6 "Size format".
SIZE_UNITS = {"g": 1 << 30, "m": 1 << 20, "k": 1 << 10}
_SIZE = re.compile(r"([0-9]+)([kmgKMG])?")

_HOST_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_PORT = re.compile(r"(?:([+-])?([0-9]{1,5}))(?:-([0-9]{1,5}))?")


def parse_time(text: str, default_unit: str | None = "ms") -> float:
    """Seconds in `text`, such as "10s", "2000", "1m". `default_unit` None: a number without a unit is refused."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not a time: a whole number and one of us, ms, s, m, h, d')
    unit = match[2] or default_unit
    if unit is None:
        raise ValueError(f'"{text}" has no unit: write "{text}ms" or "{text}s"')
    microseconds = int(match[1]) * TIME_UNITS[unit]
    if microseconds > _LONGEST:
        raise ValueError(f'"{text}" is too long: 24 days is the most')
    return microseconds / 1_000_000


def str_time(seconds: float) -> str:
    """The shortest exact text of a time, to the microsecond: 60.0 is "1m", 1.5 is "1500ms"."""
    microseconds = round(seconds * 1_000_000)
    if not microseconds:
        return "0s"
    unit = next(u for u, factor in TIME_UNITS.items() if microseconds % factor == 0)
    return f"{microseconds // TIME_UNITS[unit]}{unit}"


def parse_size(text: str) -> int:
    """The number in `text`, where k, m and g are powers of 1024: "16k" is 16384."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f'"{text}" is not a size: a whole number, with k, m or g behind it at most')
    return int(match[1]) * SIZE_UNITS.get((match[2] or "").lower(), 1)


def str_size(size: int) -> str:
    """The shortest exact text of a size: 16384 is "16k"."""
    unit = next((u for u, factor in SIZE_UNITS.items() if size and size % factor == 0), "")
    return f"{size // SIZE_UNITS.get(unit, 1)}{unit}"


def parse_address(text: str, bind: bool = False) -> Address:
    """An address as `bind` (then a port is a must) or `server` take it; forms: `model.Address`."""
    prefix, at, rest = text.partition("@")
    if text.startswith("/"):
        return Address(kind="unix", path=text)
    if not at:
        return _inet(text, text, bind)
    if prefix == "ipv4" or prefix == "ipv6":
        address = _inet(text, rest, bind, prefix)
        return _in_family(text, address)
    return _not_inet(text, prefix, rest)


def _not_inet(text: str, prefix: str, rest: str) -> Address:
    if prefix == "fd":
        if not re.fullmatch("[0-9]{1,5}", rest):
            raise ValueError(f'"{text}" needs the number of an inherited descriptor, as in fd@3')
        return Address(kind="fd", fd=int(rest))
    if prefix == "unix" or prefix == "abns":
        if not rest:
            raise ValueError(f'"{text}" needs a path behind the @')
        return Address(kind="unix" if prefix == "unix" else "abns", path=rest)
    raise ValueError(f'"{text}": address family "{prefix}" is not known; ipv4, ipv6, unix, abns and fd are')


def _inet(text: str, host_port: str, bind: bool, family: str = "any") -> Address:
    host, port = _split(host_port)
    host = "" if host == "*" else host
    _check_host(text, host)
    forced = "ipv4" if family == "ipv4" else "ipv6" if family == "ipv6" else "any"
    if not port:
        if bind:
            raise ValueError(f'"{text}" has no port: write {text.removesuffix(":")}:80 for port 80')
        return Address(host=host, family=forced)  # type: ignore[arg-type]
    first, last, offset = _ports(text, port, bind)
    return Address(host=host, port=first, port_end=last, family=forced, port_offset=offset)  # type: ignore[arg-type]


def _split(host_port: str) -> tuple[str, str]:
    """Host and port at the last colon, which in `[::1]` without a port is none."""
    if host_port.startswith("["):
        host, _, port = host_port[1:].partition("]")
        return host, port.removeprefix(":")
    host, colon, port = host_port.rpartition(":")
    return (host, port) if colon else (port, "")


def _check_host(text: str, host: str) -> None:
    numeric = ":" in host or re.fullmatch(r"[0-9.]+", host)
    try:
        if ":" in host:
            IPv6Address(host)
        elif numeric:
            IPv4Address(host)
    except ValueError as error:
        raise ValueError(f'"{text}": "{host}" is not an IP address') from error
    if host and not numeric and not _HOST_NAME.fullmatch(host):
        raise ValueError(f'"{text}": "{host}" is neither an IP address nor a host name')


def _ports(text: str, port: str, bind: bool) -> tuple[int, int | None, bool]:
    match = _PORT.fullmatch(port)
    if match is None or (bind and match[1]) or (not bind and match[3]) or (match[1] and match[3]):
        raise ValueError(f'"{text}": "{port}" is not a port number')
    first = int(match[2])
    last = int(match[3]) if match[3] else None
    if first > 65535 or (last or 0) > 65535 or (bind and first == 0 and last is None):
        raise ValueError(f'"{text}": a port is a number from {1 if bind else 0} to 65535')
    if last is not None and last < first:
        raise ValueError(f'"{text}": the port range "{port}" ends before it begins')
    return (-first if match[1] == "-" else first), last, bool(match[1])


def _in_family(text: str, address: Address) -> Address:
    if (address.family == "ipv4" and ":" in address.host) or (
        address.family == "ipv6" and re.fullmatch("[0-9.]+", address.host)
    ):
        raise ValueError(f'"{text}": "{address.host}" is not an {address.family} address')
    return address


def str_address(address: Address) -> str:
    """The text that `parse_address` reads as the same address."""
    if address.kind == "fd":
        return f"fd@{address.fd}"
    if address.kind == "abns":
        return f"abns@{address.path}"
    if address.kind == "unix":
        return address.path if address.path.startswith("/") else f"unix@{address.path}"
    host = f"[{address.host}]" if ":" in address.host else address.host or "*"
    family = "" if address.family == "any" else f"{address.family}@"
    return f"{family}{host}{_str_port(address)}"


def _str_port(address: Address) -> str:
    if address.port is None:
        return ""
    sign = "+" if address.port_offset and address.port >= 0 else ""
    end = f"-{address.port_end}" if address.port_end is not None else ""
    return f":{sign}{address.port}{end}"


# ---------------------------------------------------------------------------------------------------- sampled log lines

_SAMPLING = re.compile(r"([^:]*):([0-9]{1,9})")
_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")


def parse_sampling(text: str) -> tuple[tuple[tuple[int, int], ...], int]:
    """The ranges (first, last) and the size of `1,3-4:10` (manual: `log`, "sample"), in order."""
    match = _SAMPLING.fullmatch(text)
    if match is None or not int(match[2]):
        raise ValueError(f'"{text}" is not a sample: ranges, a colon and a size')
    ranges = []
    for part in match[1].split(","):
        found = _RANGE.fullmatch(part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found is not None else (0, 0)
        if not 1 <= first <= last:
            raise ValueError(f'"{part}" is not a range of line numbers, which begin with 1')
        ranges.append((first, last))
    ranges.sort()
    if any(last >= first for (_, last), (first, _) in pairwise(ranges)):
        raise ValueError(f'the ranges of "{text}" overlap')
    if ranges[-1][1] > int(match[2]):
        raise ValueError(f'the size {match[2]} of "{text}" is less than its highest number {ranges[-1][1]}')
    return tuple(ranges), int(match[2])
