"""The codec: scapy reads what it writes, no bit can change unseen, and no bytes raise anything but a refusal."""

from __future__ import annotations

import logging
import random
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import examples

sys.path.insert(0, str(Path(__file__).parent))
import contextlib

from captured import CAPTURES, FILES, adverts

from vrrpd.config.model import Authentication, InstanceSettings, UnicastPeer, VirtualAddress
from vrrpd.packet.advert import Advert, Coverage, decode, encode
from vrrpd.packet.check import AdvertChecker
from vrrpd.packet.checksum import internet_checksum, ones_complement_sum
from vrrpd.packet.datagram import PROTOCOL_VRRP, Datagram, from_ipv4, virtual_router_id
from vrrpd.packet.output import AdvertWriter
from vrrpd.packet.refusal import Refusal

logging.getLogger("scapy").setLevel(logging.CRITICAL)
ipv4 = st.integers(1, 2**32 - 1).map(IPv4Address)
ipv6 = st.integers(1, 2**128 - 1).map(IPv6Address)
GROUP, GROUP_6 = IPv4Address("224.0.0.18"), IPv6Address("ff02::12")


@st.composite
def any_advert(draw: st.DrawFn) -> Advert:
    version = draw(st.sampled_from([2, 3]))
    family = ipv4 if version == 2 else draw(st.sampled_from([ipv4, ipv6]))
    if version == 2:
        interval, coverage = float(draw(st.integers(1, 255))), Coverage.MESSAGE
    else:
        interval = draw(st.integers(0, 4095)) / 100
        coverage = Coverage.PSEUDO_HEADER
    return Advert(
        virtual_router_id=draw(st.integers(1, 255)),
        priority=draw(st.integers(0, 255)),
        addresses=tuple(draw(st.lists(family, max_size=20))),
        interval=interval,
        source=draw(family),
        version=version,
        auth_type=draw(st.integers(0, 2)) if version == 2 else 0,
        auth_data=draw(st.binary(min_size=8, max_size=8)) if version == 2 else bytes(8),
        coverage=coverage,
        reserved=draw(st.integers(0, 15)) if version == 3 else 0,
    )


def destination_of(advert: Advert) -> IPv4Address | IPv6Address:
    return GROUP if advert.source.version == 4 else GROUP_6


@given(any_advert())
def test_what_is_encoded_decodes_to_the_same(advert):
    destination = destination_of(advert)
    assert decode(encode(advert, destination), advert.source, destination) == advert


def sum_by_words(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(st.binary(max_size=200) | st.sampled_from([b"\xff\xff", b"\0\0\0", b"\xff\xff" * 9, b"\xff\xfe\0\1"]))
def test_one_division_sums_like_a_loop_over_words(data):
    assert ones_complement_sum(data) == sum_by_words(data)
    assert internet_checksum(data) == 0xFFFF - sum_by_words(data)


@settings(deadline=None, max_examples=examples(60))
@given(any_advert())
def test_scapy_reads_the_same_out_of_it(advert):
    vrrp = pytest.importorskip("scapy.layers.vrrp")
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    destination = destination_of(advert)
    message = encode(advert, destination)
    ends = {"src": str(advert.source), "dst": str(destination)}
    carrier = IP(**ends, proto=112) if advert.source.version == 4 else IPv6(**ends, nh=112)
    if advert.version == 2:
        layer = vrrp.VRRP(message, _underlayer=carrier)
        assert (layer.authtype, layer.adv) == (advert.auth_type, advert.interval)
        words = (layer.auth1.to_bytes(4, "big"), layer.auth2.to_bytes(4, "big"))
        assert b"".join(words) == advert.auth_data
    else:
        layer = vrrp.VRRPv3(message, _underlayer=carrier)
        assert (layer.res, layer.adv) == (advert.reserved, round(advert.interval * 100))
    assert (layer.version, layer.type, layer.vrid) == (advert.version, 1, advert.virtual_router_id)
    assert (layer.priority, layer.ipcount) == (advert.priority, len(advert.addresses))
    assert tuple(ip_address(address) for address in layer.addrlist) == advert.addresses
    # Its own checksum over the same fields is ours; scapy writes ffff where the sum leaves 0000.
    stated = layer.chksum
    del layer.chksum
    assert int.from_bytes(bytes(carrier / layer)[-len(message) :][6:8], "big") % 0xFFFF == stated % 0xFFFF


def test_scapy_reads_the_whole_ah_packet():
    scapy_ipsec = pytest.importorskip("scapy.layers.ipsec")
    from scapy.layers.inet import IP

    advert = Advert(61, 100, (IPv4Address("172.16.10.99"),), 2.0, IPv4Address("172.16.10.100"), auth_type=2)
    ((_, packet),) = AdvertWriter(advert, (GROUP,), key=b"viettq\0\0").packets(100, 7, 9)
    layer = IP(packet)
    ah = layer[scapy_ipsec.AH]
    assert (layer.id, layer.ttl, layer.tos, layer.proto, ah.nh, ah.seq) == (7, 255, 0xC0, 51, 112, 9)
    stated = layer.chksum
    del layer.chksum
    assert IP(bytes(layer)).chksum == stated


@pytest.mark.parametrize("path", [p for p in FILES if adverts(p)], ids=lambda path: path.stem)
def test_every_single_bit_error_is_refused_or_means_the_same(path):
    """First advert of each capture, each bit of what stands above the IP header."""
    first = next(iter(adverts(path)), None)
    if first is None:
        pytest.skip("no advert in this capture")
    datagram = first[2]
    checker = AdvertChecker(settings_for(datagram, path.stem))
    right = checker.check(datagram)
    for bit in range(len(datagram.payload) * 8):
        wrong = bytearray(datagram.payload)
        wrong[bit // 8] ^= 1 << bit % 8
        changed = Datagram(
            datagram.source, datagram.destination, datagram.ttl, datagram.protocol, bytes(wrong), datagram.header
        )
        with contextlib.suppress(Refusal):
            assert checker.check(changed) == right, f"bit {bit} changed the meaning"


@pytest.mark.parametrize("name", ["lab3node-v2-ah", "v2-unicast-ah"])
def test_with_ah_every_bit_of_the_ip_header_counts_or_means_nothing(name):
    """Without AH the IP header's own checksum, which the kernel looks at, has this task."""
    _, frame, datagram = next(adverts(CAPTURES / f"{name}.pcap"))
    packet = frame[14 : 14 + 20 + len(datagram.payload)]
    checker = AdvertChecker(settings_for(datagram, name))
    right = checker.check(datagram)
    same = 0
    for bit in range(20 * 8):
        wrong = bytearray(packet)
        wrong[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(Refusal):
            assert checker.check(from_ipv4(bytes(wrong))) == right
            same += bit // 8 not in (1, 6, 7, 8, 10, 11)
    assert same == 0, "only what routers may change (and the unicast TTL) is free"


def settings_for(datagram: Datagram, name: str) -> InstanceSettings:
    """What a receiver of a captured advert would have in its file."""
    message = datagram.payload[24:] if datagram.protocol == 51 else datagram.payload
    advert = decode(message, datagram.source, datagram.destination)
    password = "longpassword123" if "long" in name or "8char" in name else "viettq"
    types = {0: None, 1: Authentication("pass", password), 2: Authentication("ah", password)}
    return InstanceSettings(
        name="x",
        virtual_router_id=advert.virtual_router_id,
        version=advert.version,
        advert_int=advert.interval,
        authentication=types[advert.auth_type],
        addresses=tuple(VirtualAddress(address) for address in advert.addresses),
        unicast_peers=() if datagram.multicast else (UnicastPeer(datagram.source),),
    )


CHECKERS = [
    AdvertChecker(InstanceSettings("x", 61, version=version, authentication=auth, addresses=addresses))
    for version, auth, addresses in (
        (2, None, (VirtualAddress(IPv4Address("172.16.10.99")),)),
        (2, Authentication("pass", "viettq"), (VirtualAddress(IPv4Address("172.16.10.99")),)),
        (2, Authentication("ah", "viettq"), (VirtualAddress(IPv4Address("172.16.10.99")),)),
        (3, None, (VirtualAddress(IPv4Address("172.16.10.99")),)),
        (3, None, (VirtualAddress(IPv6Address("fe80::99")),)),
    )
]


def take(data: bytes, protocol: int = PROTOCOL_VRRP) -> None:
    """Everything that may be asked of received bytes; only Refusal may come of it."""
    for source, group in ((IPv4Address("10.0.0.1"), GROUP), (IPv6Address("fe80::1"), GROUP_6)):
        datagram = Datagram(source, group, 255, protocol, data, bytes(20))
        for question in (virtual_router_id, *(checker.check for checker in CHECKERS)):
            try:
                question(datagram)
            except Refusal as refusal:
                assert refusal.text
    try:
        CHECKERS[0].check(from_ipv4(data))
    except Refusal as refusal:
        assert refusal.text


@given(st.binary(max_size=120), st.sampled_from([51, 112]))
def test_random_bytes_raise_nothing_but_the_refusal(data, protocol):
    take(data, protocol)


@given(st.sampled_from([p for f in FILES for _, _, d in adverts(f) for p in [d]]), st.data())
@settings(max_examples=examples(200))
def test_mutated_captures_raise_nothing_but_the_refusal(datagram, data):
    wrong = bytearray(datagram.payload)
    for _ in range(data.draw(st.integers(1, 6))):
        wrong[data.draw(st.integers(0, len(wrong) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(wrong)))
    take(bytes(wrong[:cut]), datagram.protocol)


@pytest.mark.fuzz
@pytest.mark.timeout(900)
def test_a_million_random_packets_raise_nothing_but_the_refusal():
    rng = random.Random(20)
    seeds = [datagram for path in FILES for _, _, datagram in adverts(path)]
    for number in range(1_000_000):
        if number % 2:
            data, protocol = rng.randbytes(rng.randrange(0, 100)), rng.choice((51, 112))
        else:
            seed = rng.choice(seeds)
            wrong = bytearray(seed.payload)
            for _ in range(rng.randrange(1, 5)):
                wrong[rng.randrange(len(wrong))] = rng.randrange(256)
            data, protocol = bytes(wrong), seed.protocol
        take_one(rng.choice(CHECKERS), data, protocol)


def take_one(checker: AdvertChecker, data: bytes, protocol: int) -> None:
    with contextlib.suppress(Refusal):
        checker.check(Datagram(IPv4Address("10.0.0.1"), GROUP, 255, protocol, data, bytes(20)))
