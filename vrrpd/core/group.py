"""Sync groups: one member's change, the others' share.

Members are master together or not at all.

    a member ...                  the others ...
    wants to become master        must want it too, else it waits; the last one to want it takes all along
    becomes backup                become backup
    is in FAULT                   go into FAULT, and come back when no member has a reason left
    is stopped                    are stopped by their own events

A member that follows does so through its own transitions, so that every rule of core/instance.py holds for it.
Master, backup and fault of the group as a whole are told to the group's notify programs, once each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vrrpd.config.model import SyncGroup, TrackKind
from vrrpd.core.actions import Actions, Event, Level, Log, Notify, State
from vrrpd.core.instance import Instance
from vrrpd.core.priority import Result


class Group:
    """The members of one sync group; to be made before they start."""

    def __init__(self, settings: SyncGroup, members: Iterable[Instance]) -> None:
        self.settings = settings
        self.members = tuple(members)
        self.state = State.INIT
        self._moving = False
        for member in self.members:
            member.join(self, settings.tracks)

    @property
    def name(self) -> str:
        """Name in the configuration."""
        return self.settings.name

    @property
    def faulted(self) -> bool:
        """Whether any member has a reason of its own to be in FAULT."""
        return any(member.started and member.faults for member in self.members)

    def may_become_master(self, candidate: Instance) -> bool:
        """Whether every other member is master or waits for the group only."""
        return all(
            member is candidate or member.wants_master or member.state is State.MASTER for member in self.members
        )

    def became_master(self, leader: Instance, now: float) -> Actions:
        """`leader` is master: so is everyone."""
        if self._moving:
            return []
        actions = self._move(State.MASTER, leader, lambda member: member.follow_master(now))
        return actions + self._tell(State.MASTER, Event.MASTER)

    def became_backup(self, leader: Instance, now: float) -> Actions:
        """`leader` stood back: so does everyone."""
        if self._moving:
            return []
        actions = self._move(State.BACKUP, leader, lambda member: member.follow_backup(now))
        return actions + self._tell(State.BACKUP, Event.BACKUP)

    def faulted_by(self, leader: Instance, now: float) -> Actions:
        """`leader` cannot take part: nobody can."""
        if self._moving:
            return []
        actions = self._move(State.FAULT, leader, lambda member: member.reconsider(now))
        return actions + self._tell(State.FAULT, Event.FAULT)

    def recovered(self, leader: Instance, now: float) -> Actions:
        """`leader` has left FAULT, which it may only if no member has a reason for it: the others follow."""
        if self._moving:
            return []
        self._moving = True
        actions: Actions = []
        for member in self.members:
            if member is not leader:
                actions += member.reconsider(now)
        self._moving = False
        return actions + self._tell(State.BACKUP, Event.BACKUP)

    def track_changed(self, kind: TrackKind, name: str, result: Result, now: float) -> Actions:
        """A result that the group tracks: it counts for every member."""
        actions: Actions = []
        for member in self.members:
            actions += member.track_changed(kind, name, result, now)
        return actions

    def reload(self, settings: SyncGroup) -> None:
        """New settings with the same members; the members' own reload follows."""
        self.settings = settings
        for member in self.members:
            member.join(self, settings.tracks)

    def _move(self, state: State, leader: Instance, follow: Callable[[Instance], Actions]) -> Actions:
        """Let the others follow; what that makes them report to the group is no news."""
        text = f"VRRP_Group({self.name}) Syncing instances to {state.value} state"
        actions: Actions = [Log(self.name, Level.INFO, text)]
        self._moving = True
        for member in self.members:
            if member is not leader and member.state is not state:
                actions += follow(member)
        self._moving = False
        return actions

    def _tell(self, state: State, event: Event) -> Actions:
        if self.state is state:
            return []
        self.state = state
        return [Notify(self.name, event, 0, group=True)]
