"""The files below configs/ that other programs read, judged by those programs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support import free_port, require_program, wait_for

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
UNITS = sorted((CONFIGS / "systemd").glob("*.service"))
EXPOSED = 4.0
"""`systemd-analyze security` gives 0 (nothing can be reached) to 10; up to 4.9 it calls OK."""


def judged(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """What a program says of our file."""
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """The units with the programs of this installation."""
    for unit in UNITS:
        text = unit.read_text()
        assert "ExecStart=/opt/pylb/bin/" in text
        (tmp_path / unit.name).write_text(text.replace("/opt/pylb/bin", str(Path(sys.executable).parent)))
    return sorted(tmp_path.glob("*.service"))


def test_systemd_accepts_the_units(units: list[Path]) -> None:
    sockets = sorted((CONFIGS / "systemd").glob("*.socket"))
    for socket_unit in sockets:
        shutil.copy(socket_unit, units[0].parent)
    files = [*units, *(units[0].parent / one.name for one in sockets)]
    done = judged(require_program("systemd-analyze"), "verify", "--man=no", *files)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_units_leave_little_to_reach(units: list[Path]) -> None:
    for unit in units:
        done = judged(require_program("systemd-analyze"), "security", "--offline=yes", "--no-pager", unit)
        found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout + done.stderr)
        assert found, done.stderr
        assert float(found[1]) < EXPOSED, unit.name


def test_users_and_directories(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    done = judged(require_program("systemd-sysusers"), f"--root={root}", CONFIGS / "systemd/sysusers.conf")
    assert done.returncode == 0, done.stderr
    names = {line.split(":")[0] for line in (root / "etc/passwd").read_text().splitlines()}
    assert {"haproxy", "keepalived_script"} <= names
    with (root / "etc/group").open("a") as file:
        file.write("adm:x:4:\n")
    program = require_program("systemd-tmpfiles")
    done = judged(program, "--create", f"--root={root}", CONFIGS / "systemd/tmpfiles.conf")
    assert done.returncode == 0, done.stderr
    modes = {path: (root / path).stat().st_mode & 0o777 for path in ("var/lib/haproxy", "etc/pylb", "var/log/pylb")}
    assert modes == {"var/lib/haproxy": 0o755, "etc/pylb": 0o750, "var/log/pylb": 0o750}


def test_rsyslog_sorts_what_pylb_sends(tmp_path: Path) -> None:
    """Checked as it stands, then run on another port and in other files."""
    rsyslogd = require_program("rsyslogd")
    done = judged(rsyslogd, "-N1", "-f", CONFIGS / "rsyslog/pylb.conf")
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr, done.stderr
    port = free_port(socket.SOCK_DGRAM)
    text = (CONFIGS / "rsyslog/pylb.conf").read_text()
    text = text.replace('port="514"', f'port="{port}"').replace("/var/log/pylb", str(tmp_path))
    file = tmp_path / "rsyslog.conf"
    file.write_text(f'global(workDirectory="{tmp_path}")\n{text}')
    command = [rsyslogd, "-n", "-f", str(file), "-i", str(tmp_path / "pid")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process, socket.socket(type=socket.SOCK_DGRAM) as sock:
        try:
            _until_logged(sock, port, tmp_path)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    traffic, admin = ((tmp_path / f"{name}.log").read_text() for name in ("traffic", "admin"))
    assert "a request" in traffic and "a request" not in admin
    assert "server down" in admin and "server down" not in traffic


def _until_logged(sock: socket.socket, port: int, directory: Path) -> None:
    def arrived() -> bool:
        local0 = 16 << 3
        for severity, text in ((6, "a request"), (1, "server down")):
            line = f"<{local0 | severity}>Nov 26 10:00:00 pylb[1]: {text}"
            try:
                sock.sendto(line.encode(), ("127.0.0.1", port))
            except ConnectionRefusedError:  # it is not up yet
                return False
        return all((directory / f"{name}.log").exists() for name in ("traffic", "admin"))

    wait_for(arrived)


def test_logrotate_rotates_and_tells_rsyslog(tmp_path: Path) -> None:
    logrotate = require_program("logrotate")
    done = judged(logrotate, "-d", CONFIGS / "logrotate/pylb")
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr, done.stderr
    rotated = tmp_path / "rotated"
    text = (CONFIGS / "logrotate/pylb").read_text().replace("/var/log/pylb", str(tmp_path))
    hook = re.sub(r"(?m)^ +\[ .*rsyslog-rotate$", f"        touch {rotated}", text)
    assert hook != text
    file = tmp_path / "logrotate.conf"
    file.write_text(hook)
    file.chmod(0o644)
    (tmp_path / "traffic.log").write_text("a line\n")
    done = judged(logrotate, "-f", "-s", tmp_path / "state", file)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "traffic.log.1").read_text() == "a line\n"
    assert rotated.exists()


def notified(command: list[str], directory: Path, until: str, stop: signal.Signals) -> str:
    """Everything a daemon tells systemd from its start, until a word comes and it has been stopped."""
    path = directory / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(path))
        sock.settimeout(60)
        environment = {**os.environ, "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "2000000"}
        said = ""
        with subprocess.Popen(command, env=environment) as process:
            try:
                while until not in said:
                    said += sock.recv(4096).decode() + "\n"
            finally:
                process.send_signal(stop)
                assert process.wait(60) == 0
        sock.settimeout(0.1)
        try:
            while True:
                said += sock.recv(4096).decode() + "\n"
        except TimeoutError:
            return said


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGUSR1])
def test_pylb_tells_systemd_how_it_is(tmp_path: Path, stop: signal.Signals) -> None:
    """As the unit starts it: READY when it serves, WATCHDOG while it lives, STOPPING when it ends."""
    file = tmp_path / "lb.toml"
    file.write_text(f"""
[frontend.web]
mode = "http"
bind = "127.0.0.1:{free_port()}"
timeout.client = "1s"
http-request = "return status 200"
""")
    unit = (CONFIGS / "systemd/pylb.service").read_text()
    arguments = re.search(r"(?m)^ExecStart=\S+/pylb (.*)$", unit)
    assert arguments and "Type=notify" in unit and "WatchdogSec=" in unit
    words = arguments[1].replace("$CONFIG", str(file)).split()
    said = notified([sys.executable, "-m", "pylb", *words], tmp_path, "WATCHDOG=1", stop).splitlines()
    assert said.index("READY=1") < said.index("STOPPING=1")
    assert "WATCHDOG=1" in said


@pytest.mark.netns
def test_vrrpd_tells_systemd_how_it_is(tmp_path: Path) -> None:
    """The same of vrrpd, in a network of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    unit = (CONFIGS / "systemd/vrrpd.service").read_text()
    assert "Type=notify" in unit and "WatchdogSec=" in unit
    file = tmp_path / "vrrpd.toml"
    file.write_text(
        '[instance.a]\ninterface = "ens37"\nvirtual_router_id = 61\npriority = 100\naddresses = ["10.0.0.9"]\n'
    )
    start = "ip link add ens37 type veth peer name other && ip addr add 10.0.0.1/24 dev ens37 && ip link set ens37 up"
    command = f'{start} && ip link set other up && exec "$@"'
    vrrpd = [sys.executable, "-m", "vrrpd", "-c", str(file), "--state-dir", str(tmp_path / "state")]
    whole = ["unshare", "-n", "sh", "-c", command, "vrrpd", *vrrpd]
    said = notified(whole, tmp_path, "WATCHDOG=1", signal.SIGTERM).splitlines()
    assert said.index("READY=1") < said.index("STOPPING=1")
