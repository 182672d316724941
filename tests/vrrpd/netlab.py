"""The hosts of bench/lab/net.py as vrrpd needs them in tests: nodes with daemons, who holds an address, a client."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from support import require_program, wait_for

from bench.lab.net import NEEDED, LabError, Namespace, Process, Switch, children_of, network_of
from vrrpd.system.netlink import RouteSocket

__all__ = ["children_of", "network_of"]

INTERFACE = "ens37"
VIP = "172.16.10.99"
VIP6 = "fe80::99"
GLOBAL6 = "2001:db8:10::99"
LOOPBACK = 1
"""The interface index that lo has in every namespace."""


class Daemon(Process):
    """A program that runs inside a node, with its log in a file."""

    def __init__(self, node: Node, kind: str, argv: list[str], log: Path) -> None:
        self.node, self.kind, self.log = node, kind, log
        self._seen = 0
        with log.open("ab") as output:
            super().__init__(node.host, argv, output.fileno())

    @property
    def text(self) -> str:
        """The log so far."""
        return self.log.read_text(errors="replace")

    def mark(self) -> None:
        """What is logged from here on is `news`."""
        self._seen = len(self.text)

    @property
    def news(self) -> str:
        """The log since the last mark."""
        return self.text[self._seen :]

    def wait_for_line(self, pattern: str, timeout: float = 10) -> str:
        """Wait until a line of the log matches; the line."""
        found: list[str] = []

        def look() -> bool:
            found[:] = [line for line in self.text.splitlines() if re.search(pattern, line)]
            return bool(found)

        try:
            wait_for(look, timeout, f"{pattern!r} in the log of {self.node.name}")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text[-3000:]}") from None
        return found[0]


class Node:
    """One host on the bridge."""

    def __init__(self, lab: Lab, name: str, address: str, address6: str) -> None:
        self.lab, self.name, self.address, self.address6 = lab, name, address, address6
        self.host = lab.start_namespace(name)
        self.init, self.enter = self.host.pid, self.host.enter
        self.port = name
        self.alive = True
        lab.switch.connect(self.host, INTERFACE, self.port)
        self.run("ip", "addr", "add", f"{address}/24", "dev", INTERFACE)
        if address6:
            self.run("ip", "addr", "add", f"{address6}/64", "dev", INTERFACE, "nodad")
            self.run("ip", "link", "set", INTERFACE, "addrgenmode", "none")
        self.run("ip", "link", "set", INTERFACE, "up")
        with network_of(self.init):
            self._kernel = RouteSocket()

    def run(self, *argv: str, check: bool = True) -> str:
        """Run a program inside to its end; its output."""
        try:
            return self.host.run(*argv)
        except LabError:
            if check:
                raise
            return ""

    @property
    def mac(self) -> str:
        """The interface's own hardware address."""
        return str(json.loads(self.run("ip", "-j", "link", "show", INTERFACE))[0]["address"])

    def addresses(self) -> set[str]:
        """All addresses on this node except loopback's."""
        links = json.loads(self.run("ip", "-j", "addr", "show"))  # not by code of the program under test
        return {info["local"] for link in links for info in link["addr_info"] if link["ifname"] != "lo"}

    def holds(self, address: str = VIP) -> bool:
        """Whether an address stands on this node. Polled, so the kernel is asked without a process for each look."""
        return any(one.address == address and one.index != LOOPBACK for one in self._kernel.addresses())

    def close(self) -> None:
        """The node is gone; it cannot be looked at any more."""
        self._kernel.close()

    def file(self, name: str, text: str) -> Path:
        """Write a file for this node."""
        path = self.lab.directory / f"{self.name}-{name}"
        path.write_text(text)
        return path

    def start(self, kind: str, config: str, *extra: str) -> Daemon:
        """Start "vrrpd" or "keepalived" with this configuration text (keepalived's format)."""
        path = self.file("keepalived.conf", config)
        path.chmod(0o644)
        log = self.lab.directory / f"{self.name}.log"
        if kind == "keepalived":
            # After a SIGKILL it takes whatever process has the old number now for itself.
            self.run("sh", "-c", "rm -f /run/*.pid /run/keepalived/*.pid")
            argv = [require_program("keepalived"), "-n", "-l", "-D", "-G", "-P", "-f", str(path), *extra]
        else:
            argv = [sys.executable, "-m", "vrrpd", "-D", "-c", str(path), *extra]
        daemon = Daemon(self, kind, argv, log)
        self.lab.daemons.append(daemon)
        return daemon

    def restart(self, daemon: Daemon, config: str) -> tuple[Daemon, float]:
        """Kill a program and start it again at once; in how many seconds it was there again."""
        before, began = daemon.text.count("Startup complete"), time.monotonic()
        daemon.crash()
        again = self.start(daemon.kind, config)
        wait_for(lambda: daemon.text.count("Startup complete") > before, 20, "the restart")
        return again, time.monotonic() - began

    def spawn(self, *argv: str) -> Daemon:
        """Start any other program inside."""
        log = self.lab.directory / f"{self.name}-{Path(argv[0]).name}.log"
        daemon = Daemon(self, argv[0], list(argv), log)
        self.lab.daemons.append(daemon)
        return daemon

    def cable(self, plugged: bool) -> None:
        """Plug the node's cable in or out, at the switch."""
        self.lab.switch.cable(self.port, plugged)

    def die(self, daemon: Daemon) -> None:
        """The host is gone: no cable, and the daemon killed. What it held does not count any more."""
        self.alive = False
        self.cable(False)
        daemon.crash()

    def revive(self) -> None:
        """The host is back, without a daemon."""
        self.cable(True)
        self.alive = True


class Lab:
    """The bridge and everything on it; use as a context manager."""

    def __init__(self, directory: Path) -> None:
        for program in NEEDED:
            require_program(program)
        self.directory = directory
        self.daemons: list[Daemon] = []
        self._hosts: list[Namespace] = []
        self.nodes: list[Node] = []
        self.clients: list[Client] = []
        self.switch = Switch(sealed=False)
        self._hosts.append(self.switch)

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.close()
            client.node.close()
        for node in self.nodes:
            node.close()
        for host in self._hosts:
            host.close()
        for daemon in self.daemons:
            daemon.wait()

    def start_namespace(self, name: str) -> Namespace:
        """A host without a cable that ends with the lab."""
        host = Namespace(name, sealed=False)  # scripts of the tests write where the test looks
        self._hosts.append(host)
        return host

    def in_switch(self, *argv: str) -> None:
        """Run a program where the bridge is."""
        self.switch.run(*argv)

    def node(self, name: str, number: int) -> Node:
        """Add a node; its addresses end in `number`."""
        node = Node(self, name, f"172.16.10.{number}", f"fe80::{number:x}")
        self.nodes.append(node)
        return node

    def holders(self, address: str = VIP) -> list[str]:
        """The names of the living nodes on which an address stands."""
        return [node.name for node in self.nodes if node.alive and node.holds(address)]

    def wait_for_holder(self, name: str, timeout: float = 10, address: str = VIP) -> float:
        """Wait until exactly that node has the address; how long it took in seconds."""
        start = time.monotonic()
        try:
            wait_for(lambda: self.holders(address) == [name], timeout, f"{address} on {name} alone")
        except AssertionError as error:
            logs = "\n".join(f"--- {d.node.name} {d.kind}\n{d.text[-2500:]}" for d in self.daemons)
            raise AssertionError(f"{error}; it is on {self.holders(address)}\n{logs}") from None
        taken = time.monotonic() - start
        [holder] = (node for node in self.nodes if node.name == name)
        wait_for(lambda: holder.holds(address) is (address in holder.addresses()), what="ip to say the same")
        return taken

    def always(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Assert that something stays true for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert condition(), f"not always so: {what}; holders {self.holders()}"
            time.sleep(0.02)


class Client:
    """A host on the bridge that talks to the virtual address, and its neighbour cache."""

    def __init__(self, lab: Lab) -> None:
        self.node = Node(lab, "client", "172.16.10.10", "fe80::a")
        lab.clients.append(self)
        with network_of(self.node.init):
            self._sockets = {
                4: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
                6: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
            }
        self._index = int(self.node.run("cat", f"/sys/class/net/{INTERFACE}/ifindex"))

    def touch(self, address: str = VIP) -> None:
        """Send something to the address, so that the cache has an entry."""
        target = (address, 9, 0, self._index) if ":" in address else (address, 9)
        with contextlib.suppress(OSError):
            self._sockets[6 if ":" in address else 4].sendto(b"x", target)

    def neighbour(self, address: str = VIP) -> str:
        """The hardware address that the cache has for an address, "" for none."""
        entries = json.loads(self.node.run("ip", "-j", "neigh", "show", address) or "[]")
        return str(entries[0].get("lladdr", "")) if entries else ""

    def follows(self, node: Node, address: str = VIP, timeout: float = 5) -> None:
        """Wait until the cache points to that node, without asking anew."""
        mac = node.mac
        wait_for(lambda: self.neighbour(address) == mac, timeout, f"the client to send to {node.name}")

    def close(self) -> None:
        """Close the sockets."""
        for sock in self._sockets.values():
            sock.close()
