"""What an instance sends: its adverts, from its settings to numbered packets.

The writer is rebuilt only when the settings or the source address change; per advert only id, number and priority do.
"""

from __future__ import annotations

from vrrpd.config.model import GROUP_4, GROUP_6, Address, InstanceSettings
from vrrpd.core.actions import SendAdvert
from vrrpd.core.sequence import SequenceCounter
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


class Outbox:
    """The sending side of one instance: IP ids, AH numbers, and the bytes between."""

    def __init__(self, name: str, sequence: int) -> None:
        self.sequence = SequenceCounter(sequence)
        self._name = name
        self._packet_id = 0
        self._writer: AdvertWriter | None = None
        self._old_peers: frozenset[Address] = frozenset()

    @property
    def ready(self) -> bool:
        """Whether there is a source address to send from."""
        return self._writer is not None

    def rebuild(self, settings: InstanceSettings, source: Address | None) -> None:
        """What the adverts are made of has changed."""
        self._writer = None if source is None else writer_for(settings, source, self._old_peers)

    def speaks_old(self, peer: Address, settings: InstanceSettings, source: Address | None) -> None:
        """`peer` was seen to use the old unicast checksum, so it gets it too."""
        if peer not in self._old_peers:
            self._old_peers |= {peer}
            self.rebuild(settings, source)

    def advert(self, priority: int) -> SendAdvert | None:
        """The next advert; None without a source address."""
        if self._writer is None:
            return None
        self._packet_id = self._packet_id % 0xFFFF + 1
        packets = self._writer.packets(priority, self._packet_id, self.sequence.next())
        return SendAdvert(self._name, priority, packets)
