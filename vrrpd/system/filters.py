"""Classic BPF programs that keep foreign packets away from the daemon.

A raw socket hears every VRRP packet of its interface. The kernel drops those of other virtual routers before
they are copied or wake us. While a flood lasts (see `flood.py`) a stricter program also drops most of what no
known peer sent: one in `sample` packets still passes, so that the flood stays counted and visible, and the
adverts of known peers always pass.

The programs see an IPv4 raw socket's packet from the IP header on, an IPv6 raw socket's from the VRRP header
on; the network header is in both cases reachable at SKF_NET_OFF.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SO_ATTACH_FILTER = 26
SKF_NET_OFF = 0xFFF00000
SKF_AD_RANDOM = 0xFFFFF000 + 56
AH_LENGTH = 24

LD_WORD_ABS, LD_BYTE_ABS, LD_WORD_IND, LD_BYTE_IND = 0x20, 0x30, 0x40, 0x50
LDX_IMM, LDX_IHL, AND_K = 0x01, 0xB1, 0x54
JUMP, JEQ, JGT, JGE, RETURN = 0x05, 0x15, 0x25, 0x35, 0x06
ACCEPT = 0xFFFF

Instruction = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Trusted:
    """A peer whose packets pass during a flood: by address, or only with this beginning of its advert."""

    source: str
    head: bytes | None = None


def vrid_program(
    family: int,
    protocol: int,
    vrids: Iterable[int],
    trusted: Sequence[Trusted] | None = None,
    sample: int = 64,
) -> list[Instruction]:
    """Accept the adverts of these virtual routers; with `trusted`, the rest only one time in `sample`.

    `sample` is a power of two. For protocol 51 the VRRP header is looked for behind the AH header.
    """
    v4 = family == socket.AF_INET
    offset = AH_LENGTH if protocol == socket.IPPROTO_AH else 0
    program: list[Instruction] = [(LDX_IHL, 0, 0, 0) if v4 else (LDX_IMM, 0, 0, 0)]
    program.append((LD_BYTE_IND, 0, 0, offset + 1))
    ours = (RETURN, 0, 0, ACCEPT) if trusted is None else (JUMP, 0, 0, 0)
    jumps = []
    for low, high in _ranges(vrids):
        program.append((JGE, 0, 2, low))
        program.append((JGT, 1, 0, high))
        jumps.append(len(program))
        program.append(ours)
    program.append((RETURN, 0, 0, 0))
    if trusted is None:
        return program
    for place in jumps:
        program[place] = (JUMP, 0, 0, len(program) - place - 1)
    for peer in trusted:
        program.extend(_peer_check(v4, offset, peer))
    program += [(LD_WORD_ABS, 0, 0, SKF_AD_RANDOM), (AND_K, 0, 0, sample - 1)]
    return [*program, (JEQ, 0, 1, 0), (RETURN, 0, 0, ACCEPT), (RETURN, 0, 0, 0)]


def _peer_check(v4: bool, offset: int, peer: Trusted) -> list[Instruction]:
    """Accept when the source address, and where wanted the first eight bytes of the message, are the peer's."""
    address = ipaddress.ip_address(peer.source.partition("%")[0]).packed
    start = SKF_NET_OFF + (12 if v4 else 8)
    loads = [((LD_WORD_ABS, 0, 0, start + at), address[at : at + 4]) for at in range(0, len(address), 4)]
    if peer.head is not None:
        loads += [((LD_WORD_IND, 0, 0, offset + at), peer.head[at : at + 4]) for at in (0, 4)]
    length = 2 * len(loads)
    checks: list[Instruction] = []
    for load, expected in loads:
        checks.append(load)
        checks.append((JEQ, 0, length - len(checks), int.from_bytes(expected, "big")))
    return [*checks, (RETURN, 0, 0, ACCEPT)]


def _ranges(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Consecutive numbers joined, so that 255 virtual routers need one comparison."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def ethernet_vrrp_program() -> list[Instruction]:
    """For `vrrpd watch` on a packet socket: protocols 112 and 51 of both families, ARP, neighbour adverts."""
    return [
        (0x28, 0, 0, 12),  # ldh: EtherType
        (JEQ, 10, 0, 0x0806),
        (JEQ, 0, 2, 0x0800),
        (LD_BYTE_ABS, 0, 0, 14 + 9),
        (JUMP, 0, 0, 3),
        (JEQ, 0, 7, 0x86DD),
        (LD_BYTE_ABS, 0, 0, 14 + 6),
        (JEQ, 2, 0, 58),
        (JEQ, 3, 0, 112),
        (JEQ, 2, 3, 51),
        (LD_BYTE_ABS, 0, 0, 14 + 40),  # ICMPv6 type
        (JEQ, 0, 1, 136),
        (RETURN, 0, 0, ACCEPT),
        (RETURN, 0, 0, 0),
    ]


def attach(sock: socket.socket, program: Sequence[Instruction]) -> None:
    """Attach (or replace) the socket's filter; OSError when the kernel refuses the program."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(buffer)))
