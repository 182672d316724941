"""keepalived's own `-t` judges the same files: what it takes we take, what it refuses we refuse.

Where vrrpd is stricter is listed, too.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support import require_program
from vrrpd.config import keepalived
from vrrpd.config.check import check
from vrrpd.config.errors import ConfigErrors

pytestmark = pytest.mark.interop

BASE = "interface {eth}\nvirtual_router_id 5\nvirtual_ipaddress {{\n10.0.0.1\n}}\n"
SCRIPT = 'vrrp_script s {{{{\nscript "/bin/true"\n{}\n}}}}\n'
CONFIG_ERROR = 5
"""Exit status of `keepalived -t`; 6 is a security warning, and 0 all is well."""


def vrrp(body: str = "", before: str = "") -> str:
    return f"{before}vrrp_instance V {{{{\n{BASE}{body}\n}}}}\n"


AGREED = {
    "plain": vrrp(),
    "brace without space": "vrrp_instance V{{\n" + BASE + "}}\n",
    "brace on its own line": "vrrp_instance V\n{{\n" + BASE + "}}\n",
    "quoted name and comments": f'vrrp_instance "V 1" {{{{ # a\n! b\n{BASE}}}}}\n',
    "authentication on one line": vrrp("authentication {{ auth_type PASS\n auth_pass x }}"),
    "AH": vrrp("authentication {{\nauth_type AH\nauth_pass x\n}}"),
    "definitions": "$IF={eth}\n$ID=7\n" + vrrp("virtual_router_id $ID\ninterface ${{IF}}"),
    "multi-line definition": "$B= \\\npriority 7 \\\nnopreempt\n" + vrrp("$B"),
    "sequence": vrrp("virtual_ipaddress_excluded {{\n~SEQ(X,2,5) 10.0.0.${{X}}\n}}"),
    "list": vrrp("virtual_ipaddress_excluded {{\n~LST({{A,B}},{{5,6}},{{7,8}}) 10.0.${{A}}.${{B}}\n}}"),
    "condition": vrrp("@main priority 50\n@other priority 60\n@^main priority x"),
    "address options": vrrp("virtual_ipaddress_excluded {{\n10.0.0.9/24 brd + dev {eth} scope link label {eth}:1\n}}"),
    "weights": vrrp("track_script {{\ns weight -5 reverse\n}}", SCRIPT.format("weight 10 reverse")),
    "global": "global_defs {{\nvrrp_version 3\nvrrp_garp_master_delay 3\nrouter_id x\nlvs_flush\n}}\n" + vrrp(),
    "unicast": vrrp("unicast_peer {{\n10.0.0.2 min_ttl 3 max_ttl 255\n10.0.0.3\n}}"),
    "routes": vrrp("virtual_routes {{\n10.9.0.0/16 via 10.0.0.7 dev {eth}\nblackhole 10.10.0.0/16 no_track\n}}"),
    "version 3": vrrp("version 3\nadvert_int 0.05"),
    "ipv6": vrrp().replace("10.0.0.1", "fe80::99"),
    "unknown keyword": vrrp("prioriti 5"),
    "unknown keyword on top": "foo_bar x\n" + vrrp(),
    "missing brace": vrrp()[:-3],
    "no router id": vrrp().replace("virtual_router_id 5\n", ""),
    "router id out of range": vrrp("virtual_router_id 500"),
    "priority out of range": vrrp("priority 300"),
    "no address": vrrp().replace("virtual_ipaddress {{\n10.0.0.1\n}}\n", ""),
    "no such address": vrrp().replace("10.0.0.1", "10.0.0.300"),
    "two families": vrrp().replace("10.0.0.1", "10.0.0.1\nfe80::1"),
    "two words as an address": vrrp().replace("10.0.0.1", "10.0.0.1 10.0.0.2"),
    "version 3 with authentication": vrrp("version 3\nauthentication {{\nauth_type PASS\nauth_pass x\n}}"),
    "the same router twice": vrrp() + vrrp().replace("instance V", "instance W"),
    "group without member": vrrp() + "vrrp_sync_group G {{\ngroup {{\nV\nW\n}}\n}}\n",
}

STRICTER = {
    "weight out of range": vrrp("track_script {{\ns weight 300\n}}", SCRIPT.format("")),
    "extra word": vrrp("priority 100 200"),
    "extra word after a flag": vrrp("nopreempt now"),
    "track of nothing": vrrp("track_script {{\nnosuch\n}}"),
    "command that would be cut": vrrp("track_script {{\ns\n}}", "vrrp_script s {{\nscript /bin/true x\n}}\n"),
    "state MASTER without priority": vrrp("state MASTER"),
}


def an_interface() -> str:
    for path in sorted(Path("/sys/class/net").iterdir()):
        if path.name != "lo" and (path / "type").read_text().strip() == "1":
            return path.name
    pytest.skip("no Ethernet interface here")
    raise AssertionError


def judged(tmp_path: Path, text: str) -> tuple[bool, bool, str]:
    """(keepalived takes it, vrrpd takes it, what was said)."""
    program = require_program("keepalived")
    path = tmp_path / "keepalived.conf"
    path.write_text(text.format(eth=an_interface()))
    done = subprocess.run(
        [program, "-t", "-i", "main", "-f", str(path)], capture_output=True, text=True, timeout=20, check=False
    )
    said = done.stdout + done.stderr
    # Some refusals are only said, and the status is that of a security warning.
    refused = done.returncode == CONFIG_ERROR or bool(re.search(r"missing '}'|not found, ignoring", said))
    try:
        check(keepalived.load(str(path), "main").config, find_program=lambda name: name)
    except ConfigErrors as errors:
        return not refused, False, said + str(errors)
    return not refused, True, said


@pytest.mark.parametrize("name", AGREED)
def test_both_take_or_refuse_the_same_file(tmp_path, name):
    theirs, ours, said = judged(tmp_path, AGREED[name])
    assert theirs == ours, said


@pytest.mark.parametrize("name", STRICTER)
def test_what_keepalived_passes_over_in_silence_is_an_error_here(tmp_path, name):
    _, ours, said = judged(tmp_path, STRICTER[name])
    assert not ours, said
