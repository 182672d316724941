"""The lab on this terminal: a picture four times a second, and keys that start the scenarios."""

from __future__ import annotations

import asyncio
import contextlib
import os
import string
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.live import Live

from bench.lab import control
from bench.lab.net import LabError
from bench.lab.scenarios import SCENARIOS
from bench.lab.snapshot import Snapshot
from bench.lab.standing import Standing
from bench.lab.view import View

REFRESH = 0.25
"""Seconds between two pictures."""
HYPHEN = "\u2011"
"""One that no line is broken at."""
QUIT = ("q", "\x03")
KEYS = dict(zip((letter for letter in string.ascii_lowercase if letter not in QUIT), SCENARIOS, strict=False))


def hint() -> str:
    """Which key does what."""
    words = [*KEYS.items(), (QUIT[0], "leave")]
    return "  ".join(f"[bold]{key}[/]\u00a0{name.replace('-', HYPHEN)}" for key, name in words)


@contextlib.contextmanager
def keys(pressed: Callable[[str], None]) -> Iterator[None]:
    """Hear of every key; the terminal is as before afterwards. Without a terminal there are none."""
    if not sys.stdin.isatty():
        yield
        return
    loop, number = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)
    loop.add_reader(number, lambda: pressed(os.read(number, 1).decode(errors="replace")))
    try:
        yield
    finally:
        loop.remove_reader(number)
        termios.tcsetattr(number, termios.TCSADRAIN, before)


async def show(standing: Standing, console: Console) -> None:
    """Until q is pressed or the lab is told to end. LabError when the lab does not settle."""
    tasks: set[asyncio.Task[object]] = set()

    def pressed(key: str) -> None:
        if key in QUIT:
            standing.over.set()
        elif key in KEYS and standing.ready and standing.scenario is None:
            tasks.add(asyncio.ensure_future(standing.run(SCENARIOS[KEYS[key]])))

    tasks.add(beginning := asyncio.ensure_future(standing.begin()))
    try:
        with keys(pressed), Live(console=console, screen=True, auto_refresh=False) as live:
            while not standing.over.is_set():
                live.update(View(standing.snapshot(), hint()), refresh=True)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(standing.over.wait(), REFRESH)
                if beginning.done():
                    beginning.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if standing.verdict:
        console.print(standing.verdict, markup=False)


async def tell(standing: Standing, console: Console) -> None:
    """Where there is no terminal: events as lines while the article's scenario runs."""
    born = standing.lab.born
    standing.lab.journal.listen(
        lambda event: console.print(f"{event.at - born:8.2f} s  {event.where:9}{event.text}", markup=False)
    )
    await standing.begin()
    await standing.run(SCENARIOS["article"])
    console.print(standing.verdict, markup=False)


def watch(directory: Path, console: Console) -> None:
    """The picture of a lab in the background, until Ctrl-C. LabError when there is none."""
    with Live(console=console, screen=True, auto_refresh=False) as live, contextlib.suppress(KeyboardInterrupt):
        while True:
            live.update(View(status(directory), "[bold]Ctrl-C[/] leaves the picture, not the lab"), refresh=True)
            time.sleep(2 * REFRESH)


def status(directory: Path) -> Snapshot:
    """What a lab in the background says of itself. LabError when there is none."""
    for answer in control.ask(directory, {"do": "status"}):
        return Snapshot.from_json(answer["snapshot"])
    raise LabError("the lab says nothing")
