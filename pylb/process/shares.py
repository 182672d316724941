"""A worker's part of a limit that holds for all workers together.

Parts are fixed, so that nobody has to be asked before a connection is let in: they add up to the limit, but every
worker has at least one, so that a limit smaller than the number of workers is exceeded by less than that number.
"""

from __future__ import annotations


def part(slot: int, workers: int, limit: int) -> int:
    """What worker `slot`, from 1, may use of `limit`; 0 is no limit."""
    if limit <= 0 or workers == 1:
        return limit
    return max(1, limit // workers + (slot <= limit % workers))
