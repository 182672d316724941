"""balance first: the server with the lowest id that has a free slot, so that the others may be switched off."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from pylb.backend.balance.base import Algorithm, Settings, balance


@balance("first")
class First(Algorithm):
    """See the module."""

    __slots__ = ("_servers",)

    overflows = True

    def __init__(self, settings: Settings, servers: Sequence[Any]) -> None:
        super().__init__(settings, servers)
        self._servers: list[Any] = []

    def update(self, servers: Sequence[Any]) -> None:
        self._servers = sorted(servers, key=attrgetter("sid"))

    @property
    def ordered(self) -> Sequence[Any]:
        """The servers in the order in which they are asked; for who explains a choice."""
        return self._servers

    def pick(self, x: Any, avoid: Any) -> Any:
        second_best = None
        for server in self._servers:
            if server.maxconn and server.full():
                continue
            if server is not avoid:
                return server
            second_best = server
        return second_best
