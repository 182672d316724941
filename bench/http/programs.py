"""Everything that runs during a measurement: started, waited for, ended.

`World` holds one directory with what the programs read and write, free ports, nginx, the syslog receiver, and the two
balancers. Leaving it ends what it started, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.http import cpu

HERE = Path(__file__).parent
CONFIG = HERE / "haproxy.cfg"
ROOT = HERE.parents[1]
"""Where `python -m pylb` finds this checkout."""
NEEDED = ("haproxy", "nginx", "wrk", "taskset", "openssl")
FRONTENDS = ("keepalive", "client_close", "server_close", "both_close", "tls", "bare")
SERVERS = ("WORKER1", "WORKER2", "WORKER3", "RANCHER")
PATIENCE = 15.0
"""Seconds that a program may take to start or to end."""

PAGE = 10 * 1024
IMAGE = 1024 * 1024
PARTS = "".join(f'{chr(97 + part) * (700 + 130 * part)}<!--# echo var="request_method" -->\n' for part in range(8))
"""A text with server-side includes: nginx sends what it makes of it in chunks."""


class StartError(Exception):
    """A program is missing, ended at once, or does not listen."""


@dataclass
class Program:
    """A balancer under test."""

    name: str
    version: str
    command: list[str]
    ports: dict[str, int]
    process: subprocess.Popen[bytes]
    log: SyslogReceiver

    def times(self) -> cpu.Times:
        """CPU time so far."""
        return cpu.cpu_times(self.process.pid)

    def resident(self) -> int:
        """Bytes of memory, children included."""
        return sum(cpu.resident(pid) for pid in cpu.family(self.process.pid, cpu.read_all()))


@dataclass
class SyslogReceiver:
    """A process that takes log lines and counts them, as a syslog server would be there to take them."""

    port: int
    process: subprocess.Popen[bytes]

    def lines(self) -> int:
        """How many have arrived: asked for by an empty datagram, which no program logs."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(PATIENCE)
            sock.sendto(b"", ("127.0.0.1", self.port))
            return int(sock.recv(64))


RECEIVER = """
import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
sock.bind(("127.0.0.1", int(sys.argv[1])))
room, lines = bytearray(65536), 0
while True:
    size, sender = sock.recvfrom_into(room)
    if size:
        lines += 1
    else:
        sock.sendto(b"%d" % lines, sender)
"""


@dataclass
class Cores:
    """Who runs where."""

    proxy: int
    others: int


@dataclass
class World:
    """What `running` yields."""

    cores: Cores
    directory: Path
    servers: dict[str, int]
    programs: list[Program] = field(default_factory=list)


def missing() -> list[str]:
    """Programs that are needed and not installed."""
    return [name for name in NEEDED if find(name) is None]


def find(name: str) -> str | None:
    """The path of a program, also of one that only root has in its PATH."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def choose_cores() -> Cores:
    """The last core for the proxy, the first for the rest. StartError on a machine with one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise StartError("two cores are needed: one for the proxy, one for load, servers and syslog")
    return Cores(cores[-1], cores[0])


@contextlib.contextmanager
def running(directory: Path) -> Iterator[World]:
    """nginx, two syslog receivers, HAProxy and pylb, all serving; ended on leaving."""
    if absent := missing():
        raise StartError(f"not installed: {', '.join(absent)}")
    with contextlib.ExitStack() as stack:
        cores = choose_cores()
        stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores.others})
        world = World(cores, directory, {name: free_port() for name in SERVERS})
        stack.enter_context(nginx(world))
        certificate = make_certificate(directory)
        for name, words in BALANCERS.items():
            world.programs.append(stack.enter_context(balancer(world, name, words, certificate)))
        yield world


BALANCERS = {
    "haproxy": ["haproxy", "-db", "-f", str(CONFIG)],
    "pylb": [sys.executable, "-m", "pylb", "-q", "-db", "-f", str(CONFIG)],
}


@contextlib.contextmanager
def balancer(world: World, name: str, words: list[str], certificate: Path) -> Iterator[Program]:
    """One program on the proxy's core, with ports and a syslog receiver of its own."""
    ports = {frontend: free_port() for frontend in FRONTENDS}
    with syslog_receiver(world.cores.others) as log:
        variables = {frontend.upper(): str(port) for frontend, port in ports.items()}
        variables |= {server: str(port) for server, port in world.servers.items()}
        variables |= {"LOG": str(log.port), "CERTIFICATE": str(certificate)}
        command = ["taskset", "-c", str(world.cores.proxy), find(words[0]) or words[0], *words[1:]]
        with started(command, world.directory / f"{name}.log", os.environ | variables) as process:
            for port in ports.values():
                wait_until_it_serves(process, port, world.directory / f"{name}.log")
            yield Program(name, version_of(words), command, ports, process, log)


@contextlib.contextmanager
def nginx(world: World) -> Iterator[None]:
    """The servers, on the core of the others."""
    directory = world.directory
    site = directory / "www"
    site.mkdir()
    (site / "page.bin").write_bytes(os.urandom(PAGE))
    (site / "image.bin").write_bytes(os.urandom(IMAGE))
    (site / "parts.txt").write_text(PARTS)
    user = "root" if os.getuid() == 0 else "nobody"  # only root's nginx looks at it; its workers must read `directory`
    values = {"DIR": str(directory), "USER": user} | {name: str(port) for name, port in world.servers.items()}
    config = directory / "nginx.conf"
    config.write_text(string.Template((HERE / "nginx.conf").read_text()).safe_substitute(values))
    command = ["taskset", "-c", str(world.cores.others), find("nginx") or "nginx", "-c", str(config)]
    command += ["-e", str(directory / "nginx.log")]
    with started(command, directory / "nginx.out", dict(os.environ)) as process:
        for port in world.servers.values():
            wait_until_it_serves(process, port, directory / "nginx.out")
        yield


@contextlib.contextmanager
def syslog_receiver(core: int) -> Iterator[SyslogReceiver]:
    """A receiver on `core`."""
    port = free_port(socket.SOCK_DGRAM)
    command = ["taskset", "-c", str(core), sys.executable, "-S", "-c", RECEIVER, str(port)]
    with started(command, Path(os.devnull), dict(os.environ)) as process:
        receiver = SyslogReceiver(port, process)
        deadline = time.monotonic() + PATIENCE
        while not is_bound(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise StartError("the syslog receiver does not start")
            time.sleep(0.02)
        yield receiver


def is_bound(port: int) -> bool:
    """Whether somebody has that UDP port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return True
        return False


@contextlib.contextmanager
def started(command: list[str], output: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process, ended with SIGTERM and, when that does not help, killed."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=ROOT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_it_serves(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    """Until something accepts connections there. StartError with the program's last words when it ends instead."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise StartError(f"{process.args!r} does not serve: {output.read_text()[-1500:]}") from None
            time.sleep(0.05)
        else:
            return


def make_certificate(directory: Path) -> Path:
    """A P-256 certificate with its key, as sites have them today; both programs hold the same."""
    key, certificate, bundle = (directory / name for name in ("key.pem", "certificate.pem", "bundle.pem"))
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=apple.prod.viettq.com"
    words += " -addext subjectAltName=DNS:*.prod.viettq.com,DNS:*.monitor.viettq.com,IP:127.0.0.1"
    command = ["openssl", *words.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    bundle.write_bytes(certificate.read_bytes() + key.read_bytes())
    return bundle


def version_of(words: list[str]) -> str:
    """The first line that `-v` prints."""
    start = words[:3] if words[0] == sys.executable else words[:1]
    command = [find(start[0]) or start[0], *start[1:], "-v"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=ROOT)
    return (done.stdout or done.stderr).splitlines()[0].partition(" - ")[0].strip()


def versions() -> dict[str, str]:
    """Of what takes part besides the balancers."""
    said = {}
    for name, arguments in {"nginx": ["-v"], "wrk": ["-v"]}.items():
        done = subprocess.run([find(name) or name, *arguments], capture_output=True, text=True, timeout=5, check=False)
        said[name] = (done.stdout or done.stderr).splitlines()[0].split("Copyright")[0].strip()
    return said | {"python": sys.version.split()[0], "openssl": ssl.OPENSSL_VERSION}


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
