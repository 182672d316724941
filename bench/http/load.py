"""One round of load: wrk with requests.lua, and what it says."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.http.scenarios import Scenario

SCRIPT = Path(__file__).with_name("requests.lua")
MARK = "RESULT "
STARTUP = 0.005
"""Seconds between two looks whether wrk has made its requests and takes signals."""
PATIENCE = 20.0
"""Seconds that it may take to end."""


class LoadError(Exception):
    """wrk did not run, or did not finish."""


@dataclass(frozen=True)
class Load:
    """What wrk saw in one round. Seconds; latencies too."""

    requests: int
    seconds: float
    received: int
    """Bytes, heads included."""
    p50: float
    p99: float
    not_ok: int
    """Answers with a status above 399."""
    socket_errors: int
    """Connections refused, broken or silent for longer than wrk's two seconds."""

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def command(scenario: Scenario, port: int, core: int) -> list[str]:
    """The command line of a round; `run` ends it before its duration is over."""
    url = f"{'https' if scenario.tls else 'http'}://127.0.0.1:{port}/"
    arguments = [scenario.path, scenario.method, str(scenario.body), str(int(scenario.close)), str(int(scenario.site))]
    return [
        "taskset", "-c", str(core), "wrk", "-t1", f"-c{scenario.connections}", "-d600s",
        "-s", str(SCRIPT), url, "--", *arguments,
    ]  # fmt: skip


def run(words: list[str], seconds: float) -> Load:
    """Run it for `seconds`, which wrk's own -d knows in whole seconds only; LoadError when it fails.

    wrk ends in good order on SIGINT, within the 0.1 s of its own clock, and reports the time that it really took.
    """
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as wrk:
        deadline = time.monotonic() + PATIENCE
        while not _takes_signals(wrk.pid) and wrk.poll() is None and time.monotonic() < deadline:
            time.sleep(STARTUP)
        with contextlib.suppress(subprocess.TimeoutExpired):
            wrk.wait(seconds)
        wrk.send_signal(signal.SIGINT)
        try:
            output, errors = wrk.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            wrk.kill()
            raise LoadError(f"wrk did not end: {' '.join(words)}") from None
    if wrk.returncode:
        raise LoadError(f"wrk ended with {wrk.returncode}: {errors.strip() or output.strip()}")
    return parse(output)


def _takes_signals(pid: int) -> bool:
    """Whether SIGINT would not just kill it."""
    try:
        caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return False
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGINT - 1) & 1)


def write_requests(scenario: Scenario, port: int, core: int, file: Path) -> list[bytes]:
    """The requests that wrk would send, for other clients; `port` is anyone's that answers HTTP."""
    run([*command(scenario, port, core), str(file)], 0.05)
    return read_requests(file.read_bytes())


def read_requests(data: bytes) -> list[bytes]:
    """What requests.lua wrote."""
    found, at = [], 0
    while at < len(data):
        end = data.index(b"\n", at) + 1
        size = int(data[at:end])
        found.append(data[end : end + size])
        at = end + size
    return found


def parse(output: str) -> Load:
    """The line that requests.lua writes at the end of wrk's output; latencies there are microseconds."""
    line = next((line for line in output.splitlines() if line.startswith(MARK)), None)
    if line is None:
        raise LoadError(f"no result in wrk's output: {output[-500:]!r}")
    said = json.loads(line.removeprefix(MARK))
    return Load(
        said["requests"], said["seconds"], said["bytes"], said["p50"] / 1e6, said["p99"] / 1e6, said["not_ok"],
        sum(said[kind] for kind in ("connect", "read", "write", "timeout")),
    )  # fmt: skip
