"""All errors at once: what follows from a line that was refused is left out, all else is told beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import examples

import pylb
from pylb.process.examine import examine

HEAD = "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\n"
WEB = "frontend web\n bind 127.0.0.1:8099\n"
APP = "backend app\n server x 127.0.0.1:80\n"


def errors(directory: Path, text: str, name: str = "haproxy.cfg") -> list[str]:
    path = directory / name
    path.write_text(text)
    config, findings = examine([str(path)])
    assert config is None or not any(finding.severity == "error" for finding in findings)
    return [f"{f.at.line}: {f.message}" for f in findings if f.severity == "error"]


def test_errors_of_reading_names_and_rules_come_together_in_order(tmp_path):
    text = (
        HEAD
        + WEB
        + " acl a pathh /x\n use_backend nope if a\n"
        + " http-request set-header X %[src,lowr]\n blance first\n"
        + APP
    )
    assert errors(tmp_path, text) == [
        '8: unknown criterion "pathh"',
        '9: unknown backend "nope" in frontend "web"',
        '10: unknown converter "lowr"',
        '11: unknown keyword in a frontend section: "blance"',
    ]


CONSEQUENCES = {
    "an ACL": WEB + " acl bad path -x /x\n use_backend app if bad\n" + APP,
    "a server": WEB + " default_backend app\n" + APP.replace(":80", ":80 wight 3") + " server y [::1]:80 track app/x\n",
    "a table": WEB + " http-request track-sc0 src table t\nbackend t\n stick-table typ ip size 1k\n",
    "a misspelt mode": WEB + " default_backend app\n moed tcp\n" + APP + " mode tcp\n",
    "a mode": WEB + " default_backend app\nbackend app\n mode tpc\n server x 127.0.0.1:80\n",
    "a bind": "frontend web\n bind 127.0.0.1:99999\n default_backend app\n" + APP,
}  # fmt: skip


@pytest.mark.parametrize("what", CONSEQUENCES)
def test_what_a_refused_line_would_have_declared_is_not_missed(tmp_path, what):
    assert len(errors(tmp_path, HEAD + CONSEQUENCES[what])) == 1


def test_toml_errors_come_together_too(tmp_path):
    text = """
[frontend.web]
bind = ["127.0.0.1:8099"]
default-backend = "apq"
modee = "http"
[backend.app]
server = [{ name = "x", address = "127.0.0.1:80" }]
"""
    found = errors(tmp_path, text, "lb.toml")
    assert any("modee" in line for line in found) and any("apq" in line for line in found), found


ARTICLE = (Path(__file__).parent / "article.cfg").read_text()


DEMO = re.sub(r"\$\{DEMO_\w+\}", "8099", (Path(pylb.__file__).parent / "demo/demo.toml").read_text())


@settings(max_examples=examples(80), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["haproxy.cfg", "lb.toml"]))
def test_no_damage_breaks_the_check(tmp_path, data, name):
    """Words of a good file are removed, garbled or doubled; whatever comes of it, it is a list of findings."""
    words = re.split(r"(\s+)", ARTICLE if name == "haproxy.cfg" else DEMO)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(words) - 1))
        if not words[at].isspace():
            words[at] = data.draw(
                st.sampled_from(["", "x" + words[at], words[at] * 2, "{", "%[", "9" * 30, '"', '"x"', "[]"])
            )
    errors(tmp_path, "".join(words), name)


def test_the_demo_s_mistakes_are_all_told():
    _, findings = examine([str(Path(pylb.__file__).parent / "demo/mistakes.toml")])
    told = "\n".join(finding.message for finding in findings if finding.severity == "error")
    for word in ("workerz", "modee", "hdrr", "leastcon", "wieght", "many"):
        assert word in told, told
