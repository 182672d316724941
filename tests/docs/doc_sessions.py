"""Runs what a document shows: its files and console sessions, in the order of the page, and compares what is printed.

    ```toml shop.toml       a file that the reader makes: written to the scratch directory
    ```console              a session: lines that begin with "$ " are typed, the others must be printed

In printed lines "…" stands for any text, alone on a line for any lines, and runs of blanks are alike. Sessions of a page
are one shell with a network, processes and /run of their own, in a scratch directory from which `configs/` is reached.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = "\x1fdone"
BEGIN = "mount -t tmpfs tmpfs /run && mkdir -p /run/netns /run/lock && ip link set lo up"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words behind it, its lines, and where it stands."""

    language: str
    title: str
    lines: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Step:
    """A command and what it prints."""

    command: str
    printed: tuple[str, ...]
    line: int


def blocks(page: Path) -> list[Block]:
    """All fenced blocks."""
    found, opened, start, lines = [], "", 0, list[str]()
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if not opened and line.startswith("```"):
            opened, start, lines = line[3:] or "text", number, []
        elif opened and line == "```":
            language, _, title = opened.partition(" ")
            found.append(Block(language, title.strip(), tuple(lines), start))
            opened = ""
        else:
            lines.append(line)
    return found


def steps(block: Block) -> list[Step]:
    """The commands of a console block; a line that ends with a backslash goes on."""
    found: list[Step] = []
    going_on = False
    for number, line in enumerate(block.lines, block.line + 1):
        if going_on:
            last = found[-1]
            found[-1] = Step(f"{last.command}\n{line.removeprefix('> ')}", (), last.line)
        elif line.startswith("$ "):
            found.append(Step(line[2:], (), number))
        else:
            last = found[-1]
            found[-1] = Step(last.command, (*last.printed, line), last.line)
            continue
        going_on = line.endswith("\\")
    return found


def pattern(printed: tuple[str, ...]) -> re.Pattern[str]:
    """What the output has to match."""
    parts = []
    for line in printed:
        if line.strip() == "…":
            parts.append(r"(?:.*\n)*?")
        else:
            words = re.sub(r"\s+", " ", line.strip())
            parts.append(re.escape(words).replace("…", ".*") + r"\n")
    return re.compile("".join(parts))


class Shell:
    """One shell for a page. Every command has `patience` seconds."""

    def __init__(self, directory: Path, patience: float = 60.0) -> None:
        (directory / "configs").symlink_to(ROOT / "configs")
        path = f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        environment = {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(directory), "LANG": "C.UTF-8", "TERM": "dumb"}
        command = ["unshare", "-nmpf", "--mount-proc", "--propagation", "private", "--kill-child", "bash", "--norc"]
        self._patience = patience
        self._process = subprocess.Popen(
            command, cwd=directory, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert self.run(BEGIN) == ""

    def run(self, command: str) -> str:
        """What the command prints, standard output and errors in one."""
        process = self._process
        assert process.stdin and process.stdout
        process.stdin.write(f"{command}\necho '{MARK}'\n")
        process.stdin.flush()
        watch = threading.Timer(self._patience, process.kill)
        watch.start()
        printed = []
        for line in process.stdout:
            head, mark, _ = line.partition(MARK)
            printed.append(head)
            if mark:
                break
        else:
            raise AssertionError(f"no end of: {command}\n{''.join(printed)}")
        watch.cancel()
        return "".join(printed)

    def close(self) -> None:
        """End it and everything in it."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait(10)


def play(page: Path, directory: Path) -> list[str]:
    """Do all that a page shows; what came out otherwise, with the place. Further steps run all the same."""
    wrong = []
    shell = Shell(directory)
    try:
        for block in blocks(page):
            if block.language != "console":
                if block.title:
                    (directory / block.title).write_text("\n".join(block.lines) + "\n")
                continue
            for step in steps(block):
                said = shell.run(step.command)
                if not pattern(step.printed).fullmatch(_plain(said)):
                    wrong.append(f"{page.name}:{step.line}: $ {step.command}\n{said}")
    finally:
        shell.close()
    return wrong


def _plain(said: str) -> str:
    """Runs of blanks as one, colours away."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", said).splitlines()
    return "".join(re.sub(r"\s+", " ", line.strip()) + "\n" for line in lines)
