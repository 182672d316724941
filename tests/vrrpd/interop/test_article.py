"""The article's three files as they are, with the article's own check: `killall -0 haproxy`.

Priorities 110/109/108; haproxy stopped on master1 → 100, and master2 has the address; started again → back.
Only the base priorities are those of the files; nothing else is touched.
"""

from __future__ import annotations

import itertools
import re
import sys
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from netlab import Client, Daemon, Lab, Node
from support import require_program, wait_for

pytestmark = [pytest.mark.interop, pytest.mark.netns]

KINDS = {"k": "keepalived", "v": "vrrpd"}
NUMBERS = {"m1": 100, "m2": 101, "m3": 107}
PRIORITIES = {"m1": 100, "m2": 99, "m3": 98}
ARTICLE = """\
vrrp_script haproxy-check {{
    script "killall -0 haproxy"
    interval 2
    weight 10
}}

vrrp_instance kubernetes {{
    state {state}
    priority {priority}
    interface ens37
    virtual_router_id 61
    advert_int 2
    authentication {{
        auth_type AH
        auth_pass viettq
    }}
    virtual_ipaddress {{
        172.16.10.99
    }}

    track_script {{
        haproxy-check
    }}
}}
"""
HAPROXY = """\
defaults
    mode tcp
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend f
    bind 0.0.0.0:6443
    default_backend b
backend b
    server s 127.0.0.1:9
"""
LEAN = ("vkv", "kvk")
CASES = [
    pytest.param(mix, marks=() if mix in LEAN else pytest.mark.soak)
    for mix in map("".join, itertools.product("kv", repeat=3))
    if mix != "kkk"
]


def run_haproxy(node: Node, configuration: Path) -> Daemon:
    """The real haproxy, in the foreground."""
    return node.spawn(require_program("haproxy"), "-db", "-f", str(configuration))


def the_story(lab: Lab, mix: str) -> None:
    """As the article tells it, and back again."""
    configuration = lab.directory / "haproxy.cfg"
    configuration.write_text(HAPROXY)
    nodes = {name: lab.node(name, number) for name, number in NUMBERS.items()}
    client = Client(lab)
    proxies = {name: run_haproxy(node, configuration) for name, node in nodes.items()}
    daemons = {}
    for (name, node), kind in zip(nodes.items(), mix, strict=True):
        text = ARTICLE.format(state="MASTER" if name == "m1" else "BACKUP", priority=PRIORITIES[name])
        daemons[name] = node.start(KINDS[kind], text)
    for name, daemon in daemons.items():
        base = PRIORITIES[name]
        daemon.wait_for_line(r"VRRP_Script\(haproxy-check\) succeeded", 15)
        daemon.wait_for_line(rf"\(kubernetes\) Changing effective priority from {base} to {base + 10}", 15)
    lab.wait_for_holder("m1", 20)
    client.touch()
    client.follows(nodes["m1"])

    proxies["m1"].stop()
    daemons["m1"].wait_for_line(r"VRRP_Script\(haproxy-check\) failed \(exited with status 1\)")
    daemons["m1"].wait_for_line(r"\(kubernetes\) Changing effective priority from 110 to 100")
    lab.wait_for_holder("m2", 14)
    # 109 times out 4 ms before 108 does; on a busy machine 108 may be master for that moment.
    better = r"(172.16.10.101 with higher priority 109|172.16.10.107 with higher priority 108), ours 100"
    daemons["m1"].wait_for_line(rf"\(kubernetes\) Master received advert from {better}")
    client.follows(nodes["m2"])

    proxies["m1"] = run_haproxy(nodes["m1"], configuration)
    daemons["m1"].wait_for_line(r"\(kubernetes\) Changing effective priority from 100 to 110")
    lab.wait_for_holder("m1", 14)
    client.follows(nodes["m1"])

    daemons["m1"].stop()
    wait_for(lambda: lab.holders() == ["m2"], 4, "the better of the two others to take over")
    for daemon in daemons.values():
        assert not re.search(r"Traceback|invalid|Unknown", daemon.text)


TOML = """\
[script.haproxy-check]
command = "killall -0 haproxy"
interval = 0.2
weight = 10

[instance.kubernetes]
virtual_router_id = 61
interface = "ens37"
priority = 100
advert_int = 2
authentication = {type = "ah", password = "viettq"}
addresses = ["172.16.10.99"]
track_scripts = ["haproxy-check"]
"""


def handed_over_at_once(lab: Lab, mix: str) -> None:
    """vrrpd.toml's own defaults on master1: it abdicates, and real keepalived takes over in its skew time."""
    configuration = lab.directory / "haproxy.cfg"
    configuration.write_text(HAPROXY)
    first, second = lab.node("m1", 100), lab.node("m2", 101)
    client = Client(lab)
    proxies = {node.name: run_haproxy(node, configuration) for node in (first, second)}
    path = first.file("vrrpd.toml", TOML)
    daemon = first.spawn(sys.executable, "-m", "vrrpd", "-D", "-c", str(path))
    second.start(KINDS[mix[1]], ARTICLE.format(state="BACKUP", priority=99))
    lab.wait_for_holder("m1", 25)
    client.touch()
    client.follows(first)

    sank = "(kubernetes) priority sank to 100, asking for an election"
    for attempt in range(1, 4):  # others may have the machine
        proxies["m1"].stop()
        stopped = time.monotonic()
        lab.wait_for_holder("m2", 10)
        taken = time.monotonic() - stopped
        client.follows(second)
        wait_for(lambda wanted=attempt: daemon.text.count(sank) == wanted, 10, "the reason")

        proxies["m1"] = run_haproxy(first, configuration)
        lab.wait_for_holder("m1", 14)
        client.follows(first)
        if taken < 3:
            break
    assert taken < 3, "keepalived's own way takes about 5 s; theory here: 0.2 s check + 0.58 s skew"


SCENARIOS = {
    "test_the_address_leaves_the_node_without_haproxy_and_comes_back": the_story,
    "test_a_master_that_abdicates_is_relieved_at_once": handed_over_at_once,
}


@pytest.mark.parametrize("case", ["vk", pytest.param("vv", marks=pytest.mark.soak)])
def test_a_master_that_abdicates_is_relieved_at_once(case: str, campaign: dict[tuple[str, Any], Future[None]]) -> None:
    require_program("keepalived")
    require_program("haproxy")
    campaign["test_a_master_that_abdicates_is_relieved_at_once", case].result()


@pytest.mark.parametrize("case", CASES)
def test_the_address_leaves_the_node_without_haproxy_and_comes_back(
    case: str, campaign: dict[tuple[str, Any], Future[None]]
) -> None:
    require_program("keepalived")
    require_program("haproxy")
    require_program("killall")
    campaign["test_the_address_leaves_the_node_without_haproxy_and_comes_back", case].result()
