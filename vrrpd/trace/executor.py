"""An executor that tells what it does on the host, in order, with the time that the kernel took."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from vrrpd.config.model import VirtualAddress
from vrrpd.core import actions
from vrrpd.core.actions import Action
from vrrpd.system.executor import Executor
from vrrpd.trace import packets
from vrrpd.trace.printer import Printer


class TracedExecutor(Executor):
    """The same executor, told."""

    def __init__(self, printer: Printer, *parts: Any) -> None:
        super().__init__(*parts)
        self._printer = printer

    def perform(self, todo: Iterable[Action]) -> None:
        """As inherited, told."""
        for action in todo:
            began = time.perf_counter()
            super().perform((action,))
            self._tell(action, 1000 * (time.perf_counter() - began))

    def _tell(self, action: Action, milliseconds: float) -> None:
        if isinstance(action, actions.Log):
            return  # the log has told it
        add = self._printer.add
        add(f"{self._said(action)}, {milliseconds:.2f} ms ({action.instance})", "done")
        if isinstance(action, actions.SendAdvert):
            for destination, data in action.packets:
                for line in packets.sent(data, destination):
                    add(line, "bytes")

    def _said(self, action: Action) -> str:
        match action:
            case actions.SendAdvert(priority=priority, packets=sent):
                what = "farewell" if priority == 0 else f"advert, priority {priority}"
                return f"→ {what}{f', to {len(sent)} peers' if len(sent) > 1 else ''}"
            case actions.AddAddresses(addresses=addresses):
                return f"+ {self._placed(action.instance, addresses)}"
            case actions.RemoveAddresses(addresses=addresses):
                return f"- {self._placed(action.instance, addresses)}"
            case actions.Announce(addresses=addresses, repeat=repeat):
                return f"→ {repeat} times gratuitous ARP or NA for {self._placed(action.instance, addresses)}"
            case actions.AddRoutes(routes=routes, rules=rules):
                return f"+ {len(routes)} routes, {len(rules)} rules"
            case actions.RemoveRoutes(routes=routes, rules=rules):
                return f"- {len(routes)} routes, {len(rules)} rules"
            case actions.Notify(event=event, priority=priority):
                return f"notify programs and fifos hear {event.value} {priority}"
            case _:
                return type(action).__name__

    def _placed(self, instance: str, addresses: tuple[VirtualAddress, ...]) -> str:
        station = self.stations.get(instance)
        names = [
            f"{one} on {station.interface_for(one)}" if station else str(one) for one in addresses[: packets.SHOWN]
        ]
        more = len(addresses) - packets.SHOWN
        return ", ".join(names) + (f" and {more} more" if more > 0 else "")
