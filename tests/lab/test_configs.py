"""configs/ tells of one system in four languages, also when the programs translate it themselves."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.lab.lab import CHECK_WEIGHT
from bench.lab.programs import keepalived_conf, vrrpd_toml
from bench.lab.topology import CONFIGS, HOSTS, MASTERS, VIP
from bench.lab.watch import base_priority
from pylb.config.load import load
from vrrpd.config import keepalived, toml

ENVIRONMENT = {"LB_STATS_PASSWORD": "correct horse battery staple"}
PLACES = {host.name: host.address for host in HOSTS}


def converted(program, *words):
    done = subprocess.run(
        [sys.executable, "-m", program, "convert", *map(str, words)],
        env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pylb_convert_makes_the_meaning_of_lb_toml_out_of_haproxy_cfg(tmp_path):
    made = tmp_path / "lb.toml"
    made.write_text(converted("pylb", CONFIGS / "haproxy.cfg"))
    assert load([str(made)], ENVIRONMENT)[0] == load([str(CONFIGS / "lb.toml")], ENVIRONMENT)[0]


@pytest.mark.parametrize("node", MASTERS)
def test_vrrpd_convert_keeps_the_meaning_of_keepalived_conf(node, tmp_path):
    path = CONFIGS / f"keepalived-{node}.conf"
    written = converted("vrrpd", path)
    assert toml.loads(written.encode()).config == keepalived.load(str(path)).config


def test_the_files_tell_of_the_labs_hosts():
    config, _ = load([str(CONFIGS / "haproxy.cfg")], ENVIRONMENT)
    servers = {server.name: server.address.host for backend in config.backends for server in backend.servers}
    assert servers == {name: PLACES[name] for name in ("worker1", "worker2", "worker3", "rancher")}
    for node in MASTERS:
        [instance] = toml.load(str(CONFIGS / "vrrpd.toml"), node).config.instances
        assert [str(one.address) for one in instance.addresses] == [VIP]
        assert instance.priority == base_priority(node)
        assert keepalived.load(str(CONFIGS / f"keepalived-{node}.conf")).config.scripts[0].weight == CHECK_WEIGHT


@pytest.mark.parametrize("node", MASTERS)
def test_variations_are_the_same_in_both_languages(node, tmp_path):
    path = tmp_path / "keepalived.conf"
    path.write_text(keepalived_conf(node, nopreempt=True, only_process=True))
    theirs = keepalived.load(str(path)).config
    ours = toml.loads(vrrpd_toml(node, nopreempt=True, only_process=True).encode(), "f", node).config
    assert theirs.instances[0].preempt is ours.instances[0].preempt is False
    assert theirs.scripts[0].command == ours.scripts[0].command
