"""The daemon: packet, deadline, track result, link change or signal → core → executor.

Everything happens in one thread. An event goes to one instance (a sync group moves its members by itself),
the actions that come back are carried out at once, and then the one timer is armed at the earliest deadline.
Waiting packets are read before a backup's timer fires, so that a process that was held up does not take over
from a master whose adverts lie in the socket.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vrrpd.config.model import Command, Config, InstanceSettings, TrackKind
from vrrpd.core.actions import Action, Event, Level, State
from vrrpd.core.group import Group
from vrrpd.core.instance import Instance, LinkState
from vrrpd.core.reload import needs_restart
from vrrpd.logs import Log
from vrrpd.packet.datagram import Datagram
from vrrpd.scheduler import Deadlines
from vrrpd.status import StatusServer, describe
from vrrpd.system import acceptance, privileges
from vrrpd.system.announcer import Announcer
from vrrpd.system.executor import Executor
from vrrpd.system.host import Changes, Host
from vrrpd.system.notify import Notifier
from vrrpd.system.processes import Running
from vrrpd.system.sockets import LinkKey
from vrrpd.system.statefile import Leftover, StateFile
from vrrpd.system.stations import Stations
from vrrpd.system.supervisor import Supervisor
from vrrpd.system.timer import Timer
from vrrpd.system.tracking import Tracking
from vrrpd.system.wire import Wire

LATE = 0.05
"""Seconds after which a timer that fired late is counted, and the lateness said."""
FAREWELL = 1.0
"""Seconds that notify programs have to finish at stop."""
HOUSEKEEPING = 5.0
SCRIPT_LIMIT = 30.0
"""Seconds for the programs of start and stop."""


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beside the configuration."""

    directory: Path = Path("/run/vrrpd")
    """State directory; the status socket lies in it."""
    file: Path | None = None
    """Configuration file, read again at SIGHUP."""
    config_id: str | None = None
    """Which @lines of a keepalived.conf apply."""


class Daemon:
    """One running vrrpd. `run` returns when it was asked to stop."""

    def __init__(self, config: Config, options: Options, log: Log) -> None:
        self.config, self.options, self.log = config, options, log
        self.loop = asyncio.get_running_loop()
        self.started = time.time()
        self.instances: dict[str, Instance] = {}
        self.groups: dict[str, Group] = {}
        self.late_timers = 0
        self._raised = False
        self.worst_lateness = 0.0
        self.reloads = self.failed_reloads = 0
        self._links: dict[str, LinkState] = {}
        self._holding: dict[str, asyncio.TimerHandle] = {}
        self._deadlines = Deadlines()
        self._stopping = asyncio.Event()
        self._reloading: asyncio.Task[None] | None = None
        self._supervisor = Supervisor()
        self.state = StateFile(options.directory)
        self._filtered = self.state.former.filtered
        self.host = Host()
        self.host.virtual = _virtual_addresses(config)
        self.notifier = Notifier(log.say, config.globals.script_user)
        self.announcer = Announcer(self.host, log.say)
        self.executor = Executor(self.host, self.notifier, self.announcer, self.state, log.say)
        self.wire = Wire(self._packet, self._unknown if config.globals.log_unknown_vrids else None)
        self.stations = Stations(self.host, self.wire, self.executor, log.say)
        self.tracking = Tracking(self._tracked, log.say)
        self._timer = Timer(self.loop, self._timer_fired)
        self._status = StatusServer(options.directory, self.status)

    async def run(self) -> None:
        """Start everything, serve until SIGTERM or SIGINT, leave the host as it was."""
        await self._script(self.config.globals.startup_script)
        self.start()
        try:
            await self._status.start()
            await self._stopping.wait()
        finally:
            await self._farewell()
            await self._script(self.config.globals.shutdown_script)

    async def _script(self, command: Command | None) -> None:
        """Run the program of start or stop to its end; one that fails or takes too long is only said."""
        if command is None:
            return
        ended: asyncio.Future[int] = self.loop.create_future()
        try:
            running = Running(command.argv, ended.set_result, command.user, command.group)
        except (OSError, KeyError) as error:
            self.log.say(Level.ERROR, f"Unable to run {command.argv[0]}: {error}")
            return
        try:
            status = await asyncio.wait_for(ended, SCRIPT_LIMIT)
        except TimeoutError:
            running.kill()
            status = -9
        if status:
            self.log.say(Level.WARNING, f"{command.argv[0]} ended with status {status}")

    def start(self) -> None:
        """Open, look at the host, start the instances and the checks. OSError when the host refuses."""
        self.stations.configure(self.config)
        self._remember()
        self._take_leftovers()
        self.executor.set_static(self.config.static_addresses, self.config.static_routes, self.config.static_rules)
        self.notifier.open(self.config.globals.fifos)
        self._create(self.config.instances)
        self._regroup()
        self.loop.add_reader(self.host.monitor.fileno(), self._host_changed)
        for number, handler in (
            (signal.SIGTERM, self.stop),
            (signal.SIGINT, self.stop),
            (signal.SIGHUP, self.reload),
            (signal.SIGUSR1, self._dump),
            (signal.SIGUSR2, self._dump),
        ):
            self.loop.add_signal_handler(number, handler)
        privileges.schedule(self.config.globals.scheduling, self.log.say)
        self.log.say(Level.INFO, "Startup complete")
        for name in self.instances:
            self._begin(name)
        self.tracking.apply(self.config)
        self._housekeeping()
        self._supervisor.say("READY=1", f"STATUS={len(self.instances)} virtual routers")

    # One event each: to the core, then to the host.

    def _packet(self, name: str, datagram: Datagram) -> bool:
        instance = self.instances[name]
        now = self.loop.time()
        if now - self._deadlines.next() > LATE:
            self._note_lateness(now - self._deadlines.next())
        accepted = instance.counters.adverts_received
        self._do(name, instance.packet_received(datagram, now))
        return instance.counters.adverts_received != accepted

    def _timer_fired(self) -> None:
        """All that is due, with one `now`: what one instance's actions take must not look like lateness of the next."""
        self.state.alive()
        due = self._deadlines.due(self.loop.time())
        if any(self.instances[name].state is not State.MASTER for name, _ in due):
            self.wire.drain()
        now = self.loop.time()
        if due:
            self._note_lateness(now - due[0][1])
        for name, _ in due:
            instance = self.instances.get(name)
            if instance is None:
                continue
            if instance.deadline <= now:
                self._do(name, instance.timer_fired(now), arm=False)
            else:
                self._deadlines.set(name, instance.deadline)
        self._timer.arm(self._deadlines.next())

    def _note_lateness(self, lateness: float) -> None:
        self.worst_lateness = max(self.worst_lateness, lateness)
        if lateness > LATE:
            self.late_timers += 1
            self.log.say(Level.WARNING, f"A thread timer expired {lateness:.6f} seconds ago")
            limit = self.config.globals.scheduling.max_auto
            if limit and not self._raised:
                self._raised = privileges.raise_priority(limit)
                self.log.say(Level.INFO, f"Set SCHED_RR priority {limit}" if self._raised else "SCHED_RR refused")

    def _unknown(self, key: LinkKey, vrid: int) -> None:
        self.log.say(Level.INFO, f"{key.interface}: received VRRP packet for unknown VRID {vrid}")

    def _tracked(self, kind: TrackKind, name: str, value: bool | int) -> None:
        now = self.loop.time()
        for instance_name, instance in self.instances.items():
            self._do(instance_name, instance.track_changed(kind, name, value, now))
        for group in self.groups.values():
            self._do_group(group, group.track_changed(kind, name, value, now))

    def _host_changed(self) -> None:
        changes = self.host.read_changes()
        for interface in changes.interfaces:
            self._interface_changed(interface)
        self._put_back(changes)

    def _put_back(self, changes: Changes) -> None:
        now = self.loop.time()
        for interface, address in changes.removed:
            held = self.executor.held.get((interface, address))
            if held is None or self.host.present(interface, address):
                continue
            name, virtual = held
            self.log.say(Level.INFO, f"Netlink reflector reports IP {address} removed from {interface}")
            if virtual.track and name in self.instances:
                self._do(name, self.instances[name].address_removed(virtual, now))
        if changes.routes:
            for name, instance in self.instances.items():
                if instance.state is State.MASTER:
                    self._do(name, instance.routes_removed(now))

    def _interface_changed(self, interface: str) -> None:
        """Tell everyone concerned, at once or after the configured debounce."""
        handle = self._holding.pop(interface, None)
        if handle is not None:
            handle.cancel()
        link = self.host.links.get(interface)
        delay = 0.0
        for entry in self.config.interface_delays:
            if entry.interface == interface:
                delay = entry.up if link is not None and link.usable else entry.down
        if delay:
            self._holding[interface] = self.loop.call_later(delay, self._relink, interface)
        else:
            self._relink(interface)

    def _relink(self, interface: str) -> None:
        self._holding.pop(interface, None)
        now = self.loop.time()
        link = self.host.links.get(interface)
        self._tracked_interface(interface, link is not None and link.usable)
        for name in self.stations.on(interface):
            state = self.stations.connect(name)
            former = self._links.get(name)
            if state == former:
                continue
            self._links[name] = state
            if former is None or state.up != former.up:
                self.log.say(Level.INFO, f"Netlink reports {interface} {'up' if state.up else 'down'}")
            self._do(name, self.instances[name].link_changed(state, now))

    def _tracked_interface(self, interface: str, usable: bool) -> None:
        if self.tracking.results.get((TrackKind.INTERFACE, interface)) is not usable:
            self.tracking.results[TrackKind.INTERFACE, interface] = usable
            self._tracked(TrackKind.INTERFACE, interface, usable)

    def _do(self, name: str, todo: list[Action], arm: bool = True) -> None:
        """Carry actions out and keep the deadlines of all instances they may have moved."""
        if todo:
            self.executor.perform(todo)
        group = self._group_of.get(name)
        if group is None:
            self._deadlines.set(name, self.instances[name].deadline)
        else:
            for member in group.members:
                self._deadlines.set(member.name, member.deadline)
        if arm:
            self._timer.arm(self._deadlines.next())

    def _do_group(self, group: Group, todo: list[Action]) -> None:
        self.executor.perform(todo)
        for member in group.members:
            self._do(member.name, [])

    # Instances come and go.

    def _create(self, wanted: Iterable[InstanceSettings]) -> None:
        for settings in wanted:
            sequence = int(time.time()) if settings.ah_clock_sequence else 0
            self.instances[settings.name] = Instance(self._usable_tracks(settings), sequence=sequence)
            self.executor.notify_settings[False, settings.name] = settings.notify

    def _usable_tracks(self, settings: InstanceSettings) -> InstanceSettings:
        """The settings without the checks that keepalived's way with missing programs leaves out."""
        if not self.tracking.dropped:
            return settings
        kept = tuple(
            track
            for track in settings.tracks
            if track.kind is not TrackKind.SCRIPT or track.name not in self.tracking.dropped
        )
        return dataclasses.replace(settings, tracks=kept)

    def _regroup(self) -> None:
        self.groups = {}
        self._group_of: dict[str, Group] = {}
        for settings in self.config.groups:
            members = [self.instances[name] for name in settings.members if name in self.instances]
            group = Group(settings, members)
            self.groups[settings.name] = group
            self.executor.notify_settings[True, settings.name] = settings.notify
            self._group_of.update(dict.fromkeys(settings.members, group))

    def _begin(self, name: str) -> None:
        now = self.loop.time()
        state = self._links[name] = self.stations.connect(name)
        instance = self.instances[name]
        for (kind, tracked), value in self.tracking.results.items():
            instance.track_changed(kind, tracked, value, now)
        for track in instance.settings.tracks:
            if track.kind is TrackKind.INTERFACE:
                link = self.host.links.get(track.name)
                instance.track_changed(track.kind, track.name, link is not None and link.usable, now)
        self._do(name, instance.start(now, state, resume=name in self._resumed))
        self._resumed.discard(name)

    def _take_leftovers(self) -> None:
        """Addresses of a run that ended without a word: go on with them, or take them away."""
        former = self.state.former
        settings = {instance.name: instance for instance in self.config.instances}
        self._resumed = {
            name for name in former.masters if name in settings and former.silence < down_interval(settings[name])
        }
        gone = [entry for entry in former.leftovers if entry.instance not in self._resumed]
        self.executor.take_away(gone)

    def _remember(self) -> None:
        entries = [
            Leftover(settings.name, station.interface_for(address), str(address.address), address.prefix_length)
            for settings in self.config.instances
            if (station := self.executor.stations.get(settings.name)) is not None
            for address in settings.all_addresses
        ]
        names = [settings.name for settings in self.config.instances]
        refused = acceptance.refused_addresses(self.config.instances)
        self.state.write(names, entries, filtered=bool(refused))
        if refused or self._filtered:
            self._filter(refused)

    def _filter(self, refused: list[Any]) -> None:
        """Let the addresses of `accept = false` take no packets, see system/acceptance.py."""
        self._filtered = bool(refused)
        try:
            acceptance.apply(refused)
        except OSError as error:
            self.log.say(Level.ERROR, str(error))

    # Reload and stop.

    def reload(self) -> None:
        """SIGHUP: read the file in a child process; if it is wrong, nothing changes."""
        if self.options.file is None:
            self.log.say(Level.WARNING, "Nothing to reload: started without a file")
        elif self._reloading is None or self._reloading.done():
            self._reloading = self.loop.create_task(self._reload(self.options.file))

    async def _reload(self, file: Path) -> None:
        from vrrpd.config.load import load_in_child

        self._supervisor.say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self.log.say(Level.INFO, "Reloading")
        try:
            loaded = await asyncio.to_thread(load_in_child, str(file), self.options.config_id)
            self._check_interfaces(loaded.config)
            self._apply(loaded.config)
            self.reloads += 1
        except Exception as error:
            self.failed_reloads += 1
            self.log.say(Level.ERROR, f"Reload refused, nothing was changed: {error}")
        self._supervisor.say("READY=1")

    def _check_interfaces(self, config: Config) -> None:
        lacking = self.stations.missing_interfaces(config)
        if lacking:
            raise ValueError("; ".join(lacking))

    def _apply(self, config: Config) -> None:
        now = self.loop.time()
        former = {settings.name: settings for settings in self.config.instances}
        wanted = {settings.name: settings for settings in config.instances}
        leaving = [n for n in former if n not in wanted or needs_restart(former[n], wanted[n])]
        for name in leaving:
            self._do(name, self.instances[name].shutdown(now, Event.STOP if name in wanted else Event.DELETED))
            self._drop(name)
        self.config = config
        self.host.virtual = _virtual_addresses(config)
        self.notifier.open(config.globals.fifos)
        self.stations.configure(config)
        self._remember()
        self._resumed = set()
        self._create(settings for name, settings in wanted.items() if name not in self.instances)
        self._regroup()
        for name, settings in wanted.items():
            if name in former and name not in leaving:
                self._change(name, former[name], settings, now)
            else:
                self._begin(name)
        self.tracking.apply(config)

    def _change(self, name: str, former: InstanceSettings, settings: InstanceSettings, now: float) -> None:
        self.executor.notify_settings[False, name] = settings.notify
        if former != settings:
            self._do(name, self.instances[name].reload(self._usable_tracks(settings), now))
        self._links[name] = self.stations.connect(name)

    def _drop(self, name: str) -> None:
        self._deadlines.remove(name)
        self.stations.remove(name)
        del self.instances[name]
        self._links.pop(name, None)

    def stop(self) -> None:
        """SIGTERM: end `run` after the farewell."""
        self._stopping.set()

    async def _farewell(self) -> None:
        self.log.say(Level.INFO, "Stopping")
        self._supervisor.say("STOPPING=1")
        self.tracking.stop()
        now = self.loop.time()
        for name, instance in self.instances.items():
            self.executor.perform(instance.shutdown(now))
            self._deadlines.remove(name)
        self._timer.close()
        await self.notifier.finish(FAREWELL)
        self.loop.remove_reader(self.host.monitor.fileno())
        if self._filtered:
            self._filter([])
        self._status.close()
        self.stations.close()
        self.announcer.close()
        self.notifier.close()
        self.state.close(clean=True)
        self.host.close()
        self.log.say(Level.INFO, "Stopped")

    def _housekeeping(self) -> None:
        self.log.tick()
        self.state.alive()
        if self._supervisor.watchdog:
            self._supervisor.say("WATCHDOG=1")
        if not self._stopping.is_set():
            wait = min(HOUSEKEEPING, self._supervisor.watchdog or HOUSEKEEPING)
            self.loop.call_later(wait, self._housekeeping)

    def _dump(self) -> None:
        """SIGUSR1, SIGUSR2: write the status document into the state directory, as keepalived dumps its data."""
        path = self.options.directory / "status.json"
        path.write_text(json.dumps(self.status(), indent=1) + "\n")
        self.log.say(Level.INFO, f"Status written to {path}")

    def status(self) -> dict[str, Any]:
        """Everything that the status table, JSON and metrics show."""
        now = self.loop.time()
        return {
            "pid": os.getpid(),
            "router_id": self.config.globals.router_id,
            "uptime": time.time() - self.started,
            "file": str(self.options.file) if self.options.file else None,
            "instances": [
                describe(instance, now)
                | {
                    "interface": self.stations.interface_of(name),
                    "send_errors": self.executor.send_errors.get(name, 0),
                    "group": self._group_of[name].settings.name if name in self._group_of else None,
                }
                for name, instance in self.instances.items()
            ],
            "tracking": self.tracking.status(),
            "links": self.wire.floods(),
            "late_timers": self.late_timers,
            "worst_lateness": self.worst_lateness,
            "announcements": self.announcer.sent,
            "reloads": self.reloads,
            "failed_reloads": self.failed_reloads,
        }


def down_interval(settings: InstanceSettings) -> float:
    """How long the backups wait at the least for this instance's next advert, in seconds."""
    return settings.down_timer_adverts * settings.advert_int


def _virtual_addresses(config: Config) -> set[Any]:
    return {address.address for settings in config.instances for address in settings.all_addresses}
