"""The programs of the lab: with which files and words each is started, when it is ready, how it reloads.

A kind knows one program; `service.Service` runs it. pylb, haproxy, vrrpd and keepalived get the files of configs/
as they are, in the places where the real programs look for them.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import string
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from bench.lab.net import PATIENCE, LabError, Namespace, Process, network_of, until
from bench.lab.topology import APPLE_HOST, APPLE_TEXT, CONFIGS, HTTP, INGRESS, RANCHER, RANCHER_HOST, RANCHER_TEXT, ROOT

HERE = Path(__file__).parent
ADMIN_SOCKET = "/run/haproxy.sock"
CERTIFICATE = "/etc/haproxy/ssl/server.pem"
SLOW_POD, POD = 5679, 5678
ENVIRONMENT = {
    **os.environ,
    "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin",
    "PYTHONPATH": str(ROOT),
    "PYTHONUNBUFFERED": "1",
    "TMPDIR": "/run",
    "LB_STATS_PASSWORD": "seen-in-the-lab-only",
}

Restart = Callable[[], Process]
"""Starts the program a second time beside the one that runs."""


def find(name: str) -> str | None:
    """The path of a program, also of one that only root has in its PATH."""
    return shutil.which(name, path=ENVIRONMENT["PATH"])


def ours(name: str) -> list[str]:
    """The words that run our own program under its own name, so that killall and pgrep find it."""
    script = Path(sys.executable).with_name(name)
    return [str(script)] if script.exists() else [sys.executable, "-m", name]


def serves(host: Namespace, port: int) -> bool:
    """Whether something accepts connections on a port of the host."""
    with network_of(host.pid):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with sock, contextlib.suppress(OSError):
        sock.settimeout(0.5)
        sock.connect(("127.0.0.1", port))
        return True
    return False


def ask(host: Namespace, question: str, timeout: float = 1.0) -> str:
    """A balancer's answer on its admin socket; OSError when it does not answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout)
        sock.connect(str(host.root / ADMIN_SOCKET.lstrip("/")))
        sock.sendall(question.encode() + b"\n")
        parts = []
        while part := sock.recv(1 << 16):
            parts.append(part)
    return b"".join(parts).decode(errors="replace")


class Kind:
    """One program; what differs between them."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    """Programs that have to be installed."""

    def install(self, host: Namespace) -> None:
        """Put its files in place, before the first start."""

    def argv(self, host: Namespace) -> list[str]:
        """The command line."""
        raise NotImplementedError

    def ready(self, host: Namespace, log: str) -> bool:
        """Whether it does its work; `log` is what it has said since it was started."""
        raise NotImplementedError

    def reload(self, host: Namespace, process: Process, again: Restart) -> Process:
        """Take changed files in; the process that serves from now on."""
        raise NotImplementedError


# Balancers


@dataclass
class Haproxy(Kind):
    """The real HAProxy in master-worker mode, which is what its unit file starts."""

    name: ClassVar[str] = "haproxy"
    needs: ClassVar[tuple[str, ...]] = ("haproxy",)

    def install(self, host: Namespace) -> None:
        host.write("/etc/haproxy/haproxy.cfg", (CONFIGS / "haproxy.cfg").read_text())

    def argv(self, host: Namespace) -> list[str]:
        return [find("haproxy") or "haproxy", "-W", "-db", "-f", "/etc/haproxy/haproxy.cfg"]

    def ready(self, host: Namespace, log: str) -> bool:
        return _answers(host)

    def reload(self, host: Namespace, process: Process, again: Restart) -> Process:
        process.signal(signal.SIGUSR2)
        return process


@dataclass
class Pylb(Kind):
    """Our own, with lb.toml or with HAProxy's file."""

    name: ClassVar[str] = "pylb"
    same_files: bool = False

    def install(self, host: Namespace) -> None:
        if self.same_files:
            host.write("/etc/haproxy/haproxy.cfg", (CONFIGS / "haproxy.cfg").read_text())
        else:
            host.write("/etc/pylb/lb.toml", (CONFIGS / "lb.toml").read_text())

    def argv(self, host: Namespace) -> list[str]:
        return [*ours("pylb"), "-db", "-c", "/etc/haproxy/haproxy.cfg" if self.same_files else "/etc/pylb/lb.toml"]

    def ready(self, host: Namespace, log: str) -> bool:
        return _answers(host)

    def reload(self, host: Namespace, process: Process, again: Restart) -> Process:
        before = _reloads(host)
        process.signal(signal.SIGUSR2)
        until(lambda: _reloads(host) not in ("", before), PATIENCE, "pylb to have reloaded")
        if "Last_reload_ok: 1" not in (after := ask(host, "show info")):
            raise LabError(f"pylb does not take its files: {after}")
        return process


def _reloads(host: Namespace) -> str:
    """When pylb reloaded last; "" while it does not say."""
    with contextlib.suppress(OSError):
        return "".join(line for line in ask(host, "show info").splitlines() if line.startswith("Last_reload_time_sec"))
    return ""


def _answers(host: Namespace) -> bool:
    with contextlib.suppress(OSError):
        return serves(host, HTTP) and "Uptime" in ask(host, "show info")
    return False


# Routers


@dataclass
class _Router(Kind):
    """`nopreempt` and `only_process` are the two variations that scenarios ask for."""

    node: str
    nopreempt: bool = False
    only_process: bool = False
    """The check looks for a process as the article's does, instead of asking for an answer."""

    def ready(self, host: Namespace, log: str) -> bool:
        return "Entering BACKUP STATE" in log or "Entering MASTER STATE" in log

    def reload(self, host: Namespace, process: Process, again: Restart) -> Process:
        process.signal(signal.SIGHUP)
        return process


PROCESS_CHECK = "/usr/bin/pgrep -x haproxy|pylb"


@dataclass
class Keepalived(_Router):
    """The real keepalived with its node's file."""

    name: ClassVar[str] = "keepalived"
    needs: ClassVar[tuple[str, ...]] = ("keepalived",)
    path: ClassVar[str] = "/etc/keepalived/keepalived.conf"

    def install(self, host: Namespace) -> None:
        text = keepalived_conf(self.node, self.nopreempt, self.only_process)
        host.write(self.path, text)

    def argv(self, host: Namespace) -> list[str]:
        # After a SIGKILL it takes whatever process has the old number now for itself.
        host.run("sh", "-c", "rm -f /run/*.pid /run/keepalived/*.pid")
        return [find("keepalived") or "keepalived", "-n", "-l", "-D", "-G", "-P", "-f", self.path]


@dataclass
class Vrrpd(_Router):
    """Our own, with vrrpd.toml or with keepalived's file."""

    name: ClassVar[str] = "vrrpd"
    same_files: bool = False

    @property
    def path(self) -> str:
        return Keepalived.path if self.same_files else "/etc/vrrpd/vrrpd.toml"

    def install(self, host: Namespace) -> None:
        text = keepalived_conf if self.same_files else vrrpd_toml
        host.write(self.path, text(self.node, self.nopreempt, self.only_process))

    def argv(self, host: Namespace) -> list[str]:
        return [*ours("vrrpd"), "-D", "-c", self.path]


def keepalived_conf(node: str, nopreempt: bool = False, only_process: bool = False) -> str:
    """The node's file of configs/, with the variations."""
    text = (CONFIGS / f"keepalived-{node}.conf").read_text()
    if nopreempt:
        text = _replaced(r"(?m)^( +)priority .*$", r"\g<0>\n\1nopreempt", text)
    return _replaced(r'script "/usr/bin/curl .*"', f'script "{PROCESS_CHECK}"', text) if only_process else text


def vrrpd_toml(node: str, nopreempt: bool = False, only_process: bool = False) -> str:
    """The one file for all nodes, with the variations."""
    text = (CONFIGS / "vrrpd.toml").read_text()
    if nopreempt:
        text = _replaced(r"(?m)^advert_int = .*$", r"\g<0>\npreempt = false", text)
    return _replaced(r'command = "/usr/bin/curl .*"', f'command = "{PROCESS_CHECK}"', text) if only_process else text


def _replaced(pattern: str, replacement: str, text: str) -> str:
    changed, count = re.subn(pattern, replacement, text)
    if count != 1:
        raise LabError(f"the files of configs/ have changed: {pattern} is there {count} times")
    return changed


# Servers


@dataclass
class Nginx(Kind):
    """The ingress of a worker, or rancher: chooses by Host; its pod may be told to be slow."""

    name: ClassVar[str] = "nginx"
    needs: ClassVar[tuple[str, ...]] = ("nginx",)
    node: str
    pod: int = field(default=POD)

    def install(self, host: Namespace) -> None:
        port, name, text = site_of(self.node)
        user = "root"  # its workers may then read nothing that they need not
        values = {"USER": user, "NAME": self.node, "PORT": port, "HOST": name, "TEXT": text, "POD": self.pod, "D": "$"}
        host.write("/etc/lab/nginx.conf", string.Template((HERE / "nginx.conf").read_text()).substitute(values))

    def argv(self, host: Namespace) -> list[str]:
        return [find("nginx") or "nginx", "-e", "stderr", "-c", "/etc/lab/nginx.conf"]

    def ready(self, host: Namespace, log: str) -> bool:
        return serves(host, site_of(self.node)[0])

    def reload(self, host: Namespace, process: Process, again: Restart) -> Process:
        process.signal(signal.SIGHUP)
        return process


@dataclass
class Embedded(Kind):
    """What stands in for nginx where that is not installed."""

    name: ClassVar[str] = "python"
    node: str
    delay: float = 0.0

    def argv(self, host: Namespace) -> list[str]:
        port, name, text = site_of(self.node)
        return [sys.executable, "-m", "bench.lab.ingress", str(port), self.node, name, text, str(self.delay)]

    def ready(self, host: Namespace, log: str) -> bool:
        return serves(host, site_of(self.node)[0])

    def reload(self, host: Namespace, process: Process, again: Restart) -> Process:
        process.stop()
        return again()


@dataclass
class SlowPod(Kind):
    """A pod that takes its time, for nginx to pass requests on to."""

    name: ClassVar[str] = "slow pod"
    node: str
    delay: float

    def argv(self, host: Namespace) -> list[str]:
        text = site_of(self.node)[2]
        return [sys.executable, "-m", "bench.lab.ingress", str(SLOW_POD), self.node, "*", text, str(self.delay)]

    def ready(self, host: Namespace, log: str) -> bool:
        return serves(host, SLOW_POD)


def site_of(node: str) -> tuple[int, str, str]:
    """Port, Host and text of the server on a worker or on rancher."""
    return (RANCHER, RANCHER_HOST, RANCHER_TEXT) if node == "rancher" else (INGRESS, APPLE_HOST, APPLE_TEXT)
