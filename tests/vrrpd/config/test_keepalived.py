"""keepalived.conf: its language, its keywords, and the places that its mistakes are reported at."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrpd.config import keepalived
from vrrpd.config.errors import ConfigErrors, Report
from vrrpd.config.keepalived_text import read
from vrrpd.config.model import Authentication, Garp, TrackKind, Vmac

BASE = "interface eth0\nvirtual_router_id 5\nvirtual_ipaddress {\n10.0.0.1\n}\n"


def load(tmp_path, text, config_id="main"):
    path = tmp_path / "keepalived.conf"
    path.write_text(text)
    return keepalived.load(str(path), config_id)


def instance(tmp_path, body="", before="", **how):
    return load(tmp_path, f"{before}\nvrrp_instance VI_1 {{\n{BASE}{body}\n}}\n", **how).config.instances[0]


def errors(tmp_path, text):
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path, text)
    return [(e.at.line, e.at.column, e.text, e.hint) for e in caught.value.errors]


def words(tmp_path, text, config_id="main"):
    path = tmp_path / "x.conf"
    path.write_text(text)
    report = Report()
    found = []

    def walk(statements):
        for statement in statements:
            found.append(" ".join(word.text for word in statement.words))
            walk(statement.block or ())

    walk(read(str(path), report, config_id))
    assert not report.errors, report.errors
    return found


# The language


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b # c\n! d\ne ! f", ["a b", "e"]),
        ("a \"b # c\" 'd ! e'", ["a b # c d ! e"]),
        ('abcd" efg h jkl "mnop', ["abcd efg h jkl mnop"]),
        (r'a "x\ty\x41\101\"z"', ['a x\tyAA"z']),
        ("a {\nb\n}\n", ["a", "b"]),
        ("a\n{\nb }\nc", ["a", "b", "c"]),
        ("a{ b c }\nd", ["a", "b c", "d"]),
        ("@main a\n@other b\n@^main c\n@^other d", ["a", "d"]),
        ("$X=1\na ${X}2 $X\n$X=3\na $X", ["a 12 1", "a 3"]),
        ("$A=10.${B}\n$B=0\n${A}.1\n$B=7\n${A}.1", ["10.0.1", "10.7.1"]),
        ("a ${UNKNOWN} $ALSO", ["a ${UNKNOWN} $ALSO"]),
        ("$V= \\\nx ${N} { \\\n y \\\n}\n$N=1\n$V\n$N=2\n$V", ["x 1", "y", "x 2", "y"]),
        ("$IF=@main\n$IF a\n$IF=@other\n$IF b", ["a"]),
        ("~SEQ(S, 0, 3) a ${S}", ["a 0", "a 1", "a 2", "a 3"]),
        ("~SEQ(S, 3) a ${S}", ["a 1", "a 2", "a 3"]),
        ("~SEQx(S, 0x90, 0x10, 0xc0) a${S}", ["a90", "aa0", "ab0", "ac0"]),
        ("~SEQ(S, 5, -2, 1) a ${S}", ["a 5", "a 3", "a 1"]),
        ("~LST({A, B}, {10,1},{20,4}) ${A}.${B}", ["10.1", "20.4"]),
        ("~LST(A,1,2) ~SEQ(B,5,6) ${A}.${B}", ["1.5", "1.6", "2.5", "2.6"]),
        ("a ${_INSTANCE}${_HASH}${_BANG}", ["a main#!"]),
    ],
)
def test_the_language_is_that_of_the_manual(tmp_path, text, expected):
    assert words(tmp_path, text) == expected


def test_files_include_files_beside_them(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.conf").write_text("from_a\ninclude b.conf\n")
    (tmp_path / "sub" / "b.conf").write_text("from_b ${_PWD}\n")
    assert words(tmp_path, "x\ninclude sub/*.conf\ny") == [
        "x",
        "from_a",
        f"from_b {tmp_path}/sub",
        f"from_b {tmp_path}/sub",
        "y",
    ]


def test_a_file_that_includes_itself_is_an_error_and_ends(tmp_path):
    assert "more than 16 deep" in errors(tmp_path, "include keepalived.conf\n")[0][2]


def test_a_missing_include_is_an_error(tmp_path):
    assert errors(tmp_path, "include nowhere.conf\n")[0][2] == "include finds no file nowhere.conf"


@given(st.text(alphabet="ab{}\"'\\$@~!#= \n(),1", max_size=60))
def test_any_text_is_read_or_reported_and_nothing_else(text):
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(text)
        file.flush()
        try:
            keepalived.load(file.name, "a")
        except ConfigErrors as caught:
            assert caught.errors


# The keywords


def test_an_instance_with_everything(tmp_path):
    settings = instance(
        tmp_path,
        before="vrrp_script chk {\nscript \"/bin/true 'a b'\"\nweight 10\nuser nobody\n}\n"
        "track_file load {\nfile /tmp/load\n}\n",
        body="""
        state BACKUP
        priority 150
        advert_int 2
        authentication {
            auth_type PASS
            auth_pass secret
        }
        virtual_ipaddress_excluded {
            fe80::1:99/64
            10.0.0.7/24 brd + dev eth1 label eth1:x scope link no_track
        }
        virtual_routes {
            10.77.0.0/16 via 10.0.0.254 dev eth0 metric 5
            blackhole 10.78.0.0/16
            10.79.0.0/16 nexthop via 10.0.0.2 weight 2 nexthop via 10.0.0.3
        }
        virtual_rules {
            from 10.0.0.0/24 table 7 preference 100
        }
        track_script {
            chk
            chk weight -5 reverse
        }
        track_interface {
            eth1 weight 3
        }
        track_file {
            load
        }
        unicast_src_ip 10.0.0.2
        unicast_peer {
            10.0.0.3 min_ttl 250 max_ttl 255
        }
        nopreempt
        preempt_delay 4
        garp_master_delay 7
        use_vmac vr5 00:00:5e:00:01:07
        vmac_xmit_base
        notify_master "/bin/echo a b" root
        notify /bin/notify.sh
        smtp_alert
        """,
    )
    assert (settings.priority, settings.advert_int, settings.preempt, settings.preempt_delay) == (150, 2, False, 4)
    assert settings.authentication == Authentication("pass", "secret")
    excluded = settings.excluded_addresses[1]
    assert (str(excluded), excluded.broadcast, excluded.interface, excluded.label) == (
        "10.0.0.7/24",
        "+",
        "eth1",
        "eth1:x",
    )
    assert (excluded.scope, excluded.track) == ("link", False)
    assert [str(route.to) for route in settings.routes] == ["10.77.0.0/16", "10.78.0.0/16", "10.79.0.0/16"]
    assert settings.routes[1].kind == "blackhole"
    assert [nexthop.weight for nexthop in settings.routes[2].nexthops] == [2, 1]
    assert (settings.rules[0].source, settings.rules[0].table) == (ip_network("10.0.0.0/24"), 7)
    assert [(t.kind, t.name, t.weight, t.reverse) for t in settings.tracks] == [
        (TrackKind.SCRIPT, "chk", 10, False),
        (TrackKind.SCRIPT, "chk", -5, True),
        (TrackKind.INTERFACE, "eth1", 3, False),
        (TrackKind.FILE, "load", 1, False),
    ]
    assert (settings.source, settings.unicast_peers[0].min_ttl) == (ip_address("10.0.0.2"), 250)
    assert settings.garp == Garp(master_delay=7, lower_prio_delay=7)
    assert settings.vmac == Vmac("vr5", "00:00:5e:00:01:07", xmit_base=True)
    assert settings.notify.master.argv == ("/bin/echo", "a", "b")
    assert (settings.notify.master.user, settings.notify.any.argv) == ("root", ("/bin/notify.sh",))


def test_instances_inherit_from_global_defs_wherever_it_stands(tmp_path):
    loaded = load(
        tmp_path,
        f"vrrp_instance VI_1 {{\n{BASE}garp_master_repeat 2\n}}\n"
        "global_defs {\nvrrp_version 3\nvrrp_garp_master_delay 9\nvrrp_startup_delay 1.5\nvrrp_strict\n"
        "vrrp_mcast_group4 224.0.0.19\nvrrp_notify_fifo /run/f root\nvrrp_notify_fifo_script /bin/reader\n}\n",
    )
    (settings,) = loaded.config.instances
    assert (settings.version, settings.startup_delay, settings.strict_mode) == (3, 1.5, True)
    assert settings.lower_prio_no_advert
    assert settings.garp == Garp(master_delay=9, master_repeat=2, lower_prio_delay=9, lower_prio_repeat=2)
    assert settings.multicast_group == ip_address("224.0.0.19")
    (fifo,) = loaded.config.globals.fifos
    assert (fifo.path, fifo.user, fifo.reader.argv) == ("/run/f", "root", ("/bin/reader",))


def test_keepalived_s_visible_behaviour_is_kept_until_asked(tmp_path):
    settings = instance(tmp_path)
    assert not (settings.abdicate or settings.ah_probe or settings.ah_clock_sequence)
    assert not settings.check_unicast_source
    assert instance(tmp_path, "abdicate").abdicate


def test_ipv6_is_version_3_and_fractions_are_rounded_in_version_2(tmp_path):
    text = "vrrp_instance V {\ninterface eth0\nvirtual_router_id 5\nvirtual_ipaddress {\nfe80::1\n}\n}\n"
    assert load(tmp_path, text).config.instances[0].version == 3
    loaded = load(tmp_path, f"vrrp_instance V {{\n{BASE}advert_int 0.5\n}}\n")
    assert loaded.config.instances[0].advert_int == 1
    assert [finding.code for finding in loaded.findings] == ["advert-int-rounded"]


def test_tracks_with_weights_are_dropped_where_priorities_may_not_move(tmp_path):
    script = 'vrrp_script s {\nscript "/bin/true"\nweight 5\n}\n'
    text = f"{script}vrrp_instance V {{\n{BASE}priority 255\ntrack_script {{\ns\n}}\n}}\n"
    loaded = load(tmp_path, text)
    assert loaded.config.instances[0].tracks == ()
    assert "weight-ignored" in {finding.code for finding in loaded.findings}


# Mistakes


@pytest.mark.parametrize(
    ("text", "line", "column", "says", "hint"),
    [
        (f"vrrp_instance V {{\n{BASE}prioriti 5\n}}\n", 7, 1, '"prioriti" is not a keyword', '"priority"'),
        (f"vrrp_instance V {{\n{BASE}priority 100 200\n}}\n", 7, 14, "one word too many", "remove it"),
        (f"vrrp_instance V {{\n{BASE}priority 300\n}}\n", 7, 10, "300 is outside 1 to 255", ""),
        (f"vrrp_instance V {{\n{BASE}state MASTER\n}}\n", 1, 1, "without a priority", "silently takes 255"),
        (f"vrrp_instance V {{\n{BASE}track_script {{\nnosuch\n}}\n}}\n", 8, 1, 'no script "nosuch"', ""),
        (f"vrrp_instance V {{\n{BASE}", 1, 17, "never closed", "}"),
        (f"vrrp_instance V {{\n{BASE}}}\n}}\n", 8, 1, "closes nothing", ""),
        ("virtual_server 10.0.0.1 80 {\n}\n", 1, 1, '"virtual_server" is not supported', ""),
        ("vrrp_instanse V {\n}\n", 1, 1, '"vrrp_instanse" is not', '"vrrp_instance"'),
        ("vrrp_instance V {\ninterface eth0\n}\n", 1, 1, "virtual_router_id is missing", ""),
        ("vrrp_instance V {\nvirtual_router_id 5\nvirtual_ipaddress {\n10.0.0.300\n}\n}\n", 4, 1, "not an address", ""),
        (
            "vrrp_instance V {\nvirtual_router_id 5\nvirtual_ipaddress {\n10.0.0.1 dve eth0\n}\n}\n",
            4,
            10,
            '"dve" is not an option',
            '"dev"',
        ),
        ("vrrp_script s {\nscript /bin/true x\n}\n", 2, 18, "has to be quoted", 'script "/bin/true x"'),
        ("static_rules {\nfrom 10.0.0.0/8\n}\n", 2, 1, "says nothing to do", "table"),
        ('vrrp_script s {\nscript "/bin/true\n}\n', 2, 8, "never closed", ""),
        ("vrrp_script s {\nscript /bin/true\nweight 300\n}\n", 3, 8, "outside -253 to 253", ""),
    ],
)
def test_a_mistake_is_named_where_it_stands(tmp_path, text, line, column, says, hint):
    found = errors(tmp_path, text)
    assert any(
        (at_line, at_column) == (line, column) and says in message and hint in advice
        for at_line, at_column, message, advice in found
    ), found


def test_all_mistakes_are_reported_at_once(tmp_path):
    found = errors(tmp_path, f"foo\nvrrp_instance V {{\n{BASE}priority x\nadvert_int 300\nbar\n}}\n")
    assert [line for line, *_ in found] == [1, 8, 9, 10]


def test_what_has_no_effect_is_said(tmp_path):
    loaded = load(tmp_path, "global_defs {\nenable_snmp_vrrp\nsmtp_server 1.2.3.4\nlvs_flush\n}\n")
    assert [(f.at.line, f.code) for f in loaded.findings] == [
        (2, "ignored-keyword"),
        (3, "ignored-keyword"),
        (4, "ignored-keyword"),
    ]
