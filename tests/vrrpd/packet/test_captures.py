"""Every advert that keepalived sent into the captures is read, made again to the byte, and proved by its AH value."""

from __future__ import annotations

import sys
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from captured import FILES, adverts, frames, password_of

from vrrpd.packet.advert import AUTH_AH, AUTH_PASS, decode, encode
from vrrpd.packet.announce import gratuitous_arp, unsolicited_na
from vrrpd.packet.auth import check_ah, check_password, icv, read_ah
from vrrpd.packet.datagram import PROTOCOL_AH
from vrrpd.packet.output import AdvertWriter

by_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def test_there_are_captures():
    assert len(FILES) == 30


@by_file
def test_every_captured_advert_encodes_to_the_same_bytes(path):
    seen = 0
    for _, _, datagram in adverts(path):
        message = read_ah(datagram).message if datagram.protocol == PROTOCOL_AH else datagram.payload
        advert = decode(message, datagram.source, datagram.destination)
        assert encode(advert, datagram.destination) == message
        assert advert.virtual_router_id in (61, 62)
        seen += 1
    assert seen or path.stem.startswith("garp")


@by_file
def test_every_captured_ipv4_packet_is_made_again_whole(path):
    """The IP header with its id and checksum, AH with number and integrity value, and the message."""
    for _, frame, datagram in adverts(path):
        if datagram.source.version == 6:
            continue
        ah = read_ah(datagram) if datagram.protocol == PROTOCOL_AH else None
        message = ah.message if ah else datagram.payload
        advert = decode(message, datagram.source, datagram.destination)
        key = password_of(path) if ah else None
        writer = AdvertWriter(advert, (datagram.destination,), key=key)
        packet_id = int.from_bytes(datagram.header[4:6], "big")
        ((_, made),) = writer.packets(advert.priority, packet_id, ah.sequence if ah else 0)
        assert made == frame[14 : 14 + len(made)]


def test_every_integrity_value_is_recomputed_equal():
    multicast = unicast = 0
    for path in FILES:
        for _, _, datagram in adverts(path):
            if datagram.protocol != PROTOCOL_AH:
                continue
            header = read_ah(datagram)
            check_ah(datagram, header, password_of(path))
            assert decode(header.message, datagram.source, datagram.destination).auth_type == AUTH_AH
            multicast += datagram.multicast
            unicast += not datagram.multicast
    assert (multicast, unicast) == (91, 32)


def test_every_clear_text_password_is_ours():
    seen = 0
    for path in FILES:
        for _, _, datagram in adverts(path):
            if datagram.protocol != PROTOCOL_AH:
                advert = decode(datagram.payload, datagram.source, datagram.destination)
                if advert.version == 2 and advert.auth_type == AUTH_PASS:
                    check_password(advert.auth_data, password_of(path))
                    seen += 1
    assert seen > 5


def test_the_known_answer_of_ah():
    """Frame 7 of lab3node-v2-ah.pcap, written out."""
    header = bytes.fromhex("45c0004000010000ff332442ac100a65e0000012")
    body = bytes.fromhex("70040000ac100a6500000001000000000000000000000000213d6d010202b94bac100a630000000000000000")
    assert icv(b"viettq\0\0", header, body, multicast=True).hex() == "4e65df3895a0c7bd4ea49a26"


@by_file
def test_captured_gratuitous_arps_are_made_again(path):
    for _, frame in frames(path):
        if frame[12:14] == b"\x08\x06" and frame[28:32] == frame[38:42] and frame[:6] == b"\xff" * 6:
            assert gratuitous_arp(frame[6:12], IPv4Address(frame[28:32])) == frame[:42]


def test_captured_neighbour_advertisements_are_made_again():
    seen = 0
    for path in FILES:
        for _, frame in frames(path):
            if frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 136 and frame[:2] == b"33":
                router = bool(frame[58] & 0x80)
                made = unsolicited_na(frame[6:12], IPv6Address(frame[22:38]), router)
                assert made == frame, path
                seen += 1
    assert seen > 10
