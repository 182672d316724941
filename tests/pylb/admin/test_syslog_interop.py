"""Log lines beside the real programs: HAProxy writes the same bytes, rsyslogd reads ours as it reads HAProxy's."""

from __future__ import annotations

import re
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from real_haproxy import haproxy
from support import free_port, require_program, wait_for

from pylb.admin.syslog import FORMATS, Logger, make_logger
from pylb.config.model import Global, LogTarget

pytestmark = pytest.mark.interop

TIMES = re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d")
MESSAGES = ("short and 100% plain", "long " + "x" * 1500)

SETTINGS = [
    pytest.param("", Global(), 1024, id="defaults"),
    pytest.param("log-send-hostname\nlog-tag web", Global(log_send_hostname="", log_tag="web"), 200, id="own host"),
    pytest.param(
        "log-send-hostname lb.example\nlog-tag my\\ tag",
        Global(log_send_hostname="lb.example", log_tag="my tag"),
        80,
        id="given host",
    ),
]


def without_times(lines: list[bytes]) -> list[bytes]:
    return sorted(TIMES.sub(lambda found: b"T" * len(found[0]), line) for line in lines)


class Receivers:
    """One UDP and one unix socket for each format."""

    def __init__(self, directory: Path):
        self.sockets: dict[tuple[str, str], socket.socket] = {}
        self.addresses: dict[tuple[str, str], str] = {}
        directory.mkdir()
        for format in FORMATS:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(("127.0.0.1", 0))
            self.sockets["udp", format] = udp
            self.addresses["udp", format] = f"127.0.0.1:{udp.getsockname()[1]}"
            unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            path = str(directory / format)
            unix.bind(path)
            self.sockets["unix", format] = unix
            self.addresses["unix", format] = path

    def read(self, count: int) -> dict[tuple[str, str], list[bytes]]:
        for sock in self.sockets.values():
            sock.settimeout(5)
        return {key: [sock.recv(9999) for _ in range(count)] for key, sock in self.sockets.items()}

    def close(self) -> None:
        for sock in self.sockets.values():
            sock.close()


def targets(receivers: Receivers, length: int) -> list[LogTarget]:
    found = []
    for (kind, format), address in receivers.addresses.items():
        words = {"udp": ("local0", "debug", "emerg"), "unix": ("local5", "info", "info")}[kind]
        found.append(LogTarget(address, words[0], words[1], words[2], length, format))
    return found


def as_config(target: LogTarget) -> str:
    words = f"len {target.length} format {target.format} {target.facility} {target.level} {target.min_level}"
    return f"log {target.address} {words}"


@pytest.fixture
def receivers(tmp_path):
    both = Receivers(tmp_path / "theirs"), Receivers(tmp_path / "ours")
    yield both
    for each in both:
        each.close()


@pytest.mark.parametrize(("extra", "globals_", "length"), SETTINGS)
def test_haproxy_writes_the_same_bytes(tmp_path, receivers, extra, globals_, length):
    theirs, ours = receivers
    ports = free_port(), free_port()
    stdout = "\n".join(f"log stdout len {length} format {f} local2 info warning" for f in FORMATS)
    config = f"""
global
    nbthread 1
{chr(10).join(map(as_config, targets(theirs, length)))}
{stdout}
{extra}
defaults
    mode http
    log global
    option dontlognull
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend short
    bind 127.0.0.1:{ports[0]}
    log-format "{MESSAGES[0].replace("%", "%%")}"
    http-request return status 200
frontend long
    bind 127.0.0.1:{ports[1]}
    log-format "{MESSAGES[1]}"
    http-request return status 200
"""
    with haproxy(tmp_path, config, ports[1]) as process:
        pid = process.pid
        for port in ports:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
        expected = theirs.read(2)
    out = (tmp_path / "out").read_bytes().splitlines(keepends=True)

    logger = make_logger(targets(ours, length), globals_, pid=pid)
    for message in MESSAGES:
        logger(6, message.encode())
    got = ours.read(2)
    logger.close()
    for key, lines in expected.items():
        assert without_times(got[key]) == without_times(lines), key
    assert without_times(our_stdout(tmp_path, length, globals_, pid)) == without_times(out)


def our_stdout(tmp_path: Path, length: int, globals_: Global, pid: int) -> list[bytes]:
    with (tmp_path / "ours.out").open("wb") as file:
        address = f"fd@{file.fileno()}"
        wanted = [LogTarget(address, "local2", "info", "warning", length, format) for format in FORMATS]
        logger = make_logger(wanted, globals_, pid=pid)
        for message in MESSAGES:
            logger(6, message.encode())
        logger.close()
    return (tmp_path / "ours.out").read_bytes().splitlines(keepends=True)


# ------------------------------------------------------------------------------------------------------------- rsyslogd

ARTICLE = Path(__file__).parent / "rsyslog-haproxy.conf"


def test_rsyslogd_with_the_articles_file_sorts_traffic_and_notices(tmp_path):
    """The article's file, its port and output files moved: lines of local0 in one file, notices in the other too."""
    program = require_program("rsyslogd")
    port = free_port(socket.SOCK_DGRAM)
    text = ARTICLE.read_text().replace("$UDPServerRun 514", f"$UDPServerRun {port}").replace("/var/log", str(tmp_path))
    fields = '$template Fields,"%hostname%|%syslogtag%|%syslogfacility-text%|%syslogseverity-text%|%msg%\\n"\n'
    text = f"$WorkDirectory {tmp_path}\n{fields}{text}\nlocal0.* {tmp_path}/fields.log;Fields\n"
    config = tmp_path / "rsyslog.conf"
    config.write_text(text)
    process = subprocess.Popen(
        [program, "-n", "-f", str(config), "-i", str(tmp_path / "pid")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    traffic, admin, parsed = (tmp_path / n for n in ("haproxy-traffic.log", "haproxy-admin.log", "fields.log"))
    logger = make_logger([LogTarget(f"127.0.0.1:{port}", "local0")], Global(log_send_hostname="lb1"), "haproxy", pid=42)
    request = (
        b'127.0.0.1:5 [23/Nov/2026:16:07:45.738] fe be/s2 0/0/0/1/1 200 117 - - --NI 1/1/0/0/0 0/0 "GET / HTTP/1.1"'
    )
    try:
        _until_it_listens(logger, traffic)
        logger(6, request)
        logger.text(5, "Server be/s2 is UP.")
        logger.text(1, "Server be/s1 is DOWN, reason: Layer4 timeout.")
        wait_for(lambda: b"is DOWN" in parsed.read_bytes(), 20, "rsyslogd to write")
    finally:
        logger.close()
        process.terminate()
        process.wait(20)
    assert request in traffic.read_bytes()
    assert b"Server be/s2 is UP." in traffic.read_bytes(), "local0.* takes everything"
    assert request not in admin.read_bytes()
    assert [line for line in (b"s2 is UP", b"s1 is DOWN") if line not in admin.read_bytes()] == []
    lines = [line.split("|", 4) for line in parsed.read_text().splitlines()]
    assert ["lb1", "haproxy[42]:", "local0", "info", " " + request.decode()] in lines
    assert ["lb1", "haproxy[42]:", "local0", "notice", " Server be/s2 is UP."] in lines
    assert {tuple(line[:3]) for line in lines} == {("lb1", "haproxy[42]:", "local0")}


def _until_it_listens(logger: Logger, traffic: Path) -> None:
    deadline = time.monotonic() + 20
    while not (traffic.exists() and b"hello" in traffic.read_bytes()):
        assert time.monotonic() < deadline, "rsyslogd does not take our lines"
        logger(6, b"hello")
        time.sleep(0.05)
