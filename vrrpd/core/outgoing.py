"""From an instance's settings to the writer of its adverts."""

from __future__ import annotations

from vrrpd.config.model import GROUP_4, GROUP_6, Address, InstanceSettings
from vrrpd.packet.advert import Advert, Coverage
from vrrpd.packet.output import AdvertWriter, auth_fields


def destinations(settings: InstanceSettings) -> tuple[Address, ...]:
    """Where the adverts go: the peers, or the group."""
    if settings.unicast_peers:
        return tuple(peer.address for peer in settings.unicast_peers)
    return (settings.multicast_group or (GROUP_4 if settings.family == 4 else GROUP_6),)


def writer_for(settings: InstanceSettings, source: Address, old_peers: frozenset[Address]) -> AdvertWriter:
    """A writer for adverts from `source`; `old_peers` were seen to use the old unicast checksum."""
    authentication = settings.authentication if settings.version == 2 else None
    key = authentication.key if authentication else b""
    auth_type, auth_data = auth_fields(authentication.type if authentication else None, key)
    if settings.version == 2 or (settings.v3_checksum_as_v2 and settings.family == 4):
        coverage = Coverage.MESSAGE
    else:
        coverage = Coverage.PSEUDO_HEADER
    wanted = destinations(settings)
    if settings.version == 3 and settings.family == 4 and settings.unicast_peers:
        if settings.old_unicast_checksum == "always":
            old_peers = frozenset(wanted)
        elif settings.old_unicast_checksum == "never":
            old_peers = frozenset()
    return AdvertWriter(
        Advert(
            virtual_router_id=settings.virtual_router_id,
            priority=settings.priority,
            addresses=tuple(virtual.address for virtual in settings.addresses),
            interval=settings.advert_int,
            source=source,
            version=settings.version,
            auth_type=auth_type,
            auth_data=auth_data,
            coverage=coverage,
        ),
        wanted,
        settings.unicast_ttl,
        key if auth_type == 2 else None,
        old_peers,
    )
