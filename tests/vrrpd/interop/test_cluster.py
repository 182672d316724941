"""Three nodes, real keepalived and vrrpd mixed: nobody notices when one is exchanged for the other.

`make test` runs a few mixtures of each way of speaking VRRP; `make soak` all of them.
"""

from __future__ import annotations

import itertools
from concurrent.futures import Future
from typing import Any

import pytest
from clusters import NUMBERS, PROTOCOLS, config
from netlab import Client, Daemon, Lab
from support import require_program

pytestmark = [pytest.mark.interop, pytest.mark.netns]

KINDS = {"k": "keepalived", "v": "vrrpd"}
LEAN = {
    "v2-none": ("kvk",),
    "v2-pass": ("vkk",),
    "v2-ah": ("vkv",),
    "v3-ipv4": ("kvv", "vkk", "vvk"),
    "v3-ipv6": ("kvk", "vkv"),
    "v3-unicast": ("vkv",),
    "v2-unicast-ah": ("vkv",),
    "v3-ipv6-unicast": ("kvk",),
}
CASES = [
    pytest.param((name, mix), id=f"{name}-{mix}", marks=() if mix in LEAN[name] else pytest.mark.soak)
    for name in PROTOCOLS
    for mix in map("".join, itertools.product("kv", repeat=3))
    if mix != "kkk"
]


def life_of_a_cluster(lab: Lab, case: tuple[str, str]) -> None:
    """Election, stop, host death, return of the best, return of the dead."""
    protocol, mix = PROTOCOLS[case[0]], case[1]
    address, down = protocol.address, protocol.down
    nodes = {name: lab.node(name, number) for name, number in NUMBERS.items()}
    client = Client(lab)
    daemons: dict[str, Daemon] = {}

    def start(name: str) -> None:
        kind = KINDS[mix[list(NUMBERS).index(name)]]
        daemons[name] = nodes[name].start(kind, config(protocol, nodes[name], lab))

    for name in nodes if mix.count("v") % 2 else reversed(nodes):  # the order of starting must not matter
        start(name)
    for name in ("m2", "m3"):
        daemons[name].wait_for_line(r"\(VI_1\) Entering BACKUP STATE", down)
    lab.wait_for_holder("m1", down, address)
    client.touch(address)
    client.follows(nodes["m1"], address)
    lab.always(lambda: lab.holders(address) == ["m1"], 0.3, "m1 alone has the address")

    daemons["m1"].stop()
    taken = lab.wait_for_holder("m2", 3 + protocol.interval, address)
    assert taken < 3 or protocol.interval < 1, "a farewell is answered within the skew time, not in 3.6 s"
    client.follows(nodes["m2"], address)

    nodes["m2"].die(daemons["m2"])
    lab.wait_for_holder("m3", down, address)
    client.follows(nodes["m3"], address)

    start("m1")
    lab.wait_for_holder("m1", down, address)
    client.follows(nodes["m1"], address)
    source = nodes["m1"].address6 if ":" in address else nodes["m1"].address
    daemons["m3"].wait_for_line(rf"\(VI_1\) Master received advert from {source} with higher priority 100, ours 80")
    daemons["m3"].wait_for_line(r"\(VI_1\) Entering BACKUP STATE$")

    nodes["m2"].revive()
    start("m2")
    daemons["m2"].wait_for_line(r"\(VI_1\) Entering BACKUP STATE")
    lab.wait_for_holder("m1", down, address)
    lab.always(lambda: lab.holders(address) == ["m1"], 0.3, "the leftover address on m2 is gone")
    for name in ("m1", "m2", "m3"):
        assert "Entering MASTER STATE" in daemons[name].text


SCENARIOS = {"test_the_address_is_on_exactly_one_node_all_along": life_of_a_cluster}


@pytest.mark.parametrize("case", CASES)
def test_the_address_is_on_exactly_one_node_all_along(
    case: tuple[str, str], campaign: dict[tuple[str, Any], Future[None]]
) -> None:
    require_program("keepalived")
    campaign["test_the_address_is_on_exactly_one_node_all_along", case].result()
