"""Half an hour of what operators and accidents do, under load: nothing leaks and no request fails without a cause.

SOAK_SECONDS in the environment makes it longer or shorter.
"""

from __future__ import annotations

import os
import random
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from live import ask, children, descendants
from load import Crowd, Place, descriptors, place
from support import wait_for

SECONDS = float(os.environ.get("SOAK_SECONDS", "1800"))
CONNECTIONS = 8
COMMANDS = (
    "show info", "show stat", "show servers state", "show sess", "show activity", "show table", "show errors",
    "set weight b/s 200%", "set weight b/s 100%", "clear counters", "show info typed", "nonsense",
)  # fmt: skip


def resident(pid: int) -> int:
    """Kilobytes of a process's own memory."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(found) for found in re.findall(r"Private_\w+: +(\d+)", text))


def size(it: Place) -> tuple[int, int]:
    """Memory and descriptors of all processes together; those that end meanwhile do not count."""
    memory = files = 0
    for pid in (it.pylb.process.pid, *descendants(it.pylb.process.pid)):
        with suppress(FileNotFoundError, ProcessLookupError):
            now, open_ = resident(pid), descriptors(pid)
            memory, files = memory + now, files + open_
    return memory, files


def settled(it: Place) -> tuple[int, int]:
    """The same once only one generation is left."""
    wait_for(lambda: len(children(it.pylb.process.pid)) == 1 and len(it.pylb.workers()) == 2, 30, "one generation")
    time.sleep(12)  # idle connections to servers are closed by then (pool-purge-delay)
    return size(it)


@pytest.mark.soak
def test_nothing_is_lost_and_nothing_grows(tmp_path: Path) -> None:
    chance = random.Random(7)
    with place(tmp_path) as it:
        it.reload()
        begun, began = settled(it), time.monotonic()
        steady, brief = (Crowd(it.port, SECONDS + 60, CONNECTIONS, keep_alive=keep) for keep in (True, False))
        kills = reloads = flaps = 0
        shown = began
        while time.monotonic() - began < SECONDS:
            what = chance.random()
            if what < 0.3:
                reloads += it.reload(chance.choice([signal.SIGUSR2, signal.SIGHUP]))["Last_reload_ok"] == "1"
            elif what < 0.4:
                with suppress(ProcessLookupError, IndexError):
                    os.kill(chance.choice(it.pylb.workers()), signal.SIGKILL)
                    kills += 1
            elif what < 0.5:
                it.tell("disable server b/s")  # without another server these requests get 503
                it.tell("enable server b/s")
                flaps += 1
                assert ask(it.port)[0] == 200
            else:
                with suppress(OSError):  # cut off by a reload
                    it.tell(chance.choice(COMMANDS))
            time.sleep(chance.random() * 0.5)
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                print(f"{shown - began:.0f} s: {reloads} reloads, {kills} kills, {flaps} flaps, {size(it)}", flush=True)
        unavailable = 0
        first, second = steady.stop(), brief.stop()
        for ran in (first, second):
            found = re.search(r"Non-2xx or 3xx responses: (\d+)", ran.text)
            unavailable += int(found[1]) if found else 0
        broken = first.failed + second.failed - unavailable
        # A killed worker takes its connections along, at most all that there were; a disabled server is a 503.
        assert broken <= kills * 2 * CONNECTIONS, (kills, first.text, second.text)
        assert flaps or not unavailable, (first.text, second.text)
        memory, open_ = settled(it)
        print(f"{first.requests + second.requests} requests, {reloads} reloads, {kills} kills, {flaps} flaps")
        print(f"broken {broken}, 503 {unavailable}; memory {begun[0]} -> {memory} KB, files {begun[1]} -> {open_}")
        assert memory < begun[0] * 1.5 + 20_000 and open_ <= begun[1] + 20
