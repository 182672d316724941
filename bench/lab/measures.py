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
    """The longest time in which no request that was sent got its answer: from the sending of the last good one before
    to the sending of the next one that was answered, less the distance between two requests."""
    back_after: float | None
    """From the first step that hurt to the first good answer after the last failure in its wake; None: nothing failed."""
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
        back_after=back_after(ordered, marks),
        p50=percentile(latencies, 0.50),
        p99=percentile(latencies, 0.99),
        slowest=latencies[-1] if latencies else 0.0,
        kept=sum(request.sticky == "kept" for request in good),
        lost=sum(request.sticky == "lost" for request in good),
        by_server=dict(sorted(Counter(request.server for request in good).items())),
    )


def longest_gap(ordered: Sequence[Request], rate: float) -> float:
    """The longest stretch of requests, by the time they were due, of which none was answered within its second.

    An answer that took longer than a second counts as none here: a request that hangs through an outage and is
    answered after it has not shortened it.
    """
    if not ordered:
        return 0.0
    served = [request.due for request in ordered if request.ok and request.latency <= PROMPT]
    edges = [ordered[0].due, *served, ordered[-1].due]
    return max(max(after - before for before, after in itertools.pairwise(edges)) - 1 / rate, 0.0)


PROMPT = 1.0
"""Seconds within which an answer counts as service."""


def back_after(ordered: Sequence[Request], marks: Sequence[float]) -> float | None:
    """The longest of: from a mark to the end of the first good answer after the last failure before the next mark."""
    found: list[float] = []
    for mark, following in itertools.pairwise([*sorted(marks), float("inf")]):
        bad = [request.due for request in ordered if mark <= request.due < following and not request.ok]
        if bad:
            good = [request.end for request in ordered if request.ok and request.due > bad[-1]]
            found.append((min(good) if good else ordered[-1].end) - mark)
    return max(found, default=None)


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of the (sorted) values lies; 0 for none."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def median(values: Sequence[float]) -> float:
    """For tables over several runs."""
    return statistics.median(values) if values else 0.0
