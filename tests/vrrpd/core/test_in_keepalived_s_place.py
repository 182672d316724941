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
from vrrpd.core.actions import SendAdvert, State
from vrrpd.core.instance import Instance, LinkState
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


def conversation(name: str):
    """(all adverts, the backup's address): the one that speaks second."""
    heard = [(when, datagram) for when, _, datagram in adverts(CAPTURES / f"{name}.pcap")]
    sources = list(dict.fromkeys(datagram.source for _, datagram in heard))
    return heard, sources[1]


def sent_by(actions) -> list[bytes]:
    return [data for action in actions if isinstance(action, SendAdvert) for _, data in action.packets]


@pytest.mark.parametrize("name", BACKUPS)
def test_it_sends_the_same_bytes_at_the_same_times(name):
    heard, ours = conversation(name)
    first = heard[0][1]
    message = first.payload[24:] if first.protocol == 51 else first.payload
    addresses = decode(message, first.source, first.destination).addresses
    node = Instance(
        settings(
            addresses=tuple(VirtualAddress(address) for address in addresses),
            unicast_peers=() if first.multicast else (UnicastPeer(first.source),),
            **{"priority": 90, **KEEPALIVED, **BACKUPS[name]},
        )
    )
    began = heard[0][0]
    node.start(0.0, LinkState(True, ours))
    theirs: list[tuple[float, bytes]] = []
    mine: list[tuple[float, bytes]] = []
    for when, datagram in heard:
        now = when - began
        if datagram.source == ours:
            theirs.append((now, datagram.header + datagram.payload))
            continue
        while node.deadline <= now:
            due = node.deadline
            mine += [(due, data) for data in sent_by(node.timer_fired(due))]
        mine += [(now, data) for data in sent_by(node.packet_received(datagram, now))]
    end = heard[-1][0] - began + node.settings.advert_int / 2
    while node.deadline <= end:
        due = node.deadline
        mine += [(due, data) for data in sent_by(node.timer_fired(due))]
    assert len(theirs) > 0
    # The capture may end with the farewell of the one that we stand in for.
    goodbye = theirs[-1][1][-len(message) :][2] == 0
    if goodbye:
        now = theirs[-1][0]
        mine = [(when, data) for when, data in mine if when < now]
        mine += [(now, data) for data in sent_by(node.shutdown(now))]
        assert node.state is State.INIT
    assert [data.hex() for _, data in mine[: len(theirs)]] == [data.hex() for _, data in theirs]
    for (mine_at, _), (theirs_at, _) in zip(mine, theirs, strict=False):
        assert mine_at == pytest.approx(theirs_at, abs=0.02)
