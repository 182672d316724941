"""The article's haproxy.cfg, run as it is: nothing changed but paths, ports and the workers' addresses.

The whole daemon: it forks, writes its pid, binds the three admin sockets, enters its chroot, becomes the user haproxy,
terminates TLS, chooses by Host, shows its statistics and logs to rsyslogd with the article's own file. The real HAProxy
2.6 refuses the file because of `reqadd`; with that one line in today's words it runs beside us and is compared with.
"""

from __future__ import annotations

import base64
import contextlib
import os
import pwd
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from haproxy_pair import Origin, Talk
from same_cases import describe, get
from support import free_port, require_program, wait_for, wait_for_port

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(os.geteuid() != 0, reason="chroot and user need root"),
]

TESTS = Path(__file__).parent.parent
ARTICLE = (TESTS / "config" / "article.cfg").read_text()
RSYSLOG = (TESTS / "admin" / "rsyslog-haproxy.conf").read_text()
RANCHER = "rancher.monitor.viettq.com"
WORKERS = {"172.16.10.102:30080": "worker1", "172.16.10.103:30080": "worker2", "172.16.10.104:30080": "worker3",
           "172.16.10.105:6860": "rancher"}  # fmt: skip


class Lab:
    """One program with the article's file in a directory of its own."""

    def __init__(self, directory: Path, command: list[str], log_port: int, modern: bool) -> None:
        self.directory = directory
        directory.mkdir(mode=0o755)
        (directory / "chroot").mkdir(mode=0o755)
        self.ports = {name: free_port() for name in ("http", "https", "stats", "admin")}
        self.origins = {name: Origin(name, {}) for name in WORKERS.values()}
        certificate = directory / "server.pem"
        subprocess.run(
            [sys.executable, "-m", "pylb", "cert", "viettq.com", "*.viettq.com", "-o", str(certificate)],
            check=True, capture_output=True, timeout=20,
        )  # fmt: skip
        self.certificate = certificate
        text = self._moved(log_port)
        if modern:
            old = "reqadd X-Forwarded-Proto:\\ https"
            assert old in text
            text = text.replace(old, "http-request add-header X-Forwarded-Proto https")
        self.path = directory / "haproxy.cfg"
        self.path.write_text(text)
        self.started = subprocess.run(
            [*command, "-f", str(self.path)],
            check=False,
            capture_output=True,
            text=True,
            timeout=20,
            stdin=subprocess.DEVNULL,
        )
        assert self.started.returncode == 0, self.started.stderr
        self.pid = int((directory / "haproxy.pid").read_text())
        wait_for_port(self.ports["http"])

    def _moved(self, log_port: int) -> str:
        moves = {
            "127.0.0.1:514": f"127.0.0.1:{log_port}",
            "chroot      /var/lib/haproxy": f"chroot      {self.directory}/chroot",
            "stats socket /var/lib/haproxy/stats": f"stats socket {self.directory}/chroot/stats",
            "/var/run/": f"{self.directory}/",
            "*:1999": f"*:{self.ports['admin']}",
            "*:8085": f"*:{self.ports['stats']}",
            "bind :80\n": f"bind :{self.ports['http']}\n",
            "        bind *:443 ssl crt /etc/haproxy/ssl/server.pem":
                f"        bind *:{self.ports['https']} ssl crt {self.certificate}",
            **{address: f"127.0.0.1:{self.origins[name].port}" for address, name in WORKERS.items()},
        }  # fmt: skip
        text = ARTICLE
        for old, new in moves.items():
            assert old in text, old
            text = text.replace(old, new)
        return text

    def talk(self, name: str = "http") -> Talk:
        return Talk(self.ports[name])

    def ask(self, request: bytes, name: str = "http") -> dict[str, object]:
        """What a client gets and what a worker sees."""
        for origin in self.origins.values():
            origin.records.clear()
        with self.talk(name) as talk:
            talk.send(request)
            seen = describe([talk.response()])
            seen["end"] = talk.rest()
        records = [record for origin in self.origins.values() for record in origin.records]
        return seen | {"worker": [(record.origin, *record.seen) for record in records]}

    def alive(self) -> bool:
        return Path(f"/proc/{self.pid}").exists()

    def stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        for origin in self.origins.values():
            origin.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory that the user haproxy may enter, too."""
    directory = tmp_path_factory.mktemp("article")
    for parent in (directory, directory.parent, directory.parent.parent):
        parent.chmod(parent.stat().st_mode | 0o711)
    return directory


@pytest.fixture(scope="module")
def logs(place):
    """rsyslogd with the article's file: the traffic and the admin log."""
    port = free_port(socket.SOCK_DGRAM)
    text = RSYSLOG.replace("$UDPServerRun 514", f"$UDPServerRun {port}").replace("/var/log", str(place))
    config = place / "rsyslog.conf"
    config.write_text(f"$WorkDirectory {place}\n{text}")
    process = subprocess.Popen(
        [require_program("rsyslogd"), "-n", "-f", str(config), "-i", str(place / "rsyslog.pid")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    traffic, admin = place / "haproxy-traffic.log", place / "haproxy-admin.log"

    def listens() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"<133>Jan  1 00:00:00 test: hello", ("127.0.0.1", port))
        return admin.exists() and "hello" in admin.read_text()

    try:
        wait_for(listens, 20, "rsyslogd")
        yield port, traffic, admin
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def lab(place, logs):
    try:
        pwd.getpwnam("haproxy")
    except KeyError:
        pytest.skip("there is no user haproxy")
    lab = Lab(place / "pylb", [sys.executable, "-m", "pylb"], logs[0], modern=False)
    yield lab
    lab.stop()


@pytest.fixture(scope="module")
def real(place, logs, lab):
    haproxy = require_program("haproxy")
    unread = free_port(socket.SOCK_DGRAM)
    real = Lab(place / "haproxy", [haproxy], unread, modern=True)
    yield real
    real.stop()


def test_it_starts_and_says_what_is_wrong_with_the_file(lab):
    said = lab.started.stderr
    for words in ("reqadd", "p1", "cookie", "password"):
        assert words in said


def test_the_process_is_what_the_global_section_says(lab):
    worker = lab.pid
    for _ in ("steward", "worker"):
        worker = int(Path(f"/proc/{worker}/task/{worker}/children").read_text())
    status = Path(f"/proc/{worker}/status").read_text()
    uid, gid = pwd.getpwnam("haproxy")[2:4]
    assert re.search(rf"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n", status)
    assert re.search(rf"Gid:\t{gid}\t{gid}\t{gid}\t{gid}\n", status)
    assert Path(f"/proc/{worker}/root").readlink() == lab.directory / "chroot"
    assert os.getsid(lab.pid) != os.getsid(0), "a daemon has a session of its own"


def test_the_three_admin_sockets_are_bound(lab):
    for path, mode in ((lab.directory / "chroot/stats", None), (lab.directory / "haproxy.sock", 0o600)):
        found = path.stat()
        assert stat.S_ISSOCK(found.st_mode) and mode in (None, stat.S_IMODE(found.st_mode))
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
    socket.create_connection(("127.0.0.1", lab.ports["admin"]), 5).close()


REQUESTS = {
    "plain": get("/a", host="x.viettq.com"),
    "rancher": get("/a", host=RANCHER),
    "rancher in capitals, with a port": get("/a", host=RANCHER.upper() + ":80"),
    "below rancher": get("/a", host=f"deep.{RANCHER}"),
    "beside rancher": get("/a", host=f"x{RANCHER}"),
    "forwarded": get("/a", "X-Forwarded-Proto: http", "X-Forwarded-For: 9.9.9.9", host=RANCHER),
    "a cookie": get("/a", "Cookie: SRVNAME=p1", host=RANCHER),
    "a POST": get("/a", "Content-Length: 3", method="POST", host=RANCHER) + b"abc",
    "the statistics of a backend": get("/haproxy?stats", host=RANCHER),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_fare_as_with_the_real_program(lab, real, name):
    theirs, ours = real.ask(REQUESTS[name]), lab.ask(REQUESTS[name])
    for seen in (theirs, ours):
        seen["worker"] = [("worker" if "worker" in origin else origin, *rest) for origin, *rest in seen["worker"]]
        seen["headers"] = [[pair for pair in seen["headers"][0] if pair[0] != "x-origin"]]
        seen["body"] = [re.sub(rb"worker\d", b"worker", body[0]) if body != "a page" else body for body in seen["body"]]
    assert ours == theirs


def test_requests_go_round_and_say_https_and_close(lab):
    workers = set()
    for _ in range(6):
        seen = lab.ask(get("/", host="any.viettq.com"))
        ((worker, line, headers, *_),) = seen["worker"]
        workers.add(worker)
        assert line == "GET / HTTP/1.1"
        assert ("x-forwarded-proto", "https") in headers and ("connection", "close") in headers
        assert ("connection", "close") in seen["headers"][0] and seen["end"] == (b"", "eof")
    assert workers == {"worker1", "worker2", "worker3"}


@pytest.mark.parametrize("host,worker", [(RANCHER, "rancher"), ("www.viettq.com", "worker")])
def test_tls_with_our_own_certificate(lab, host, worker):
    context = ssl.create_default_context(cafile=str(lab.certificate))
    name = "www.viettq.com"
    raw = socket.create_connection(("127.0.0.1", lab.ports["https"]), 5)
    with Talk(0, sock=context.wrap_socket(raw, server_hostname=name)) as talk:
        talk.send(get("/secure", host=host))
        assert talk.response().body.decode().startswith(worker)


def test_the_statistics_page(lab):
    with lab.talk("stats") as talk:
        talk.send(get("/stats"))
        answer = talk.response()
    assert (answer.status, answer.get("www-authenticate")) == (401, 'Basic realm="HAProxy-04 Statistics"')
    login = "Authorization: Basic " + base64.b64encode(b"admin:password").decode()
    for path, kind, words in (
        ("/stats", "text/html", "backend_ingress"),
        ("/stats;csv", "text/plain", "backend_ingress,worker1,"),
        ("/stats;json", "application/json", '"worker1"'),
    ):
        with lab.talk("stats") as talk:
            talk.send(get(path, login))
            answer = talk.response()
        assert answer.status == 200 and kind in answer.get("content-type") and words in answer.body.decode(), path


def test_an_administrator_stops_a_server_and_starts_it_again(lab):
    login = "Authorization: Basic " + base64.b64encode(b"admin:password").decode()
    for action, wanted in (("maint", {"worker2", "worker3"}), ("ready", {"worker1", "worker2", "worker3"})):
        form = f"s=worker1&action={action}&b=backend_ingress".encode()
        with lab.talk("stats") as talk:
            talk.send(get("/stats", login, f"Content-Length: {len(form)}", method="POST") + form)
            assert talk.response().status == 303
        found = {lab.ask(get("/", host="a.viettq.com"))["worker"][0][0] for _ in range(6)}
        assert found == wanted


def test_traffic_reaches_rsyslog_and_a_soft_stop_ends_it_all(lab, logs):
    """Last in this file: it ends the daemon. The admin log gets what is a notice and worse."""
    _, traffic, admin = logs
    lab.ask(get("/last", host=RANCHER))
    line = re.compile(
        r"haproxy\[\d+\]: 127\.0\.0\.1:\d+ \[.+\] frontend_ssl_443 backend_rancher/rancher "
        r'\d+/\d+/\d+/\d+/\d+ 200 \d+ - - ---- \d+/\d+/\d+/\d+/0 0/0 "GET /last HTTP/1.1"'
    )
    wait_for(lambda: line.search(traffic.read_text()), 10, "the line of the last request")
    assert "/last" not in admin.read_text()
    os.kill(lab.pid, signal.SIGUSR1)
    wait_for(lambda: not lab.alive(), 10, "the end of the daemon")
    wait_for(lambda: "Proxy frontend_ssl_443 stopped" in admin.read_text(), 10, "the notice in the admin log")
    with pytest.raises(ConnectionRefusedError):
        lab.talk()


def test_a_daemon_that_cannot_start_says_so_and_its_status_tells(place):
    path = place / "wrong.cfg"
    bind = f"bind 127.0.0.1:{free_port()}"
    path.write_text(f"global\n daemon\n chroot {place}/missing\nfrontend f\n {bind}\n mode http\n"
                    " timeout client 1s\n default_backend b\nbackend b\n mode http\n")  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "pylb", "-f", str(path)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1 and "chroot" in done.stderr
