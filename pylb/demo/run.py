"""Starts the demo's servers in this process and pylb as a child beside them, and ends both on Ctrl-C.

The configuration is `demo.toml`, as it stands; ports and password reach it as environment variables.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

from pylb.demo.backend import DemoBackend

CONFIGURATION = Path(__file__).with_name("demo.toml")
MISTAKES = CONFIGURATION.with_name("mistakes.toml")
PORT = 8080
STATS_PORT = 8404
NAMES = ("worker1", "worker2", "worker3", "rancher")

PATIENCE = 10.0
"""How long the child may take to begin, and to end before it is made to."""


def run(port: int | None = None, stats_port: int | None = None, quiet: bool = False) -> int:
    """Run until interrupted; the exit status. Ports that are taken are replaced by free ones."""
    with suppress(KeyboardInterrupt):
        return asyncio.run(_Demo(port, stats_port, quiet).run())
    return 0


def free_port(wanted: int) -> int:
    """`wanted` if nobody has it on 127.0.0.1, else any free port."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found: int = probe.getsockname()[1]
                return found
    raise OSError("no free port on 127.0.0.1")


class _Demo:
    def __init__(self, port: int | None, stats_port: int | None, quiet: bool) -> None:
        self.port = free_port(PORT if port is None else port)
        self.stats_port = free_port(STATS_PORT if stats_port is None else stats_port)
        self.password = secrets.token_urlsafe(9)
        self.backends = [DemoBackend(name) for name in NAMES]
        self._quiet = quiet

    async def run(self) -> int:
        """Everything from the first port to the last process."""
        for backend in self.backends:
            await backend.start()
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        child = await asyncio.create_subprocess_exec(*self.command(), env=self.environment())
        try:
            if await self._listens(child) and not self._quiet:
                print(self.help(), flush=True)
            status = await _first(stop, child)
        finally:
            await _end(child)
            for backend in self.backends:
                await backend.stop()
        return status

    async def _listens(self, child: asyncio.subprocess.Process) -> bool:
        """Wait for the child to take connections; False when it ends, or takes too long over it."""
        for _ in range(int(PATIENCE / 0.05)):
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return True
            if child.returncode is not None:
                return False
            await asyncio.sleep(0.05)
        return False

    def command(self) -> list[str]:
        """How the child is started."""
        return [sys.executable, "-m", "pylb", "-q", "-c", str(CONFIGURATION)]

    def environment(self) -> dict[str, str]:
        """What demo.toml asks for."""
        ports = {f"DEMO_{backend.name.upper()}": str(backend.port) for backend in self.backends}
        return {
            **os.environ,
            **ports,
            "DEMO_PORT": str(self.port),
            "DEMO_STATS_PORT": str(self.stats_port),
            "DEMO_PASSWORD": self.password,
        }

    def help(self) -> str:
        """What to try."""
        url = f"http://127.0.0.1:{self.port}"
        raw = f"curl telnet://127.0.0.1:{self.port}"
        worker1 = f"http://127.0.0.1:{self.backends[0].port}"
        lines = [
            ("three workers, one after the other", f"curl {url}/"),
            ("stay with one: the cookie keeps you there", f"curl -s -b jar -c jar {url}/ {url}/ {url}/; rm jar"),
            ("another backend, chosen by its host name", f"curl -H 'Host: rancher.demo' {url}/"),
            ("what a worker gets to see", f"curl {url}/headers"),
            ("a slow answer", f"curl '{url}/?delay=3'"),
            ("a big one", f"curl -o /dev/null '{url}/?bytes=1000000'"),
            ("a failing one", f"curl -i '{url}/?status=500'"),
            ("make worker1 sick, and look again", f"curl -X POST {worker1}/sick"),
            ("make it well", f"curl -X POST {worker1}/well"),
            ("a request that is none", f"printf 'GARBAGE\\r\\n\\r\\n' | {raw}"),
            (
                "a client that is never done: 408 after 5 s",
                f"bash -c 'exec 3<>/dev/tcp/127.0.0.1/{self.port}; printf \"GET / HTTP/1.1\\r\\n\" >&3; cat <&3'",
            ),
            ("what goes on", f"http://admin:{self.password}@127.0.0.1:{self.stats_port}/stats"),
            ("the configuration", str(CONFIGURATION)),
            ("one with mistakes", f"{Path(sys.argv[0]).parent / 'pylb'} check {MISTAKES}"),
        ]
        width = max(len(what) for what, _ in lines)
        shown = "\n".join(f"  {what:<{width}}  {how}" for what, how in lines)
        return f"\npylb demo on {url}\n\n{shown}\n\nCtrl-C ends it all. Each request is logged below.\n"


async def _first(stop: asyncio.Event, child: asyncio.subprocess.Process) -> int:
    """Wait for Ctrl-C (0) or for the child's own end (its status)."""
    stopped, ended = asyncio.ensure_future(stop.wait()), asyncio.ensure_future(child.wait())
    done, pending = await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    return ended.result() if ended in done and not stop.is_set() else 0


async def _end(child: asyncio.subprocess.Process) -> None:
    """SIGTERM, and SIGKILL for a child that does not listen."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            child.terminate()
        try:
            await asyncio.wait_for(child.wait(), PATIENCE)
        except TimeoutError:
            child.kill()
            await child.wait()
