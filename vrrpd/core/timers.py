"""The intervals of RFC 3768 section 6.1 and RFC 9568 section 6.1, in seconds.

A lower priority waits longer (skew), so that of several backups the best one speaks first.  Version 2 counts skew in
256ths of a second, version 3 in 256ths of the master's interval.
"""

from __future__ import annotations

from math import floor, inf

NEVER = inf

# A timer that is later than this has not just lost a race for the CPU: the machine slept, or the process was stopped.
LATE_AT_LEAST = 0.05

SLOTS = 16
"""Slots of an advert interval that many masters are dealt to. A sixteenth of 255 adverts takes 0.2 ms, which nobody
notices even of the shortest interval; a timer for each advert would cost twice the CPU."""


def skew_time(priority: int, master_interval: float, version: int) -> float:
    """Skew_Time: 0 < result < 1 (version 2) or < `master_interval` (version 3)."""
    return (256 - priority) / 256 * (1.0 if version == 2 else master_interval)


def master_down_interval(priority: int, master_interval: float, version: int, adverts: int = 3) -> float:
    """Master_Down_Interval; `adverts` is keepalived's down_timer_adverts."""
    return adverts * master_interval + skew_time(priority, master_interval, version)


def late_limit(interval: float) -> float:
    """How late a timer may be until its silence proves nothing about the other side."""
    return max(interval, LATE_AT_LEAST)


def slotted(now: float, interval: float, slot: int) -> float:
    """The first moment after `now` that belongs to that slot, on a grid that all virtual routers share."""
    phase = slot * interval / SLOTS
    return (floor((now - phase) / interval) + 1) * interval + phase
