"""From requests, marks and intervals to the figures of a run. All times in seconds, all functions pure."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.lab.client import Request


@dataclass(frozen=True)
class Measures:
    """What a scenario cost its clients."""

    sent: int
    answered: int
    failed: dict[str, int]
    """By kind: see client.OUTCOMES."""
    retried: int
    """Sent again by the client on a fresh connection; they count where they ended."""
    longest_gap: float
    """The longest stretch of requests of which none was answered within a second; 0 when all were. Rancher's do not
    count: it has a server of its own, which answers when all workers are down."""
    back_after: float | None
    """From the step before the longest gap to the first request after it that was answered; None: there was no gap."""
    p50: float
    p99: float
    slowest: float
    """Latencies of the answered."""
    kept: int
    lost: int
    """Users with a cookie who met their server, or another one."""
    by_server: dict[str, int] = field(default_factory=dict)

    @property
    def failures(self) -> int:
        """All kinds together."""
        return sum(self.failed.values())

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self) | {"failures": self.failures}


def measure(requests: Sequence[Request], marks: Sequence[float], rate: float) -> Measures:
    """`marks`: when the scenario did something that may hurt."""
    ordered = sorted(requests, key=lambda request: request.due)
    good = [request for request in ordered if request.ok]
    latencies = sorted(request.latency for request in good)
    return Measures(
        sent=len(ordered),
        answered=len(good),
        failed=dict(Counter(request.outcome for request in ordered if not request.ok).most_common()),
        retried=sum(request.retried for request in ordered),
        longest_gap=longest_gap(ordered, rate),
        back_after=back_after(ordered, marks, rate),
        p50=percentile(latencies, 0.50),
        p99=percentile(latencies, 0.99),
        slowest=latencies[-1] if latencies else 0.0,
        kept=sum(request.sticky == "kept" for request in good),
        lost=sum(request.sticky == "lost" for request in good),
        by_server=dict(sorted(Counter(request.server for request in good).items())),
    )


PROMPT = 1.0
"""Seconds within which an answer counts as service: a request that hangs through an outage and is answered after it
has not shortened it."""


def gap_span(ordered: Sequence[Request]) -> tuple[float, float]:
    """The longest stretch between two requests (by their due times) that were both answered promptly."""
    if not ordered:
        return 0.0, 0.0
    ordered = [request for request in ordered if request.lane != "rancher"] or ordered
    served = [request.due for request in ordered if request.ok and request.latency <= PROMPT]
    edges = [ordered[0].due, *served, ordered[-1].due]
    return max(itertools.pairwise(edges), key=lambda span: span[1] - span[0])


def longest_gap(ordered: Sequence[Request], rate: float) -> float:
    """The length of `gap_span`, less the usual distance between two requests."""
    start, end = gap_span(ordered)
    return max(end - start - 1 / rate, 0.0)


NOTICED = 5
"""Distances between two requests from which on a gap counts as one: single failures make none."""


UNDER_WAY = 0.2
"""Seconds before an event in which the requests that it hits may have been due."""


def back_after(ordered: Sequence[Request], marks: Sequence[float], rate: float) -> float | None:
    """From the last mark before the longest gap, or at its very beginning, to the gap's end."""
    start, end = gap_span(ordered)
    before = [mark for mark in marks if mark <= start + UNDER_WAY]
    return end - max(before) if before and end - start > NOTICED / rate else None


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of the (sorted) values lies; 0 for none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def median(values: Sequence[float]) -> float:
    """For tables over several runs."""
    return statistics.median(values) if values else 0.0
