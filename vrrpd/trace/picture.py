"""An instance at a moment, and what has changed since: states, timers with their formula, priorities with their sum."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import TYPE_CHECKING

from vrrpd.config.model import Address
from vrrpd.core.actions import State
from vrrpd.core.priority import contribution
from vrrpd.core.timers import NEVER, master_down_interval, skew_time

if TYPE_CHECKING:
    from vrrpd.core.instance import Instance

SECTIONS = {State.BACKUP: "RFC 9568 6.4.2", State.MASTER: "RFC 9568 6.4.3"}
Told = tuple[str, str]
"""(text, kind of line)."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What a trace compares."""

    state: State
    timer: float
    priority: int
    master: Address | None
    master_priority: int | None
    interval: float
    abdicating: bool
    wants_master: bool
    rival: Address | None
    faults: tuple[str, ...]

    @classmethod
    def of(cls, instance: Instance) -> Picture:
        """Now."""
        return cls(
            instance.state,
            instance.timer,
            instance.effective_priority,
            instance.master,
            instance.master_priority,
            instance.master_interval,
            instance.abdicating,
            instance.wants_master,
            instance.rival.address if instance.rival else None,
            instance.faults,
        )


def changes(before: Picture, instance: Instance, now: float) -> list[Told]:
    """What an event has changed, the cause before its effects."""
    after = Picture.of(instance)
    told: list[Told] = []
    if after.priority != before.priority:
        told.append((f"priority {before.priority} → {after.priority}: {total(instance)}", "change"))
    if after.faults != before.faults and (after.faults or before.state is not State.INIT):
        told.append((f"in the way of taking part: {', '.join(after.faults) or 'nothing any more'}", "change"))
    if after.state is not before.state:
        section = SECTIONS.get(after.state)
        told.append((f"{before.state.value} → {after.state.value}{f' ({section})' if section else ''}", "state"))
    if after.master != before.master and after.master is not None:
        told.append((f"follows {after.master}, priority {after.master_priority}", "change"))
    if after.interval != before.interval:
        told.append((f"interval {before.interval:g} s → {after.interval:g} s", "change"))
    told += _flags(before, after)
    if after.timer != before.timer:
        told.append((timer(instance, now), "timer"))
    return told


def _flags(before: Picture, after: Picture) -> list[Told]:
    told: list[Told] = []
    if after.abdicating and not before.abdicating:
        told.append(("abdicates: silent, the addresses stay until somebody better speaks", "change"))
    if before.abdicating and not after.abdicating and after.state is State.MASTER:
        told.append(("the abdication is over: nobody better spoke", "change"))
    if after.wants_master and not before.wants_master:
        told.append(("would be master, but waits for its sync group", "change"))
    if after.rival != before.rival:
        told.append((f"second master: {after.rival}" if after.rival else "no second master any more", "change"))
    return told


def total(instance: Instance) -> str:
    """How the effective priority comes about."""
    parts = [f"{instance.settings.priority} configured"]
    for track, result in instance.track_results.items():
        if track.weight:
            parts.append(f"{contribution(track, result):+d} {track.kind.value} {track.name}")
    return ", ".join(parts)


def timer(instance: Instance, now: float) -> str:
    """Which timer runs, for how long, and by which formula (RFC 9568 section 6.1)."""
    left = instance.timer - now
    settings = instance.settings
    if instance.timer == NEVER:
        return "no timer runs"
    if instance.state is State.MASTER and not instance.abdicating:
        return f"advert timer: {left:.4g} s (advert_int {settings.advert_int:g} s)"
    priority, interval = instance.effective_priority, instance.master_interval
    skew = skew_time(priority, interval, settings.version)
    unit = "1 s" if settings.version == 2 else f"{interval:g} s"
    formula = f"(256 - {priority}) / 256 * {unit}"
    if isclose(left, skew, abs_tol=1e-6):
        return f"skew time: {formula} = {left:.4g} s"
    adverts = settings.down_timer_adverts
    if isclose(left, master_down_interval(priority, interval, settings.version, adverts), abs_tol=1e-6):
        return f"master down timer: {adverts} * {interval:g} s + {formula} = {left:.4g} s"
    return f"master down timer: {left:.4g} s left"
