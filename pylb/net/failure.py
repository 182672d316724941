"""What went wrong with an exchange: whose doing, at which stage, and everything that follows from it.

HAProxy's termination state (manual 8.5) already is that pair of letters, so it is the name of the failure here, and
one table derives the rest: the status the client gets if it has not got one, the counters, and whether another
attempt may help.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Side = Literal["C", "c", "S", "s", "P", "R", "L", "I", "D", "U", "K"]
"""Who ended it: client aborted / timed out, server aborted / timed out, proxy refused, resource exhausted, answered
here, internal error, killed because the server went Down, because it came Up, by an operator (Kill)."""

Stage = Literal["R", "Q", "C", "H", "D", "L", "T", "-"]
"""What the proxy was waiting for: request, queue slot, connection, response headers, data, last data, tarpit end."""

STATUS: dict[str, int] = {
    "CR": 400,
    "cR": 408,
    "PR": 400,
    "RR": 500,
    "CQ": 503,
    "sQ": 503,
    "SQ": 503,
    "CC": 503,
    "SC": 503,
    "sC": 503,
    "CH": 400,
    "cH": 408,
    "SH": 502,
    "sH": 504,
    "PH": 502,
}
"""The status that HAProxy answers or logs for a failure before the response started; 503 for anything else."""

SILENT = frozenset({"CR", "CQ", "CC", "CH"})
"""The client is gone: the status is logged, nothing is sent."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure of an exchange; `reason` is for people and for the stats."""

    side: Side
    stage: Stage
    reason: str = ""
    status_override: int | None = None
    garbled: bool = False
    """The server sent what is no HTTP."""

    @property
    def termination(self) -> bytes:
        """The two letters of the log."""
        return f"{self.side}{self.stage}".encode()

    @property
    def status(self) -> int:
        """What the client gets, unless a response has started."""
        if self.status_override is not None:
            return self.status_override
        return STATUS.get(self.side + self.stage, 503)

    @property
    def spoils_response(self) -> bool:
        """Whether it counts as an error of a response (`eresp`): none came, or it was cut or malformed."""
        return self.garbled or self.side + self.stage in ("SH", "sH", "SD")

    @property
    def silent(self) -> bool:
        """Nobody is left to answer."""
        return self.status_override is None and self.side + self.stage in SILENT
