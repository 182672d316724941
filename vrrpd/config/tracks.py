"""From names of checks to tracks with weights: the same for both formats.

A reference's own weight wins over the default of what it names.  Owners and members of sync groups may not have
weights of their own (keepalived drops such tracks, so they are dropped here, with a warning), because a priority that
moves would break what they promise.  Tracks are ordered by kind, as neither format keeps the order between kinds.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

from vrrpd.config.errors import Report, did_you_mean
from vrrpd.config.model import Config, InstanceSettings, Origin, Rule, SyncGroup, Track, TrackKind

DEFAULT_INTERFACE = "eth0"
"""keepalived's, where global_defs has no default_interface."""
FIRST_RULE_PREFERENCE = 16383
"""Rules without a preference get this and lower ones: before those of the main table, as in keepalived."""

_WORDS = {
    TrackKind.SCRIPT: "script",
    TrackKind.FILE: "file",
    TrackKind.PROCESS: "process",
    TrackKind.INTERFACE: "interface",
}


@dataclass(frozen=True, slots=True)
class Reference:
    """A name in a track block; None means what the named thing says."""

    kind: TrackKind
    name: str
    weight: int | None
    reverse: bool | None
    at: Origin


def resolve(
    config: Config,
    instances: list[tuple[InstanceSettings, list[Reference]]],
    groups: list[tuple[SyncGroup, list[Reference]]],
    report: Report,
) -> Config:
    """`config` with its instances and groups, their tracks resolved; unknown names are reported."""
    known: dict[TrackKind, Mapping[str, tuple[int, bool]]] = {
        TrackKind.SCRIPT: {one.name: (one.weight, one.reverse) for one in config.scripts},
        TrackKind.FILE: {one.name: (one.weight, one.reverse) for one in config.files},
        TrackKind.PROCESS: {one.name: (one.weight, one.reverse) for one in config.processes},
    }
    synced = {member for group, _ in groups if not group.tracking_weight for member in group.members}
    done = []
    for settings, references in instances:
        tracks = _tracks(references, known, report)
        if settings.owner:
            tracks = _unweighted(tracks, f"({settings.name})", "the owner's priority is fixed", report)
        elif settings.name in synced:
            tracks = _unweighted(tracks, f"({settings.name})", "members of a sync group move together", report)
        done.append(replace(settings, tracks=tracks))
    return replace(
        with_rule_preferences(with_interfaces(replace(config, instances=tuple(done))), report),
        groups=tuple(replace(group, tracks=_tracks(references, known, report)) for group, references in groups),
    )


def with_interfaces(config: Config) -> Config:
    """Static addresses that name no interface are the default interface's."""
    default = config.globals.default_interface or DEFAULT_INTERFACE
    placed = (replace(one, interface=one.interface or default) for one in config.static_addresses)
    return replace(config, static_addresses=tuple(placed))


def with_rule_preferences(config: Config, report: Report) -> Config:
    """Give the rules without a preference one, so that each can be known again by it.

    The kernel would choose one at every addition, and never find that a rule is there already.
    """
    unused = itertools.count(FIRST_RULE_PREFERENCE, -1)

    def settled(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
        found = []
        for rule in rules:
            if rule.preference is None:
                rule = replace(rule, preference=next(unused))
                text = f"the rule has no preference and gets {rule.preference}; write one, the order of rules matters"
                report.warn(rule.at, "rule-preference", text)
            found.append(rule)
        return tuple(found)

    return replace(
        config,
        static_rules=settled(config.static_rules),
        instances=tuple(replace(one, rules=settled(one.rules)) for one in config.instances),
    )


def _tracks(
    references: list[Reference], known: Mapping[TrackKind, Mapping[str, tuple[int, bool]]], report: Report
) -> tuple[Track, ...]:
    order = list(TrackKind)
    tracks = []
    for reference in sorted(references, key=lambda one: order.index(one.kind)):
        if reference.kind is TrackKind.INTERFACE:
            weight, reverse = 0, False
        elif reference.name in known[reference.kind]:
            weight, reverse = known[reference.kind][reference.name]
        else:
            word = _WORDS[reference.kind]
            report.error(
                reference.at,
                f'there is no {word} "{reference.name}"',
                did_you_mean(reference.name, known[reference.kind]),
            )
            continue
        weight = weight if reference.weight is None else reference.weight
        reverse = reverse if reference.reverse is None else reference.reverse
        tracks.append(Track(reference.kind, reference.name, weight, reverse, reference.at))
    return tuple(tracks)


def _unweighted(tracks: tuple[Track, ...], who: str, why: str, report: Report) -> tuple[Track, ...]:
    for track in tracks:
        if track.weight:
            report.warn(
                track.at,
                "weight-ignored",
                f"{who} ignoring tracked {_WORDS[track.kind]} {track.name} with weights: {why}",
            )
    return tuple(track for track in tracks if not track.weight)
