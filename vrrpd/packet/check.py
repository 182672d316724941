"""The receive tests of one virtual router (RFC 3768 section 7.1, RFC 9568 section 7.1), in keepalived's order.

An `AdvertChecker` is made once from an instance's settings.  `check()` gives the advert, or raises the one `Refusal`
that names the first test that failed; it keeps nothing but the last packet that passed, because a master sends the
same bytes again and again, and equal bytes from the same sender need no second look.  AH packets are never equal.
"""

from __future__ import annotations

from dataclasses import replace

from vrrpd.config.model import InstanceSettings
from vrrpd.packet.advert import (
    AUTH_AH,
    AUTH_DATA_LENGTH,
    AUTH_NONE,
    AUTH_PASS,
    MAX_CENTISECONDS,
    TYPE_ADVERTISEMENT,
    Advert,
    Coverage,
    check_length,
    check_shape,
    decode,
    message_length,
)
from vrrpd.packet.auth import check_ah, check_password, read_ah
from vrrpd.packet.datagram import PROTOCOL_AH, PROTOCOL_VRRP, Datagram
from vrrpd.packet.refusal import Reason, Refusal

_AUTH_TYPES = {None: AUTH_NONE, "pass": AUTH_PASS, "ah": AUTH_AH}


class AdvertChecker:
    """What one instance expects of an advert."""

    def __init__(self, settings: InstanceSettings) -> None:
        self._settings = settings
        self._addresses = frozenset(virtual.address for virtual in settings.addresses)
        self._peers = {peer.address: peer for peer in settings.unicast_peers}
        authentication = settings.authentication if settings.version == 2 else None
        self._auth_type = _AUTH_TYPES[authentication.type if authentication else None]
        self._key = authentication.key if authentication else b""
        # A range of TTLs makes sense only for known hosts, so it asks for the source check, as in keepalived.
        self._only_peers = settings.check_unicast_source or any(
            peer.min_ttl > 0 or peer.max_ttl < 255 for peer in settings.unicast_peers
        )
        self._coverages = _coverages(settings)
        self._last: tuple[Datagram, Advert] | None = None

    def check(self, datagram: Datagram, sequence: int = 0, same_master: bool = False) -> Advert:
        """The advert in `datagram`; Refusal if a test fails.

        `sequence` is the highest AH number sent or accepted so far.  `same_master`: the sender is the master whose
        address list was checked before (matters with skip_check_adv_addr).
        """
        if self._last is not None and _same_advert(datagram, self._last[0]):
            return self._last[1]
        self._check_protocol(datagram)
        self._check_ttl(datagram)
        if self._auth_type == AUTH_AH:
            return self._check_ah(datagram, sequence, same_master)
        advert = self._check_message(datagram, datagram.payload, same_master)
        self._last = (datagram, advert)
        return advert

    def _check_protocol(self, datagram: Datagram) -> None:
        wanted = PROTOCOL_AH if self._auth_type == AUTH_AH else PROTOCOL_VRRP
        if datagram.protocol != wanted:
            # keepalived's sockets never deliver these; ours may, if two instances share an interface.
            got, expect = (AUTH_AH, self._auth_type) if wanted == PROTOCOL_VRRP else (AUTH_NONE, AUTH_AH)
            raise Refusal(Reason.AUTH_TYPE, f"received a {got} auth, expecting {expect}!")

    def _check_ttl(self, datagram: Datagram) -> None:
        if datagram.multicast:
            if datagram.ttl != 255:
                raise Refusal(Reason.TTL, f"invalid TTL/HL. Received {datagram.ttl} and expect 255")
            return
        peer = self._peers.get(datagram.source)
        if peer is not None and not peer.min_ttl <= datagram.ttl <= peer.max_ttl:
            expect = f"{peer.min_ttl}-{peer.max_ttl}"
            raise Refusal(Reason.TTL, f"invalid TTL/HL. Received {datagram.ttl} and expect {expect}")

    def _check_ah(self, datagram: Datagram, sequence: int, same_master: bool) -> Advert:
        header = read_ah(datagram)
        check_ah(datagram, header, self._key)
        fresh = header.sequence > sequence
        try:
            advert = replace(self._check_message(datagram, header.message, same_master), sequence=header.sequence)
        except Refusal as refusal:
            # The sender knows the password, so what is wrong here is a difference of configuration.
            refusal.authentic = True
            refusal.sequence = header.sequence if fresh else None
            raise
        if not fresh:
            stale = Refusal(
                Reason.AH_SEQUENCE,
                f"IPSEC-AH : sequence number {header.sequence} already processed. Packet dropped. Local({sequence})",
                authentic=True,
            )
            stale.advert = advert
            raise stale
        return advert

    def _check_message(self, datagram: Datagram, message: bytes, same_master: bool) -> Advert:
        settings = self._settings
        version, kind = check_shape(message, datagram.source.version)
        if version != settings.version:
            raise Refusal(Reason.VERSION, f"wrong version. Received {version} and expect {settings.version}")
        if version == 2:
            self._check_version_2(message)
        elif not settings.v3_accept_zero_interval and int.from_bytes(message[4:6], "big") & MAX_CENTISECONDS == 0:
            raise Refusal(Reason.INTERVAL, "advertisement interval 0 received")
        if kind != TYPE_ADVERTISEMENT:
            raise Refusal(Reason.TYPE, f"Invalid packet type. {kind} and expect {TYPE_ADVERTISEMENT}")
        self._check_vrid_and_count(message)
        check_length(message, version, datagram.source.version)
        advert = decode(message, datagram.source, datagram.destination, self._coverages)
        self._check_delivery(datagram)
        self._check_addresses(advert, same_master)
        self._check_source(datagram)
        return advert

    def _check_version_2(self, message: bytes) -> None:
        auth_type, interval = message[4], message[5]
        if auth_type > AUTH_AH:
            raise Refusal(Reason.AUTH_TYPE_UNKNOWN, f"Invalid auth type: {auth_type}")
        if auth_type != self._auth_type:
            raise Refusal(Reason.AUTH_TYPE, f"received a {auth_type} auth, expecting {self._auth_type}!")
        if auth_type == AUTH_PASS:
            expected = message_length(2, message[3], 4)
            if len(message) < expected:
                raise Refusal(Reason.LENGTH, f"vrrp packet too short, length {len(message)} and expect {expected}")
            check_password(message[expected - AUTH_DATA_LENGTH : expected], self._key)
        mine = round(self._settings.advert_int)
        if interval != mine:
            raise Refusal(Reason.INTERVAL, f"advertisement interval mismatch mine={mine} sec rcv'd={interval} sec")

    def _check_vrid_and_count(self, message: bytes) -> None:
        if message[1] != self._settings.virtual_router_id:
            raise Refusal(Reason.VRID, f"Invalid VRID. {message[1]} and expect {self._settings.virtual_router_id}")
        count, expected = message[3], len(self._settings.addresses)
        if count != expected:
            raise Refusal(Reason.ADDRESS_COUNT, f"received an unexpected ip number count {count}, expected {expected}!")

    def _check_delivery(self, datagram: Datagram) -> None:
        if datagram.multicast == bool(self._peers):
            got, wanted = ("multicast", "unicast") if datagram.multicast else ("unicast", "multicast")
            raise Refusal(Reason.DELIVERY, f"received a {got} advert, expecting {wanted}")

    def _check_addresses(self, advert: Advert, same_master: bool) -> None:
        if self._settings.skip_check_adv_addr and same_master:
            return
        missing = self._addresses.difference(advert.addresses)
        if missing:
            first = next(v.address for v in self._settings.addresses if v.address in missing)
            raise Refusal(
                Reason.ADDRESS_LIST,
                f"ip address associated with VRID {advert.virtual_router_id} not present in MASTER advert: {first}",
            )

    def _check_source(self, datagram: Datagram) -> None:
        if self._peers and self._only_peers and datagram.source not in self._peers:
            raise Refusal(Reason.SOURCE, f"unicast source address {datagram.source} not a unicast peer")


def _same_advert(one: Datagram, other: Datagram) -> bool:
    """Whether all that the tests look at is equal; the IPv4 header differs by its id, which is nobody's concern."""
    return (
        one.payload == other.payload
        and one.ttl == other.ttl
        and one.protocol == other.protocol
        and one.source == other.source
        and one.destination == other.destination
    )


def _coverages(settings: InstanceSettings) -> tuple[Coverage, ...]:
    """The readings of the checksum that the instance takes, its own first."""
    if settings.version == 2 or (settings.v3_checksum_as_v2 and settings.family == 4):
        return (Coverage.MESSAGE,)
    if settings.family == 6 or not settings.unicast_peers or settings.old_unicast_checksum == "never":
        return (Coverage.PSEUDO_HEADER,)
    return (Coverage.PSEUDO_HEADER, Coverage.OLD_UNICAST)
