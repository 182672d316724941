"""What a balance algorithm sees and what it must do.

An algorithm is given the servers that balanced traffic may use at the moment: the usable active ones, or if there is
none the first usable backup (all of them with `option allbackups`); that choice is backend.py's. It yields one with a
free slot, or None: all are full and the exchange waits in the backend's queue. So no algorithm knows states, backups or
health, and a test needs nothing but weights and loads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, TypeVar

from pylb.config import model


class Candidate(Protocol):
    """A server as an algorithm sees it."""

    name: str
    sid: int
    """Numeric id, unique in the backend."""
    weight: int
    """As set, 0 … 256."""
    eweight: int
    """In force, in sixteenths; above 0."""
    maxconn: int
    """0: never full."""

    @property
    def inflight(self) -> int:
        """Exchanges served and waiting."""

    def full(self) -> bool:
        """Whether it has no slot to give."""

    def has_place(self) -> bool:
        """A free slot, or room in a bounded queue of its own (manual: `maxqueue`)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the configuration says to an algorithm."""

    keyword: str = "roundrobin"
    """The algorithm as written: `roundrobin`, `hdr(host)`, `random(3)`."""
    args: tuple[str, ...] = ()
    """The words behind `balance NAME`."""
    hash_type: model.HashType = field(default_factory=model.HashType)
    fetch: Callable[[Any], Any] | None = None
    """The compiled sample of `balance hash EXPR`."""


class Algorithm:
    """Base of all algorithms; subclasses register themselves by @balance(keyword, …)."""

    __slots__ = ()

    dynamic: ClassVar[bool] = True
    """Whether weights may change at run time and slow start has an effect; see `is_dynamic`."""
    rotates: ClassVar[bool] = False
    """Whether another attempt of an exchange goes to another server by itself."""
    overflows: ClassVar[bool] = False
    """Whether `pick` finds nothing once all are full, so that exchanges wait in the backend's queue."""
    follows_load: ClassVar[bool] = False
    """Whether it has to be told of every change of load by `moved`."""

    def __init__(self, settings: Settings, servers: Sequence[Any]) -> None:
        """`servers` are all of the backend, down ones included. Raises ValueError on bad arguments."""

    @classmethod
    def is_dynamic(cls, settings: Settings) -> bool:
        """`dynamic` under these settings."""
        return cls.dynamic

    def update(self, servers: Sequence[Any]) -> None:
        """The candidates or their weights have changed; `servers` in the order of declaration."""
        raise NotImplementedError

    def pick(self, x: Any, avoid: Any) -> Any:
        """The server for exchange `x`; None when all are full. `avoid` (or None) is taken only if there is no other.

        Called only while there are candidates.
        """
        raise NotImplementedError

    def moved(self, server: Any) -> None:
        """`server.inflight` has changed; called only where `follows_load`."""


ALGORITHMS: dict[str, type[Algorithm]] = {}
"""By the word behind `balance`."""

_A = TypeVar("_A", bound=type[Algorithm])


def balance(keyword: str) -> Callable[[_A], _A]:
    """Register an algorithm under its keyword."""

    def register(algorithm: _A) -> _A:
        ALGORITHMS[keyword] = algorithm
        return algorithm

    return register
