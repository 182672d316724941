"""Hosts on one machine: namespaces, a switch with cables, and the programs inside.

A host is a network, PID, mount and host-name namespace with an empty /run, so that real daemons find their usual
paths and `killall` sees only the host's own processes. It lives as long as its first process, and that dies with
whoever made it: nothing is ever left over, and as no name is used outside no two labs can meet.

Making a host takes root, or to be root in a user namespace (`unshare -Urnm`).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from vrrpd.system.filters import JEQ, JGE, LD_BYTE_ABS, LD_WORD_ABS, RETURN, SKF_AD_RANDOM

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

NEEDED = ("ip", "tc", "unshare", "nsenter", "setpriv", "mount", "hostname")
"""Programs without which there are no hosts; Debian: iproute2, util-linux, mount, hostname."""

LD_HALF_ABS = 0x28
ETHERTYPE, IP_PROTOCOL = 12, 23
"""Offsets in an Ethernet frame that holds IPv4."""
IPV4, AH, VRRP = 0x0800, 51, 112
TC_ACT_SHOT, TC_ACT_UNSPEC = 2, 0xFFFFFFFF
PATIENCE = 30.0
"""Seconds that a program may take to start or to end."""


class LabError(Exception):
    """The lab cannot be had, or a command inside it failed; the text is for people."""


def until(condition: Callable[[], object], timeout: float, what: str) -> None:
    """Poll until `condition()` is true; LabError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout:g} s for {what}")
        time.sleep(0.005)


@contextlib.contextmanager
def network_of(pid: int) -> Iterator[None]:
    """Sockets that this thread makes inside belong to the network namespace of that process."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if _libc.setns(there, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        _libc.setns(home, CLONE_NEWNET)
        os.close(home)
        os.close(there)


def children_of(pid: int) -> list[int]:
    """The processes that a process has started and that still run."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def family_of(pid: int) -> list[int]:
    """A process, its children, theirs and so on."""
    return [pid, *(one for child in children_of(pid) for one in family_of(child))]


def command(*argv: str) -> str:
    """Run a program to its end; its output. LabError with what it said if it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


SEAL = Path(__file__).with_name("seal.py")


class Namespace:
    """A host of its own; `name` is what `hostname` says there.

    `sealed`: programs inside can write to /run, to layers and nowhere else, so that nothing of what they do reaches
    the machine's own files.
    """

    def __init__(self, name: str, sealed: bool = True) -> None:
        self.name = name
        script = (
            'hostname "$1" && if [ -n "$2" ]; then "$2" -IS "$3" && mount -t proc proc /proc && '
            "mount -t tmpfs tmpfs /dev/shm; fi && "
            "mount -t tmpfs tmpfs /run && mount -t sysfs sysfs /sys && ip link set lo up && "
            "echo ready && exec sleep infinity"
        )
        self._keeper = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "-n", "-p", "-m", "-u", "-f", "--kill-child",
             "--mount-proc", "sh", "-c", script, "sh", name, sys.executable if sealed else "", str(SEAL)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._keeper.stdout is not None and self._keeper.stderr is not None
        with self._keeper.stdout, self._keeper.stderr:
            if self._keeper.stdout.readline() != "ready\n":
                self._keeper.kill()
                raise LabError(f"no namespaces to be had: {self._keeper.communicate()[1].strip()}")
        self.pid = children_of(self._keeper.pid)[0]
        self.enter = ["nsenter", "-t", str(self.pid), "-n", "-p", "-m", "-u", "--"]

    @property
    def root(self) -> Path:
        """The host's file system, seen from here."""
        return Path(f"/proc/{self.pid}/root")

    def run(self, *argv: str) -> str:
        """Run a program inside to its end; its output. LabError if it fails."""
        return command(*self.enter, *argv)

    def layer(self, directory: str) -> None:
        """Make a directory of a sealed host writable: what it holds stays to be seen, changes are forgotten.

        Symbolic links to the old content, which is read-only, in a directory of memory: overlayfs is not everywhere.
        """
        below, above = (f"/run/{kind}{directory}" for kind in ("below", "above"))
        up = "../" * directory.count("/")  # relative, so that they lead there from outside too
        self.run("sh", "-ec", f"mkdir -p {below} {above}; mount --rbind {directory} {below}; cd {below}; "
                 f'for name in *; do ln -s "{up}run/below{directory}/$name" {above}/; done; '
                 f"mount --bind {above} {directory}")  # fmt: skip

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file in a layered directory or under /run, with its directories. Never through a link."""
        place = self.root
        *parents, name = path.strip("/").split("/")
        for part in parents:
            place = place / part
            if place.is_symlink():
                place.unlink()
            place.mkdir(exist_ok=True)
        place = place / name
        place.unlink(missing_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        place.chmod(mode)

    def close(self) -> None:
        """End every process inside, and with them the namespaces."""
        for pid in children_of(self._keeper.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._keeper.kill()
        self._keeper.wait()


class Switch(Namespace):
    """An Ethernet bridge without multicast snooping; ports are named after who is plugged in."""

    def __init__(self, name: str = "switch", sealed: bool = True) -> None:
        super().__init__(name, sealed)
        self._bridge("br0")

    def _bridge(self, name: str) -> None:
        self.run("ip", "link", "add", name, "type", "bridge", "mcast_snooping", "0")
        self.run("ip", "link", "set", name, "up")

    def connect(self, host: Namespace, interface: str, port: str) -> None:
        """A cable between the host's interface, which is left down, and a port of the bridge."""
        command("ip", "link", "add", interface, "netns", str(host.pid), "type", "veth",
                "peer", "name", port, "netns", str(self.pid))  # fmt: skip
        self.run("ip", "link", "set", port, "master", "br0")
        self.run("ip", "link", "set", port, "up")

    def cable(self, port: str, plugged: bool) -> None:
        """Plug a cable in or out; the host at its other end loses its carrier."""
        self.run("ip", "link", "set", port, "up" if plugged else "down")

    def split(self, ports: Sequence[str]) -> None:
        """Partition: these ports go to a bridge of their own. Everybody keeps the carrier."""
        self._bridge("br1")
        for port in ports:
            self.run("ip", "link", "set", port, "master", "br1")

    def heal(self, ports: Sequence[str]) -> None:
        """Put the ports of a `split` back."""
        for port in ports:
            self.run("ip", "link", "set", port, "master", "br0")
        self.run("ip", "link", "del", "br1")

    def lose_adverts(self, port: str, share: float) -> None:
        """Drop this share of the VRRP packets (0: none) that are sent to the port, by chance.

        A classic BPF program in the kernel's traffic control: netem is not in every kernel and hits all packets.
        """
        if share:
            self.run("tc", "qdisc", "replace", "dev", port, "clsact")
            self.run("tc", "filter", "add", "dev", port, "egress", "bpf", "da", "bytecode", loss_program(share))
        else:
            self.run("tc", "qdisc", "del", "dev", port, "clsact")


def loss_program(share: float) -> str:
    """For tc(8): IPv4 packets of protocol VRRP, or AH around it, are dropped with this probability."""
    steps = [
        (LD_HALF_ABS, 0, 0, ETHERTYPE),
        (JEQ, 0, 6, IPV4),
        (LD_BYTE_ABS, 0, 0, IP_PROTOCOL),
        (JEQ, 1, 0, VRRP),
        (JEQ, 0, 3, AH),
        (LD_WORD_ABS, 0, 0, SKF_AD_RANDOM),
        (JGE, 1, 0, min(int(share * 2**32), 2**32 - 1)),
        (RETURN, 0, 0, TC_ACT_SHOT),
        (RETURN, 0, 0, TC_ACT_UNSPEC),
    ]
    return ",".join([str(len(steps)), *(" ".join(map(str, step)) for step in steps)])


class Process:
    """A program that runs inside a host."""

    def __init__(
        self, host: Namespace, argv: Sequence[str], output: int, environment: Mapping[str, str] | None = None
    ) -> None:
        self.argv = list(argv)
        self._outer = subprocess.Popen(
            [*host.enter, *argv],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", env=environment,
        )  # fmt: skip
        # nsenter forks, so that its child is in the PID namespace
        until(lambda: children_of(self._outer.pid) or self._outer.poll() is not None, PATIENCE, f"{argv[0]} to start")
        self.pid = (children_of(self._outer.pid) or [0])[0]

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._outer.poll() is None

    @property
    def status(self) -> int | None:
        """Its exit status once it has ended."""
        return self._outer.poll()

    def signal(self, number: int) -> None:
        """Send a signal to the program itself."""
        os.kill(self.pid, number)
        if number == signal.SIGCONT:
            self._outer.send_signal(number)  # nsenter stops along with its child

    def _all(self, number: int) -> None:
        for pid in family_of(self.pid) if self.pid else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def freeze(self) -> None:
        """SIGSTOP for it and all its children: it is there and does nothing."""
        self._all(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT after `freeze`."""
        self._all(signal.SIGCONT)
        self._outer.send_signal(signal.SIGCONT)

    def crash(self) -> None:
        """SIGKILL for it and its children at once, as when the machine dies but its kernel does not.

        Stopped first: keepalived's child would see its parent die and say farewell.
        """
        self._all(signal.SIGSTOP)
        self._all(signal.SIGKILL)
        until(self._gone, PATIENCE, f"{self.argv[0]} to be gone")

    def _gone(self) -> bool:
        self._outer.send_signal(signal.SIGCONT)  # nsenter stops along with its child
        return self._outer.poll() is not None

    def stop(self, timeout: float = PATIENCE) -> None:
        """SIGTERM and wait for the end; subprocess.TimeoutExpired if it does not come in time."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self.signal(signal.SIGTERM)
            self._outer.wait(timeout)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait for its own end; the exit status."""
        return self._outer.wait(timeout)
