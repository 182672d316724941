"""The command line: exit statuses, what goes to which stream, and that nothing heavy is imported in vain."""

from __future__ import annotations

import os
import pty
import re
import stat
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from support import require_program

from pylb import __version__
from pylb.cli import main
from pylb.config.load import load

ROOT = Path(__file__).parents[2]
ARTICLE = ROOT / "configs/article/haproxy.cfg"
VALID = """
[defaults]
mode = "http"
timeout = { client = "1m", server = "1m", connect = "5s" }
[frontend.web]
bind = "127.0.0.1:8080"
default-backend = "app"
[backend.app.server]
a = "127.0.0.1:8081"
"""
DOUBTFUL = VALID.replace("timeout =", "#")


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Writes a file into an otherwise empty working directory."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> str:
        Path(name).write_text(text)
        return name

    return write


# --------------------------------------------------------------------------------------------------------------- check


def test_a_valid_file_is_status_0_and_says_so_on_stderr(file, capfd):
    assert main(["check", file("lb.toml", VALID)]) == 0
    out, err = capfd.readouterr()
    assert (out, err) == ("", "lb.toml: valid\n")


def test_warnings_pass_unless_strict(file, capfd):
    path = file("lb.toml", DOUBTFUL)
    assert main(["check", path]) == 0
    lines = capfd.readouterr().err.splitlines()
    assert [line.split(" ")[0] for line in lines[:-1]] == ["lb.toml:5:11:", "lb.toml:8:10:"]
    assert lines[-1] == "lb.toml: valid, 2 warnings"
    assert main(["check", "--strict", path]) == 1
    assert capfd.readouterr().err.splitlines()[-1] == "lb.toml: invalid, 2 warnings"
    assert main(["check", "-q", path]) == 0
    assert capfd.readouterr().err == ""


def test_errors_are_status_1_and_all_told(file, capfd):
    text = "defaults\n moed http\nfrontend f\n bind :x\n use_backend b if a\n"
    assert main(["check", file("haproxy.cfg", text)]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert 'haproxy.cfg:2:2: error: unknown keyword in a defaults section: "moed" (did you mean "mode"?)' in err
    assert "haproxy.cfg:4:7: error:" in err
    assert 'haproxy.cfg:5:2: error: unknown backend "b"' in err and 'haproxy.cfg:5:19: error: unknown ACL "a"' in err
    assert err.endswith("haproxy.cfg: invalid, 4 errors\n")


def test_what_the_rules_compiler_refuses_is_told_with_the_rest_and_once(file, capfd):
    text = VALID.replace("default-backend", 'http-request = ["deny if { pth /a } || nope", "dney"]\ndefault-backend')
    assert main(["check", file("lb.toml", text.replace('"app"', '"ap"'))]) == 1
    lines = capfd.readouterr().err.splitlines()
    found = [re.fullmatch(r'lb\.toml:(\d+:\d+): error: [^"]+"(\w+)".*', line) for line in lines if " error: " in line]
    assert [match.groups() for match in found] == [("7:28", "pth"), ("7:40", "nope"), ("7:48", "dney"), ("8:20", "ap")]
    assert lines[-1] == "lb.toml: invalid, 4 errors, 1 warning"


def test_several_files_and_directories_are_one_configuration(file, tmp_path, capfd):
    (tmp_path / "conf.d").mkdir()
    file("conf.d/20-app.cfg", "backend app\n server a 127.0.0.1:1\n")
    file("conf.d/10-web.cfg", "frontend web\n bind 127.0.0.1:2\n default_backend app\n")
    defaults = "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n"
    assert main(["check", file("00.cfg", defaults), "conf.d"]) == 0
    assert capfd.readouterr().err == "00.cfg, conf.d: valid\n"
    assert main(["check", "00.cfg", "conf.d/10-web.cfg"]) == 1
    assert 'conf.d/10-web.cfg:3:18: error: unknown backend "app"' in capfd.readouterr().err


def test_a_missing_file_is_an_error(file, capfd):
    assert main(["check", "nowhere.cfg"]) == 1
    assert capfd.readouterr().err.startswith("nowhere.cfg: error: no such file\n")


def test_what_certificates_cover_and_until_when_is_told(file, capfd):
    Path("pems").mkdir()
    for name in ("a.lab", "b.lab"):
        assert main(["cert", name, "10.0.0.1", "--days", "90", "-o", f"pems/{name}.pem"]) == 0
    capfd.readouterr()
    path = file("lb.toml", VALID.replace('"127.0.0.1:8080"', '{ address = ":443", ssl = { crt = ["pems"] } }'))
    ends = (datetime.now(UTC) + timedelta(days=90)).strftime("%Y-%m-%d")
    assert main(["check", path]) == 0
    *notes, last = capfd.readouterr().err.splitlines()
    assert [note[: note.index(ends) + 10] for note in notes] == [
        f'lb.toml:6:1: note: certificate "pems/{name}.pem" covers {name}, 10.0.0.1, until {ends}'
        for name in ("a.lab", "b.lab")
    ]
    assert last == "lb.toml: valid"
    assert main(["check", "-q", path]) == 0
    assert capfd.readouterr().err == ""


def test_missing_and_useless_certificates_are_told(file, capfd):
    file("bad.pem", "nothing")
    ssl = '":443", ssl = { crt = ["bad.pem", "gone.pem"] }'
    assert main(["check", file("lb.toml", VALID.replace('"127.0.0.1:8080"', f"{{ address = {ssl} }}"))]) == 1
    err = capfd.readouterr().err
    assert 'lb.toml:6:1: error: "bad.pem" holds no certificate' in err
    assert 'lb.toml:6:1: error: certificate "gone.pem" cannot be read: No such file or directory' in err


def test_the_article_is_checked_to_the_end(tmp_path, capfd):
    """Only what its machine has and this one has not is wrong with it."""
    assert main(["check", str(ARTICLE)]) == 1
    lines = capfd.readouterr().err.splitlines()
    errors = [line for line in lines if " error: " in line]
    assert all("/etc/haproxy/ssl/server.pem" in line for line in errors) and errors
    assert sum(" warning: " in line for line in lines) == 11


def test_on_a_terminal_advice_has_its_own_line_and_colours(file, monkeypatch):
    path = file("lb.toml", DOUBTFUL)
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "pylb", "check", path]
    environment = {**os.environ, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    environment.pop("NO_COLOR", None)
    assert subprocess.run(command, stderr=follower, env=environment, check=False).returncode == 0
    os.close(follower)
    shown = os.read(leader, 65536).decode()
    os.close(leader)
    assert "\x1b[" in shown
    assert "→ add timeout client 1m" in re.sub(r"\x1b\[[0-9;]*m", "", shown)


# ------------------------------------------------------------------------------------------------------------- convert


def test_convert_prints_toml_that_means_the_same(file, capfd):
    assert main(["convert", str(ARTICLE)]) == 0
    out, err = capfd.readouterr()
    assert tomllib.loads(out)["frontend"]["frontend_ssl_443"]["default-backend"] == "backend_ingress"
    assert load([file("lb.toml", out)], {})[0] == load([str(ARTICLE)], {})[0]
    assert ' warning: "option httpclose" replaces' in err
    assert main(["convert", "-q", str(ARTICLE)]) == 0
    assert capfd.readouterr().err == ""


def test_convert_of_a_wrong_file_prints_nothing(file, capfd):
    assert main(["convert", file("haproxy.cfg", "frontend\n")]) == 1
    out, err = capfd.readouterr()
    assert out == "" and "haproxy.cfg:1:" in err


def test_a_reader_that_hangs_up_is_no_traceback():
    command = f"{sys.executable} -m pylb convert -q {ARTICLE} | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stdout == "[" and done.stderr == ""


# ---------------------------------------------------------------------------------------------------------------- cert


def test_cert_writes_a_bundle_that_only_its_owner_reads(file, tmp_path, capfd):
    assert main(["cert", "*.lab", "10.0.0.1", "--days", "3"]) == 0
    path = tmp_path / "_.lab.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["*.lab"]
    assert main(["cert", "*.lab"]) == 1
    assert "exists" in capfd.readouterr().err
    assert main(["cert", "*.lab", "--force", "-o", str(path)]) == 0
    assert x509.load_pem_x509_certificate(path.read_bytes()) != certificate
    capfd.readouterr()
    assert main(["cert", "a.lab", "-o", "-"]) == 0
    assert "BEGIN PRIVATE KEY" in capfd.readouterr().out
    assert main(["cert", "not a name", "-o", "x.pem"]) == 1
    assert not (tmp_path / "x.pem").exists()


@pytest.mark.interop
def test_the_bundle_is_what_haproxy_takes(file, tmp_path):
    haproxy = require_program("haproxy")
    assert main(["cert", "www.lab", "-o", "lab.pem"]) == 0
    file("haproxy.cfg", "defaults\n mode http\n timeout client 1s\nfrontend f\n bind :8443 ssl crt lab.pem\n")
    subprocess.run([haproxy, "-c", "-q", "-f", "haproxy.cfg"], check=True, cwd=tmp_path)


# ------------------------------------------------------------------------------------------------------------ the rest


def test_without_a_file_the_help_is_shown(capfd):
    assert main([]) == 2
    assert "pylb -c lb.toml" in capfd.readouterr().err


@pytest.mark.parametrize("command", [[], ["check"], ["convert"], ["cert"], ["demo"]])
def test_every_command_helps_with_examples(command, capfd):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert "examples:\n  pylb " in capfd.readouterr().out


def test_the_version(capfd):
    with pytest.raises(SystemExit):
        main(["-V"])
    assert capfd.readouterr().out == f"pylb {__version__}\n"


def test_a_file_that_cannot_be_served_is_status_1(file, capfd):
    assert main(["-c", file("lb.toml", "[front.x]\n")]) == 1
    assert 'unknown key "front"' in capfd.readouterr().err


def test_a_daemon_from_haproxy_cfg_holds_nothing_it_does_not_need(file):
    path = file("haproxy.cfg", "frontend f\n mode http\n bind 127.0.0.1:1\n timeout client 1s\n stats enable\n")
    code = (
        "import sys; from pylb.process.examine import examine; assert examine([sys.argv[1]])[0];"
        "print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code, path]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert not {"pydantic", "rich", "tree_sitter", "scapy", "pyroute2"} & set(done.stdout.split())
