"""How a backend chooses a server, and keeps a client with it: balance, cookie, stick tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pylb.config.model.origin import NOWHERE, Origin
from pylb.config.model.rules import Condition, Sample


@dataclass(frozen=True, slots=True)
class Cookie:
    """`cookie NAME [rewrite|insert|prefix] …` (manual: `cookie`)."""

    name: str
    mode: Literal["passive", "rewrite", "insert", "prefix"] = "passive"
    """passive: HAProxy's form without a mode word: the server sets the cookie itself, we only read it."""
    indirect: bool = False
    nocache: bool = False
    postonly: bool = False
    preserve: bool = False
    httponly: bool = False
    secure: bool = False
    domains: tuple[str, ...] = ()
    maxidle: float | None = None
    maxlife: float | None = None
    attrs: tuple[str, ...] = ()
    dynamic: bool = False
    """Servers without a value of their own get one from their address and `dynamic-cookie-key`."""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Balance:
    """`balance ALGORITHM [ARG…]`, for example ("uri", ("depth", "3"))."""

    algorithm: str = "roundrobin"
    args: tuple[str, ...] = ()
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class HashType:
    """`hash-type METHOD FUNCTION [MODIFIER]`"""

    method: Literal["map-based", "consistent"] = "map-based"
    function: str = "sdbm"
    modifier: str | None = None


@dataclass(frozen=True, slots=True)
class StickTable:
    """`stick-table type T [len N] size S [expire T] [nopurge] [store …]`, declared here, used by track rules."""

    type: str
    length: int | None = None
    """len, of string and binary"""
    size: int = 0
    expire: float | None = None
    nopurge: bool = False
    store: tuple[str, ...] = ()
    """As written: "http_req_rate(24h)", "gpc0"."""
    at: Origin = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class StickRule:
    """`stick on|match|store-request|store-response PATTERN [table T] [if …]`"""

    kind: Literal["match", "on", "store-request", "store-response"]
    sample: Sample
    table: str | None = None
    """The section whose table it is; None: this one's."""
    condition: Condition | None = None
    at: Origin = field(default=NOWHERE, compare=False, repr=False)
