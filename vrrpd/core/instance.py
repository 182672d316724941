"""One virtual router: every transition of its state, and nothing else.

                       +---------------------------------------------------------+
                       |                    fault clears                         |
                       v                                                         |
    +------+ start  +--------+  master down timer: nobody is heard   +--------+  |
    | INIT |------->| BACKUP |-------------------------------------->| MASTER |  |
    +------+        |        |<--------------------------------------|        |  |
       | ^          +--------+  a higher priority is heard, or the   +--------+  |
       | |              |       same one from a higher address         |    |    |
       | |              | interface down, address gone, check failed   |    |    |
       | |              v                                              v    |    |
       | |           +-----------------------------------------------------+|    |
       | |           |                       FAULT                         |-----+
       | |           +-----------------------------------------------------+|
       | +----------------- shutdown, from every state ---------------------+
       +--------------> MASTER at once: the owner with state MASTER, or a master's restart

Bytes and time are arguments, a list of actions is the result (core/actions.py); `deadline` says when `timer_fired()`
wants to be called.  Invariants:

- A packet that is refused changes no timer and no state.  It is counted, logged once per flood, and remembered as a
  sign of a differing configuration.
- MASTER has an advert timer, BACKUP a master down timer, the others have none.
- The advert goes out before addresses move; farewell (priority 0) goes out before they are removed.
- While abdicating a master is silent but keeps its addresses, as nobody else has them yet: whoever answers with a
  better advert takes them like any other preemption, and if nobody does within our own skew time we go on as before.

Section numbers are those of RFC 9568; RFC 3768 has the same machine in its section 6.4.  The file is longer than
others here because a transition that stands elsewhere is one that a reader misses; what needs no state (judging
packets, building them, what a reload moves) is in reception.py, outgoing.py and reload.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from vrrpd.config.model import (
    OWNER_PRIORITY,
    Address,
    InstanceSettings,
    Track,
    TrackKind,
    VirtualAddress,
)
from vrrpd.core.actions import (
    Action,
    Actions,
    AddAddresses,
    AddRoutes,
    Announce,
    Event,
    Level,
    Log,
    Notify,
    RemoveAddresses,
    RemoveRoutes,
    State,
)
from vrrpd.core.announcer import Announcer
from vrrpd.core.counters import Counters
from vrrpd.core.outgoing import Outbox
from vrrpd.core.peers import Mismatches, Rival, watch_rival
from vrrpd.core.priority import Priority, Result
from vrrpd.core.reception import Reception
from vrrpd.core.reload import moved
from vrrpd.core.timers import NEVER, late_limit, master_down_interval, skew_time, slotted
from vrrpd.packet.advert import Advert, Coverage
from vrrpd.packet.datagram import Datagram
from vrrpd.packet.refusal import Refusal

if TYPE_CHECKING:
    from vrrpd.core.group import Group

PROBE_PRIORITY = 1
"""Of the advert that asks a seeming replay's sender for a fresh one: lower than any master's."""

LATE_ANNOUNCE_EVERY = 10.0
"""Seconds between two announcements that a late advert of ours makes necessary."""

LATE_SHARE = 0.1
"""Share of the advert interval after which an advert counts as late."""

REPLY_SHARE = 0.05
"""Share of the advert interval that has to pass between two answers to lower masters, however many there are."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """What the host says of the instance's interface."""

    up: bool = True
    """Administratively up, and carrier."""
    source: Address | None = None
    """First address of the family (IPv6: link-local), if there is one; a configured source replaces it."""
    source_present: bool = True
    """Whether the configured source is an address of the host (matters with track_source)."""


class Instance:
    """A virtual router, driven by events; every event method returns the actions to do, in order."""

    def __init__(self, settings: InstanceSettings, sequence: int = 0) -> None:
        self.settings = settings
        self.state = State.INIT
        self.counters = Counters()
        self.mismatches = Mismatches()
        self.rival: Rival | None = None
        self.master: Address | None = None
        """Who sent the last advert that we follow; None while we are master or know none."""
        self.master_priority: int | None = None
        self.abdicating = False
        self.wants_master = False
        """Its timer ran out, but the sync group is not ready."""
        self.link = LinkState()
        self.group: Group | None = None
        self.state_since = 0.0
        self._outbox = Outbox(settings.name, sequence)
        self._group_tracks: tuple[Track, ...] = ()
        self._priority = Priority(settings.priority, settings.tracks)
        self._reception = Reception(settings, self.counters, self.mismatches)
        self._announcer = Announcer(settings.garp)
        self._master_interval = settings.advert_int
        self._timer = NEVER
        self._preempt_at: float | None = None
        self._quiet_until = -inf
        self._doubted = False
        """The master's silence was not believed once, because our own timer was late."""
        self._last_reply = self._last_probe = -inf
        self.started = False
        """Between `start()` and `shutdown()`."""
        self.slot: int | None = None
        """Which of the `SLOTS` of an advert interval is this master's: set where there are many, so that their adverts
        neither go out in one burst nor need a timer each."""

    # What others may read

    @property
    def name(self) -> str:
        """Name in the configuration."""
        return self.settings.name

    @property
    def deadline(self) -> float:
        """When `timer_fired()` is to be called; inf for never."""
        deadline = min(self._timer, self._announcer.deadline)
        if self.rival is not None:
            deadline = min(deadline, self.rival.last + self._master_down_interval())
        return deadline

    @property
    def listens(self) -> bool:
        """Its timer judges what was not heard: what waits to be read comes first."""
        return self.state is not State.MASTER or self.rival is not None

    @property
    def timer(self) -> float:
        """When the timer of the state runs out, the advert's or the master down one; NEVER where there is none."""
        return self._timer

    @property
    def effective_priority(self) -> int:
        """What the adverts say."""
        return self._priority.effective

    @property
    def source(self) -> Address | None:
        """Source address of the adverts."""
        return self.settings.source or self.link.source

    @property
    def master_interval(self) -> float:
        """Seconds between adverts: the master's, as learned, while backup."""
        return self._master_interval

    @property
    def track_results(self) -> dict[Track, Result]:
        """Every track with its latest result."""
        return self._priority.results

    @property
    def faults(self) -> tuple[str, ...]:
        """Why this instance, for itself, cannot take part; empty if it can."""
        settings, found = self.settings, list(self._priority.faults)
        if settings.track_primary and not self.link.up:
            found.append("interface down")
        if self.source is None or (settings.track_source and not self.link.source_present):
            found.append("no source address")
        if settings.unicast_fault_no_peer and not settings.unicast_peers:
            found.append("no unicast peer")
        return tuple(found)

    def _master_down_interval(self) -> float:
        settings = self.settings
        return master_down_interval(
            self.effective_priority, self._master_interval, settings.version, settings.down_timer_adverts
        )

    def _skew_time(self) -> float:
        return skew_time(self.effective_priority, self._master_interval, self.settings.version)

    # 6.4.1  Initialize

    def start(self, now: float, link: LinkState, resume: bool = False) -> Actions:
        """Begin.  `resume`: a moment ago, before a restart, this host was the master and nobody can have noticed."""
        self.link, self.started, self.state_since = link, True, now
        self._rebuild()
        actions: Actions = []
        if not resume:
            actions += [self._log(Level.DEBUG, "removing VIPs."), *self._withdraw()]
        return actions + self._enter(now, resume)

    def _enter(self, now: float, resume: bool = False) -> Actions:
        """From INIT or FAULT into whatever state is right."""
        first = self.state is State.INIT
        if self._blocked():
            return self._into_fault(now, first) if self.state is not State.FAULT else []
        if self._priority.waiting:
            return []
        owner = self.settings.owner and self.settings.state == "MASTER"
        if resume or (owner and self.group is None):
            return self._into_master(now)
        delay = self.settings.startup_delay if first else 0.0
        actions = self._into_backup(now, " (init)" if first else "", delay)
        if self.group is not None:
            actions += self.group.recovered(self, now)
        return actions

    def _blocked(self) -> bool:
        return bool(self.faults) or (self.group is not None and self.group.faulted)

    # 6.4.2  Backup

    def _into_backup(self, now: float, suffix: str = "", delay: float = 0.0) -> Actions:
        self._change(State.BACKUP, now)
        self.abdicating = self.wants_master = False
        self._preempt_at = None
        self._doubted = False
        self._timer = now + self._master_down_interval() + delay
        return [
            self._log(Level.INFO, f"Entering BACKUP STATE{suffix}"),
            self._notify(Event.BACKUP),
        ]

    def follow_backup(self, now: float) -> Actions:
        """The sync group stands back."""
        self.wants_master = False
        if self.state is not State.MASTER:
            return []
        return self._release(now) + self._into_backup(now)

    def _backup_received(self, advert: Advert, now: float) -> Actions:
        actions: Actions = []
        self._doubted = False
        if advert.priority == 0:
            self.counters.priority_zero_received += 1
            self._timer = now + self._skew_time()
            return [self._log(Level.DEBUG, "Backup received priority 0 advertisement")]
        higher = advert.priority >= self.effective_priority
        if not higher:
            if self.settings.preempt:
                actions += self._preempt_delay(now)
            if self.settings.preempt and (self._preempt_at is None or now >= self._preempt_at):
                text = f"received lower priority ({advert.priority}) advert from {advert.source} - discarding"
                return [*actions, self._log(Level.INFO, text)]
        else:
            self._preempt_at = None
        actions += self._follow(advert)
        self._timer = now + self._master_down_interval()
        self.wants_master = False
        return actions

    def _preempt_delay(self, now: float) -> Actions:
        delay = self.settings.preempt_delay
        if not delay or self._preempt_at is not None:
            return []
        self._preempt_at = now + delay
        return [self._log(Level.DEBUG, f"start preempt delay ({delay:.6f})")]

    def _follow(self, advert: Advert) -> Actions:
        """Take `advert`'s sender as the master; version 3 learns its interval."""
        self.master, self.master_priority = advert.source, advert.priority
        if self.settings.version == 2 or advert.interval == self._master_interval:
            return []
        text = (
            f"advertisement interval updated from {round(self._master_interval * 1000)}ms"
            f" to {round(advert.interval * 1000)}ms by master"
        )
        self._master_interval = advert.interval
        return [self._log(Level.DEBUG, text)]

    def _master_is_down(self, now: float, late: float) -> Actions:
        if late > late_limit(self._master_interval) and not self._doubted:
            # We slept, so silence proves nothing: a living master is heard within one more interval. Only once,
            # as a host that is always late would else never have a master at all.
            self._doubted = True
            self._timer = now + self._master_interval + self._skew_time()
            return [self._late(late)]
        if self.group is not None and not self.group.may_become_master(self):
            self.wants_master = True
            self._timer = now + self._master_down_interval()
            return []
        actions: Actions = [self._log(Level.DEBUG, "Receive advertisement timeout")]
        return actions + self._into_master(now)

    # 6.4.3  Active (master)

    def _into_master(self, now: float) -> Actions:
        """Addresses follow the advert, as the old master drops them when it hears it."""
        settings = self.settings
        self._change(State.MASTER, now)
        self.counters.became_master += 1
        self.master = self.master_priority = None
        self.wants_master, self.abdicating, self._preempt_at = False, False, None
        actions: Actions = [self._log(Level.INFO, "Entering MASTER STATE")]
        if self._master_interval != settings.advert_int:
            text = (
                f"changing advert interval from {round(self._master_interval * 1000)}ms"
                f" to locally configured {round(settings.advert_int * 1000)}ms"
            )
            self._master_interval = settings.advert_int
            actions.append(self._log(Level.DEBUG, text))
        actions.append(self._advertise(now))
        actions.append(self._log(Level.DEBUG, "setting VIPs."))
        actions.append(AddAddresses(self.name, settings.all_addresses))
        if settings.routes or settings.rules:
            actions.append(AddRoutes(self.name, settings.routes, settings.rules))
        actions += self._announce(self._announcer.became_master(now))
        actions.append(self._notify(Event.MASTER))
        if self.group is not None:
            actions += self.group.became_master(self, now)
        return actions

    def follow_master(self, now: float) -> Actions:
        """The sync group is to be master."""
        return self._into_master(now) if self.state is State.BACKUP else []

    def _master_received(self, advert: Advert, now: float) -> Actions:
        if advert.priority == 0:
            self.counters.priority_zero_received += 1
            if not self._may_reply(now):
                return []
            return [self._log(Level.DEBUG, "Master received priority 0 message"), self._advertise(now)]
        ours = self.effective_priority
        if advert.priority == ours == OWNER_PRIORITY:
            return self._two_owners(advert, now)
        if advert.priority > ours:
            text = f"Master received advert from {advert.source} with higher priority {advert.priority}, ours {ours}"
            return self._stand_back(advert, now, text)
        if self._outranked_by(advert):
            text = (
                f"Master received advert from {advert.source} with same priority {ours} but higher IP address than ours"
            )
            return self._stand_back(advert, now, text)
        return self._lower_master(advert, now)

    def _outranked_by(self, advert: Advert) -> bool:
        """Whether its sender is to be master rather than we; addresses decide between equal priorities."""
        ours = self.effective_priority
        if advert.priority != ours or self.source is None:
            return advert.priority > ours
        return int(advert.source) > int(self.source)

    def _lower_master(self, advert: Advert, now: float) -> Actions:
        """A second master that is to yield: answer it, and tell the neighbours again where the addresses are."""
        self.counters.lower_received_as_master += 1
        actions = self._note_rival(advert, now)
        if not self._may_reply(now):
            return actions
        text = (
            f"Received advert from {advert.source} with lower priority {advert.priority},"
            f" ours {self.effective_priority}, forcing new election"
        )
        actions.append(self._log(Level.INFO, text))
        if not self.settings.lower_prio_no_advert:
            if advert.sequence is not None:
                self._outbox.sequence.skip(1)
                actions.append(self._log(Level.INFO, "IPSEC-AH : Syncing seq_num - Increment seq"))
            actions.append(self._advertise(now))
        actions += self._announce(self._announcer.heard_lower(now))
        actions.append(self._notify(Event.MASTER_RX_LOWER_PRI))
        return actions

    def _may_reply(self, now: float) -> bool:
        """Not more answers than other masters can usefully hear, or a flood would be answered by one."""
        if now - self._last_reply < self.settings.advert_int * REPLY_SHARE:
            return False
        self._last_reply = now
        return True

    def _stand_back(self, advert: Advert, now: float, text: str) -> Actions:
        actions: Actions = [self._log(Level.NOTICE, text)]
        if self.settings.higher_prio_send_advert:
            actions.append(self._advertise(now))
        actions += self._release(now)
        actions += self._follow(advert)
        actions += self._into_backup(now)
        if self.group is not None:
            actions += self.group.became_backup(self, now)
        return actions

    def _two_owners(self, advert: Advert, now: float) -> Actions:
        text = (
            "CONFIGURATION ERROR: local instance and a remote instance are both configured"
            " as address owner, please fix - reducing local priority"
        )
        self._priority.base = OWNER_PRIORITY - 1
        return self._stand_back(advert, now, text)

    def _note_rival(self, advert: Advert, now: float) -> Actions:
        if now - self.state_since < self.settings.advert_int:
            return []  # adverts that crossed at an election; the other has had no chance to hear us
        self.counters.split_brains += self.rival is None
        self.rival, news = watch_rival(self.rival, advert, now)
        return [self._log(Level.WARNING, f"split brain: {news}")] if news else []

    def _rival_gone(self, now: float) -> Actions:
        if self.rival is None or now < self.rival.last + self._master_down_interval():
            return []
        text = f"split brain with {self.rival.address} is over"
        self.rival = None
        return [self._log(Level.NOTICE, text), *self._announce(self.settings.garp.master_repeat)]

    def _release(self, now: float) -> Actions:
        """Give up what a master has; the state is changed by the caller."""
        self.counters.released_master += 1
        self._announcer.stop()
        self.rival, self.abdicating = None, False
        return [self._log(Level.DEBUG, "removing VIPs."), *self._withdraw()]

    # Abdication: not in the RFC, but made of its parts only (a priority of 0 asks for an election, 6.4.3)

    def _abdicate(self, now: float) -> Actions:
        """Our priority sank: let the best one take over within its skew time, instead of a master down interval."""
        self.counters.abdications += 1
        actions: Actions = [
            self._log(Level.INFO, f"priority sank to {self.effective_priority}, asking for an election"),
            *self._farewell(now),
        ]
        self.abdicating = True
        self._timer = now + self._skew_time()
        return actions

    # FAULT: not in the RFC; the interface, an address or a check that an instance cannot do without is missing

    def _into_fault(self, now: float, first: bool = False) -> Actions:
        actions: Actions = []
        was_master = self.state is State.MASTER
        if was_master:
            actions += self._farewell(now)
        actions.append(self._log(Level.INFO, f"Entering FAULT STATE{' (init)' if first else ''}"))
        if was_master:
            actions += self._release(now)
        self._change(State.FAULT, now)
        self._timer, self.wants_master = NEVER, False
        self.master = self.master_priority = None
        actions.append(self._notify(Event.FAULT))
        if self.group is not None:
            actions += self.group.faulted_by(self, now)
        return actions

    def reconsider(self, now: float) -> Actions:
        """Something that decides about FAULT has changed, here or in the sync group."""
        if not self.started:
            return []
        if self.state in (State.BACKUP, State.MASTER):
            return self._into_fault(now) if self._blocked() else []
        return self._enter(now)

    # Events

    def packet_received(self, datagram: Datagram, now: float) -> Actions:
        """A packet for this virtual router; whatever is in it, nothing is raised."""
        taken = self._reception.take(
            datagram, now, self.source, self._outbox.sequence.value, datagram.source == self.master
        )
        if isinstance(taken, Refusal):
            return self._refused(taken, datagram, now)
        if taken.coverage is Coverage.OLD_UNICAST:
            self._outbox.speaks_old(datagram.source, self.settings, self.source)
        return self.advert_received(taken, now)

    def advert_received(self, advert: Advert, now: float) -> Actions:
        """A packet that passed every test."""
        self.counters.adverts_received += 1
        if advert.sequence is not None:
            self._outbox.sequence.accepted(advert.sequence)
        if self.state is State.BACKUP:
            return self._backup_received(advert, now)
        if self.state is State.MASTER:
            return self._master_received(advert, now)
        return []

    def timer_fired(self, now: float) -> Actions:
        """The time of `deadline` has come; pending packets are to be handed over first."""
        actions = self._rival_gone(now)
        if now >= self._timer:
            late = now - self._timer
            if self.state is State.BACKUP:
                actions += self._master_is_down(now, late)
            elif self.state is State.MASTER:
                actions += self._advert_timer(now, late)
        if self.state is State.MASTER:
            actions += self._announcements(now)
        return actions

    def _advert_timer(self, now: float, late: float) -> Actions:
        actions: Actions = []
        if late > LATE_SHARE * self.settings.advert_int:
            self.counters.adverts_late += 1
        if late > late_limit(self.settings.advert_int):
            self.counters.late_timers += 1  # said by the daemon: a line per instance would make the next ones late
        if self.abdicating:
            actions.append(self._log(Level.INFO, "nobody better answered, staying master"))
        missed = late // self.settings.advert_int
        due = self._timer
        actions.append(self._advertise(now))
        self._timer = due + (missed + 1) * self.settings.advert_int  # lateness does not add up
        if late > (self.settings.down_timer_adverts - 1) * self.settings.advert_int and now >= self._quiet_until:
            # The others may have had another master meanwhile, and neighbours may believe it still. Not again
            # and again: announcing for hundreds of instances is itself what makes timers late.
            self._quiet_until = now + LATE_ANNOUNCE_EVERY
            actions += self._announce(self.settings.garp.master_repeat)
        return actions

    def _announcements(self, now: float) -> Actions:
        actions = self._announce(self._announcer.due(now))
        elsewhere = self._elsewhere() if self._announcer.extra_due(now) else ()
        return [*actions, Announce(self.name, elsewhere, 1)] if elsewhere else actions

    def _elsewhere(self) -> tuple[VirtualAddress, ...]:
        """The addresses on other interfaces that are refreshed there."""
        settings = self.settings
        return tuple(
            virtual
            for virtual in settings.all_addresses
            if virtual.interface not in (None, settings.interface)
            and (settings.garp.extra_interfaces_all or settings.virtual_mac_for(virtual))
        )

    def track_changed(self, kind: TrackKind, name: str, result: Result, now: float) -> Actions:
        """A check, an interface, a file or a process has a new result; None: it is not known any more."""
        before = self.effective_priority
        skew = self._skew_time()
        if not self._priority.update(kind, name, result) or not self.started:
            return []
        return self._priority_changed(before, skew, now) + self.reconsider(now)

    def _priority_changed(self, before: int, old_skew: float, now: float) -> Actions:
        after = self.effective_priority
        if after == before:
            return []
        actions: Actions = [self._log(Level.INFO, f"Changing effective priority from {before} to {after}")]
        if self.settings.notify.priority_changes and self.state in (State.MASTER, State.BACKUP):
            master = self.state is State.MASTER
            actions.append(self._notify(Event.MASTER_PRIORITY if master else Event.BACKUP_PRIORITY))
        if self.state is State.BACKUP:
            self._timer += self._skew_time() - old_skew
        elif self.state is State.MASTER and not self._blocked():
            if self.abdicating and after > before:
                actions.append(self._advertise(now))
            elif self.settings.abdicate and after < before:
                actions += self._abdicate(now)
        return actions

    def link_changed(self, link: LinkState, now: float) -> Actions:
        """The interface went up or down, or its first address changed."""
        before, self.link = self.source, link
        if self.source != before:
            self._rebuild()
        return self.reconsider(now)

    def address_removed(self, virtual: VirtualAddress, now: float) -> Actions:
        """Somebody else took one of our addresses away: put it back and announce it, without a change of master."""
        if self.state is not State.MASTER or not virtual.track or virtual not in self.settings.all_addresses:
            return []
        self.counters.restored_addresses += 1
        return [
            self._log(Level.WARNING, f"{virtual.address} was removed by someone else, putting it back"),
            AddAddresses(self.name, (virtual,)),
            Announce(self.name, (virtual,), self.settings.garp.master_repeat),
        ]

    def routes_removed(self, now: float) -> Actions:
        """Somebody else took a route or rule away: put back those that are tracked."""
        routes = tuple(route for route in self.settings.routes if route.track)
        rules = tuple(rule for rule in self.settings.rules if rule.track)
        if self.state is not State.MASTER or not (routes or rules):
            return []
        return [AddRoutes(self.name, routes, rules)]

    def shutdown(self, now: float, event: Event = Event.STOP) -> Actions:
        """Farewell; afterwards the state is INIT.  `event` is what notify programs hear."""
        actions: Actions = []
        if self.state is State.MASTER:
            actions += [*self._farewell(now), *self._release(now)]
        self._change(State.INIT, now)
        self._timer, self.started = NEVER, False
        return [*actions, self._notify(event)]

    def reload(self, settings: InstanceSettings, now: float) -> Actions:
        """New settings for a running instance (unless `reload.needs_restart`); a master stays a master."""
        old, before, skew = self.settings, self.effective_priority, self._skew_time()
        self.settings = settings
        self._announcer.garp = settings.garp
        self._priority.replace(settings.priority, settings.tracks + self._group_tracks)
        self._reception.expect(settings)
        self._rebuild()
        if self.state is not State.BACKUP or settings.version == 2:
            self._master_interval = settings.advert_int
        actions = moved(old, settings) if self.state is State.MASTER else []
        if old != settings and self.state is State.MASTER and not self.abdicating:
            actions.insert(0, self._advertise(now))
        return actions + self._priority_changed(before, skew, now) + self.reconsider(now)

    def join(self, group: Group, tracks: tuple[Track, ...]) -> None:
        """Belong to a sync group, whose tracks count here too."""
        self.group, self._group_tracks = group, tracks
        self._priority.replace(self._priority.base, self.settings.tracks + tracks)

    # Refused packets: nothing below touches a timer of the state machine

    def _refused(self, refusal: Refusal, datagram: Datagram, now: float) -> Actions:
        if refusal.sequence is not None:
            self._outbox.sequence.accepted(refusal.sequence)
        actions = self._stale(refusal.advert, now) if refusal.advert is not None else []
        line = self._reception.line(refusal, datagram.source, now)
        return actions if line is None else [*actions, self._log(Level.WARNING, line)]

    def _stale(self, advert: Advert, now: float) -> Actions:
        """Proved to be from a member, but not new: a replay, or a node whose counter is not ahead of ours.

        A fresh advert of ours settles it: a living master that hears a lower one answers with a number above it, and
        a lower master stands back.  A replay gains nothing but this once per interval.
        """
        if advert.priority == 0 or self.abdicating or now - self._last_probe < self.settings.advert_int:
            return []
        if self.state is State.MASTER:
            self._last_probe = now
            return self._stale_master(advert, now)
        better = advert.priority >= self.effective_priority and advert.priority > PROBE_PRIORITY
        if self.state is not State.BACKUP or not better or not self.settings.ah_probe:
            return []
        self._last_probe = now
        self.counters.ah_probes += 1
        text = f"asking {advert.source} for a fresh advert, in case it was restarted"
        return [self._log(Level.INFO, text), self._send(PROBE_PRIORITY)]

    def _stale_master(self, advert: Advert, now: float) -> Actions:
        """Two masters whose numbers run side by side refuse each other for ever, so one has to leap.

        The lower one leaps further: should both do so at once, its next advert is heard, and answered.
        """
        lower = self._outranked_by(advert)
        if self.settings.ah_probe and not lower:
            self.counters.ah_probes += 1
            return [self._advertise(now), *self._announce(self._announcer.heard_lower(now))]
        self._outbox.sequence.leap = 2 if lower else 1
        return []

    # Parts of the above

    def _change(self, state: State, now: float) -> None:
        self.counters.seconds_in[self.state] += now - self.state_since
        self.state, self.state_since = state, now

    def _rebuild(self) -> None:
        """What the adverts are made of has changed."""
        self._outbox.rebuild(self.settings, self.source)

    def _advertise(self, now: float) -> Action:
        """An advert with our priority, which ends an abdication; the next is due one interval later at most."""
        self.abdicating = False
        interval = self.settings.advert_int
        self._timer = now + interval if self.slot is None else slotted(now, interval, self.slot)
        return self._send(self.effective_priority)

    def _send(self, priority: int) -> Action:
        action = self._outbox.advert(priority)
        if action is None:
            return self._log(Level.ERROR, "cannot send an advert without a source address")
        self.counters.adverts_sent += 1
        return action

    def _farewell(self, now: float) -> Actions:
        if not self._outbox.ready:
            return []
        self.counters.priority_zero_sent += 1
        return [self._send(0), self._log(Level.DEBUG, "sent 0 priority")]

    def _withdraw(self) -> Actions:
        settings = self.settings
        actions: Actions = []
        if settings.routes or settings.rules:
            actions.append(RemoveRoutes(self.name, settings.routes, settings.rules))
        actions.append(RemoveAddresses(self.name, settings.all_addresses))
        return actions

    def _announce(self, repeat: int) -> Actions:
        addresses = self.settings.all_addresses
        return [Announce(self.name, addresses, repeat)] if repeat and addresses else []

    def _notify(self, event: Event) -> Action:
        return Notify(self.name, event, self.effective_priority)

    def _log(self, level: Level, text: str) -> Action:
        return Log(self.name, level, f"({self.name}) {text}")

    def _late(self, late: float) -> Action:
        self.counters.late_timers += 1
        return self._log(Level.DEBUG, f"A thread timer expired {late:.6f} seconds ago")
