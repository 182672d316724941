"""An instance that tells its events: what came, how it was judged, and what it changed."""

from __future__ import annotations

from collections.abc import Callable

from vrrpd.config.model import InstanceSettings, TrackKind, VirtualAddress
from vrrpd.core.actions import Actions, Event, State
from vrrpd.core.instance import Instance, LinkState
from vrrpd.core.priority import Result
from vrrpd.packet.advert import Advert
from vrrpd.packet.datagram import Datagram
from vrrpd.packet.refusal import Refusal
from vrrpd.trace import packets
from vrrpd.trace.picture import Picture, changes, timer
from vrrpd.trace.printer import Printer

TESTS = "length, TTL, version, authentication, interval, type, number of addresses, checksum, addresses"
"""In the order of packet/check.py."""


class TracedInstance(Instance):
    """The same virtual router, told."""

    def __init__(self, printer: Printer, settings: InstanceSettings, sequence: int = 0) -> None:
        super().__init__(settings, sequence)
        self._printer = printer

    def _told(self, now: float, text: str, kind: str, event: Callable[[], Actions]) -> Actions:
        before = Picture.of(self)
        self._printer.line(self.name, now, text, kind, self.settings.at)
        actions = event()
        for change, kind_of_change in changes(before, self, now):
            self._printer.add(change, kind_of_change)
        return actions

    # ------------------------------------------------------------------------------------------------------- packets

    def packet_received(self, datagram: Datagram, now: float) -> Actions:
        """As inherited, told."""
        size, hops = len(datagram.header) + len(datagram.payload), datagram.ttl
        protocol = "AH" if datagram.protocol == 51 else "VRRP"
        text = f"← {protocol}, {size} bytes from {datagram.source} to {datagram.destination}, TTL {hops}"
        before = self._timer

        def event() -> Actions:
            for line in packets.received(datagram):
                self._printer.add(line, "bytes")
            return super(TracedInstance, self).packet_received(datagram, now)

        actions = self._told(now, text, "received", event)
        if self._timer == before:
            self._printer.add(f"no timer was touched; {timer(self, now)}", "timer")
        return actions

    def advert_received(self, advert: Advert, now: float) -> Actions:
        """As inherited; why, first."""
        self._printer.add(f"right in every test ({TESTS})", "good")
        self._printer.add(self._judgement(advert), "change")
        return super().advert_received(advert, now)

    def _refused(self, refusal: Refusal, datagram: Datagram, now: float) -> Actions:
        self._printer.add(f"refused by the test of {refusal.reason.value.replace('_', ' ')}: {refusal.text}", "bad")
        return super()._refused(refusal, datagram, now)

    def _judgement(self, advert: Advert) -> str:
        """What the RFC says about an advert in this state."""
        ours = self.effective_priority
        if self.state not in (State.BACKUP, State.MASTER):
            return f"{self.state.value} takes no notice of adverts"
        if advert.priority == 0:
            answer = "we wait our skew time only" if self.state is State.BACKUP else "we answer, as we are master"
            return f"priority 0 is a farewell: {answer}"
        if self.state is State.MASTER:
            if self._outranked_by(advert):
                why = f"{advert.priority} is above ours, {ours}"
                if advert.priority == ours:
                    why = f"priorities are equal, and {advert.source} is above our address {self.source}"
                return f"{why}: it is to be master, we stand back"
            why = f"{advert.priority} is below ours, {ours}"
            if advert.priority == ours:
                why = f"priorities are equal, and {advert.source} is below our address {self.source}"
            return f"{why}: we stay and answer"
        if advert.priority >= ours:
            return f"{advert.priority} is not below ours, {ours}: it is master, the timer starts again"
        if not self.settings.preempt:
            return f"{advert.priority} is below ours, {ours}, but nopreempt leaves it master"
        return f"{advert.priority} is below ours, {ours}: not counted, so that our timer runs out and we take over"

    # --------------------------------------------------------------------------------------------------------- timers

    def timer_fired(self, now: float) -> Actions:
        """As inherited, told."""
        late = f", {1000 * (now - self._timer):.1f} ms late" if now >= self._timer else ""
        if now < self._timer:
            text = "timer: announcements are due, or a second master was not heard again"
        elif self.state is State.BACKUP:
            text = f"timer: no master was heard for long enough{late}"
        elif self.abdicating:
            text = f"timer: nobody better has answered our farewell{late}"
        else:
            text = f"timer: the next advert is due{late}"
        return self._told(now, text, "timer", lambda: super(TracedInstance, self).timer_fired(now))

    # ---------------------------------------------------------------------------------------------------- other events

    def start(self, now: float, link: LinkState, resume: bool = False) -> Actions:
        """As inherited, told."""
        settings = self.settings
        text = (
            f"starts: version {settings.version}, VRID {settings.virtual_router_id}, priority {settings.priority},"
            f" every {settings.advert_int:g} s, from {self.settings.source or link.source}"
        )
        if resume:
            text += "; was master a moment ago, so it goes on"
        return self._told(now, text, "event", lambda: super(TracedInstance, self).start(now, link, resume))

    def track_changed(self, kind: TrackKind, name: str, result: Result, now: float) -> Actions:
        """As inherited; told where it is tracked."""
        if not any(track.kind is kind and track.name == name for track in self.track_results):
            return super().track_changed(kind, name, result, now)
        text = f"{kind.value} {name}: {_word(result)}"
        return self._told(
            now, text, "event", lambda: super(TracedInstance, self).track_changed(kind, name, result, now)
        )

    def link_changed(self, link: LinkState, now: float) -> Actions:
        """As inherited, told."""
        text = f"interface {'up' if link.up else 'down'}, its address {link.source or 'gone'}"
        return self._told(now, text, "event", lambda: super(TracedInstance, self).link_changed(link, now))

    def address_removed(self, virtual: VirtualAddress, now: float) -> Actions:
        """As inherited, told."""
        text = f"somebody else removed {virtual.address}"
        return self._told(now, text, "event", lambda: super(TracedInstance, self).address_removed(virtual, now))

    def routes_removed(self, now: float) -> Actions:
        """As inherited; told where it has routes or rules."""
        if not self.settings.routes and not self.settings.rules:
            return super().routes_removed(now)
        text = "a route or rule of ours is gone"
        return self._told(now, text, "event", lambda: super(TracedInstance, self).routes_removed(now))

    def reload(self, settings: InstanceSettings, now: float) -> Actions:
        """As inherited, told."""
        return self._told(now, "new settings", "event", lambda: super(TracedInstance, self).reload(settings, now))

    def shutdown(self, now: float, event: Event = Event.STOP) -> Actions:
        """As inherited, told."""
        return self._told(now, "stops", "event", lambda: super(TracedInstance, self).shutdown(now, event))

    # ----------------------------------------------------------------------------------------------------- sync group

    def follow_master(self, now: float) -> Actions:
        """As inherited, told."""
        text = f"its sync group {self.group.name if self.group else ''} is to be master"
        return self._told(now, text, "event", lambda: super(TracedInstance, self).follow_master(now))

    def follow_backup(self, now: float) -> Actions:
        """As inherited, told."""
        text = f"its sync group {self.group.name if self.group else ''} stands back"
        return self._told(now, text, "event", lambda: super(TracedInstance, self).follow_backup(now))


def _word(result: Result) -> str:
    if result is None:
        return "not known"
    return ("down", "up")[result] if isinstance(result, bool) else str(result)
