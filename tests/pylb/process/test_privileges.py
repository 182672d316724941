"""Root, users and capabilities as the kernel shows them in /proc/PID/status, beside a real HAProxy's."""

from __future__ import annotations

import grp
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from live import DEFAULTS, ask, children, connect, serving
from support import require_program, wait_for

from pylb.process.capabilities import MASTERS, Capability

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

NOBODY, NOGROUP = pwd.getpwnam("nobody").pw_uid, grp.getgrnam("nogroup").gr_gid
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
NET_BIND = Capability.CAP_NET_BIND_SERVICE.bit
OF_MASTER = sum(capability.bit for capability in MASTERS)


def status(pid: int) -> dict[str, str]:
    """/proc/PID/status by name."""
    text = Path(f"/proc/{pid}/status").read_text()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in text.splitlines())}


def sets(pid: int) -> dict[str, int]:
    """The capability sets of a process."""
    found = status(pid)
    return {name: int(found[name], 16) for name in SETS}


def all_of(master: int) -> list[int]:
    """Steward and workers of the generation that serves."""
    steward = max(children(master))
    return [steward, *children(steward)]


def low_ports(count: int) -> list[int]:
    """Free ports that ordinary users may not bind."""
    import socket

    found: list[int] = []
    for port in range(300, 1000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free port below 1024")


def assert_powerless(pid: int, jail: Path) -> None:
    found = status(pid)
    assert set(found["Uid"].split()) == {str(NOBODY)} and set(found["Gid"].split()) == {str(NOGROUP)}
    assert found["Groups"] == "" and found["NoNewPrivs"] == "1"
    assert not any(sets(pid).values()), sets(pid)
    assert Path(f"/proc/{pid}/root").readlink() == jail


def test_root_gives_up_all_that_it_does_not_need_also_over_a_reload(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    jail = tmp_path / "jail"
    jail.mkdir()
    first, second = low_ports(2)
    text = f"global\n chroot {jail}\n user nobody\n group nogroup\n nbthread 2\n"
    text += f" stats socket {tmp_path}/admin.sock mode 660 user nobody group nogroup level admin\n"
    text += f"{DEFAULTS}listen l\n bind 127.0.0.1:{first}\n"
    with serving(tmp_path, text, ready=first, extra_groups=[0, 4]) as pylb:
        master = pylb.process.pid
        wait_for(lambda: len(all_of(master)) == 3, 10, "two workers")
        before = all_of(master)
        for pid in before:
            assert_powerless(pid, jail)
        found = sets(master)
        assert found["CapPrm"] == found["CapEff"] == OF_MASTER & sets(os.getpid())["CapPrm"] != 0
        assert found["CapBnd"] & ~OF_MASTER == found["CapInh"] == found["CapAmb"] == 0
        assert status(master)["NoNewPrivs"] == "1" and status(master)["Uid"].split()[1] == "0"
        file = tmp_path / "haproxy.cfg"
        more = f" bind 127.0.0.1:{second}\n bind unix@{tmp_path}/l.sock mode 600 user nobody\n"
        file.write_text(file.read_text() + more)
        os.chown(file, NOBODY, NOGROUP)
        file.chmod(0o600)  # read by CAP_DAC_OVERRIDE
        pylb.signal(signal.SIGUSR2)
        wait_for(lambda: _accepts(second), 10, "the new port")
        wait_for(lambda: not set(before) & set(children(master)) and len(all_of(master)) == 3, 10, "the new ones alone")
        assert (tmp_path / "l.sock").stat().st_uid == NOBODY
        for pid in all_of(master):
            assert_powerless(pid, jail)
        assert ask(second)[0] == 503
        worker = all_of(master)[-1]
        os.kill(worker, signal.SIGKILL)  # its successor is made by a steward that may nothing
        wait_for(lambda: len(all_of(master)) == 3 and worker not in all_of(master), 10, "another worker")
        for pid in all_of(master):
            assert_powerless(pid, jail)


@pytest.mark.interop
def test_no_process_may_more_than_haproxy_s(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    jail = tmp_path / "jail"
    jail.mkdir()
    ours, theirs = low_ports(2)
    text = f"global\n chroot {jail}\n user nobody\n group nogroup\n{DEFAULTS.replace('{log}', '9')}listen l\n"
    file = tmp_path / "theirs.cfg"
    file.write_text(f"{text} bind 127.0.0.1:{theirs}\n")
    haproxy = subprocess.Popen([require_program("haproxy"), "-W", "-db", "-q", "-f", str(file)])
    try:
        wait_for(lambda: children(haproxy.pid) and _accepts(theirs), 10, "haproxy")
        with serving(tmp_path, f"{text} bind 127.0.0.1:{ours}\n", ready=ours) as pylb:
            (their_worker,) = children(haproxy.pid)
            pairs = [(pid, their_worker) for pid in all_of(pylb.process.pid)]
            for pid, other in [(pylb.process.pid, haproxy.pid), *pairs]:
                mine, others = sets(pid), sets(other)
                assert not [name for name in SETS if mine[name] & ~others[name]], (mine, others)
                assert status(pid)["NoNewPrivs"] >= status(other)["NoNewPrivs"]
                assert status(pid)["Uid"] == status(other)["Uid"] and status(pid)["Gid"] == status(other)["Gid"]
                assert Path(f"/proc/{pid}/root").readlink() == Path(f"/proc/{other}/root").readlink()
    finally:
        haproxy.terminate()
        haproxy.wait(10)


# ------------------------------------------------------------------------------------------------- who is not root


def launched(directory: Path, text: str, *before: str) -> subprocess.Popen[bytes]:
    """pylb started by the words `before`, all of which become it in the end: it has their pid."""
    file = directory / "haproxy.cfg"
    file.write_text(text)
    command = [*before, sys.executable, "-m", "pylb", "-q", "-f", str(file)]
    with (directory / "stderr").open("wb") as errors:
        return subprocess.Popen(command, stderr=errors, stdin=subprocess.DEVNULL)


@contextmanager
def in_namespaces(directory: Path, text: str, *before: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The same once it serves at `admin.sock`, to the end of the block; and its master's pid."""
    process = launched(directory, text, *before)
    try:
        wait_for(lambda: process.poll() is not None or (directory / "admin.sock").exists(), 15, "pylb")
        yield process, process.pid
    finally:
        process.terminate()
        process.wait(10)


AS_A_USER = (
    "unshare", "--net", "--user", "--map-user=1000", "--map-group=1000", "--keep-caps",
    "sh", "-c", 'ip link set lo up; exec "$@"', "sh",
    "setpriv", "--inh-caps=-all,+net_bind_service", "--ambient-caps=-all,+net_bind_service",
)  # fmt: skip
"""An ordinary user (1000) with one ambient capability, as AmbientCapabilities= in a unit file makes one, who owns the
files of the test."""


def test_a_user_with_one_capability_binds_low_ports_also_later(tmp_path: Path) -> None:
    text = f"global\n stats socket {tmp_path}/admin.sock level admin\n"
    text += DEFAULTS.replace("{log}", "9") + "listen l\n bind 127.0.0.1:80\n"
    with in_namespaces(tmp_path, text, *AS_A_USER) as (process, master):
        assert process.poll() is None, (tmp_path / "stderr").read_text()
        assert status(master)["Uid"].split()[0] == "0"  # in the test's own eyes; it is mapped
        assert _fetch(master, 80) == "503"
        found = sets(master)
        assert found["CapPrm"] == found["CapEff"] == NET_BIND and found["CapAmb"] == found["CapInh"] == 0
        before = all_of(master)
        for pid in before:
            mine = sets(pid)
            assert not mine["CapPrm"] | mine["CapEff"] | mine["CapInh"] | mine["CapAmb"]
            assert status(pid)["NoNewPrivs"] == "1"
        (tmp_path / "haproxy.cfg").write_text(text + " bind 127.0.0.1:443\n")
        os.kill(master, signal.SIGUSR2)
        wait_for(lambda: children(master) and before[0] not in children(master), 15, "the reload")
        assert _fetch(master, 443) == "503", (tmp_path / "stderr").read_text()
        for pid in all_of(master):
            assert not sets(pid)["CapPrm"]


POWERLESS = ("unshare", "--net", "setpriv", "--bounding-set=-all", "--inh-caps=-all")
"""Root of a container that may nothing."""
IN_A_NAMESPACE = ("unshare", "--user", "--map-root-user", "--net", "--mount")
"""Root of a namespace that has no other user."""
USER = "user nobody\n group nogroup"
REFUSED = {
    "port": ([word.replace("+net_bind_service", "+chown") for word in AS_A_USER], "", ["CAP_NET_BIND_SERVICE"]),
    "user": (POWERLESS, USER, ["cannot change to user", "CAP_SETUID and CAP_SETGID"]),
    "chroot": (POWERLESS, "chroot /var", ["cannot chroot", "CAP_SYS_CHROOT"]),
    "stranger": (IN_A_NAMESPACE, USER, ["cannot change to user", "namespace"]),
}
"""What is lacking: (how it is started, what it asks for, what it is told)."""


def test_what_is_lacking_is_named(tmp_path: Path) -> None:
    processes = {}
    for name, (before, line, _) in REFUSED.items():
        directory = tmp_path / name
        directory.mkdir()
        port = 80 if name == "port" else 9000
        text = f"global\n {line}\n{DEFAULTS.replace('{log}', '9')}listen l\n bind 127.0.0.1:{port}\n"
        processes[name] = launched(directory, text, *before)
    for name, process in processes.items():
        status = process.wait(20)
        errors = (tmp_path / name / "stderr").read_text()
        assert status == 1 and "Traceback" not in errors, (name, errors)
        assert all(words in errors for words in REFUSED[name][2]), (name, errors)


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(POWERLESS, id="no capabilities"),
        pytest.param(IN_A_NAMESPACE, id="user namespace"),
    ],
)
def test_root_with_little_power_serves(tmp_path: Path, before: tuple[str, ...]) -> None:
    text = f"global\n stats socket {tmp_path}/admin.sock level admin\n"
    text += DEFAULTS.replace("{log}", "9") + f"listen l\n bind unix@{tmp_path}/l.sock\n"
    with in_namespaces(tmp_path, text, *before) as (process, master):
        assert process.poll() is None, (tmp_path / "stderr").read_text()
        assert ask(str(tmp_path / "l.sock"))[0] == 503
        old = all_of(master)
        os.kill(master, signal.SIGUSR2)
        wait_for(lambda: children(master) and old[0] not in children(master), 15, "the reload")
        assert ask(str(tmp_path / "l.sock"))[0] == 503


def _accepts(port: int) -> bool:
    try:
        connect(port, timeout=1).close()
    except OSError:
        return False
    return True


def _fetch(pid: int, port: int) -> str:
    """The status that a process's own network gets there."""
    command = ["nsenter", "-t", str(pid), "-n", require_program("curl"), "-s", "-o", "/dev/null", "-w", "%{http_code}"]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, timeout=10, check=False
    )
    return done.stdout
