"""`log` lines of the global section and of proxies (manual: `log`, 3.1 and 4.2)."""

from __future__ import annotations

import re

from pylb.config import values
from pylb.config.haproxy.keywords import Line, Refusal
from pylb.config.haproxy.scalars import Draft, choice, integer, text
from pylb.config.model import LogTarget
from pylb.config.words import Word

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "auth2", "ftp",
    "ntp", "audit", "alert", "cron2", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
FORMATS = ("rfc3164", "rfc5424", "local", "priority", "short", "timed", "raw", "iso")

LOG_NOTE = "to UDP, TCP, Unix sockets, stdout, stderr and descriptors; samples are counted by each worker"

_TRANSPORTS = ("udp", "udp4", "udp6", "tcp", "tcp4", "tcp6", "tcp-octets")
"""The last is ours: TCP with octet counts, which HAProxy writes as a ring's server."""

GLOBAL = "global"
"""Stands in a proxy's list of targets for those of the global section, until these are known."""


def read_global_log(draft: Draft, line: Line) -> None:
    """`log ADDRESS …` or `no log` in the global section."""
    _append(draft, line, None if line.negation else read_target(line))


def read_proxy_log(draft: Draft, line: Line) -> None:
    """`log global`, `log ADDRESS …` or `no log` in a proxy; targets add up, also to those of defaults."""
    if line.negation:
        _append(draft, line, None)
    elif len(line.args) == 1 and line.take(GLOBAL):
        _append(draft, line, GLOBAL)
    else:
        _append(draft, line, read_target(line))


def _append(draft: Draft, line: Line, target: LogTarget | str | None) -> None:
    if target is None:
        draft.values["log"] = ()
        return
    targets = draft.values.get("log", ())
    if target not in targets:  # HAProxy, too, sends once to a target given twice
        draft.values["log"] = (*targets, target)


def read_target(line: Line) -> LogTarget:
    """`ADDRESS [len N] [format F] [sample RANGES:SIZE] FACILITY [LEVEL [MINLEVEL]]`. Raises Refusal."""
    address = line.value(_address, "an address and a facility")
    options: dict[str, object] = {}
    while line.peek() in ("len", "format", "sample"):
        option = line.next()
        if option.text == "len":
            options["length"] = line.value(integer(80, 65535))
        elif option.text == "format":
            options["format"] = line.value(choice(*FORMATS, kind="log format"))
        else:
            options["sample"] = line.value(_sample, "ranges and a size, as in 1:10")
    facility = line.value(choice(*FACILITIES, kind="log facility"), "a facility, as in local0")
    level = line.value(choice(*LEVELS, kind="log level")) if line.more else "debug"
    least = line.value(choice(*LEVELS, kind="log level")) if line.more else "emerg"
    options.setdefault("format", "")
    return LogTarget(address, facility, level, least, at=line.at, **options)  # type: ignore[arg-type]


def _sample(word: Word) -> str:
    try:
        values.parse_sampling(word.text)
    except ValueError as error:
        raise Refusal(word.at, str(error), "as in 1:10, or 1,3-4:10") from error
    return word.text


def _address(word: Word) -> str:
    word = word.as_address
    if word.text in ("stdout", "stderr"):
        return word.text
    prefix = word.text.partition("@")[0] if "@" in word.text else ""
    if prefix == "ring":
        return text(word)  # rings.py finds out what it leads to
    if prefix == "sockpair":
        raise Refusal(
            word.at,
            f'log targets of the form "{prefix}@" are not supported by pylb',
            "as in tcp@127.0.0.1:514, 127.0.0.1:514, /dev/log",
        )
    try:
        values.parse_address(word.text.partition("@")[2] if prefix in _TRANSPORTS else word.text)
    except ValueError as error:
        raise Refusal(word.at, str(error)) from error
    return re.sub(r":$", "", text(word))
