"""Addresses, routes and rules that the host always has, whoever is master (static_ipaddress and its like).

They are set before the first instance starts, stay when the daemon stops, and a reload sets and removes what
differs. One that somebody removes is put back; while that fails, the instances of its track_group are in FAULT.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

from vrrpd.config.model import Config, Route, Rule, VirtualAddress
from vrrpd.core.actions import Level
from vrrpd.system.host import Changes, Host
from vrrpd.system.routing import encode_route, encode_rule
from vrrpd.system.rtnl import Encoded, encode_address

Static = VirtualAddress | Route | Rule
Say = Callable[[Level, str], None]

ALREADY_SO = {
    True: frozenset({0, errno.EEXIST}),
    False: frozenset({0, errno.EADDRNOTAVAIL, errno.ESRCH, errno.ENOENT, errno.ENODEV}),
}
"""Results of adding and of removing that are as good as done."""


class Statics:
    """What a configuration wants on the host for good; `say` writes a log line."""

    def __init__(self, host: Host, say: Say) -> None:
        self._host, self._say = host, say
        self._items: tuple[Static, ...] = ()
        self._failed: set[Static] = set()
        self._groups: tuple[str, ...] = ()

    def apply(self, config: Config) -> None:
        """Set what is new, remove what is gone."""
        former = self._items
        self._items = config.static_addresses + config.static_routes + config.static_rules
        self._groups = tuple(name for name, _ in config.track_groups)
        for item in reversed([one for one in former if one not in self._items]):
            self._request(False, item)
            self._failed.discard(item)
        for item in self._items:
            if item not in former:
                self._set(item)

    def restore(self, changes: Changes) -> None:
        """Put back what these changes took away, and try again what failed before."""
        for item in self._items:
            gone = item.track and self._gone(item, changes)
            if gone and isinstance(item, VirtualAddress):
                self._say(Level.WARNING, f"static {describe(item)} was removed by someone else, putting it back")
            if gone or item in self._failed:
                self._set(item)

    def groups(self) -> dict[str, bool]:
        """The track_groups, and whether everything that names one is there."""
        broken = {item.track_group for item in self._failed}
        return {name: name not in broken for name in self._groups}

    def _gone(self, item: Static, changes: Changes) -> bool:
        if not isinstance(item, VirtualAddress):
            return changes.routes
        place = (item.interface or "", item.address)
        if place not in changes.removed:
            return False
        try:
            return not self._host.present(*place)
        except OSError:  # to ask for what stands is harmless
            return True

    def _set(self, item: Static) -> None:
        code = self._request(True, item)
        if code in ALREADY_SO[True]:
            self._failed.discard(item)
        elif item not in self._failed:
            self._failed.add(item)
            self._say(Level.ERROR, f"cannot set static {describe(item)}: {os.strerror(code)}")

    def _request(self, add: bool, item: Static) -> int:
        try:
            return self._host.netlink.request([self._encode(add, item)])[0]
        except OSError as error:
            return error.errno or errno.EIO

    def _encode(self, add: bool, item: Static) -> Encoded:
        match item:
            case VirtualAddress():
                return encode_address(add, item, self._host.index_of(item.interface or ""))
            case Route():
                return encode_route(add, item, self._host.index_of)
            case Rule():
                return encode_rule(add, item)


def describe(item: Static) -> str:
    """Its name in a log line."""
    match item:
        case VirtualAddress():
            return f"address {item} on {item.interface}"
        case Route():
            return f"route {item.to}"
        case Rule():
            return f"rule with preference {item.preference}"
