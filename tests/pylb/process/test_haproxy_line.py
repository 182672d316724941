"""HAProxy's command line: the words, and one process in the place of another without a request lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from live import ask, ports
from load import CONFIG, Crowd, nginx, tell
from support import require_program, wait_for, wait_for_port

from pylb.haproxy_words import parse

PYLB = [sys.executable, "-m", "pylb", "haproxy"]


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=30, check=False)


def test_words() -> None:
    words = "-W -f a.cfg -D -p /run/x -q -db -L me -n 500 -x /run/s -dS -m 90 -st 7 8 -V -- c.cfg d.cfg"
    line = parse(words.split(" "))
    assert line.files == ["a.cfg", "c.cfg", "d.cfg"]
    assert (line.daemon, line.pidfile, line.quiet, line.foreground) == (True, "/run/x", True, True)
    assert line.maxconn == 500
    assert (line.sockets_from, line.old, line.old_signal) == ("/run/s", [7, 8], signal.SIGTERM)
    assert parse(["-sf"]).old == [] and parse(["-sf", "1", "-c"]).check
    for wrong in (["-Z"], ["-f"], ["-n", "many"], ["file"]):
        with pytest.raises(ValueError):
            parse(wrong)


@pytest.mark.interop
def test_checks_end_as_haproxy_s_do(tmp_path: Path) -> None:
    haproxy = require_program("haproxy")
    good, bad = tmp_path / "good.cfg", tmp_path / "bad.cfg"
    good.write_text("frontend f\n mode http\n bind 127.0.0.1:1\n timeout client 1s\n http-request deny\n")
    bad.write_text("frontend f\n mode http\n bind 127.0.0.1:1\n default_backend nowhere\n")
    for file in (good, bad):
        for more in ([], ["-q"]):
            ours, theirs = run(*PYLB, "-c", *more, "-f", file), run(haproxy, "-c", *more, "-f", file)
            assert ours.returncode == theirs.returncode, (ours, theirs)
    assert "Configuration file is valid" in run(*PYLB, "-c", "-f", good).stdout
    assert "nowhere" in run(*PYLB, "-c", "-f", bad).stderr
    assert run(*PYLB, "-v").returncode == 0 and "OpenSSL" in run(*PYLB, "-vv").stdout
    link = tmp_path / "haproxy"
    link.symlink_to(Path(sys.executable).parent / "pylb")
    assert "Configuration file is valid" in run(link, "-c", "-f", good).stdout


@pytest.mark.parametrize("how", [pytest.param("-sf", marks=pytest.mark.soak), "-x"])
def test_another_process_takes_over_under_load(tmp_path: Path, how: str) -> None:
    with nginx(tmp_path) as origin:
        (port,) = ports(1)
        file, pidfile, admin = tmp_path / "haproxy.cfg", tmp_path / "pid", tmp_path / "admin.sock"
        text = CONFIG.format(dir=tmp_path, workers=2, port=port, origin=origin, extra="")
        file.write_text(text.replace("level admin", "level admin expose-fd listeners"))
        command = [*PYLB, "-W", "-q", "-D", "-f", file, "-p", pidfile]
        assert run(*command).returncode == 0
        crowd = Crowd(port, 60, keep_alive=False)
        for _ in range(3):
            old = int(pidfile.read_text())
            more = ["-x", admin] if how == "-x" else []
            done = run(*command, *more, "-sf", str(old))
            assert done.returncode == 0, done.stderr
            assert int(pidfile.read_text()) != old
            wait_for(lambda old=old: not _runs(old), 10, "the old process's end")  # type: ignore[misc]
            time.sleep(0.3)
        ran = crowd.stop()
        pid = int(pidfile.read_text())
        assert f"Pid: {pid}" in tell(str(admin), "show info")
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not _runs(pid), 10, "the end")
        assert not pidfile.exists()
        assert ran.failed == 0 and ran.requests > 100, ran.text


def _runs(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.mark.interop
def test_it_takes_the_place_of_a_real_haproxy_under_load(tmp_path: Path) -> None:
    with nginx(tmp_path) as origin:
        (port,) = ports(1)
        file, pidfile = tmp_path / "haproxy.cfg", tmp_path / "pid"
        file.write_text(CONFIG.format(dir=tmp_path, workers=2, port=port, origin=origin, extra=""))
        with subprocess.Popen([require_program("haproxy"), "-q", "-db", "-f", str(file)]) as theirs:
            wait_for_port(port)
            crowd = Crowd(port, 60, keep_alive=False)
            time.sleep(0.5)
            assert run(*PYLB, "-q", "-D", "-f", file, "-p", pidfile, "-sf", str(theirs.pid)).returncode == 0
            assert theirs.wait(10) == 0
            time.sleep(0.5)
            ran = crowd.stop()
        os.kill(int(pidfile.read_text()), signal.SIGTERM)
        wait_for(lambda: not pidfile.exists(), 10, "the end")
        assert ran.failed == 0 and ran.requests > 100, ran.text


def test_pylb_reload_says_how_it_went(tmp_path: Path) -> None:
    from load import place

    with place(tmp_path) as it:
        words = [sys.executable, "-m", "pylb", "reload", tmp_path / "admin.sock"]
        done = run(*words)
        assert (done.returncode, done.stdout) == (0, "reloaded\n"), done.stderr
        it.configure(it.text().replace("default_backend b", "default_backend nowhere"))
        done = run(*words)
        assert done.returncode == 1 and "nowhere" in done.stderr and "nothing has changed" in done.stderr
        it.configure(it.text().replace("admin.sock", "other.sock"))
        began = time.monotonic()
        done = run(*words)
        assert done.returncode == 0 and "is no admin socket any more" in done.stdout, done.stderr
        assert time.monotonic() - began < 20
        words[-1] = tmp_path / "other.sock"
        assert run(*words).stdout == "reloaded\n"


def replaced(tmp_path: Path, command: list[str], after: str = "") -> tuple[int, int | None, int]:
    """A pylb, and `command -sf` in its place, whose configuration has `after` too: the status of the newcomer once it
    is clear what becomes of it (0: it serves), that of the pylb (None: it serves on), and an answer."""
    (port,) = ports(1)
    old, new = tmp_path / "old.cfg", tmp_path / "new.cfg"
    defaults = "defaults\n mode http\n timeout client 5s\n"
    old.write_text(f"{defaults}frontend f\n bind 127.0.0.1:{port}\n http-request return status 201\n")
    new.write_text(old.read_text().replace("201", "202") + after)
    ours = subprocess.Popen([*PYLB, "-q", "-db", "-f", str(old)])
    newcomer = None
    try:
        wait_for_port(port)
        newcomer = subprocess.Popen([*command, "-q", "-db", "-f", str(new), "-sf", str(ours.pid)])
        wait_for(lambda: ours.poll() is not None or newcomer.poll() is not None, 20, "one of them to end")
        wait_for_port(port)
        found = newcomer.poll() or 0, ours.poll(), ask(port)[0]
        if found[1] is None:
            assert "(stopped)" not in Path(f"/proc/{ours.pid}/status").read_text()
        return found
    finally:
        for process in (ours, newcomer):
            if process is not None:
                process.terminate()
                process.wait(10)


@pytest.mark.interop
def test_a_real_haproxy_takes_the_place_of_pylb(tmp_path: Path) -> None:
    """It binds anew, and asks for room by SIGTTOU, which would stop who does not know that."""
    assert replaced(tmp_path, [require_program("haproxy")]) == (0, 0, 202)


@pytest.mark.interop
def test_pylb_serves_on_where_a_real_haproxy_cannot_take_its_place(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        more = f"listen l\n bind 127.0.0.1:{taken.getsockname()[1]}\n"
        assert replaced(tmp_path, [require_program("haproxy")], more) == (1, None, 201)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_pylb_takes_the_place_of_one_into_which_it_may_not_look(tmp_path: Path) -> None:
    """As in a container: without CAP_SYS_PTRACE no socket can be copied out of a process that has it."""
    command = [require_program("setpriv"), "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace", *PYLB]
    assert replaced(tmp_path, command) == (0, 0, 202)
