"""Where log lines go, and what is captured for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pylb.config.model.origin import NOWHERE, Origin


@dataclass(frozen=True, slots=True)
class LogTarget:
    """`log ADDRESS [len N] [format F] [sample …] FACILITY [LEVEL [MINLEVEL]]` (manual: `log`)."""

    address: str
    """As written: `127.0.0.1:514`, `/dev/log`, `stdout`, `stderr`, `fd@N`, `tcp@127.0.0.1:514`; with octet
    counts `tcp-octets@127.0.0.1:514`."""
    facility: str
    level: str = "debug"
    """Messages less severe than this are not sent."""
    min_level: str = "emerg"
    """More severe ones are lowered to this."""
    length: int = 1024
    """len"""
    format: str = ""
    """rfc3164, rfc5424, local, priority, short, timed, raw, iso; "" for HAProxy's default: local, or rfc3164 with
    log-send-hostname"""
    sample: str = ""
    """`RANGES:SIZE` as written, "1,3-4:10": of every 10 lines these numbers are sent; "" for all."""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


NAMED_FORMATS = ("httplog", "httpslog", "tcplog", "clf", "json")
"""What `Frontend.log_format` may hold in place of a log-format string."""


@dataclass(frozen=True, slots=True)
class Capture:
    """`capture request|response header NAME len N`, `capture cookie NAME len N`, or a slot for rules to fill:
    `declare capture request|response len N`. Those of one kind are numbered from 0 in their order."""

    kind: Literal["request", "response", "cookie"]
    length: int
    name: str = ""
    """"" for a slot that only rules fill."""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)
