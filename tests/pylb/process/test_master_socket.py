"""The master socket: HAProxy and pylb are asked the same, before and after reloads, and say the same."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from live import ports
from support import require_program, wait_for

from pylb.admin.control.master import ROWS as MASTERS
from pylb.admin.control.master import Member, Unknown, number_of
from pylb.admin.control.registry import execute
from pylb.admin.control.session import Command, Level, Session
from pylb.haproxy_words import parse

CONFIG = """
defaults
 mode http
 timeout client 60s
 timeout server 60s
 timeout connect 1s
listen a
 bind 127.0.0.1:{port}
 server s 127.0.0.1:1
"""

LINES = (
    "show proc", "help", "help show", "help reload", "show", "show cli", "show proc x", "show version",
    "@1 show version", "@master show proc", "@0 show version", "@01 show version", "@ show version", "@", "@1",
    "@9999999 show version; show version", "@foo show version", "@@", "@! show version", "@!1 show version", "@1x",
    "@-1", "@1 show version; @master show proc; show version", "show proc;@1;show version;@master;show version",
    "@1;@9999999", "show cli level", "operator; show cli level; @1 show cli level", "user; show proc", "user; reload",
    "user; @1 disable server a/s", "operator; @1 disable server a/s", "@1 operator; @1 disable server a/s",
    "user; operator; show version", "show cli sockets", "@1 quit; show version", "quit; show version", ";show version",
    "expert-mode on; show version", "@1 set server a/s weight <<\n50%\n\nshow version", "",
    "prompt\nshow version\nprompt\nshow version",
)  # fmt: skip
"""Each on a connection of its own, which the other side ends or not."""

TALKS = (
    (
        "prompt",
        "show version",
        "@1",
        "show version",
        "@master show version",
        "@1 show cli level",
        "@master",
        "",
        "quit",
    ),
    ("prompt", "@1", "user", "disable server a/s", "show cli level", "@", "show cli level", "reload", "operator"),
    ("prompt", "show version; show version", "@1 show version;@master;@1", "show version", "@9999999"),
    ("prompt", "expert-mode on", "experimental-mode on", "mcli-debug-mode on", "@1", "expert-mode off", "@!1"),
    ("prompt", "@1 set server a/s weight <<", "50%", "", "show version", "quit"),
    ("@1", "operator", "show cli level"),
)
"""Line by line on one connection."""


@dataclass
class Program:
    """One of the two, running."""

    path: Path
    config: Path
    pids: dict[str, str] = field(default_factory=dict)

    def ask(self, text: str) -> str:
        """All that is said until the other side has no more to say."""
        with self._connect() as sock:
            sock.sendall(text.encode() + b"\n")
            sock.shutdown(socket.SHUT_WR)
            return self._alike(_read(sock))

    def talk(self, lines: tuple[str, ...]) -> list[str]:
        """What is said to each line, to the end of the conversation."""
        said = []
        with self._connect() as sock:
            for line in lines:
                sock.sendall(line.encode() + b"\n")
                said.append(self._alike(_read(sock, line.count(";") + 1)) if lines[0] == "prompt" else "")
                if lines[0] == "prompt" and not said[-1].endswith(("> ", "+ ")):
                    break
            if lines[0] != "prompt":
                sock.shutdown(socket.SHUT_WR)
                said.append(self._alike(_read(sock)))
        return said

    def processes(self) -> str:
        """`show proc` as it is, whenever there is somebody to ask."""
        try:
            with self._connect() as sock:
                sock.sendall(b"show proc\n")
                sock.shutdown(socket.SHUT_WR)
                return _read(sock)
        except OSError:
            return ""

    def reload(self, reloads: str) -> None:
        """Reload, until `show proc` says so."""
        with self._connect() as sock:
            sock.sendall(b"reload\n")
            assert _read(sock) == ""
        wait_for(lambda: f"{reloads}]" in self.processes() and self._settled(), 10, f"{reloads}]")

    def _settled(self) -> bool:
        """The generation has its process."""
        return re.search(r"# workers\n\d", self.processes()) is not None

    def _connect(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(30)
        try:
            sock.connect(str(self.path))
        except OSError:
            sock.close()
            raise
        return sock

    def stays(self) -> bool:
        """After an answer, without a prompt."""
        with self._connect() as sock:
            sock.sendall(b"show version\n")
            assert sock.recv(100)
            sock.settimeout(0.2)
            try:
                return sock.recv(100) != b""
            except TimeoutError:
                return True

    def _alike(self, text: str) -> str:
        """Without what is different from run to run."""
        for row in re.findall(r"^(\d+) +(\w+)", text, re.MULTILINE):
            self.pids.setdefault(row[0], row[1] if row[1] == "master" else f"worker{len(self.pids)}")
        for pid, name in self.pids.items():
            text = re.sub(rf"(?m)^{pid}(?= +(?:master|worker))|\b{pid}(?=[>(])|(?<=@!){pid}\b", name, text)
        text = re.sub(r"\d+d\d\dh\d\dm\d\ds", "UPTIME", text)
        text = re.sub(r"\b(2\.6\.\d[\w.+~-]*|0\.\d+\.\d+)", "VERSION", text)
        text = re.sub(r"(?<=[\w\]]) {2,}", " ", text)
        return re.sub(r"(VERSION|<version>) +$", r"\1", text, flags=re.MULTILINE)


PROMPT = re.compile(rb"\b(?:master|\d+)(?:\[ReloadFailed\])?(?:\(\w+\))?> ")


def _read(sock: socket.socket, prompts: int = 0) -> str:
    """Up to so many prompts, one for a payload, or the end."""
    said = b""
    while not (prompts and (len(PROMPT.findall(said)) >= prompts or said.endswith(b"+ "))):
        try:
            piece = sock.recv(1 << 16)
        except ConnectionError:
            break
        if not piece:
            break
        said += piece
    return said.decode()


@contextmanager
def program(directory: Path, *command: str, options: str = ",mode,600") -> Iterator[Program]:
    """Run it with a master socket."""
    directory.mkdir()
    (port,) = ports(1)
    config, path = directory / "haproxy.cfg", directory / "master.sock"
    config.write_text(CONFIG.format(port=port))
    with (directory / "stderr").open("w") as stderr:
        process = subprocess.Popen([*command, "-W", "-S", f"{path}{options}", "-f", str(config)], stderr=stderr)
        started = Program(path, config)
        try:
            wait_for(lambda: path.exists() and started._settled(), 20, "the master socket")
            yield started
        finally:
            process.terminate()
            assert process.wait(10) in (0, 143)
    assert command[1:] == () or not path.exists()


PYLB = (sys.executable, "-m", "pylb", "haproxy")


@pytest.mark.interop
def test_same_answers(tmp_path: Path) -> None:
    haproxy = require_program("haproxy")
    with program(tmp_path / "theirs", haproxy) as theirs, program(tmp_path / "ours", *PYLB) as ours:
        for each in (theirs, ours):
            each.ask("show proc")  # names the pids
            assert each.path.stat().st_mode & 0o777 == 0o600
        for line in LINES:
            assert ours.ask(line) == theirs.ask(line), line
        for lines in TALKS:
            assert ours.talk(lines) == theirs.talk(lines), lines
        assert ours.stays() and theirs.stays()
        assert ours.ask("@1 show info").startswith("Name: HAProxy\nVersion: ")
        for each in (ours, theirs):
            rows = each.ask("@1 show stat").removeprefix("# ").splitlines()
            assert [row.split(",")[1] for row in rows if row] == ["svname", "FRONTEND", "s", "BACKEND"]


@pytest.mark.interop
def test_same_reloads(tmp_path: Path) -> None:
    """A worker that still has a client can be asked; a reload that fails shows, until one succeeds."""
    haproxy = require_program("haproxy")
    with program(tmp_path / "theirs", haproxy) as theirs, program(tmp_path / "ours", *PYLB) as ours:
        for each in (theirs, ours):
            each.ask("show proc")
            (old,) = (pid for pid, name in each.pids.items() if name != "master")
            good = each.config.read_text()
            port = int(good.split("127.0.0.1:")[1].split()[0])
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"GET / HTTP/1.1\r\n")
                wait_for(lambda each=each: "CurrConns: 1\n" in each.ask("@1 show info"), 5, "the client")  # type: ignore[misc]
                each.reload("1 [failed: 0")
                wait_for(lambda each=each: "# old workers" in each.processes(), 5, "an old worker")  # type: ignore[misc]
                old_one = each.ask(f"show proc; @!{old} show version; @1 show version")
                assert old_one.count("VERSION\n\n") == 2 and "# old workers" in old_one
                each.config.write_text(good.replace("server s", "servr s"))
                each.reload("2 [failed: 1")
                failed = each.talk(("prompt", "@1", f"@!{old}", "@master", "show proc"))
                assert failed[0] == "master[ReloadFailed]> "
            wait_for(lambda each=each: "# old workers" not in each.processes(), 5, "its end")  # type: ignore[misc]
            assert (
                each.ask(f"@!{old} show version")
                == f"Can't find the target PID matching the prefix '@!{each.pids[old]}'\n"
            )
            each.config.write_text(good)
            each.reload("3 [failed: 0")
            assert each.talk(("prompt",)) == ["master> "]
            if each is theirs:
                expected = old_one, failed
        assert (old_one, failed) == expected


def test_the_socket_in_lb_toml(tmp_path: Path) -> None:
    """A worker's pid leads to its generation; a second process that may not bind says why."""
    path, file, (port,) = tmp_path / "m.sock", tmp_path / "lb.toml", ports(1)
    file.write_text(
        f'[global]\nworkers = 2\nmaster-socket = "{path}"\n[frontend.f]\nmode = "tcp"\nbind = ["127.0.0.1:{port}"]\n'
        'timeout = { client = "5s" }\n'
    )
    command = [sys.executable, "-m", "pylb", "-c", str(file)]
    process = subprocess.Popen(command)
    try:
        place = Program(path, file)
        wait_for(lambda: path.exists() and place._settled(), 20, "the master socket")
        activity = place.ask("show cli level; @1 show activity")
        assert activity.startswith("operator\n") and activity.count("process_id") == 2
        (worker, other) = re.findall(r"process_id: (\d+)", activity)
        for pid in (worker, other):
            assert place.ask(f"@!{pid} show info").startswith("Name: ")
        path.unlink()
        path.mkdir()
        again = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        assert again.returncode == 1 and "master socket: cannot bind" in again.stderr
        assert "Traceback" not in again.stderr
    finally:
        process.terminate()
        assert process.wait(10) == 0
    assert path.is_dir()  # not ours


@pytest.mark.parametrize("kind", ["path", "port"])
def test_it_goes_over_to_another_process(tmp_path: Path, kind: str) -> None:
    """-sf with the same master socket."""
    traffic, port = ports(2)
    config, pidfile, path = tmp_path / "haproxy.cfg", tmp_path / "pid", tmp_path / "m.sock"
    config.write_text(CONFIG.format(port=traffic))
    place = ("127.0.0.1", port) if kind == "port" else str(path)
    words = [
        *PYLB,
        "-D",
        "-S",
        f"127.0.0.1:{port}" if kind == "port" else str(path),
        "-f",
        str(config),
        "-p",
        str(pidfile),
    ]

    def master() -> str:
        with socket.socket(socket.AF_INET if kind == "port" else socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(place)
            sock.sendall(b"show proc\n")
            sock.shutdown(socket.SHUT_WR)
            return re.findall(r"^(\d+) +master", _read(sock), re.MULTILINE)[0]

    pids: list[str] = []
    try:
        for _ in range(2):
            subprocess.run([*words, "-sf", *pids], check=True, timeout=20)
            pids.append(pidfile.read_text().strip())
            if len(pids) == 2:
                wait_for(lambda: not _runs(pids[0]), 10, "the old one's end")
            assert master() == pids[-1]
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGTERM)
    wait_for(lambda: not path.exists(), 10, "the path's end")


def _runs(pid: str) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_the_words_of_s() -> None:
    plain = parse(["-S", "/run/m.sock"]).master_socket
    assert plain is not None and (plain.level, plain.bind.address.path) == ("admin", "/run/m.sock")
    more = parse(["-S", "127.0.0.1:1234,level,user,mode,660,group,adm"]).master_socket
    assert more is not None and (more.level, more.bind.mode, more.bind.group) == ("user", 0o660, "adm")
    for wrong in ("/run/m.sock,bogus", "/run/m.sock,mode", "/run/m.sock,level,king", "", "no-address"):
        with pytest.raises(ValueError, match="-S"):
            parse(["-S", wrong])


@pytest.mark.parametrize(
    ("prefix", "meaning"),
    [
        ("@", ("master", 0)),
        ("@master", ("master", 0)),
        ("@0", ("master", 0)),
        ("@2", ("relative", 2)),
        ("@!7", ("pid", 7)),
    ],
)
def test_prefixes(prefix: str, meaning: tuple[str, int]) -> None:
    assert number_of(prefix) == meaning


@pytest.mark.parametrize("prefix", ["@@", "@!", "@!x", "@-1", "@1x", "@²", "@!99999999999999999999", "@Master"])
def test_prefixes_that_lead_nowhere(prefix: str) -> None:
    with pytest.raises(Unknown, match=re.escape(prefix)):
        number_of(prefix)


class Master:
    """Of a machine that has run for long."""

    pid, reloads, failed, reloaded = 7, 12, 2, 0

    def __init__(self) -> None:
        self.began = time.monotonic() - (((3 * 24 + 4) * 60 + 5) * 60 + 6)

    def members(self) -> list[Member]:
        return [Member(90, 0, time.monotonic() - 61, False), Member(80, 11, self.began, True)]

    def reload(self) -> None:
        self.reloaded += 1


def test_show_proc_and_rights() -> None:
    master = Master()
    text = execute(Session(Level.USER), master, Command(("show", "proc")), MASTERS).decode()
    rows = [line.split() for line in text.splitlines()]
    assert [row[0] for row in rows] == ["#<PID>", "7", "#", "90", "#", "80", "#"]
    assert rows[1][1:6] == ["master", "12", "[failed:", "2]", "3d04h05m06s"]
    assert rows[3][1:4] == ["worker", "0", "0d00h01m01s"] and rows[5][1:4] == ["worker", "11", "3d04h05m06s"]
    for level, reloaded in ((Level.USER, 0), (Level.OPERATOR, 1), (Level.ADMIN, 2)):
        session = Session(level)
        assert execute(session, master, Command(("reload",)), MASTERS) == (b"" if reloaded else b"Permission denied\n")
        assert (master.reloaded, session.ended) == (reloaded, bool(reloaded))
