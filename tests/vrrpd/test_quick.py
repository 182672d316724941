"""A virtual router from command line options."""

import pytest

from vrrpd import quick
from vrrpd.cli import main, run_parser
from vrrpd.config.model import TrackKind


def build(*words, default="eth7"):
    return quick.build(run_parser().parse_args(words), default)


def test_an_address_is_enough_and_the_defaults_are_said():
    config, notes = build("--vip", "10.0.0.1")
    (one,) = config.instances
    assert (one.interface, one.virtual_router_id, one.priority, one.version, one.advert_int) == (
        "eth7",
        51,
        100,
        2,
        1.0,
    )
    assert notes == [
        "interface eth7 (of the default route), vrid 51 (default), priority 100 (default), version 2 (default), "
        "advert interval 1 s (default), authentication none, addresses 10.0.0.1"
    ]


def test_every_option_arrives(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("viettq\n")
    words = ["--vip", "10.0.0.1/24", "--vip", "10.0.0.2", "--interface", "e0", "--vrid", "7", "--priority", "150"]
    words += ["--auth", f"ah:@{secret}", "--track-script", "test -e '/a b'", "--script-interval", "0.5"]
    words += ["--script-weight", "-20", "--unicast-peer", "10.0.0.3", "--source", "10.0.0.4", "--nopreempt"]
    config, _ = build(*words)
    (one,) = config.instances
    assert [str(address) for address in one.addresses] == ["10.0.0.1/24", "10.0.0.2"]
    assert (one.interface, one.virtual_router_id, one.priority, one.preempt) == ("e0", 7, 150, False)
    assert (one.authentication.type, one.authentication.password) == ("ah", "viettq")
    assert config.scripts[0].command.argv == ("test", "-e", "/a b")
    assert (config.scripts[0].interval, one.tracks[0].weight, one.tracks[0].kind) == (0.5, -20, TrackKind.SCRIPT)
    assert str(one.unicast_peers[0].address) == "10.0.0.3"


@pytest.mark.parametrize(
    ("words", "version"),
    [(["--vip", "fe80::1"], 3), (["--vip", "10.0.0.1", "--advert-int", "0.1"], 3), (["--vip", "10.0.0.1"], 2)],
)
def test_the_version_that_can_do_it_is_chosen(words, version):
    assert build(*words)[0].instances[0].version == version


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "which address? Write --vip ADDRESS"),
        (["--vip", "10.0.0"], "--vip 10.0.0:"),
        (["--vip", "10.0.0.1", "--vrid", "0"], "--vrid 0: has to be between 1 and 255"),
        (["--vip", "10.0.0.1", "--vrid", "256"], "--vrid 256: has to be between 1 and 255"),
        (["--vip", "10.0.0.1", "--priority", "0"], "--priority 0: has to be between 1 and 255"),
        (["--vip", "fe80::1", "--version", "2"], "VRRPv2 has no IPv6"),
        (["--vip", "10.0.0.1", "--version", "2", "--advert-int", "0.5"], "VRRPv2 has whole seconds"),
        (["--vip", "10.0.0.1", "--version", "3", "--advert-int", "50"], "0.01 to 40.95"),
        (["--vip", "10.0.0.1", "--auth", "md5:x"], "write pass:SECRET or ah:SECRET"),
        (["--vip", "10.0.0.1", "--version", "3", "--auth", "pass:x"], "VRRPv3 has no authentication"),
        (["--vip", "10.0.0.1", "--source", "here"], "here"),
    ],
)
def test_what_is_wrong_is_said(words, text):
    with pytest.raises(quick.UsageError) as caught:
        build(*words)
    assert text in str(caught.value)


def test_without_a_default_route_the_interface_is_asked_for():
    with pytest.raises(quick.UsageError, match="write --interface NAME"):
        build("--vip", "10.0.0.1", default=None)


def test_file_and_options_do_not_mix(tmp_path, capsys):
    assert main(["-c", str(tmp_path / "x.conf"), "--vrid", "5"]) == 2
    assert "give these either on the command line or in" in capsys.readouterr().err


def test_a_missing_check_program_stops_the_start(capsys):
    words = ["--vip", "10.0.0.1", "--interface", "lo", "--track-script", "no-such-program-here -x"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "check check1: no-such-program-here: not found in PATH: not starting" in error
