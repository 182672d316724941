"""The same packets reach a keepalived and a vrrpd: what ours counts under exporters' names is what keepalived counts.

keepalived's own numbers are those of the file that it writes on its JSON signal, which exporters read.
"""

from __future__ import annotations

import json
import signal
import socket
import struct
import sys
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from clusters import PROTOCOLS, config
from netlab import VIP, Daemon, Lab, Node, network_of
from prometheus_client.parser import text_string_to_metric_families
from support import require_program, wait_for

from vrrpd.packet.checksum import internet_checksum

pytestmark = [pytest.mark.interop, pytest.mark.netns]

SIGJSON = signal.SIGRTMIN + 2
DUMP = Path("/tmp/keepalived.json")
NAMES = {
    "advertisements_received": "advert_rcvd",
    "become_master": "become_master",
    "release_master": "release_master",
    "packet_length_errors": "packet_len_err",
    "ip_ttl_errors": "ip_ttl_err",
    "invalid_type_received": "invalid_type_rcvd",
    "address_list_errors": "addr_list_err",
    "authentication_invalid": "invalid_authtype",
    "authentication_mismatch": "authtype_mismatch",
    "authentication_failure": "auth_failure",
    "priority_zero_received": "pri_zero_rcvd",
    "priority_zero_sent": "pri_zero_sent",
}


def advert(
    priority: int = 200, kind: int = 1, auth: int = 1, interval: int = 10, count: int = 1, password: bytes = b"viettq"
) -> bytes:
    """A version 2 advert with a right checksum, whatever its fields say."""
    head = bytes([0x20 | kind, 61, priority, count, auth, interval, 0, 0])
    message = head + socket.inet_aton(VIP) * count + password.ljust(8, b"\0")
    return message[:6] + internet_checksum(message).to_bytes(2, "big") + message[8:]


HOSTILE = (
    (1, 255, advert(priority=0)),
    (1, 255, advert(password=b"wrong")),
    (2, 255, advert(auth=0)),
    (3, 255, advert(auth=9)),
    (4, 255, advert(interval=7)),
    (5, 254, advert()),
    (6, 255, advert(kind=2)),
    (7, 255, advert(count=2)),
    (8, 255, advert()[:12]),
    (5, 255, advert()),
)
"""(how many, TTL, message): as many of each kind as of no other."""


def keepalived_counts(daemon: Daemon) -> dict[str, int]:
    """Ask for its file, whose place is fixed."""
    DUMP.unlink(missing_ok=True)
    daemon.signal(SIGJSON)
    wait_for(lambda: DUMP.exists() and DUMP.read_text().rstrip().endswith("]"), 5, "keepalived's file")
    stats: dict[str, int] = json.loads(DUMP.read_text())[0]["stats"]
    DUMP.unlink()
    return stats


def vrrpd_counts(node: Node) -> dict[str, float]:
    """What a Prometheus server would read."""
    text = node.run(sys.executable, "-m", "vrrpd", "status", "--metrics")
    families = text_string_to_metric_families(text)
    return {s.name: s.value for family in families for s in family.samples if dict(s.labels).get("iname") == "VI_1"}


def counted(lab: Lab, _: str) -> None:
    theirs, ours, attacker = lab.node("m1", 100), lab.node("m2", 101), lab.node("hostile", 50)
    protocol = replace(PROTOCOLS["v2-pass"], interval=10)
    extra = "    preempt_delay 1000\n    state BACKUP"  # whatever comes, both stay backups
    daemons = [
        theirs.start("keepalived", config(protocol, theirs, lab, extra, priority=100)),
        ours.start("vrrpd", config(protocol, ours, lab, extra, priority=100)),
    ]
    for daemon in daemons:
        daemon.wait_for_line("Entering BACKUP STATE")
    with network_of(attacker.init):
        sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        index = socket.if_nametoindex("ens37")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=4s4si", bytes(4), bytes(4), index))
    with sock:
        for times, ttl, message in HOSTILE:
            header = struct.pack(">BBHHHBBH", 0x45, 0xC0, 20 + len(message), 7, 0, ttl, 112, 0)
            packet = header + socket.inet_aton(attacker.address) + socket.inet_aton("224.0.0.18") + message
            for _ in range(times):
                sock.sendto(packet, ("224.0.0.18", 0))
    wait_for(lambda: vrrpd_counts(ours)["keepalived_advertisements_received_total"] == 6, 10, "the last of them")
    found = vrrpd_counts(ours)
    stats = keepalived_counts(daemons[0])
    assert {name: found[f"keepalived_{name}_total"] for name in NAMES} == {
        name: stats[key] for name, key in NAMES.items()
    }
    assert found["keepalived_authentication_mismatch_total"] == 2, "and they did arrive"
    # keepalived drops these too, but leaves its counter at 0.
    assert found["keepalived_advertisements_interval_errors_total"] == 4 and stats["advert_interval_err"] == 0


SCENARIOS = {"test_what_is_counted_is_what_keepalived_counts": counted}


@pytest.mark.parametrize("case", ["vk"])
def test_what_is_counted_is_what_keepalived_counts(case: str, campaign: dict[tuple[str, Any], Future[None]]) -> None:
    require_program("keepalived")
    campaign["test_what_is_counted_is_what_keepalived_counts", case].result()
