"""What a trace tells: bytes by field, the test that refused a packet, formulas of timers, sums of priorities."""

from __future__ import annotations

import io
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "packet"))
from captured import CAPTURES, adverts

from vrrpd.config.model import InstanceSettings, Origin, Track, TrackKind, VirtualAddress
from vrrpd.core import actions
from vrrpd.core.actions import Level
from vrrpd.core.instance import LinkState
from vrrpd.packet.advert import Advert, encode
from vrrpd.packet.datagram import PROTOCOL_AH, PROTOCOL_VRRP, Datagram
from vrrpd.trace import packets
from vrrpd.trace.executor import TracedExecutor
from vrrpd.trace.instance import TracedInstance
from vrrpd.trace.printer import Printer, TracedLog

VIP, OURS, THEIRS, GROUP = map(ip_address, ("172.16.10.99", "172.16.10.100", "172.16.10.101", "224.0.0.18"))


class Story:
    """A traced instance and what it has told since it was last asked."""

    def __init__(self, **changes):
        self.out = io.StringIO()
        self.printer = Printer(self.out, began=0.0)
        tracks = (Track(TrackKind.SCRIPT, "chk", weight=-20), Track(TrackKind.SCRIPT, "must"))
        self.instance = TracedInstance(
            self.printer,
            InstanceSettings(
                "VI_1",
                61,
                "eth0",
                addresses=(VirtualAddress(VIP),),
                tracks=tracks,
                at=Origin("k.conf", 7, 1),
                **changes,
            ),
        )
        self.instance.track_changed(TrackKind.SCRIPT, "must", True, 0.0)
        self.instance.start(0.0, LinkState(source=OURS))

    def told(self) -> list[str]:
        lines = [line.strip() for line in self.out.getvalue().splitlines()]
        self.out.truncate(0)
        self.out.seek(0)
        return lines

    def hears(self, now: float, priority: int, ttl: int = 255, damage: bool = False):
        message = encode(Advert(61, priority, (VIP,), 1.0, THEIRS), GROUP)
        if damage:
            message = message[:6] + b"\0\0" + message[8:]
        self.instance.packet_received(Datagram(THEIRS, GROUP, ttl, PROTOCOL_VRRP, message, bytes(20)), now)
        return self.told()


def test_timers_are_told_with_their_formula():
    story = Story()
    assert "master down timer: 3 * 1 s + (256 - 100) / 256 * 1 s = 3.609 s" in story.told()
    story.hears(1.0, 150)
    assert "skew time: (256 - 100) / 256 * 1 s = 0.6094 s" in story.hears(2.0, 0)
    story.instance.timer_fired(story.instance.deadline)
    told = story.told()
    assert told[0].startswith("VI_1             2.6094  timer: no master was heard for long enough, 0.0 ms late")
    assert told[0].endswith("k.conf:7")
    assert told[1:] == ["BACKUP → MASTER (RFC 9568 6.4.3)", "advert timer: 1 s (advert_int 1 s)"]


def test_a_refused_packet_names_its_test_and_that_nothing_was_touched():
    story = Story()
    for how, reason in (
        ({"ttl": 3}, "refused by the test of ttl: invalid TTL/HL. Received 3 and expect 255"),
        ({"damage": True}, "refused by the test of checksum: Invalid VRRPv2 checksum"),
    ):
        told = story.hears(1.0, 150, **how)
        assert reason in told
        assert told[-1] == "no timer was touched; master down timer: 2.609 s left"


@pytest.mark.parametrize(
    ("changes", "priority", "judgement"),
    [
        ({}, 150, "150 is not below ours, 100: it is master, the timer starts again"),
        ({}, 90, "90 is below ours, 100: not counted, so that our timer runs out and we take over"),
        ({"preempt": False}, 90, "90 is below ours, 100, but nopreempt leaves it master"),
        ({}, 0, "priority 0 is a farewell: we wait our skew time only"),
    ],
)
def test_a_backup_says_what_the_rfc_makes_of_an_advert(changes, priority, judgement):
    assert judgement in Story(**changes).hears(1.0, priority)


@pytest.mark.parametrize(
    ("priority", "judgement"),
    [
        (150, "150 is above ours, 100: it is to be master, we stand back"),
        (100, "priorities are equal, and 172.16.10.101 is above our address 172.16.10.100: it is to be master, we "
         "stand back"),
        (90, "90 is below ours, 100: we stay and answer"),
        (0, "priority 0 is a farewell: we answer, as we are master"),
    ],
)  # fmt: skip
def test_a_master_says_what_the_rfc_makes_of_an_advert(priority, judgement):
    story = Story()
    story.instance.timer_fired(story.instance.deadline)
    told = story.hears(10.0, priority)
    assert judgement in told
    assert ("MASTER → BACKUP (RFC 9568 6.4.2)" in told) is (priority >= 100)


def test_a_priority_is_told_as_a_sum_and_a_fault_by_its_cause():
    story = Story()
    story.told()
    story.instance.track_changed(TrackKind.SCRIPT, "chk", False, 1.0)
    assert "priority 100 → 80: 100 configured, -20 script chk" in story.told()
    story.instance.track_changed(TrackKind.SCRIPT, "must", False, 2.0)
    told = story.told()
    assert "in the way of taking part: script must" in told and "BACKUP → FAULT" in told and "no timer runs" in told
    story.instance.track_changed(TrackKind.SCRIPT, "elsewhere", False, 2.0)
    assert story.told() == [], "nobody tracks it here"


def test_captured_bytes_are_told_field_by_field():
    _, _, datagram = next(adverts(CAPTURES / "lab3node-v2-ah.pcap"))
    ah, header, rest = packets.received(datagram)
    assert "SPI 172.16.10." in ah and ah.endswith("HMAC-MD5-96")
    assert "21 version 2 advertisement · 3d VRID 61" in header and "02 behind AH · 02 every 2 s" in header
    assert rest == "ac100a63 172.16.10.99"


@given(st.binary(max_size=80), st.sampled_from([PROTOCOL_VRRP, PROTOCOL_AH]), st.sampled_from(["10.0.0.1", "fe80::1"]))
def test_no_bytes_break_a_trace(payload, protocol, source):
    lines = packets.received(Datagram(ip_address(source), GROUP, 255, protocol, payload))
    assert lines and all(lines)


def test_every_action_is_told_with_its_time():
    out = io.StringIO()

    class Nothing:
        def __getattr__(self, name):
            return lambda *a, **k: []

    printer = Printer(out, began=0.0)
    executor = TracedExecutor(printer, Nothing(), Nothing(), Nothing(), None, lambda *_: None)
    story = Story()
    executor.perform(story.instance.timer_fired(story.instance.deadline))
    executor.perform(story.instance.shutdown(5.0))
    told = [line.strip().partition(", 0.")[0] for line in out.getvalue().splitlines() if "(VI_1)" in line]
    assert told == [
        "→ advert, priority 100",
        "+ 172.16.10.99",
        "→ 5 times gratuitous ARP or NA for 172.16.10.99",
        "notify programs and fifos hear MASTER 100",
        "→ farewell",
        "- 172.16.10.99",
        "notify programs and fifos hear STOP 100",
    ]
    assert "40 bytes 172.16.10.100 → 224.0.0.18, TTL 255, IP id 1, protocol 112" in out.getvalue()
    executor.perform([actions.Log("VI_1", Level.INFO, "said by the log")])
    assert "said by the log" not in out.getvalue()


def test_the_log_is_part_of_the_trace_and_the_console_is_silent(capsys):
    out = io.StringIO()
    TracedLog(Printer(out)).say(Level.DEBUG, "(VI_1) setting VIPs.")
    assert out.getvalue().split(maxsplit=2)[2] == "debug: (VI_1) setting VIPs.\n"
    assert capsys.readouterr() == ("", "")
