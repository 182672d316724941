"""Starting: everything that is wrong at once, sockets with their owners, privileges, daemons."""

from __future__ import annotations

import grp
import os
import pwd
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from live import COMPLAINTS, DEFAULTS, Collector, Server, ask, connect, descendants, echo, ports, serving
from support import require_program, wait_for, wait_for_port

from pylb import cli
from pylb.config.model import Config
from pylb.net.certificates import self_signed
from pylb.process import start
from pylb.process.pidfile import PidFile

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def run(directory: Path, text: str, *options: str) -> tuple[int, str]:
    """A pylb that is expected to end by itself: (exit status, stderr)."""
    file = directory / "haproxy.cfg"
    file.write_text(text)
    command = [sys.executable, "-m", "pylb", *options, "-f", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert not COMPLAINTS.search(done.stderr), done.stderr
    return done.returncode, done.stderr


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        first, second = (sock.getsockname()[1] for sock in (one, two))
        text = f"""
defaults
 mode http
 timeout client 1s
 timeout server 1s
 timeout connect 1s
listen a
 bind 127.0.0.1:{first}
listen b
 bind 127.0.0.1:{second}
 bind 203.0.113.77:80
 bind unix@{tmp_path}/missing/x.sock
"""
        status, errors = run(tmp_path, text)
    assert status == 1
    for line, words in ((8, "in use"), (10, "in use"), (11, "203.0.113.77:80"), (12, "missing")):
        assert any(f"haproxy.cfg:{line}:" in text and words in text for text in errors.splitlines()), (line, errors)


def test_certificates_are_missing_together(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    one, two = ports(2)
    text = f"""
defaults
 mode http
 timeout client 1s
 timeout server 1s
 timeout connect 1s
listen a
 bind 127.0.0.1:{one} ssl crt {tmp_path}/no.pem
listen b
 bind 127.0.0.1:{two} ssl crt {bad}
 server s 127.0.0.1:1 ssl verify required ca-file {tmp_path}/no-ca.pem
"""
    status, errors = run(tmp_path, text)
    assert status == 1
    for name in ("no.pem", "bad.pem", "no-ca.pem"):
        assert name in errors, errors


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("user nobody-knows-me", "nobody-knows-me"),
        ("group nobody-knows-us", "nobody-knows-us"),
        ("chroot /nowhere/at/all", "/nowhere/at/all"),
        ("pidfile /nowhere/at/all.pid", "/nowhere/at/all.pid"),
    ],
)
def test_what_the_process_may_not_become_is_said(tmp_path: Path, line: str, words: str) -> None:
    text = f"global\n {line}\n{DEFAULTS.replace('{log}', '9')}listen l\n bind 127.0.0.1:{ports(1)[0]}\n"
    status, errors = run(tmp_path, text)
    assert status == 1 and words in errors


def test_a_file_that_is_no_socket_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("data")
    status, errors = run(tmp_path, DEFAULTS.replace("{log}", "9") + f"listen l\n bind unix@{file}\n")
    assert status == 1 and "no socket" in errors and file.read_text() == "data"


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "l.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    server = Server(echo)
    text = f"{DEFAULTS}listen l\n bind unix@{path}\n server s 127.0.0.1:{server.port}\n"
    with serving(tmp_path, text, ready=str(path)):
        assert ask(str(path))[0] == 200
    assert not path.exists()
    server.close()


@pytest.mark.interop
def test_an_address_within_another_has_its_own_frontend_as_with_haproxy(tmp_path: Path) -> None:
    (port,) = ports(1)
    text = f"{DEFAULTS.replace('{log}', '9')}frontend all\n bind *:{port}\n http-request return status 201\n"
    text += f"frontend one\n bind 127.0.0.1:{port}\n http-request return status 202\n"
    seen = {}
    file = tmp_path / "haproxy.cfg"
    file.write_text(text)
    for name, command in {"theirs": [require_program("haproxy")], "ours": [sys.executable, "-m", "pylb"]}.items():
        process = subprocess.Popen([*command, "-q", "-db", "-f", str(file)])
        try:
            wait_for_port(port)
            found = []
            for host in ("127.0.0.1", "127.0.0.2"):
                with socket.create_connection((host, port), 5) as sock:
                    found.append(ask(sock)[0])
            seen[name] = found
        finally:
            process.terminate()
            process.wait(10)
    assert seen["ours"] == seen["theirs"] == [202, 201]


@pytest.mark.interop
@pytest.mark.parametrize("outer", ["theirs", "ours"])
def test_abstract_sockets_are_called_as_haproxy_calls_them(tmp_path: Path, outer: str) -> None:
    """One program is a server of the other's, and checked by it; then ours takes the place of theirs."""
    (port,) = ports(1)
    name = f"pylb-{os.getpid()}-{port}"
    defaults = DEFAULTS.replace("{log}", "9")
    texts = {
        "inner": f"{defaults}frontend f\n bind abns@{name}\n http-request return status 200\n",
        "outer": f"{defaults}listen l\n bind 127.0.0.1:{port}\n server s abns@{name} check inter 100ms\n",
    }
    programs = {"theirs": [require_program("haproxy")], "ours": [sys.executable, "-m", "pylb", "haproxy"]}
    running = []

    def start(program: str, role: str, *words: str) -> None:
        file = tmp_path / f"{role}.cfg"
        file.write_text(texts[role])
        running.append(subprocess.Popen([*programs[program], "-q", "-db", "-f", str(file), *words]))

    try:
        start("ours" if outer == "theirs" else "theirs", "inner")
        start(outer, "outer")
        wait_for_port(port)
        wait_for(lambda: ask(port)[0] == 200, 10, "the inner program behind the outer one")
        if outer == "ours":
            start("ours", "inner", "-sf", str(running[0].pid))
            assert running[0].wait(10) == 0
            assert ask(port)[0] == 200
    finally:
        for process in running:
            process.terminate()
            process.wait(10)


@pytest.fixture
def anybodys() -> Iterator[Path]:
    """A directory that every user may enter and write to; pytest's are their owner's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@needs_root
@pytest.mark.interop
@pytest.mark.parametrize("host", ["203.0.113.7", "[2001:db8::7]"])
def test_a_foreign_address_is_bound_without_rights_as_with_haproxy(anybodys: Path, host: str) -> None:
    """`transparent`: a virtual address that is another machine's at the moment."""
    (port,) = ports(1)
    file = anybodys / "haproxy.cfg"
    text = f"{DEFAULTS.replace('{log}', '9')}frontend f\n bind unix@{anybodys}/s\n bind {host}:{port}"
    seen: dict[str, list[bool]] = {"theirs": [], "ours": []}
    for name, command in {"theirs": ["haproxy"], "ours": [sys.executable, "-m", "pylb"]}.items():
        for word in (" transparent", ""):
            file.write_text(f"{text}{word}\n http-request deny\n")
            words = ["setpriv", "--reuid=65534", "--clear-groups", require_program(command[0]), *command[1:]]
            process = subprocess.Popen([*words, "-q", "-db", "-f", str(file)], stderr=subprocess.DEVNULL)
            try:
                wait_for(lambda p=process: p.poll() is not None or _serves(anybodys / "s"), 10, name)  # type: ignore[misc]
                seen[name].append(process.poll() is None)
            finally:
                process.terminate()
                process.wait(10)
                (anybodys / "s").unlink(missing_ok=True)
    assert seen["ours"] == seen["theirs"] == [True, False]


def _serves(path: Path) -> bool:
    try:
        return ask(str(path))[0] == 403
    except OSError:
        return False


def test_a_port_can_be_taken_again_at_once(tmp_path: Path) -> None:
    port = ports(1)[0]
    server = Server(echo)
    for _ in range(2):
        with (
            serving(
                tmp_path, f"{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{server.port}\n", ready=port
            ),
            connect(port) as sock,
        ):
            assert ask(sock)[0] == 200
    server.close()


@needs_root
def test_stats_sockets_have_their_mode_and_owner(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    text = f"global\n stats socket {path} mode 640 user nobody group nogroup level admin\n"
    text += f"{DEFAULTS}listen l\n bind 127.0.0.1:{ports(1)[0]}\n"
    with serving(tmp_path, text, ready=str(path)) as pylb:
        seen = path.stat()
        assert seen.st_mode & 0o777 == 0o640
        assert (seen.st_uid, seen.st_gid) == (pwd.getpwnam("nobody").pw_uid, grp.getgrnam("nogroup").gr_gid)
        answers = {}
        for command in ("show info", "show stat", "nonsense", "x" * 100_000):
            with connect(str(path)) as sock:
                sock.sendall(command.encode() + b"\n")
                data = b""
                try:
                    while piece := sock.recv(65536):
                        data += piece
                except ConnectionError:
                    pass
                answers[command[:9]] = data.decode()
        assert f"Pid: {pylb.process.pid}" in answers["show info"] and "# pxname,svname" in answers["show stat"]
        assert "Unknown command" in answers["nonsense"]


@needs_root
def test_chrooted_and_without_privileges_it_still_serves_tls_and_logs(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    jail = tmp_path / "jail"
    jail.mkdir()
    bundle = tmp_path / "lab.pem"
    bundle.write_bytes(self_signed(["localhost"]))
    bundle.chmod(0o600)
    page = tmp_path / "503.http"
    page.write_bytes(b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 6\r\n\r\nsorry\n")
    server = Server(echo)
    plain, secure, dead = ports(3)
    text = f"""global
 chroot {jail}
 user nobody
 group nogroup
 maxconn 100
{DEFAULTS}
 errorfile 503 {page}
listen l
 bind 127.0.0.1:{plain}
 bind 127.0.0.1:{secure} ssl crt {bundle}
 server s 127.0.0.1:{server.port}
listen dead
 bind 127.0.0.1:{dead}
 retries 0
 server s 127.0.0.1:1
"""
    with serving(tmp_path, text, ready=plain) as pylb:
        proc = Path(f"/proc/{pylb.worker()}")
        assert (proc / "root").readlink() == jail
        lines = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line)
        assert set(lines["Uid"].split()) == {str(pwd.getpwnam("nobody").pw_uid)}
        assert set(lines["Gid"].split()) == {str(grp.getgrnam("nogroup").gr_gid)} and not lines["Groups"].strip()
        assert ask(plain)[0] == 200
        context = ssl.create_default_context(cafile=str(bundle))
        with context.wrap_socket(connect(secure), server_hostname="localhost") as tls:
            assert ask(tls)[0] == 200
        assert ask(dead)[2] == b"sorry\n"
        pylb.collector.having(" l l/s ")
        pylb.collector.having(" l~ l/s ")
    server.close()


def test_a_daemon_leaves_its_pid_and_no_trace(tmp_path: Path) -> None:
    pidfile, port = tmp_path / "pylb.pid", ports(1)[0]
    server, collector = Server(echo), Collector()
    text = f"global\n daemon\n pidfile {pidfile}\n"
    text += f"{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n server s 127.0.0.1:{server.port}\n"
    status, errors = run(tmp_path, text.replace("{log}", str(collector.port)), "-q")
    assert status == 0 and errors == ""
    wait_for(pidfile.exists, 10, "the pid file")
    pid = int(pidfile.read_text())
    try:
        wait_for(lambda: _accepts(port), 10, "the daemon")
        assert ask(port)[0] == 200
        assert os.getsid(pid) != os.getsid(0)
        assert {str(Path(f"/proc/{pid}/fd/{fd}").readlink()) for fd in (0, 1, 2)} == {"/dev/null"}
        assert any(f"[{child}]" in collector.having(" l l/s ")[0] for child in descendants(pid))
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not Path(f"/proc/{pid}/fd/0").exists(), 10, "its end")
        collector.close()
        server.close()
    assert not pidfile.exists()


def _accepts(port: int) -> bool:
    try:
        connect(port).close()
    except OSError:
        return False
    return True


def test_a_reload_may_be_asked_for_before_anything_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits until the master heeds signals, which it does not from its first moment on."""

    class BeforeItHeedsSignals:
        def __init__(self, *_: object) -> None:
            signal.raise_signal(signal.SIGUSR2)  # for this thread: no other would have it wait

        def run(self) -> int:
            return signal.sigwait({signal.SIGUSR2})

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    monkeypatch.setattr(start, "Master", BeforeItHeedsSignals)
    assert start.run(Config(), start.Options()) == signal.SIGUSR2
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_who_cannot_start_takes_nobodys_pid_file(tmp_path: Path) -> None:
    """As somebody tries a second time what runs already."""
    (port,) = ports(1)
    pidfile = tmp_path / "pid"
    (tmp_path / "again").mkdir()
    text = f"global\n pidfile {pidfile}\n{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n http-request deny\n"
    with serving(tmp_path, text, ready=port) as pylb:
        wait_for(pidfile.exists, 10, "the pid file")
        status, errors = run(tmp_path / "again", text.replace("{log}", "9"))
        assert status == 1 and "in use" in errors
        assert pidfile.read_text() == f"{pylb.process.pid}\n"
        assert [path.name for path in tmp_path.glob("pid*")] == ["pid"]
    assert not pidfile.exists()


@pytest.mark.parametrize("words", [["-f"], ["haproxy", "-f"]])
def test_an_interrupted_start_ends_without_a_trace(
    tmp_path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("pylb.config.load.read_haproxy", interrupted)
    file = tmp_path / "haproxy.cfg"
    file.write_text("")
    assert cli.main([*words, str(file)]) == 130
    assert not capfd.readouterr().err


@pytest.mark.parametrize(("path", "remark"), [("/dev/full", "No space left on device"), ("/dev/null", "")])
def test_a_pid_file_without_room_keeps_nobody_from_serving(tmp_path: Path, path: str, remark: str) -> None:
    (port,) = ports(1)
    text = f"{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n http-request deny\n"
    with serving(tmp_path, text, "-p", path, ready=port) as pylb:
        assert ask(port)[0] == 403
        assert (remark in pylb.stderr) if remark else not pylb.stderr
    assert Path(path).is_char_device()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_full_disk_leaves_no_pid_file_of_another_process(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=9", "none", tmp_path], check=False)
    if mounted.returncode:
        pytest.skip("nothing can be mounted")
    try:
        pidfile = tmp_path / "pid"
        pidfile.write_text("1\n")
        PidFile(str(pidfile)).publish()
        assert "No space left" in capfd.readouterr().err
        assert not list(tmp_path.iterdir())
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_foreground_wins_over_daemon(tmp_path: Path) -> None:
    port = ports(1)[0]
    text = f"global\n daemon\n{DEFAULTS}listen l\n bind 127.0.0.1:{port}\n"
    with serving(tmp_path, text, "-db", ready=port) as pylb:
        assert pylb.process.poll() is None and ask(port)[0] == 503
