"""Every word of HAProxy's command line beside the real program: the same exit status, the same effect where it runs."""

from __future__ import annotations

import csv
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from live import ports
from load import tell
from support import require_program, wait_for, wait_for_port

from pylb import haproxy_line
from pylb.haproxy_words import NOTHING_TO_CHOOSE, USAGE, parse

pytestmark = pytest.mark.interop

GOOD = """
global
 maxconn 500
 stats socket {dir}/{name}.sock level admin
defaults
 mode http
 timeout client 1s
 timeout server 1s
 timeout connect 1s
frontend without
 bind 127.0.0.1:{port}
 default_backend b
frontend own
 bind 127.0.0.1:{other}
 maxconn 30
 default_backend b
frontend zero
 bind unix@{dir}/{name}.zero
 maxconn 0
 default_backend b
backend b
 server s no.such.invalid:443 {server}
"""
WARNED = "frontend f\n mode http\n bind 127.0.0.1:1\n http-request deny\n"
"""Without timeouts."""

LINES = [
    "-c -f good.cfg", "-c -V -f good.cfg", "-c -q -f good.cfg", "-c -q -V -f good.cfg", "-c -f warned.cfg",
    "-c -q -f warned.cfg", "-c -dW -f warned.cfg", "-c -dD -f good.cfg", "-c -f bad.cfg", "-c -q -f bad.cfg",
    "-c -f none.cfg", "-c -- good.cfg", "-c -f good.cfg other.cfg", "-c", "", "-Z", "-v", "-vv",
    "-c -C {dir} -f good.cfg", "-c -C /nowhere -f good.cfg", "-c -W -f good.cfg", "-c -Ws -f good.cfg",
    "-c -D -f good.cfg", "-c -d -db -f good.cfg", "-c -de -dp -dS -dG -dR -f good.cfg", "-c -dM -f good.cfg",
    "-c -dM0 -f good.cfg", "-c -dL -q -f good.cfg", "-c -dr -f good.cfg", "-c -dV -f good.cfg",
    "-c -n 10 -f good.cfg", "-c -N 10 -f good.cfg", "-c -m 900 -f good.cfg", "-c -L me -f good.cfg", "-c -N", "-c -L",
    "-c -p {dir}/pid -f good.cfg", "-c -p", "-c -sf 1 2 -f good.cfg", "-c -st -f good.cfg", "-c -sf abc -f good.cfg",
    "-c -x /nowhere -f good.cfg", "-c -W -S {dir}/m.sock,level,admin -f good.cfg",
    "-cc 1", "-cc 0", "-cc nonsense", "-cc", "-cc streq(a,a)", "-cc defined(HAPROXY_LOCALPEER)",
    "-c -f empty.cfg", "-c -q -f empty.cfg", "-c -W -f empty.cfg", "-c -f /dev/null", "-c -f parts", "-c -- parts",
    "-c -f none", "-c -f none -f good.cfg", "-c -sf 0 -f good.cfg", "-c -sf 99999999999999999999 -f good.cfg",
    "-c -x /dev/null -f good.cfg", "-f good.cfg -db -x /nowhere", "-db -f empty.cfg",
    "-cc version_atleast(2.6)", "-L me -cc streq(\"$HAPROXY_LOCALPEER\",me)",
]  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HAPROXY_LOCALPEER", "not this one")  # and as it was afterwards
    one, two = ports(2)
    good = GOOD.format(dir=tmp_path, name="c", port=one, other=two, server="").replace("no.such.invalid", "127.0.0.1")
    (tmp_path / "good.cfg").write_text(good)
    (tmp_path / "other.cfg").write_text(good)
    (tmp_path / "warned.cfg").write_text(WARNED)
    (tmp_path / "empty.cfg").write_text("")
    for name in ("none", "parts", "parts/inside.cfg"):
        (tmp_path / name).mkdir()
    top, rest = good.split("frontend without")
    (tmp_path / "parts" / "1.cfg").write_text(top)
    (tmp_path / "parts" / "2.cfg").write_text("frontend without" + rest)
    for name in (".0.cfg", "3.conf"):
        (tmp_path / "parts" / name).write_text("nonsense\n")
    (tmp_path / "bad.cfg").write_text("frontend f\n mode http\n bind 127.0.0.1:1\n default_backend nowhere\n")
    return tmp_path


def test_exit_statuses_and_the_verdict_are_haproxy_s(directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
    haproxy, different = require_program("haproxy"), []
    for text in LINES:
        words = text.format(dir=directory).split()
        theirs = subprocess.run([haproxy, *words], capture_output=True, text=True, timeout=20, check=False)
        capfd.readouterr()
        status = haproxy_line.main(words)
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        verdicts = [re.findall("Warnings were found|Configuration file .*", out) for out in (said.out, theirs.stdout)]
        if (status, verdicts[0]) != (theirs.returncode, verdicts[1]):
            different.append((text, status, said, theirs))
    assert not different


def test_every_word_that_haproxy_s_help_shows_is_done_ignored_or_refused_by_name() -> None:
    text = subprocess.run([require_program("haproxy"), "-h"], capture_output=True, text=True, check=False).stderr
    shown = set(re.findall(r"(?<![\w-])-[a-zA-Z]{1,2}\b", text.replace("-dK{", "-dK ").replace("-dM[", "-dM ")))
    assert {"-N", "-L", "-m", "-dr", "-dV", "-cc", "-Ws", "-sf", "-st"} <= shown
    values = {"-f": "f", "-n": "1", "-N": "1", "-m": "1", "-S": "/run/x", "-sf": "1", "-st": "1"}
    for word in shown - {"-h"}:
        if word == "-dK":
            with pytest.raises(ValueError, match="not supported"):
                parse([word])
        else:
            parse(
                [word, values[word]]
                if word in values
                else [word, "x"]
                if word in ("-p", "-C", "-L", "-x", "-cc")
                else [word]
            )
            assert word in NOTHING_TO_CHOOSE or f"{word} " in USAGE or f"{word}," in USAGE, word


def test_limits_names_and_missing_addresses_have_haproxy_s_effect(directory: Path) -> None:
    """-n -N -m -L -dr -dV, in programs that run."""
    words = ["-db", "-q", "-dr", "-dV", "-n", "77", "-N", "7", "-m", "900", "-L", "me"]
    server = "ssl"  # nobody to trust: refused unless servers are not verified
    programs = {"theirs": [require_program("haproxy")], "ours": [sys.executable, "-m", "pylb", "haproxy"]}
    seen = {}
    for name, command in programs.items():
        one, two = ports(2)
        file = directory / f"{name}.cfg"
        file.write_text(GOOD.format(dir=directory, name=name, port=one, other=two, server=server))
        process = subprocess.Popen([*command, *words, "-f", str(file)], stderr=subprocess.PIPE, text=True)
        try:
            path = directory / f"{name}.sock"
            wait_for(lambda path=path, p=process: path.exists() or p.poll() is not None, 10, name)  # type: ignore[misc]
            assert process.poll() is None, process.communicate()
            wait_for(lambda path=path: _told(path, "show version"), 10, name)  # type: ignore[misc]
            state = _states(path)
            assert tell(str(path), "set server b/s addr 127.0.0.1").strip()
            state |= {(*names, "with an address"): row for names, row in _states(path).items()}
            info = tell(str(path), "show info")
            environment = re.findall(r"HAPROXY_LOCALPEER=.*", tell(str(path), "show env"))
            seen[name] = state, re.findall(r"(?m)^(?:Memmax_.*|Maxconn: .*)$", info), environment
        finally:
            process.terminate()
            process.communicate(timeout=10)
    assert seen["ours"] == seen["theirs"]
    assert seen["ours"][0]["without", "FRONTEND"][0] == "7" and seen["ours"][0]["own", "FRONTEND"][0] == "30"


def test_a_master_may_have_nothing_to_listen_on_until_a_reload(directory: Path) -> None:
    """-W; and -x of a process that is not there, or of none."""
    (port,) = ports(1)
    programs = {"theirs": [require_program("haproxy")], "ours": [sys.executable, "-m", "pylb", "haproxy"]}
    for name, command in programs.items():
        file, path = directory / f"{name}.cfg", directory / f"{name}.sock"
        text = f"global\n stats socket {path} level admin\ndefaults\n mode http\n timeout client 1s\n"
        file.write_text(text)
        process = subprocess.Popen(
            [*command, "-W", "-x", "/nowhere", "-f", str(file)], stderr=subprocess.PIPE, text=True
        )
        try:
            wait_for(lambda path=path: _told(path, "show version"), 10, name)  # type: ignore[misc]
            assert ("f", "FRONTEND") not in _states(path)
            file.write_text(f"{text}frontend f\n bind 127.0.0.1:{port}\n http-request deny\n")
            asked = 0.0
            while ("f", "FRONTEND") not in _states(path):  # what comes early HAProxy does not hear
                assert process.poll() is None
                if time.monotonic() > asked + 2:
                    process.send_signal(signal.SIGUSR2)
                    asked = time.monotonic()
                time.sleep(0.05)
            wait_for_port(port)
        finally:
            process.terminate()
            process.communicate(timeout=10)


def test_what_is_not_said_on_the_line_is_refused(directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
    one, two = ports(2)
    file = directory / "server.cfg"
    file.write_text(GOOD.format(dir=directory, name="c", port=one, other=two, server="ssl"))
    assert haproxy_line.main(["-c", "-f", str(file)]) == 1
    assert "is to be verified" in capfd.readouterr().err
    assert haproxy_line.main(["-c", "-dV", "-f", str(file)]) == 1
    assert re.search('error: could not resolve address "no.such.invalid"', capfd.readouterr().err)
    assert haproxy_line.main(["-f", str(directory / "good.cfg"), "-m", "3"]) == 1
    assert "-m 3 is too little" in capfd.readouterr().err


def test_the_local_peer_names_the_node(directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = directory / "peer.cfg"
    rest = 'defaults\n timeout client 1s\nfrontend "$HAPROXY_LOCALPEER"\n mode http\n bind 127.0.0.1:1\n bind :x\n'
    file.write_text(f"global\n localpeer here\n{rest}")
    for words in (["-c", "-f", str(file)], ["-c", "-L", "there", "-f", str(file)]):
        theirs = subprocess.run([require_program("haproxy"), *words], capture_output=True, text=True, check=False)
        assert theirs.returncode == haproxy_line.main(words) == 1
        said = capfd.readouterr().err
        assert ("localpeer" in said) == ("localpeer" in theirs.stderr) == ("there" in words)


def _states(path: Path) -> dict[tuple[str, ...], tuple[str, str]]:
    rows = csv.DictReader(_told(path, "show stat").removeprefix("# ").splitlines())
    return {(row["pxname"], row["svname"]): (row["slim"], row["status"]) for row in rows}


def _told(path: Path, command: str) -> str:
    try:
        return tell(str(path), command)
    except OSError:
        return ""
