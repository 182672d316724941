"""Converters of dates: seconds since the epoch to text (manual 7.3.1)."""

from __future__ import annotations

import time
from typing import Any

from pylb.rules.kinds import Kind, Value
from pylb.rules.registry import BadArgument, Step, converter_with
from pylb.rules.scope import Scope

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LIMIT = 253402300799  # the last second of the year 9999


def http_date(seconds: int) -> bytes:
    """IMF-fixdate of RFC 9110 5.6.7; independent of the locale."""
    t = time.gmtime(seconds)
    day, month = _DAYS[t.tm_wday], _MONTHS[t.tm_mon - 1]
    return b"%b, %02d %b %04d %02d:%02d:%02d GMT" % (
        day.encode(), t.tm_mday, month.encode(), t.tm_year, t.tm_hour, t.tm_min, t.tm_sec,
    )  # fmt: skip


_UNITS = {None: 1, "s": 1, "ms": 1000, "us": 1000000}


@converter_with("http_date", Kind.INT, Kind.STR, "int?", "str?")
def _http_date(args: tuple[Any, ...], _scope: Scope) -> Step:
    offset, unit = args[0] or 0, args[1]
    if unit not in _UNITS:
        raise BadArgument(f'"http_date" knows the units s, ms and us, not "{unit}"')
    scale = _UNITS[unit]

    def step(moment: int) -> Value:
        seconds = (moment + offset) // scale
        if not 0 <= seconds <= _LIMIT:
            return None
        date = http_date(seconds)
        return date if scale == 1 else b"%b.%d GMT" % (date[:-4], (moment + offset) % scale)

    return step


def _formatted(args: tuple[Any, ...], local: bool) -> Step:
    layout, offset = args[0], args[1] or 0
    convert = time.localtime if local else time.gmtime

    def step(moment: int) -> Value:
        seconds = moment + offset
        return time.strftime(layout, convert(seconds)).encode() if 0 <= seconds <= _LIMIT else None

    return step


@converter_with("ltime", Kind.INT, Kind.STR, "str", "int?")
def _ltime(args: tuple[Any, ...], _scope: Scope) -> Step:
    return _formatted(args, local=True)


@converter_with("utime", Kind.INT, Kind.STR, "str", "int?")
def _utime(args: tuple[Any, ...], _scope: Scope) -> Step:
    return _formatted(args, local=False)
