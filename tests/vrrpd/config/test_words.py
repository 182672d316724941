"""Routes, rules and their like: every option arrives, a mistake is said once; and `check` compares nodes."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from vrrpd.cli import main
from vrrpd.config import check, keepalived, toml
from vrrpd.config.errors import ConfigErrors, Report
from vrrpd.config.keepalived_text import Word
from vrrpd.config.model import Origin, Track, TrackKind
from vrrpd.config.words import route, rule

INSTANCE = """vrrp_instance VI_1 {{
    interface {interface}
    virtual_router_id 61
    priority {priority}
    {extra}
    virtual_ipaddress {{
        {address}
    }}
}}
"""


def instance(extra="", address="172.16.10.99", priority=100, interface="ens37"):
    return INSTANCE.format(extra=extra, address=address, priority=priority, interface=interface)


@pytest.fixture
def written(tmp_path):
    def write(text, name="keepalived.conf"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def words(text):
    return [Word(match[0], Origin("f", 1, 1 + match.start())) for match in re.finditer(r"\S+", text)]


def mistakes(parse, text):
    report = Report()
    assert parse(words(text), report) is None
    return [(error.at.column, error.text, error.hint) for error in report.errors]


def test_metrics_of_a_route_are_read():
    report = Report()
    read = route(
        words(
            "10.0.0.0/8 via 10.9.0.1 hoplimit 5 window 1000 rtt 100ms rttvar 30 rto_min 0.2s ssthresh 9 cwnd 8"
            " initcwnd 20 initrwnd 21 reordering 4 quickack 1 congctl reno pref high mtu 1400 advmss 1300"
        ),
        report,
    )
    assert not report.errors
    assert (read.to, read.via) == (ip_network("10.0.0.0/8"), ip_address("10.9.0.1"))
    assert (read.hoplimit, read.window, read.rtt, read.rttvar, read.rto_min) == (5, 1000, 100, 30, 200)
    assert (read.ssthresh, read.cwnd, read.initcwnd, read.initrwnd, read.reordering) == (9, 8, 20, 21, 4)
    assert (read.quickack, read.congctl, read.preference, read.mtu, read.advmss) == (1, "reno", "high", 1400, 1300)


@pytest.mark.parametrize(
    ("parse", "text", "column", "says", "hint"),
    [
        (route, "10.0.0.0/8 hoplimt 5", 12, '"hoplimt" is not an option', '"hoplimit"'),
        (route, "10.0.0.0/8 encap mpls 16 via 10.0.0.1", 12, '"encap" is not supported', "notify_master"),
        (route, "10.0.0.0/8 quickack 2", 21, '"2" is not 0 or 1', ""),
        (route, "10.0.0.0/8 pref best", 17, '"best" is not low, medium or high', ""),
        (rule, "from 10.0.0.0/8 tabel 5", 17, '"tabel" is not an option', '"table"'),
        (rule, "uidrange 2-1 table 5", 10, '"2-1" is not a range of users', ""),
        (rule, "sport 1-65536 table 5", 7, '"1-65536" is not a port', ""),
        (rule, "ip_proto nosuch table 5", 10, '"nosuch" is not an IP protocol', ""),
        (rule, "from 10.0.0.0/8 table nosuch", 23, '"nosuch" is not a routing table', ""),
        (rule, "from 10.0.0.0/8 l3mdev table 5", 1, "l3mdev chooses the table", "leave one of them out"),
        (route, "10.0.0.0/8 via 10.0.0.1 realms 1/70000", 32, '"1/70000" is not a realm', ""),
        (route, "10.0.0.0/8 protocol nosuch", 21, '"nosuch" is not a routing protocol', ""),
        (route, "10.0.0.0/8 features ecm", 21, '"ecm" is not a feature', "ecn"),
    ],
)
def test_an_option_that_is_not_known_is_one_mistake_with_its_values(parse, text, column, says, hint):
    first, *rest = mistakes(parse, text)
    assert first[0] == column and says in first[1] and hint in first[2]
    assert all("nothing to do" in text for _, text, _ in rest)


def test_every_option_of_a_rule_is_read():
    report = Report()
    read = rule(
        words(
            "from 10.0.0.0/8 table main realms 30/20 uidrange 10-19 ipproto udp sport 10-20 dport 53 tun_id 7"
            " suppress_prefixlength 0 suppress_ifgroup 3 protocol bird no_track"
        ),
        report,
    )
    assert not report.errors and not report.findings
    assert (read.realms, read.uid_range, read.ip_protocol, read.table) == ("30/20", "10-19", "udp", "main")
    assert (read.source_ports, read.destination_ports, read.tunnel_id) == ("10-20", "53-53", 7)
    assert (read.suppress_prefix_length, read.suppress_group, read.protocol) == (0, 3, "bird")
    assert rule(words("from 10.0.0.0/8 l3mdev"), report).l3mdev


def test_a_rule_that_is_watched_has_keepaliveds_protocol():
    report = Report()
    assert rule(words("from 10.0.0.0/8 table 9 protocol bird"), report).protocol is None
    assert [finding.code for finding in report.findings] == ["rule-protocol"]


def test_locks_features_and_realms_of_a_route_are_read():
    report = Report()
    read = route(
        words("10.0.0.0/8 mtu lock 1400 ssthresh 5 congctl lock reno features ecn realms 0x10/20 expires 9 add"), report
    )
    assert not report.errors
    assert (read.lock, read.mtu, read.ssthresh, read.congctl) == (("mtu", "congctl"), 1400, 5, "reno")
    assert (read.ecn, read.realms, read.expires, read.add) == (True, "0x10/20", 9, True)


def test_rules_without_a_preference_get_one_each(written):
    text = "static_rules {\nfrom 10.0.0.0/8 table 5\n}\n" + instance(
        "virtual_rules {\nfrom 10.1.0.0/16 table 6\nfrom 10.2.0.0/16 table 7 preference 40\nto 10.3.0.0/16 table 8\n}"
    )
    loaded = keepalived.load(written(text))
    given = [one.preference for one in loaded.config.static_rules + loaded.config.instances[0].rules]
    assert given == [16383, 16382, 40, 16381]
    assert [one.code for one in loaded.findings].count("rule-preference") == 3


@pytest.mark.parametrize(
    ("written_as", "seconds", "everywhere"), [("garp_extra_if 60", 60, False), ("garp_extra_if all 90", 90, True)]
)
def test_refreshes_elsewhere_are_for_virtual_macs_unless_all_is_said(written, written_as, seconds, everywhere):
    garp = keepalived.load(written(instance(written_as))).config.instances[0].garp
    assert (garp.extra_interfaces, garp.extra_interfaces_all) == (seconds, everywhere)
    with pytest.raises(ConfigErrors, match='write "all"'):
        keepalived.load(written(instance("garp_extra_if al 60")))


def test_addresses_and_routes_tell_which_interfaces_they_need(written):
    text = instance(
        "virtual_routes {\n10.0.0.0/8 dev eth2\n10.9.0.0/16 dev eth3 no_track\n10.8.0.0/16 dev ens37\n}",
        "172.16.10.99\n10.1.0.1/24 dev eth1\n10.2.0.1/24 dev eth4 no_track",
    )
    settings = keepalived.load(written(text)).config.instances[0]
    assert settings.other_interfaces == ("eth1", "eth2")


def test_a_wrong_vrid_is_not_called_missing_too(written):
    with pytest.raises(ConfigErrors) as caught:
        keepalived.load(written(instance().replace("router_id 61", "router_id 300")))
    assert [error.text for error in caught.value.errors] == ["300 is outside 1 to 255"]


def test_a_router_without_addresses_is_refused_with_the_reason(written):
    with pytest.raises(ConfigErrors, match='"no_virtual_ipaddress" is not supported: a virtual router without'):
        keepalived.load(written(instance("no_virtual_ipaddress")))


def test_an_address_outside_the_hosts_networks_is_found(written):
    config = keepalived.load(written(instance())).config
    inside = {"ens37": (ip_interface("172.16.10.100/24"),)}
    outside = {"ens37": (ip_interface("10.0.0.1/24"),)}
    assert not check.outside_networks(config, inside)
    (finding,) = check.outside_networks(config, outside)
    assert finding.code == "address-outside-network" and "10.0.0.1/24" in finding.text


def test_several_nodes_are_compared(written, capsys):
    one = written(instance("state MASTER"), "one.conf")
    two = written(instance("state MASTER", "172.16.10.98", 90), "two.conf")
    assert main(["check", one, two]) == 0
    shown = capsys.readouterr().out
    assert (
        f"{two}:1:1: warning: virtual router 61: virtual_ipaddress of VI_1 and of {one}:1:1 is 172.16.10.98 here"
        in shown
    )
    assert "every node says state MASTER [all-state-master]" in shown
    assert "2 files compared: 2 findings" in shown


def test_ah_nodes_that_all_say_master_are_found_too(written, capsys):
    text = instance("state MASTER\nauthentication {\nauth_type AH\nauth_pass viettq\n}")
    files = [written(text, "one.conf"), written(text.replace("priority 100", "priority 90"), "two.conf")]
    assert main(["check", *files]) == 0
    shown = capsys.readouterr().out
    assert "Initial state master is incompatible with AH authentication - clearing" in shown
    assert "all-state-master" in shown and "[state-master]" not in shown


def test_one_wrong_file_of_several_is_an_error(written, capsys):
    assert main(["check", written(instance(), "one.conf"), written("vrrp_instanc X {\n}\n", "two.conf")]) == 2
    both = capsys.readouterr()
    assert "one.conf: fine, 1 virtual router" in both.out and "two.conf:1:1: error" in both.err


def test_a_check_that_is_named_in_a_group_only_is_kept_for_its_members():
    config = toml.loads(
        b'[script.s]\ncommand = "/bin/true"\n'
        b'[instance.A]\ninterface = "e"\nvirtual_router_id = 1\naddresses = ["10.0.0.1"]\n'
        b'[instance.B]\ninterface = "e"\nvirtual_router_id = 2\naddresses = ["10.0.0.2"]\n'
        b'[group.G]\nmembers = ["A", "B"]\ntrack_scripts = ["s"]\n'
    ).config
    assert config.groups[0].tracks == (Track(TrackKind.SCRIPT, "s"),)


def test_a_static_address_without_an_interface_is_the_default_ones(written):
    text = "static_ipaddress {\n10.9.0.1/24\n}\n" + instance()
    assert keepalived.load(written(text)).config.static_addresses[0].interface == "eth0"
    text = "global_defs {\ndefault_interface ens37\n}\n" + text
    assert keepalived.load(written(text)).config.static_addresses[0].interface == "ens37"
