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
from pathlib import Path
from typing import Any

from vrrpd.config.model import Command, Config, TrackKind
from vrrpd.core.actions import Action, Level, State
from vrrpd.hostwatch import HostWatch
from vrrpd.logs import Log
from vrrpd.packet.datagram import Datagram
from vrrpd.punctuality import Punctuality
from vrrpd.roster import Made, Parts, Roster
from vrrpd.scheduler import Deadlines
from vrrpd.status import StatusServer, describe
from vrrpd.system import privileges
from vrrpd.system.announcer import Announcer
from vrrpd.system.host import Host
from vrrpd.system.notify import Notifier
from vrrpd.system.processes import Running
from vrrpd.system.scripts import default_user
from vrrpd.system.sockets import LinkKey
from vrrpd.system.statefile import StateFile
from vrrpd.system.statics import Statics
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

    def __init__(self, config: Config, options: Options, log: Log, made: Made = Made()) -> None:  # noqa: B008  frozen
        self.options, self.log = options, log
        self.loop = asyncio.get_running_loop()
        self.started = time.time()
        self.late_timers = 0
        self.worst_lateness = 0.0
        self.reloads = self.failed_reloads = 0
        self._raised = False
        self._punctuality = Punctuality(self.loop.time())
        self._deadlines = Deadlines()
        self._stopping = asyncio.Event()
        self._reloading: asyncio.Task[None] | None = None
        self._chores: asyncio.TimerHandle | None = None
        self._supervisor = Supervisor()
        self.state, self.host = StateFile(options.directory), Host()
        self.notifier = Notifier(log.say, default_user(config.globals.script_user), config.globals.script_group)
        self.announcer = Announcer(self.host, log.say)
        self.executor = made.executor(self.host, self.notifier, self.announcer, self.state, log.say)
        self.wire = Wire(self._packet, self._unknown if config.globals.log_unknown_vrids else None)
        self.stations = Stations(self.host, self.wire, self.executor, log.say)
        self.tracking = Tracking(self._tracked, log.say)
        parts = Parts(
            self.host,
            self.executor,
            self.stations,
            self.tracking,
            self.notifier,
            Statics(self.host, log.say),
            self.state,
            log.say,
            made,
        )
        self.roster = Roster(config, parts, self._do)
        self._watch = HostWatch(self.roster, parts, self._do, self._tracked)
        self._timer = Timer(self.loop, self._timer_fired)
        self._status = StatusServer(options.directory, self.status)

    async def run(self) -> None:
        """Start everything, serve until SIGTERM or SIGINT, leave the host as it was."""
        await self._script(self.roster.config.globals.startup_script)
        self.start()
        try:
            await self._status.start()
            await self._stopping.wait()
        finally:
            await self._farewell()
            await self._script(self.roster.config.globals.shutdown_script)

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
        self.roster.start()
        self._watch.start()
        for number, handler in (
            (signal.SIGTERM, self.stop),
            (signal.SIGINT, self.stop),
            (signal.SIGHUP, self.reload),
            (signal.SIGUSR1, self._dump),
            (signal.SIGUSR2, self._dump),
        ):
            self.loop.add_signal_handler(number, handler)
        privileges.schedule(self.roster.config.globals.scheduling, self.log.say)
        self.log.say(Level.INFO, "Startup complete")
        self.roster.begin_all()
        self._housekeeping()
        self._supervisor.say("READY=1", self._summary())

    def _summary(self) -> str:
        """What `systemctl status` shows."""
        instances = self.roster.instances.values()
        masters = sum(instance.state is State.MASTER for instance in instances)
        return f"STATUS={len(instances)} virtual router{'' if len(instances) == 1 else 's'}, master of {masters}"

    # One event each: to the core, then to the host.

    def _packet(self, name: str, datagram: Datagram) -> bool:
        instance = self.roster.instances[name]
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
        if any(self.roster.instances[name].listens for name, _ in due):
            self.wire.drain()
        now = self.loop.time()
        if due:
            self._note_lateness(now - due[0][1])
        for name, _ in due:
            instance = self.roster.instances.get(name)
            if instance is None:
                continue
            if instance.deadline <= now:
                self._carry_out(name, instance.timer_fired(now))
            else:
                self._deadlines.set(name, instance.deadline)
        self._timer.arm(self._deadlines.next())

    def _note_lateness(self, lateness: float) -> None:
        self.worst_lateness = max(self.worst_lateness, lateness)
        if lateness > LATE:
            self.late_timers += 1
            self.log.say(Level.WARNING, f"A thread timer expired {lateness:.6f} seconds ago")
            limit = self.roster.config.globals.scheduling.max_auto
            if limit and not self._raised:
                self._raised = privileges.raise_priority(limit)
                self.log.say(Level.INFO, f"Set SCHED_RR priority {limit}" if self._raised else "SCHED_RR refused")

    def _unknown(self, key: LinkKey, vrid: int) -> None:
        self.log.say(Level.INFO, f"{key.interface}: received VRRP packet for unknown VRID {vrid}")

    def _tracked(self, kind: TrackKind, name: str, value: bool | int) -> None:
        now = self.loop.time()
        for instance_name, instance in self.roster.instances.items():
            self._do(instance_name, instance.track_changed(kind, name, value, now))

    def _do(self, name: str, todo: list[Action]) -> None:
        """Carry an instance's actions out, and arm the timer for its next deadline."""
        self._carry_out(name, todo)
        self._timer.arm(self._deadlines.next())

    def _carry_out(self, name: str, todo: list[Action]) -> None:
        if todo:
            self.executor.perform(todo)
        instances, group = self.roster.instances, self.roster.group_of.get(name)
        if group is None:
            self._deadlines.set(name, instances[name].deadline)
        else:  # one member may have moved all
            for member in group.members:
                self._deadlines.set(member.name, member.deadline)

    # Reload and stop.

    def reload(self) -> None:
        """SIGHUP: read the file in a child process; if it is wrong, nothing changes."""
        if self.options.file is None:
            self.log.say(Level.WARNING, "Nothing to reload: started without a file")
        elif not self._stopping.is_set() and (self._reloading is None or self._reloading.done()):
            self._reloading = self.loop.create_task(self._reload(self.options.file))

    async def _reload(self, file: Path) -> None:
        from vrrpd.config.load import load_in_child, with_networks

        self._supervisor.say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        self.log.say(Level.INFO, "Reloading")
        try:
            loaded = with_networks(await asyncio.to_thread(load_in_child, str(file), self.options.config_id))
            for finding in loaded.findings:
                self.log.say(Level.WARNING if finding.severity == "warning" else Level.INFO, str(finding))
            self.roster.apply(loaded.config)
            self.reloads += 1
            self.log.say(Level.INFO, "Reload finished")
        except Exception as error:
            self.failed_reloads += 1
            self.log.say(Level.ERROR, f"Reload refused, nothing was changed: {error}")
        self._supervisor.say("READY=1", self._summary())

    def stop(self) -> None:
        """SIGTERM: end `run` after the farewell."""
        self._stopping.set()

    async def _farewell(self) -> None:
        self.log.say(Level.INFO, "Stopping")
        self._supervisor.say("STOPPING=1")
        if self._reloading is not None:  # what it would start nobody would stop
            self._reloading.cancel()
        self.tracking.stop()
        self._timer.close()
        self.roster.farewell()
        await self.notifier.finish(FAREWELL)
        if self._chores is not None:
            self._chores.cancel()
        self._watch.stop()
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
        self._look_at_punctuality()
        if self._supervisor.watchdog:
            self._supervisor.say("WATCHDOG=1")
        wait = min(HOUSEKEEPING, self._supervisor.watchdog or HOUSEKEEPING)
        self._chores = self.loop.call_later(wait, self._housekeeping)

    def _look_at_punctuality(self) -> None:
        counters = [instance.counters for instance in self.roster.instances.values()]
        sent, late = sum(one.adverts_sent for one in counters), sum(one.adverts_late for one in counters)
        news = self._punctuality.look(sent, late, self.loop.time())
        if news is not None:
            self.log.say(Level.WARNING, news)

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
            "router_id": self.roster.config.globals.router_id,
            "uptime": time.time() - self.started,
            "file": str(self.options.file) if self.options.file else None,
            "instances": [
                describe(instance, now)
                | {
                    "interface": self.stations.interface_of(name),
                    "places": self.stations.places_of(name),
                    "send_errors": self.executor.send_errors.get(name, 0),
                    "group": self.roster.group_of[name].settings.name if name in self.roster.group_of else None,
                }
                for name, instance in self.roster.instances.items()
            ],
            "tracking": self.tracking.status(),
            "links": self.wire.floods(),
            "late_timers": self.late_timers,
            "worst_lateness": self.worst_lateness,
            "advert_rate_limit": self._punctuality.limit,
            "announcements": self.announcer.sent,
            "reloads": self.reloads,
            "failed_reloads": self.failed_reloads,
        }
