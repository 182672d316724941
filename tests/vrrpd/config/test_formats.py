"""Two formats, one meaning: what is converted reads back equal; and vrrpd.toml's own mistakes and defaults."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vrrpd.config import check, keepalived, load, toml, toml_write
from vrrpd.config.errors import ConfigErrors
from vrrpd.config.model import Authentication, Garp, InstanceSettings, TrackKind, UnicastPeer, VirtualAddress

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "configs").glob("keepalived*.conf")) + sorted(Path(__file__).parent.glob("samples/*.conf"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_converted_file_means_the_same(path):
    config = keepalived.load(str(path), "main").config
    written = toml_write.dumps(config)
    assert toml.loads(written.encode()).config == config
    assert tomllib.loads(written)


@pytest.mark.parametrize("node", ["master1", "master2", "master3"])
def test_the_examples_of_both_formats_tell_of_one_virtual_router(node):
    theirs = keepalived.load(str(ROOT / f"configs/keepalived-{node}.conf")).config
    ours = toml.load(str(ROOT / "configs/vrrpd.toml"), node).config
    assert ours.scripts == (replace(theirs.scripts[0], first_result="counts"),)
    [one], [other] = ours.instances, theirs.instances
    better = {"abdicate", "ah_probe", "ah_clock_sequence", "check_unicast_source"}
    for field in {field.name for field in fields(one)} - {"at", *better}:
        assert getattr(one, field) == getattr(other, field), field
    assert one.abdicate and not other.abdicate


@pytest.mark.parametrize("path", [*sorted((ROOT / "configs").glob("keepalived*.conf")), ROOT / "configs/vrrpd.toml"])
def test_the_examples_have_no_findings_but_hints(path):
    reader = toml if path.suffix == ".toml" else keepalived
    findings = check.check(reader.load(str(path)).config, find_program=lambda name: name)
    assert {finding.code for finding in findings} == {"weak-authentication"}


NODES = (
    '[instance.V]\ninterface = "eth0"\nvirtual_router_id = 5\naddresses = ["10.0.0.1"]\npriority = 50\n'
    "garp = {master_delay = 3, master_repeat = 2}\n"
    "[node]\nlb1.instance.V.priority = 100\n[node.lb2.instance.V]\npriority = 90\ngarp.master_repeat = 7\n"
)


def test_a_node_is_what_the_file_says_with_its_own_table_over_it():
    for node, priority, repeat in (("lb1", 100, 2), ("lb2", 90, 7)):
        loaded = toml.loads(NODES.encode(), "f", node)
        [instance] = loaded.config.instances
        assert (instance.priority, instance.garp.master_repeat, instance.garp.master_delay) == (priority, repeat, 3)
        assert not loaded.findings


def test_a_host_that_is_no_node_of_the_file_is_told_so():
    loaded = toml.loads(NODES.encode(), "f", "lb3")
    assert loaded.config.instances[0].priority == 50
    assert [str(finding) for finding in loaded.findings] == [
        'f:7:2: warning: no [node.NAME] is for "lb3", only for "lb1", "lb2": on the wrong host, or write -i NAME '
        "[unknown-node]"
    ]


def test_mistakes_in_the_tables_of_all_nodes_are_reported_where_they_stand():
    text = NODES + "prority = 3\n[node.lb3.instance.V]\npriority = 300\n"
    with pytest.raises(ConfigErrors) as caught:
        toml.loads(text.encode(), "f", "lb1")
    assert [(error.at.line, error.at.column) for error in caught.value.errors] == [(12, 1), (14, 12)]
    with pytest.raises(ConfigErrors, match='f:1:8: error: "node" has to hold a table for each node'):
        toml.loads(b"node = 3", "f")


def loads(text: str):
    return toml.loads(text.encode(), "vrrpd.toml").config


INSTANCE = '[instance.V]\ninterface = "eth0"\nvirtual_router_id = 5\naddresses = ["10.0.0.1/24 dev eth1"]\n'


def test_what_people_write_is_put_into_the_models_form():
    config = loads(
        "[defaults]\nadvert_int = 2\ngarp = {master_delay = 3}\n"
        + '[script.s]\ncommand = ["/bin/true", "a b"]\nuser = "nobody"\n'
        + "weight = 7\n"
        + INSTANCE
        + 'track_scripts = ["s", {name = "s", weight = -2, reverse = true}]\ntrack_interfaces = ["eth1"]\n'
        + 'unicast_peers = ["10.0.0.2", {address = "10.0.0.3", min_ttl = 254}]\n'
        + 'routes = ["10.9.0.0/16 via 10.0.0.254", {to = "10.8.0.0/16", kind = "blackhole"}]\n'
        + 'notify = {any = "/bin/notify x", master = {command = "/bin/m", user = "root"}}\n'
        + 'authentication = {type = "pass", password = "p"}\ngarp = {master_repeat = 2}\n'
    )
    (settings,) = config.instances
    assert config.scripts[0].command.argv == ("/bin/true", "a b")
    assert config.scripts[0].command.user == "nobody"
    assert [(t.kind, t.weight, t.reverse) for t in settings.tracks] == [
        (TrackKind.SCRIPT, 7, False),
        (TrackKind.SCRIPT, -2, True),
        (TrackKind.INTERFACE, 0, False),
    ]
    assert settings.addresses[0].interface == "eth1"
    assert [peer.min_ttl for peer in settings.unicast_peers] == [0, 254]
    assert [route.kind for route in settings.routes] == ["unicast", "blackhole"]
    assert settings.notify.any.argv == ("/bin/notify", "x")
    assert settings.notify.master.user == "root"
    assert settings.advert_int == 2
    assert settings.garp == Garp(master_delay=3, lower_prio_delay=3, master_repeat=2, lower_prio_repeat=2)
    assert settings.authentication == Authentication("pass", "p")


def test_the_better_ways_are_on_by_default():
    settings = loads(INSTANCE).instances[0]
    assert settings.abdicate and settings.ah_probe and settings.ah_clock_sequence and settings.check_unicast_source


@pytest.mark.parametrize(
    ("text", "line", "column", "says", "hint"),
    [
        (INSTANCE + "prioriti = 5\n", 5, 1, '"prioriti" is not a key', '"priority"'),
        (INSTANCE + "priority = 300\n", 5, 12, "less than or equal to 255", ""),
        (INSTANCE + 'priority = "high"\n', 5, 12, "a number, not", ""),
        (INSTANCE + 'priority = "100"\n', 5, 12, 'has to be a number, not "100"', ""),
        (INSTANCE + "advert_int = true\n", 5, 14, "has to be a number, not true", ""),
        (INSTANCE + 'preempt = "no"\n', 5, 11, "has to be true or false", ""),
        (INSTANCE + "garp = {master_repeat = 0}\n", 5, 25, "greater than or equal to 1", ""),
        (INSTANCE + 'track_scripts = ["nosuch"]\n', 5, 18, 'no script "nosuch"', ""),
        ('[instance.V]\ninterface = "eth0"\n', 1, 11, 'has no "virtual_router_id"', ""),
        ('[instance.V]\nvirtual_router_id = 5\naddresses = ["10.0.0.1 dve x"]\n', 3, 24, '"dve" is not', '"dev"'),
        ("[instanse.V]\n", 1, 2, '"instanse" is not', '"instance"'),
        ("x = \n", 1, 5, "Invalid value", ""),
        ('[script.s]\ncommand = ""\n', 2, 11, "empty", ""),
        ('[script.s]\ncommand = "a"\nwieght = 1\n', 3, 1, '"wieght" is not a key', '"weight"'),
        (INSTANCE + "[defaults]\naddresses = []\n", 6, 13, "belongs to one instance", ""),
    ],
)
def test_a_mistake_is_named_where_it_stands(text, line, column, says, hint):
    with pytest.raises(ConfigErrors) as caught:
        loads(text)
    assert any(
        (e.at.line, e.at.column) == (line, column) and says in e.text and hint in e.hint for e in caught.value.errors
    ), caught.value.errors


@given(
    st.builds(
        InstanceSettings,
        name=st.text(min_size=1, max_size=8).filter(lambda text: text.isprintable()),
        virtual_router_id=st.integers(1, 255),
        interface=st.sampled_from(["eth0", "ens37"]),
        priority=st.integers(1, 255),
        version=st.sampled_from([2, 3]),
        advert_int=st.sampled_from([0.1, 1.0, 2.0, 40.95]),
        authentication=st.none() | st.builds(Authentication, st.sampled_from(["pass", "ah"]), st.text(max_size=12)),
        addresses=st.lists(
            st.builds(
                VirtualAddress,
                st.ip_addresses(),
                prefix=st.none() | st.integers(0, 32),
                interface=st.none() | st.just("eth1"),
                track=st.booleans(),
            ),
            max_size=3,
        ).map(tuple),
        unicast_peers=st.lists(st.builds(UnicastPeer, st.ip_addresses(v=4)), max_size=2).map(tuple),
        garp=st.builds(Garp, master_delay=st.integers(0, 9).map(float), lower_prio_repeat=st.integers(0, 9)),
        abdicate=st.booleans(),
    )
)
def test_any_instance_is_written_and_read_back_equal(settings):
    config = toml.loads(b"").config
    config = type(config)(instances=(settings,))
    try:
        toml_write.dumps(config).encode()
    except UnicodeEncodeError:
        return
    assert toml.loads(toml_write.dumps(config).encode()).config == config


@given(st.text(alphabet='ab[]{}="\n.1,# instance', max_size=50))
def test_any_text_is_read_or_reported_and_nothing_else(text):
    try:
        loads(text)
    except ConfigErrors as caught:
        assert caught.errors


def test_a_child_process_reads_a_file_to_the_same_meaning(tmp_path):
    path = tmp_path / "vrrpd.toml"
    path.write_text(INSTANCE)
    assert load.load_in_child(str(path)) == load.load(str(path))
    path.write_text(INSTANCE + "prioriti = 5\n")
    with pytest.raises(ConfigErrors, match='did you mean "priority"'):
        load.load_in_child(str(path))


# As a whole


def codes(text: str, **how) -> list[str]:
    return [finding.code for finding in check.check(loads(text), **how)]


def whole_errors(text: str) -> str:
    with pytest.raises(ConfigErrors) as caught:
        check.check(loads(text))
    return str(caught.value)


SCRIPT = '[script.s]\ncommand = "/nowhere/killall -0 haproxy"\n'


def test_a_check_whose_program_is_missing_stops_the_start_unless_told_otherwise():
    text = INSTANCE + 'track_scripts = ["s"]\n' + SCRIPT
    assert 'the program "/nowhere/killall" of the check "s" does not exist' in whole_errors(text)
    assert codes('[global]\nscript_missing = "warn"\n' + text) == ["missing-program"]
    assert codes(text, find_program=lambda name: name) == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("version = 3\nauthentication = {type='ah', password='x'}\n", "version 3 has no authentication"),
        ("advert_int = 0.5\n", "cannot be said in version 2"),
        ("version = 3\nadvert_int = 41\n", "more than version 3 can say"),
        ("version = 3\nadvert_int = 0.015\n", "finer than version 3 can say"),
        ("excluded_addresses = ['10.0.0.1']\n", "there twice"),
        ("strict_mode = true\nunicast_peers = ['10.0.0.9']\n", "strict mode allows no unicast"),
        ("unicast_peers = ['fe80::1']\n", "another family"),
        ("[instance.W]\ninterface = 'eth0'\nvirtual_router_id = 5\naddresses = ['10.0.0.2']\n", "both use VRID 5"),
        ("[group.G]\nmembers = ['V', 'W']\n", 'no instance "W"'),
    ],
)
def test_contradictions_are_errors(more, says):
    assert says in whole_errors(INSTANCE + more)


def test_an_address_outside_the_interfaces_network_is_found():
    from ipaddress import ip_interface

    def found(own):
        return [one.code for one in check.outside_networks(loads(INSTANCE), {"eth1": (ip_interface(own),)})]

    assert found("192.168.0.5/24") == ["address-outside-network"]
    assert found("10.0.0.5/24") == []


def test_the_files_of_several_nodes_are_compared():
    node = INSTANCE + 'state = "MASTER"\npriority = {}\ntrack_scripts = ["s"]\n' + SCRIPT + "weight = {}\n"
    one, two = loads(node.format(100, 10)), loads(node.format(50, 10).replace("10.0.0.1/24", "10.0.0.2/24"))
    found = {finding.code for finding in check.compare({"a": one, "b": two})}
    assert found == {"nodes-differ", "all-state-master", "useless-weight"}
    two = loads(node.format(95, 10))
    assert {finding.code for finding in check.compare({"a": one, "b": two})} == {"all-state-master"}
