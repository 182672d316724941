"""Every option that routes and rules have in keepalived: the kernel shows the same afterwards as for keepalived."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from clusters import PROTOCOLS, config
from netlab import Lab, Node
from support import require_program, wait_for

pytestmark = [pytest.mark.interop, pytest.mark.netns]

V3 = PROTOCOLS["v3-ipv4"]
ROUTES = (
    "192.168.100.0/24 table 6909 nexthop via 172.16.10.1 dev ens37 onlink weight 1"
    " nexthop via 172.16.10.2 dev ens37 onlink weight 2",
    "192.168.200.0/24 dev ens37 table 6909 tos 0x04 protocol bird scope link priority 12 mtu 1000 hoplimit 100"
    " advmss 101 rtt 200 rttvar 200 reordering 104 window 105 cwnd 106 ssthresh lock 107 realms 10/0x14"
    " rto_min 208 initcwnd 109 initrwnd 110 features ecn no_track",
    "10.1.0.0/16 via 172.16.10.10 mtu lock 1400 congctl lock reno quickack 1 fastopen_no_cookie 1",
    "src 172.16.10.100 10.2.0.0/16 via 172.16.10.10 realms 5",
    "blackhole 10.3.0.0/16",
    "2001:db8:7::/48 dev ens37 metric 44 pref high mtu 1400 hoplimit 9",
)
RULES = (
    "from 192.168.28.0/24 to 192.168.29.0/26 table 50 iif ens37 oif lo tos 16 fwmark 24/12 preference 39 realms 30/20",
    "to 2001:db8:5::/48 from 2001:db8:6::/48 table 6908 uidrange 10000-19999 preference 60",
    "from 10.4.0.0/16 l3mdev protocol 12 preference 70 no_track",
    "from 10.4.0.0/16 protocol 12 table 8 preference 71",
    "from 10.4.0.0/16 ipproto UDP sport 10-20 dport 20-30 table 9 preference 72",
    "from 10.4.0.0/16 table main suppress_prefixlength 0 preference 73",
    "from 10.4.0.0/16 table main suppress_ifgroup 3 preference 74",
    "from 10.5.0.0/16 goto 32766 preference 75",
    "from 10.6.0.0/16 blackhole preference 76",
)
MANUAL = "\n".join(("    virtual_routes {", *ROUTES, "    }", "    virtual_rules {", *RULES, "    }"))


def shown(node: Node) -> list[str]:
    """All that the kernel tells of routes and rules."""
    lines = []
    for family in ("-4", "-6"):
        for what in ("route show table all", "rule show"):
            lines += node.run("ip", "-d", family, *what.split()).replace("\n\t", " ").splitlines()
    return sorted(" ".join(line.split()) for line in lines)


def every_option(lab: Lab, _: str) -> None:
    node = lab.node("m1", 100)
    before = shown(node)
    found = {}
    for kind in ("keepalived", "vrrpd"):
        daemon = node.start(kind, config(V3, node, lab, MANUAL))
        wait_for(lambda: "proto bird" in " ".join(shown(node)) and "10.6.0.0" in " ".join(shown(node)), 10, kind)
        found[kind] = [line for line in shown(node) if line not in before]
        daemon.stop()
        wait_for(lambda: shown(node) == before, 5, f"everything to be gone again after {kind}")
        assert "nknown" not in daemon.text and "cannot add" not in daemon.text
    assert found["vrrpd"] == found["keepalived"]
    assert len(found["vrrpd"]) >= 14


SCENARIOS = {"test_every_option_of_the_manual_means_the_same": every_option}


@pytest.mark.parametrize("case", ["kv"])
def test_every_option_of_the_manual_means_the_same(case: str, campaign: dict[tuple[str, Any], Future[None]]) -> None:
    require_program("keepalived")
    campaign["test_every_option_of_the_manual_means_the_same", case].result()
