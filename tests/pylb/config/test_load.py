"""Files and directories to one configuration."""

from __future__ import annotations

import pytest

from pylb.config.load import load
from pylb.config.model import ConfigError


def write(path, text):
    path.write_text(text)
    return str(path)


def test_several_files_are_one_configuration_in_order(tmp_path):
    one = write(tmp_path / "1.cfg", "defaults\n mode http\nfrontend a\n")
    two = write(tmp_path / "2.cfg", "frontend b\n")
    config, _ = load([one, two], {})
    assert [(f.name, f.mode) for f in config.frontends] == [("a", "http"), ("b", "http")]


def test_a_section_ends_with_its_file(tmp_path):
    one = write(tmp_path / "1.cfg", "frontend a\n")
    two = write(tmp_path / "2.cfg", " bind :80\n")
    with pytest.raises(ConfigError, match=r"2\.cfg:1:2: error: unknown keyword .* out of section"):
        load([one, two], {})


def test_a_directory_is_its_cfg_files_by_name(tmp_path):
    for name in ("20-b.cfg", "10-a.cfg", ".hidden.cfg", "notes.txt"):
        write(tmp_path / name, f"frontend {name[3]}\n")
    config, _ = load([str(tmp_path)], {})
    assert [f.name for f in config.frontends] == ["a", "b"]


def test_errors_of_all_files_come_together(tmp_path):
    one = write(tmp_path / "1.cfg", "frontend a\n nonsense\n")
    two = write(tmp_path / "2.cfg", "frontend a\n nonsense\n")
    with pytest.raises(ConfigError) as caught:
        load([one, two], {})
    assert [(f.at.file, f.at.line) for f in caught.value.findings] == [(one, 2), (two, 1), (two, 2)]


def test_the_files_are_known_to_the_configuration(tmp_path):
    one = write(tmp_path / "1.cfg", 'frontend a\n log-tag "$HAPROXY_CFGFILES"\n')
    assert load([one], {})[0].frontends[0].log_tag == one


@pytest.mark.parametrize(
    ("name", "message"),
    [("nosuch.cfg", "no such file"), ("", "no .*cfg file"), ("x" * 300, "cannot be read: File name too long")],
)
def test_a_path_with_nothing_to_read_is_an_error(tmp_path, name, message):
    with pytest.raises(ConfigError, match=message):
        load([str(tmp_path / name)], {})


def test_toml_is_read_as_the_native_language(tmp_path):
    config, _ = load([write(tmp_path / "lb.toml", '[frontend.web]\nbind = ":80"\n')], {})
    assert config.frontends[0].binds[0].address.port == 80


def test_a_toml_file_stands_alone(tmp_path):
    toml = write(tmp_path / "lb.toml", "")
    cfg = write(tmp_path / "x.cfg", "frontend a\n")
    with pytest.raises(ConfigError, match="a TOML configuration is one file"):
        load([toml, cfg], {})


def test_a_mistake_in_toml_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match=r"lb\.toml:1"):
        load([write(tmp_path / "lb.toml", "frontnd = 3\n")], {})
