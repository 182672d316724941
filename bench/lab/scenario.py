"""What a scenario is: a function that does things to the lab, the bounds that its clients may expect, a register.

The bounds are written as sums of what the protocols take (`Takes`), so that they can be followed and doubted.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bench.lab.lab import Lab
from bench.lab.measures import Measures
from bench.lab.stations import Variation
from bench.lab.topology import Stack


@dataclass(frozen=True)
class Takes:
    """How long things take in the article's setting, at most; seconds. RFC 3768 section 6.1 for the timers."""

    stack: Stack
    advert: float = 2.0
    """advert_int"""
    skew: float = (256 - 109) / 256
    """Of master2; master3's is 4 ms longer."""
    check: float = 2.0
    """The interval of the check: until a refusal is noticed."""
    hang: float = 1.0
    """How long the check waits for an answer before it fails."""
    slack: float = field(default_factory=lambda: float(os.environ.get("LAB_SLACK", "2")))
    """What a loaded machine and the way to the first answer add."""
    refresh: float = 2 * 2.0
    """Between two announcements of the address: garp_master_refresh, which keepalived looks at with each advert."""
    fall: float = 3 * 2.0
    """Three failed health checks every two seconds until a server is down."""
    rise: float = 2 * 2.0

    @property
    def down(self) -> float:
        """Master down interval: until a silent master is replaced."""
        return 3 * self.advert + self.skew

    @property
    def abdicates(self) -> bool:
        """Whether master1 asks for an election when its priority sinks: vrrpd with its own file."""
        programs = self.stack["master1"]
        return programs.router == "vrrpd" and not programs.same_files

    @property
    def sink(self) -> float:
        """From a lower priority on master1 to master2 as master."""
        return self.skew if self.abdicates else self.down


MOVED = frozenset({"refused", "reset", "closed", "timeout", "unreachable"})
"""What clients may see while the address is on its way."""


@dataclass(frozen=True)
class Expect:
    """Bounds of one scenario on one stack."""

    gap: float
    """Longest stretch without service, seconds."""
    kinds: frozenset[str] = MOVED
    """Failures that may occur at all."""
    failed: float | None = None
    """Failed requests, in seconds of traffic; None: as many as fit into the gap, and those of its two edges."""
    loses_stickiness: bool = False
    """Whether a user may be sent to another server than before."""

    def broken(self, found: Measures, rate: float) -> list[str]:
        """What does not hold, for people."""
        complaints = []
        if found.longest_gap > self.gap:
            complaints.append(f"{found.longest_gap:.2f} s without service, expected at most {self.gap:.2f}")
        strange = {kind: count for kind, count in found.failed.items() if kind not in self.kinds}
        if strange:
            text = ", ".join(f"{count} {kind}" for kind, count in strange.items())
            complaints.append(f"failures of a kind that was not expected: {text}")
        allowed = (self.gap + EDGES) if self.failed is None else self.failed
        if found.failures > allowed * rate:
            complaints.append(f"{found.failures} requests failed, expected at most {allowed * rate:.0f}")
        if found.lost and not self.loses_stickiness:
            complaints.append(f"{found.lost} times a user met another server than before")
        if not found.answered:
            complaints.append("nothing was answered")
        return complaints


EDGES = 0.5
"""Seconds of traffic that may fail besides the gap: what is under way when the address moves, there and back."""

Steps = Callable[[Lab, Takes], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """One of SCENARIOS."""

    name: str
    text: str
    """What happens, one sentence."""
    steps: Steps
    expect: Callable[[Takes], Expect]
    variation: Variation
    quick: bool
    """Whether `make test` runs it."""


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    expect: Callable[[Takes], Expect], *, quick: bool = False, variation: Variation | None = None
) -> Callable[[Steps], Steps]:
    """Register a function as the scenario of its name."""

    def register(steps: Steps) -> Steps:
        name = steps.__name__.replace("_", "-")
        text = " ".join((steps.__doc__ or "").split())
        SCENARIOS[name] = Scenario(name, text, steps, expect, variation or Variation(), quick)
        return steps

    return register
