"""What stands around the programs under test: cores, servers, a certificate.

Leaving `around` ends what it started, and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import resource
import string
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.http.process import PATIENCE, StartError, find, free_ports, started, wait_until_it_serves

HERE = Path(__file__).parent
NEEDED = ("haproxy", "nginx", "wrk", "taskset", "openssl")
SERVERS = ("WORKER1", "WORKER2", "WORKER3", "RANCHER")

PAGE = 10 * 1024
IMAGE = 1024 * 1024
PARTS = "".join(f'{chr(97 + part) * (700 + 130 * part)}<!--# echo var="request_method" -->\n' for part in range(8))
"""A text with server-side includes: nginx sends what it makes of it in chunks."""


@dataclass
class Cores:
    """Who runs where."""

    proxy: int
    others: int


@dataclass
class World:
    """What `around` yields."""

    cores: Cores
    directory: Path
    servers: dict[str, int]
    certificate: Path

    @property
    def key(self) -> Path:
        """The certificate's, for programs that want it apart."""
        return self.certificate.with_name("key.pem")


def missing() -> list[str]:
    """Programs that are needed and not installed."""
    return [name for name in NEEDED if find(name) is None]


def choose_cores() -> Cores:
    """The last core for the proxy, the first for the rest. StartError on a machine with one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise StartError("two cores are needed: one for the proxy, one for load, servers and syslog")
    return Cores(cores[-1], cores[0])


@contextlib.contextmanager
def around(directory: Path) -> Iterator[World]:
    """nginx's four servers, serving; this process and the load on one core, the other one free. StartError."""
    if absent := missing():
        raise StartError(f"not installed: {', '.join(absent)}")
    with contextlib.ExitStack() as stack:
        cores = choose_cores()
        stack.callback(os.sched_setaffinity, 0, os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores.others})
        raise_file_limit()
        world = World(
            cores, directory, dict(zip(SERVERS, free_ports(len(SERVERS)), strict=True)), make_certificate(directory)
        )
        stack.enter_context(servers(world))
        yield world


def raise_file_limit() -> int:
    """As many open files as this user may have, for itself and all that it starts; how many that are."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):  # more than the hard limit is for a privileged root only
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, 65536), max(hard, 65536)))
        return max(hard, 65536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


@contextlib.contextmanager
def servers(world: World) -> Iterator[None]:
    """The servers, on the core of the others."""
    directory = world.directory
    site = directory / "www"
    site.mkdir()
    (site / "page.bin").write_bytes(os.urandom(PAGE))
    (site / "image.bin").write_bytes(os.urandom(IMAGE))
    (site / "parts.txt").write_text(PARTS)
    config = fill_in(world, HERE / "nginx.conf", directory / "nginx.conf", {})
    command = ["taskset", "-c", str(world.cores.others), *nginx_command(config)]
    with started(command, directory / "nginx.out", dict(os.environ)) as process:
        for port in world.servers.values():
            wait_until_it_serves(process, port, directory / "nginx.out")
        yield


def fill_in(world: World, template: Path, target: Path, values: dict[str, str]) -> Path:
    """A configuration file with $NAME replaced: the world's ports and directory, and `values`."""
    user = "root" if os.getuid() == 0 else "nobody"  # only root's nginx looks at it; its workers must read `directory`
    values = {"DIR": str(world.directory), "USER": user, "KEY": str(world.key), "CERTIFICATE": str(world.certificate),
              **{name: str(port) for name, port in world.servers.items()}, **values}  # fmt: skip
    target.write_text(string.Template(template.read_text()).safe_substitute(values))
    return target


def nginx_command(config: Path) -> list[str]:
    """nginx with that file, its first error messages beside it."""
    return [find("nginx") or "nginx", "-c", str(config), "-e", str(config.with_suffix(".log"))]


def make_certificate(directory: Path) -> Path:
    """A P-256 certificate with its key, as sites have them today; all programs hold the same."""
    key, certificate, bundle = (directory / name for name in ("key.pem", "certificate.pem", "bundle.pem"))
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=apple.prod.viettq.com"
    words += " -addext subjectAltName=DNS:*.prod.viettq.com,DNS:*.monitor.viettq.com,IP:127.0.0.1"
    command = ["openssl", *words.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    bundle.write_bytes(certificate.read_bytes() + key.read_bytes())
    return bundle
