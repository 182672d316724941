"""Which instances and sync groups run: made at start, compared at reload, remembered for the next run.

A reload changes as little as possible. An instance whose socket, identity or group changed is stopped and made
anew; any other one gets its new settings while it runs, and a master stays a master.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Iterable

from vrrpd.config.model import Address, Config, InstanceSettings, Track, TrackKind
from vrrpd.core.actions import Action, Event, Level, State
from vrrpd.core.group import Group
from vrrpd.core.instance import Instance, LinkState
from vrrpd.core.reload import needs_restart
from vrrpd.core.timers import SLOTS
from vrrpd.system import acceptance
from vrrpd.system.executor import Executor
from vrrpd.system.host import Host
from vrrpd.system.notify import Notifier
from vrrpd.system.statefile import Leftover, LeftRoute, StateFile
from vrrpd.system.statics import Statics
from vrrpd.system.stations import Stations
from vrrpd.system.tracking import Tracking

Do = Callable[[str, list[Action]], None]
Say = Callable[[Level, str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """What a daemon is made of; a traced one gets subclasses that tell what they do (trace/)."""

    instance: Callable[[InstanceSettings, int], Instance] = Instance
    executor: Callable[..., Executor] = Executor


@dataclasses.dataclass(frozen=True, slots=True)
class Parts:
    """What the roster works with."""

    host: Host
    executor: Executor
    stations: Stations
    tracking: Tracking
    notifier: Notifier
    statics: Statics
    state: StateFile
    say: Say
    made: Made = Made()


class Roster:
    """The running instances and groups of one configuration. `do` carries an instance's actions out."""

    def __init__(self, config: Config, parts: Parts, do: Do) -> None:
        self.config = config
        self.instances: dict[str, Instance] = {}
        self.groups: dict[str, Group] = {}
        self.group_of: dict[str, Group] = {}
        self.links: dict[str, LinkState] = {}
        self._parts, self._do = parts, do
        self._loop = asyncio.get_running_loop()
        self._resumed: set[str] = set()
        self._leaves: tuple[set[Leftover], set[LeftRoute]] = (set(), set())
        self._filtered = parts.state.former.filtered

    def start(self) -> None:
        """Make everything of the configuration, but begin nothing. OSError when the host refuses."""
        parts, config = self._parts, self.config
        parts.notifier.open(config.globals.fifos)
        self._adopt(config)
        self._take_leftovers()
        self._set_statics()
        self._create(config.instances)
        self._regroup()

    def begin_all(self) -> None:
        """Start the instances, then the checks."""
        for name in self.instances:
            self._begin(name)
        self._parts.tracking.apply(self.config)

    def apply(self, config: Config) -> None:
        """Reload. ValueError or OSError before anything was changed, if the host lacks what the file asks for."""
        lacking = self._parts.stations.missing_interfaces(config)
        if lacking:
            raise ValueError("; ".join(lacking))
        self._parts.notifier.open(config.globals.fifos)
        former = {settings.name: settings for settings in self.config.instances}
        wanted = {settings.name: settings for settings in config.instances}
        leaving = [name for name in former if self._must_leave(name, former, wanted, config)]
        for name in leaving:
            self._stop(name, Event.STOP if name in wanted else self._end_of(name))
        self._adopt(config)
        self._set_statics()
        new = [name for name in wanted if name not in self.instances]
        self._create(wanted[name] for name in new)
        self._regroup()
        for name in wanted:
            if name in new:
                self._begin(name)
            else:
                self._change(name, wanted[name])
        self._parts.tracking.apply(config)
        for name, instance in self.instances.items():
            if name not in new and instance.state is not State.INIT:
                self._parts.notifier.restate(name, instance.state.value, instance.effective_priority)

    def _end_of(self, name: str) -> Event:
        """What is told of an instance that the file no longer has: FAULT unless its notify says DELETED."""
        notify = self.instances[name].settings.notify
        return Event.DELETED if notify.report_deleted or notify.deleted is not None else Event.FAULT

    def farewell(self) -> None:
        """Stop every instance and take the packet filter away."""
        now = self._loop.time()
        for instance in self.instances.values():
            self._parts.executor.perform(instance.shutdown(now))
        if self._filtered:
            self._filter([])

    def _must_leave(
        self, name: str, former: dict[str, InstanceSettings], wanted: dict[str, InstanceSettings], config: Config
    ) -> bool:
        if name not in wanted or needs_restart(former[name], wanted[name]):
            return True
        groups = {member: group.name for group in config.groups for member in group.members}
        now_in = self.group_of[name].name if name in self.group_of else None
        return groups.get(name) != now_in

    def _adopt(self, config: Config) -> None:
        self.config = config
        parts = self._parts
        parts.host.virtual = {virtual.address for one in config.instances for virtual in one.all_addresses}
        parts.tracking.plan(config)
        parts.stations.configure(config)
        refused = acceptance.refused_addresses(config.instances)
        routes = [left for one in config.instances for left in parts.executor.routes_to_leave(one)]
        self._leaves = (set(self._possible()), set(routes))
        parts.state.write([one.name for one in config.instances], self._possible(), routes, bool(refused))
        if refused or self._filtered:
            self._filter(refused)

    def _possible(self) -> list[Leftover]:
        """Every address that this run may set."""
        stations = self._parts.executor.stations
        return [
            Leftover(one.name, stations[one.name].interface_for(virtual), str(virtual.address), virtual.prefix_length)
            for one in self.config.instances
            for virtual in one.all_addresses
        ]

    def _filter(self, refused: list[Address]) -> None:
        self._filtered = bool(refused)
        try:
            acceptance.apply(refused)
        except OSError as error:
            self._parts.say(Level.ERROR, str(error))

    def _take_leftovers(self) -> None:
        """Addresses of a run that ended without a word: go on with them, or take them away."""
        former = self._parts.state.former
        settings = {one.name: one for one in self.config.instances}
        self._resumed = {
            name for name in former.masters if name in settings and former.silence < down_interval(settings[name])
        }
        addresses, routes = self._leaves
        executor, resumed = self._parts.executor, self._resumed
        executor.take_routes_away(one for one in former.routes if one.instance not in resumed or one not in routes)
        executor.take_away(one for one in former.leftovers if one.instance not in resumed or one not in addresses)

    def _set_statics(self) -> None:
        """What the host always has, and how that stands, as results of tracks."""
        self._parts.statics.apply(self.config)
        for name, complete in self._parts.statics.groups().items():
            self._parts.tracking.results[TrackKind.STATIC, name] = complete

    def _create(self, wanted: Iterable[InstanceSettings]) -> None:
        for settings in wanted:
            sequence = int(time.time()) if settings.ah_clock_sequence else 0
            self.instances[settings.name] = self._parts.made.instance(self._usable_tracks(settings), sequence)
            self._parts.executor.notify_settings[False, settings.name] = settings.notify
        self._spread()

    def _spread(self) -> None:
        """Deal many instances to the slots of the advert interval: one burst of all would make its last ones late."""
        many = len(self.instances) > SLOTS
        for number, instance in enumerate(self.instances.values()):
            instance.slot = number % SLOTS if many else None

    def _usable_tracks(self, settings: InstanceSettings) -> InstanceSettings:
        """The settings with the tracks that count here: interfaces of its addresses, its track_groups too."""
        named = {track.name for track in settings.tracks if track.kind is TrackKind.INTERFACE}
        watched = [Track(TrackKind.INTERFACE, name) for name in settings.other_interfaces if name not in named]
        watched += [
            Track(TrackKind.STATIC, name) for name, members in self.config.track_groups if settings.name in members
        ]
        return dataclasses.replace(settings, tracks=self._usable(settings.tracks) + tuple(watched))

    def _usable(self, tracks: tuple[Track, ...]) -> tuple[Track, ...]:
        """Without the checks that keepalived's way with missing programs leaves out."""
        dropped = self._parts.tracking.dropped
        return tuple(one for one in tracks if one.kind is not TrackKind.SCRIPT or one.name not in dropped)

    def _regroup(self) -> None:
        former, self.groups, self.group_of = self.groups, {}, {}
        for settings in self.config.groups:
            settings = dataclasses.replace(settings, tracks=self._usable(settings.tracks))
            members = tuple(self.instances[name] for name in settings.members if name in self.instances)
            group = former.get(settings.name)
            if group is not None and group.members == members:
                group.reload(settings)
            else:
                group = Group(settings, members)
            self.groups[settings.name] = group
            self._parts.executor.notify_settings[True, settings.name] = settings.notify
            self.group_of.update(dict.fromkeys(settings.members, group))

    def _begin(self, name: str) -> None:
        now, parts, instance = self._loop.time(), self._parts, self.instances[name]
        state = self.links[name] = parts.stations.connect(name)
        for (kind, tracked), value in parts.tracking.results.items():
            instance.track_changed(kind, tracked, value, now)
        for track in instance.track_results:
            if track.kind is TrackKind.INTERFACE:
                link = parts.host.links.get(track.name)
                instance.track_changed(track.kind, track.name, link is not None and link.usable, now)
        self._do(name, instance.start(now, state, resume=name in self._resumed))
        self._resumed.discard(name)

    def _change(self, name: str, settings: InstanceSettings) -> None:
        self._parts.executor.notify_settings[False, name] = settings.notify
        usable = self._usable_tracks(settings)
        if usable != self.instances[name].settings:
            self._do(name, self.instances[name].reload(usable, self._loop.time()))
        self.links[name] = self._parts.stations.connect(name)

    def _stop(self, name: str, event: Event) -> None:
        self._do(name, self.instances[name].shutdown(self._loop.time(), event))
        self._parts.stations.remove(name)
        del self.instances[name]
        self.links.pop(name, None)
        self.group_of.pop(name, None)


def down_interval(settings: InstanceSettings) -> float:
    """How long the backups wait at the least for this instance's next advert, in seconds."""
    return settings.down_timer_adverts * settings.advert_int
