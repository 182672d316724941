"""vrrpd in the place of a captured keepalived node: it hears the same and sends the same bytes at the same times."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "packet"))
from captured import CAPTURES, adverts
from network import settings

from vrrpd.config.model import Authentication, UnicastPeer, VirtualAddress
from vrrpd.core.actions import SendAdvert
from vrrpd.core.instance import Instance, LinkState
from vrrpd.core.timers import master_down_interval
from vrrpd.packet.advert import decode

PASS, AH = Authentication("pass", "viettq"), Authentication("ah", "viettq")
KEEPALIVED = {"ah_probe": False, "abdicate": False}

# Who speaks second in each capture, mostly the backup with priority 90: what its file said beyond the usual.
BACKUPS = {
    "v2-noauth": {},
    "v2-pass": {"authentication": PASS},
    "v2-ah-2node": {"authentication": AH},
    "v2-owner-255": {},
    "v3-ipv4-1s": {"version": 3},
    "v3-ipv4-100ms": {"version": 3, "advert_int": 0.1},
    "v3-unicast": {"version": 3},
    "v3-ipv6": {"version": 3},
    "v2-multi-vip": {},
}


# Who speaks first, priority 100; the captures end with its SIGTERM.
MASTERS = {
    "v2-noauth": {},
    "v2-pass": {"authentication": PASS},
    "v2-ah-2node": {"authentication": AH},
    "v2-ah-2vip-longpass": {"authentication": Authentication("ah", "longpassword123")},
    "v2-pass-8char": {"authentication": Authentication("pass", "longpassword123")},
    "v2-split-heal": {},
    "v3-ipv4-1s": {"version": 3},
    "v3-ipv4-100ms": {"version": 3, "advert_int": 0.1},
    "v3-ipv4-advint-mismatch": {"version": 3, "advert_int": 0.5},
    "v3-unicast": {"version": 3},
    "v3-ipv6": {"version": 3},
    "v2-multi-vip": {},
}


def in_place_of(name: str, place: int, **changes):
    """(the node, what it heard and the captured node sent): `place` is 0 for who spoke first, 1 for the next."""
    heard = [(when, datagram) for when, _, datagram in adverts(CAPTURES / f"{name}.pcap")]
    sources = list(dict.fromkeys(datagram.source for _, datagram in heard))
    first = next(datagram for _, datagram in heard if datagram.source == sources[place])
    message = first.payload[24:] if first.protocol == 51 else first.payload
    addresses = decode(message, first.source, first.destination).addresses
    peers = () if first.multicast else tuple(UnicastPeer(one) for one in sources if one != first.source)
    node = Instance(
        settings(
            addresses=tuple(VirtualAddress(address) for address in addresses),
            unicast_peers=peers,
            **{**KEEPALIVED, **changes},
        )
    )
    return node, first.source, [(when - heard[0][0], datagram) for when, datagram in heard]


def sent_by(actions) -> list[bytes]:
    return [data for action in actions if isinstance(action, SendAdvert) for _, data in action.packets]


def replay(node: Instance, ours, heard):
    """([(seconds, bytes) of the captured node], [... of ours]), up to a farewell of the captured one."""
    theirs: list[tuple[float, bytes]] = []
    mine: list[tuple[float, bytes]] = []

    def pass_time(until: float) -> None:
        while node.deadline <= until:
            due = node.deadline
            mine.extend((due, data) for data in sent_by(node.timer_fired(due)))

    for now, datagram in heard:
        message = datagram.payload[24:] if datagram.protocol == 51 else datagram.payload
        if datagram.source != ours:
            pass_time(now)
            mine += [(now, data) for data in sent_by(node.packet_received(datagram, now))]
            continue
        theirs.append((now, datagram.header + datagram.payload))
        if message[2] == 0:
            pass_time(now - 0.01)
            mine += [(now, data) for data in sent_by(node.shutdown(now))]
            break
    else:
        pass_time(heard[-1][0] + node.settings.advert_int / 2)
    return theirs, mine


def compare(theirs, mine) -> None:
    assert theirs
    assert [data.hex() for _, data in mine[: len(theirs)]] == [data.hex() for _, data in theirs]
    for (mine_at, _), (theirs_at, _) in zip(mine, theirs, strict=False):
        assert mine_at == pytest.approx(theirs_at, abs=0.02)


@pytest.mark.parametrize("name", BACKUPS)
def test_a_backup_takes_over_with_the_same_bytes_at_the_same_times(name):
    node, ours, heard = in_place_of(name, 1, **{"priority": 90, **BACKUPS[name]})
    node.start(0.0, LinkState(True, ours))
    compare(*replay(node, ours, heard))


@pytest.mark.parametrize("name", MASTERS)
def test_a_master_sends_and_answers_with_the_same_bytes_at_the_same_times(name):
    node, ours, heard = in_place_of(name, 0, priority=100, **MASTERS[name])
    wait = master_down_interval(100, node.settings.advert_int, node.settings.version)
    node.start(-wait, LinkState(True, ours))
    compare(*replay(node, ours, heard))
