"""What the benches look with: a client that pings every 10 ms, a listener on the bridge, a process's cost."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from netlab import Lab, Node, children_of, network_of

from vrrpd.system import filters

SO_TIMESTAMPNS = 35
PROBE_EVERY = 0.01
ETH_P_ALL = 3


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Prober(threading.Thread):
    """Pings the address every 10 ms from the client's namespace until stopped."""

    def __init__(self, node: Node, address: str) -> None:
        super().__init__(daemon=True)
        with network_of(node.init):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._socket.setblocking(False)
        self._address = address
        self._over = threading.Event()
        self.sent: list[float] = []
        self.answered: dict[int, float] = {}

    def run(self) -> None:
        start = time.monotonic()
        while not self._over.is_set():
            number = len(self.sent)
            due = start + number * PROBE_EVERY
            self._receive(due)
            self.sent.append(time.monotonic())
            self._send(number)
        self._receive(time.monotonic() + 0.05)
        self._socket.close()

    def _send(self, number: int) -> None:
        body = struct.pack(">BBHHHI", 8, 0, 0, 0x5652, number & 0xFFFF, number)
        packet = body[:2] + struct.pack(">H", _checksum(body)) + body[4:]
        with contextlib.suppress(OSError):
            self._socket.sendto(packet, (self._address, 0))

    def _receive(self, until: float) -> None:
        while (left := until - time.monotonic()) > 0:
            if not select.select([self._socket], [], [], left)[0]:
                return
            data = self._socket.recv(256)
            kind, _, _, ident, _, number = struct.unpack_from(">BBHHHI", data, 20)
            if kind == 0 and ident == 0x5652:
                self.answered.setdefault(number, time.monotonic())

    def finish(self) -> None:
        """Stop and wait for the last answers."""
        self._over.set()
        self.join()

    def gap(self, event: float) -> float:
        """The longest time around and after `event` without an answered ping, in seconds."""
        good = [self.sent[number] for number in sorted(self.answered)]
        longest = 0.0
        for before, after in itertools.pairwise(good):
            if after >= event:
                longest = max(longest, after - before)
        return longest - PROBE_EVERY if longest > 2 * PROBE_EVERY else 0.0


def _from(source: str) -> list[filters.Instruction]:
    """A filter for IPv4 frames of one sender."""
    address = int.from_bytes(socket.inet_aton(source), "big")
    return [
        (0x28, 0, 0, 12),
        (filters.JEQ, 0, 3, 0x0800),
        (filters.LD_WORD_ABS, 0, 0, 26),
        (filters.JEQ, 0, 1, address),
        (filters.RETURN, 0, 0, 0xFFFF),
        (filters.RETURN, 0, 0, 0),
    ]


@dataclass
class Heard:
    """One frame on the bridge."""

    at: float
    frame: bytes


@dataclass
class Ear(threading.Thread):
    """Listens to VRRP and ARP on the bridge; times are those of the kernel, on the monotonic clock."""

    lab: Lab
    only: str | None = None
    """Hear nothing but IPv4 packets from this address."""
    heard: list[Heard] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        with network_of(self.lab.switch.pid):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            filters.attach(self._socket, _from(self.only) if self.only else filters.ethernet_vrrp_program())
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._socket.bind(("br0", ETH_P_ALL))
        self._offset = time.monotonic() - time.time()
        self._over = threading.Event()

    __hash__ = object.__hash__

    def run(self) -> None:
        while not self._over.is_set():
            if select.select([self._socket], [], [], 0.05)[0]:
                frame, ancillary, _, _ = self._socket.recvmsg(256, 64)
                seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2])
                self.heard.append(Heard(seconds + nanoseconds / 1e9 + self._offset, frame))
        self._socket.close()

    def finish(self) -> None:
        """Stop listening."""
        self._over.set()
        self.join()

    def first_garp(self, mac: str, after: float) -> float | None:
        """When that MAC first announced an address after a moment."""
        wanted = bytes.fromhex(mac.replace(":", ""))
        for heard in self.heard:
            frame = heard.frame
            if (
                heard.at >= after
                and frame[6:12] == wanted
                and frame[12:14] == b"\x08\x06"
                and frame[28:32] == frame[38:42]
            ):
                return heard.at
        return None

    def adverts(self, source: str, before: float = float("inf")) -> list[float]:
        """When adverts of that node were on the bridge."""
        return [heard.at for heard in self._adverts(source) if heard.at < before]

    def _adverts(self, source: str) -> list[Heard]:
        wanted = socket.inet_aton(source)
        return [
            heard
            for heard in self.heard
            if heard.frame[12:14] == b"\x08\x00" and heard.frame[23] == 112 and heard.frame[26:30] == wanted
        ]

    def first_other_priority(self, source: str, usual: int, after: float, before: float) -> float | None:
        """When that node, between two moments, first sent an advert with another priority than its usual one."""
        return next(
            (heard.at for heard in self._adverts(source) if after <= heard.at < before and heard.frame[36] != usual),
            None,
        )

    def intervals(self, source: str | None = None) -> list[float]:
        """Gaps between consecutive adverts of each virtual router, in seconds."""
        last: dict[int, float] = {}
        gaps = []
        for heard in self.heard:
            frame = heard.frame
            if frame[12:14] != b"\x08\x00" or frame[23] != 112 or (source and socket.inet_ntoa(frame[26:30]) != source):
                continue
            vrid = frame[35]
            if vrid in last:
                gaps.append(heard.at - last[vrid])
            last[vrid] = heard.at
        return gaps


def family(pid: int) -> list[int]:
    """A process and its children."""
    return [pid, *children_of(pid)]


def cpu_seconds(pid: int) -> float:
    """Time on the CPU of a process and its children, by the scheduler's own count."""
    return sum(int(Path(f"/proc/{one}/schedstat").read_text().split()[0]) for one in family(pid)) / 1e9


def resident_kb(pid: int) -> int:
    """Resident memory of a process and its children, in kB."""
    total = 0
    for one in family(pid):
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total


def cpu_share(pid: int, seconds: float) -> float:
    """Percent of one core used over a while."""
    before, start = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu_seconds(pid) - before) / (time.monotonic() - start)
