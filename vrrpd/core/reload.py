"""What a reload means for a running instance: to go on with new settings, or to start anew."""

from __future__ import annotations

from dataclasses import replace

from vrrpd.config.model import InstanceSettings
from vrrpd.core.actions import Actions, AddAddresses, AddRoutes, Announce, RemoveAddresses, RemoveRoutes


def needs_restart(old: InstanceSettings, new: InstanceSettings) -> bool:
    """Whether a reload has to stop the old instance and start a new one: what its sockets or its identity rest on."""

    def ground(settings: InstanceSettings) -> InstanceSettings:
        return replace(
            InstanceSettings(settings.name, settings.virtual_router_id, settings.interface),
            version=settings.version,
            vmac=settings.vmac,
            multicast_group=settings.multicast_group,
            unicast_ttl=settings.unicast_ttl,
            source=settings.source,
        )

    def ah(settings: InstanceSettings) -> bool:
        return settings.authentication is not None and settings.authentication.type == "ah"

    unicast = bool(old.unicast_peers) != bool(new.unicast_peers)
    return unicast or ah(old) != ah(new) or old.family != new.family or ground(old) != ground(new)


def moved(old: InstanceSettings, new: InstanceSettings) -> Actions:
    """What a master takes away and adds when its settings change: only what differs."""
    name = new.name
    actions: Actions = []
    routes_differ = (old.routes, old.rules) != (new.routes, new.rules)
    gone = tuple(virtual for virtual in old.all_addresses if virtual not in new.all_addresses)
    added = tuple(virtual for virtual in new.all_addresses if virtual not in old.all_addresses)
    if routes_differ:
        actions.append(RemoveRoutes(name, old.routes, old.rules))
    if gone:
        actions.append(RemoveAddresses(name, gone))
    if added:
        actions.append(AddAddresses(name, added))
    if routes_differ:
        actions.append(AddRoutes(name, new.routes, new.rules))
    if added:
        actions.append(Announce(name, added, new.garp.master_repeat))
    return actions
