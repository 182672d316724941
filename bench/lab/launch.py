"""What a lab needs around it: root over namespaces, a directory, signals that end it in order."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

from bench.lab import control
from bench.lab.lab import Lab
from bench.lab.net import LabError
from bench.lab.standing import Standing
from bench.lab.topology import Stack, parse_stack

T = TypeVar("T")
Shown = Callable[[Standing], Coroutine[None, None, None]]
SEVERAL_USERS = ["unshare", "-Unm", "--map-root-user", "--map-auto", "--setgroups=allow"]
"""Needs newuidmap and subordinate ids; a program may then give up root for another user."""
ONE_USER = ["unshare", "-Urnm"]


def made(name: str) -> Path:
    """The directory of a new lab. LabError when one of that name is up."""
    directory = control.state_directory(name)
    if control.stands(directory):
        raise LabError(f'a lab "{name}" is up; another one needs --name')
    shutil.rmtree(directory, ignore_errors=True)  # of one that was killed
    directory.mkdir(mode=0o700)
    return directory


async def stand(
    directory: Path, name: str, stack_name: str, stack: Stack, rate: float, nginx: bool, shown: Shown
) -> None:
    """A lab for as long as `shown` takes; the directory goes with it."""
    try:
        async with (
            Lab(stack, directory, nginx=nginx) as lab,
            Standing(lab, name, stack_name, rate) as standing,
            control.served(standing, directory),
        ):
            await shown(standing)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def chosen_stack(text: str) -> tuple[str, Stack]:
    """As `parse_stack`, with LabError for what is no stack."""
    try:
        return parse_stack(text)
    except ValueError as error:
        raise LabError(str(error)) from None


def run_async(work: Coroutine[None, None, T]) -> T:
    """To its end. SIGTERM and SIGHUP end it as Ctrl-C does, so that nothing is left; then CancelledError."""

    async def guarded() -> T:
        task = asyncio.ensure_future(work)
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await task

    return asyncio.run(guarded())


def namespace_words() -> list[str]:
    """The words that make a user root over namespaces of his own; root needs none."""
    if os.geteuid() == 0:
        return []
    several = subprocess.run([*SEVERAL_USERS, "true"], capture_output=True, check=False).returncode == 0
    return SEVERAL_USERS if several else ONE_USER


def in_namespace() -> None:
    """Start anew as root in a user namespace, unless root anyway."""
    if words := namespace_words():
        os.execvp(words[0], [*words, sys.executable, "-m", "bench.lab", *sys.argv[1:]])
