"""Where an expression stands, and what it may refer to: given to everything that is compiled.

A `Place` tells what exists when the expression is evaluated (HAProxy's matrix of rule kinds and sample fetches); the
`World` holds what outlives an exchange: the live proxies by name, files, services and process-wide variables.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylb.config.model import Acl, Config, Proxy
from pylb.config.words import Report
from pylb.rules.pattern_lists import PatternLists

if TYPE_CHECKING:
    from pylb.backend.backend import Backend
    from pylb.backend.stick import StickTable
    from pylb.rules.frontend import Frontend
    from pylb.rules.reply import Pause, Reply
    from pylb.rules.watch import Watch


class Place(Enum):
    """Kind of rule; the value is how findings call it."""

    CONNECTION = "tcp-request connection rule"
    SESSION = "tcp-request session rule"
    CONTENT = "tcp-request content rule"
    REQUEST = "http-request rule"
    RESPONSE = "http-response rule"
    AFTER_RESPONSE = "http-after-response rule"
    LOG = "log format"

    @property
    def named(self) -> str:
        """With its article: "an http-request rule"."""
        return f"{'an' if self.value.startswith('http') else 'a'} {self.value}"

    @property
    def has_request(self) -> bool:
        """The request's head can be read and edited."""
        return self in (Place.CONTENT, Place.REQUEST)

    @property
    def has_response(self) -> bool:
        """The response's head can be read and edited."""
        return self in (Place.RESPONSE, Place.AFTER_RESPONSE)

    @property
    def has_stream(self) -> bool:
        """An exchange exists, not only a connection."""
        return self not in (Place.CONNECTION, Place.SESSION)


def read_file(path: str) -> bytes:
    """A file's contents; raises OSError."""
    return Path(path).read_bytes()


def read_counter(counters: Any, name: str) -> int:
    """A counter, or the current value of a rate, of this process; `now` is the loop's clock, which is monotonic."""
    value = getattr(counters, name)
    return int(value.value(time.monotonic()) if hasattr(value, "value") else value)


@dataclass
class World:
    """What rules refer to by name. The live maps are filled by the loader and looked up while requests run."""

    config: Config = field(default_factory=Config)
    backends: dict[str, Backend] = field(default_factory=dict)
    frontends: dict[str, Frontend] = field(default_factory=dict)
    tables: dict[str, StickTable] = field(default_factory=dict)
    """Stick tables by the section that declares them."""
    services: dict[str, Callable[[Any], Reply]] = field(default_factory=dict)
    """`use-service NAME`: makes the reply from the exchange."""
    variables: dict[str, Any] = field(default_factory=dict)
    """proc.* variables"""
    read_file: Callable[[str], bytes] = read_file
    count: Callable[[Any, str], int] = read_counter
    """Reads a counter or rate of a proxy, over all processes where there are several."""
    wall: Callable[[], float] = time.time
    hostname: str = "localhost"
    log_tag: str = "haproxy"
    pid: int = 0
    stopping: bool = False
    workers: int = 1
    requests: int = 0
    """Exchanges so far, for %rt."""
    patterns: PatternLists = field(default_factory=PatternLists)
    """What ACLs and maps compare with."""
    readdresses: bool = False
    """Some rule changes clients' addresses for one exchange."""
    watch: Watch | None = None
    """Puts functions of its own around what is compiled; None: nobody watches."""


@dataclass
class Scope:
    """One compilation's surroundings."""

    report: Report
    world: World = field(default_factory=World)
    proxy: Proxy | None = None
    """The section that the expression stands in."""
    place: Place = Place.REQUEST
    acls: dict[str, tuple[Acl, ...]] = field(default_factory=dict)
    compiled: dict[tuple[str, Place], Any] = field(default_factory=dict)
    """Named ACLs that are compiled already, so that their mistakes are reported once."""
    error_page: Callable[[int], Reply] | None = None
    """The section's error pages; None: the built-in ones."""
    pauses: list[Pause] = field(default_factory=list)
    """Those of the steps compiled so far, which have to learn what comes behind them."""

    def at(self, place: Place) -> Scope:
        """The same section, another kind of rule."""
        return replace(self, place=place)

    @property
    def waits(self) -> bool:
        """What is looked at is still arriving: a test may be undecided (acl.Undecided)."""
        return self.place is Place.CONTENT and not self.http

    @property
    def http(self) -> bool:
        """The section speaks HTTP."""
        return self.proxy is None or self.proxy.mode == "http"


def scope_of(proxy: Proxy, world: World, report: Report) -> Scope:
    """The scope of a section, its ACLs by name."""
    acls: dict[str, tuple[Acl, ...]] = {}
    for acl in proxy.acls:
        acls[acl.name] = (*acls.get(acl.name, ()), acl)
    return Scope(report, world, proxy, acls=acls)
