"""Latency percentiles from a histogram: cheap to fill, exact to a known error, of bounded size.

Buckets grow by a fifth from each to the next, so a percentile is off by at most that, whether it is a tenth of a
millisecond or a minute. Two windows are kept, the running one and the one before; together they cover the last one to
two windows, so that a percentile tells of now and not of the whole day.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from functools import partial
from itertools import accumulate

WINDOW = 60.0
"""Seconds until the running window becomes the one before."""

SMALLEST, GROWTH, BUCKETS = 0.0001, 1.2, 78
"""The first bucket ends at 0.1 ms, the last one but one at 125 s; what takes longer is in the last."""

BOUNDS = tuple(SMALLEST * GROWTH**number for number in range(BUCKETS - 1))
_bucket_of = partial(bisect_left, BOUNDS)


class Latencies:
    """The distribution of some time, in seconds."""

    __slots__ = ("_before", "_now", "_since")

    def __init__(self) -> None:
        self._now = [0] * BUCKETS
        self._before = [0] * BUCKETS
        self._since = 0.0

    def add(self, seconds: Iterable[float], *others: Latencies) -> None:
        """Count many times at once, here and for `others`."""
        found = Counter(map(_bucket_of, seconds)).items()
        for now in (self._now, *[other._now for other in others]):
            for bucket, count in found:
                now[bucket] += count

    def turn(self, now: float) -> None:
        """Begin a new window where one has passed; called once a second, `now` in seconds of a monotonic clock."""
        if not self._since:
            self._since = now
        elapsed = now - self._since
        if elapsed < WINDOW:
            return
        self._before = self._now if elapsed < 2 * WINDOW else [0] * BUCKETS
        self._now = [0] * BUCKETS
        self._since = now

    @classmethod
    def of(cls, counts: list[int]) -> Latencies:
        """A distribution with these counts by bucket."""
        made = cls()
        made._now = counts
        return made

    @property
    def counts(self) -> list[int]:
        """Of the last one to two windows, by bucket."""
        return [now + before for now, before in zip(self._now, self._before, strict=True)]

    def percentiles(self, *wanted: float) -> list[float] | None:
        """The times, in seconds, that so many per cent of all did not exceed (at most 20 % too high); None: no times.

        The last bucket has no upper end: its answer is where it begins.
        """
        sums = list(accumulate(self.counts))
        if not sums[-1]:
            return None
        return [BOUNDS[min(bisect_left(sums, sums[-1] * part / 100), BUCKETS - 2)] for part in wanted]
