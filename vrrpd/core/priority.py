"""Base priority and what is tracked → effective priority, or FAULT.

Weight w of a script, process or interface: w > 0 adds w while it is up, w < 0 takes |w| away while it is down;
`reverse` turns the sign of that.  Weight 0: down is FAULT (reversed: up is).  A file's number is multiplied by its
weight; at or below -254 it is FAULT, and with weight 0 every number other than 0 is.  Something not known yet counts
nothing, and with weight 0 holds the instance back.  The sum is clamped to 1..254; an owner stays at 255.
"""

from __future__ import annotations

from collections.abc import Iterable

from vrrpd.config.model import OWNER_PRIORITY, Track, TrackKind

Result = bool | int | None
"""True or False: up or down; a number: what a file holds; None: not known yet."""

LOWEST, HIGHEST = 1, 254
FILE_FAULT = -254


class Priority:
    """The tracked results of one instance and what they add up to."""

    def __init__(self, base: int, tracks: Iterable[Track]) -> None:
        self.base = base
        self._results: dict[Track, Result] = dict.fromkeys(tracks)

    def update(self, kind: TrackKind, name: str, result: Result) -> bool:
        """Take a result; whether anything here tracks that."""
        concerned = [track for track in self._results if track.kind is kind and track.name == name]
        for track in concerned:
            self._results[track] = result
        return bool(concerned)

    def replace(self, base: int, tracks: Iterable[Track]) -> None:
        """New settings; what was known of a thing that is still tracked stays known."""
        known = {(track.kind, track.name): result for track, result in self._results.items()}
        self.base = base
        self._results = {track: known.get((track.kind, track.name)) for track in tracks}

    @property
    def effective(self) -> int:
        """The priority to advertise."""
        if self.base == OWNER_PRIORITY:
            return OWNER_PRIORITY
        total = self.base + sum(contribution(track, result) for track, result in self._results.items())
        return min(max(total, LOWEST), HIGHEST)

    @property
    def faults(self) -> tuple[str, ...]:
        """What of the tracked puts the instance into FAULT, as "script NAME"."""
        return tuple(
            f"{track.kind.value} {track.name}" for track, result in self._results.items() if _is_fault(track, result)
        )

    @property
    def waiting(self) -> bool:
        """Whether the first result of something unweighted is still to come."""
        return any(track.weight == 0 and result is None for track, result in self._results.items())

    @property
    def results(self) -> dict[Track, Result]:
        """For status: every track with its latest result."""
        return dict(self._results)


def contribution(track: Track, result: Result) -> int:
    """What a track with that result adds to the base priority."""
    if result is None:
        return 0
    sign = -1 if track.reverse else 1
    if track.kind is TrackKind.FILE:
        return 0 if _is_fault(track, result) else sign * track.weight * int(result)
    counts = (track.weight > 0) == bool(result)
    return sign * track.weight if counts else 0


def _is_fault(track: Track, result: Result) -> bool:
    if result is None:
        return False
    if track.kind is TrackKind.FILE:
        if track.weight == 0:
            return bool(result) != track.reverse
        return int(result) * track.weight * (-1 if track.reverse else 1) <= FILE_FAULT
    return track.weight == 0 and bool(result) == track.reverse
