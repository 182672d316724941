"""The BPF programs, run here by a small interpreter against captured packets, and attached to real sockets."""

import ipaddress
import random
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrpd.system import filters
from vrrpd.system.filters import Trusted, vrid_program

NET_OFF, RANDOM = filters.SKF_NET_OFF, filters.SKF_AD_RANDOM


def run(program, packet, network_header, rand=1):
    """What the kernel would do: the return value. Loads outside the packet drop it."""

    def load(offset, size):
        data = packet
        if offset == RANDOM:
            return rand
        if offset >= NET_OFF:
            data, offset = network_header, offset - NET_OFF
        if offset + size > len(data):
            raise IndexError
        return int.from_bytes(data[offset : offset + size], "big")

    a = x = pc = 0
    for _ in range(5000):
        code, jt, jf, k = program[pc]
        pc += 1
        try:
            match code:
                case 0x20:
                    a = load(k, 4)
                case 0x28:
                    a = load(k, 2)
                case 0x30:
                    a = load(k, 1)
                case 0x40:
                    a = load(x + k, 4)
                case 0x50:
                    a = load(x + k, 1)
                case 0x01:
                    x = k
                case 0xB1:
                    x = (load(k, 1) & 15) * 4
                case 0x54:
                    a &= k
                case 0x05:
                    pc += k
                case 0x15:
                    pc += jt if a == k else jf
                case 0x25:
                    pc += jt if a > k else jf
                case 0x35:
                    pc += jt if a >= k else jf
                case 0x06:
                    return k
        except IndexError:
            return 0
    raise AssertionError("endless")


def packet_v4(source, vrid, protocol=112, head=b"\x31%c\x64\x01\0\x64\0\0"):
    message = head.replace(b"%c", bytes([vrid])) + socket.inet_aton("10.0.0.1")
    ah = bytes(24) if protocol == 51 else b""
    header = struct.pack(">BBHHHBBH", 0x45, 0xC0, 20 + len(ah + message), 1, 0, 255, protocol, 0)
    header += socket.inet_aton(source) + socket.inet_aton("224.0.0.18")
    return header + ah + message


@given(st.sets(st.integers(1, 255), min_size=1), st.integers(0, 255), st.sampled_from([112, 51]))
def test_only_the_configured_virtual_routers_pass(vrids, vrid, protocol):
    program = vrid_program(socket.AF_INET, protocol, vrids)
    packet = packet_v4("10.0.0.9", vrid, protocol)
    assert bool(run(program, packet, packet)) is (vrid in vrids)


def test_consecutive_routers_need_one_comparison():
    assert len(vrid_program(socket.AF_INET, 112, range(1, 256))) == 6


@given(st.binary(max_size=60))
def test_no_packet_breaks_the_program(data):
    run(vrid_program(socket.AF_INET, 112, [7], [Trusted("10.0.0.9")]), data, data)


def test_in_a_flood_peers_pass_and_strangers_pass_one_time_in_sixty_four():
    program = vrid_program(socket.AF_INET, 112, [7], [Trusted("10.0.0.9"), Trusted("10.0.0.8")])
    for peer in ("10.0.0.8", "10.0.0.9"):
        packet = packet_v4(peer, 7)
        assert run(program, packet, packet, rand=1)
    stranger = packet_v4("10.0.0.7", 7)
    rng = random.Random(1)
    passed = sum(bool(run(program, stranger, stranger, rng.getrandbits(32))) for _ in range(6400))
    assert 50 < passed < 150
    foreign = packet_v4("10.0.0.9", 8)
    assert not run(program, foreign, foreign, rand=0)


def test_a_forged_peer_passes_only_with_the_very_advert_it_sends():
    good = packet_v4("10.0.0.9", 7)
    program = vrid_program(socket.AF_INET, 112, [7], [Trusted("10.0.0.9", good[20:28])])
    assert run(program, good, good, rand=1)
    forged = packet_v4("10.0.0.9", 7, head=b"\x31%c\xff\x01\0\x64\0\0")
    assert not run(program, forged, forged, rand=1)


def test_ipv6_peers_are_known_by_their_whole_address():
    program = vrid_program(socket.AF_INET6, 112, [7], [Trusted("fe80::9")])
    message = b"\x31\x07\x64\x01\0\x64\0\0"

    def header(source):
        ends = ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address("ff02::12").packed
        return b"\x6c\0\0\0\0\x08\x70\xff" + ends

    assert run(program, message, header("fe80::9"), rand=1)
    assert not run(program, message, header("fe80::1:0:0:9"), rand=1)


def test_the_kernel_takes_the_programs():
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right:
        filters.attach(right, [(filters.RETURN, 0, 0, 0)])
        left.send(b"x")
        right.setblocking(False)
        with pytest.raises(BlockingIOError):
            right.recv(1)
        many = [Trusted(f"10.0.0.{number}", bytes(8)) for number in range(16)]
        filters.attach(right, vrid_program(socket.AF_INET, 112, range(1, 256, 2), many))
        filters.attach(right, filters.ethernet_vrrp_program())


@pytest.mark.parametrize(
    ("ethertype", "protocol", "passes"),
    [
        (0x0806, 0, True),
        (0x0800, 112, True),
        (0x0800, 51, True),
        (0x0800, 6, False),
        (0x86DD, 112, True),
        (0x86DD, 58, True),
        (0x86DD, 6, False),
    ],
)
def test_watch_sees_vrrp_and_arp_and_neighbour_messages(ethertype, protocol, passes):
    frame = bytearray(80)
    frame[12:14] = ethertype.to_bytes(2, "big")
    frame[54] = 136
    frame[14 + (9 if ethertype == 0x0800 else 6)] = protocol
    assert bool(run(filters.ethernet_vrrp_program(), bytes(frame), bytes(frame[14:]))) is passes
