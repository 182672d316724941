"""HATop, the terminal client that HAProxy's operators use, driven in a terminal as a person would."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from admin_pair import Program
from server_state import status
from support import require_program, wait_for

pytestmark = pytest.mark.interop


class Terminal:
    """A program in a tmux of its own."""

    def __init__(self, socket: str) -> None:
        self._tmux = (require_program("tmux"), "-S", socket, "-f", "/dev/null")

    def tmux(self, *words: str) -> str:
        run = subprocess.run([*self._tmux, *words], capture_output=True, text=True, timeout=20, check=True)
        return run.stdout

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def go_to(self, place: str) -> None:
        """Down until the bar tells "#proxy/#server" of the line; a key is pressed when the last one has had effect."""
        for _ in range(12):
            if f"[{place}]" in self.screen():
                return
            before = self.tmux("capture-pane", "-p", "-e")
            self.press("Down")
            with suppress(AssertionError):  # the end of the list
                wait_for(lambda before=before: self.tmux("capture-pane", "-p", "-e") != before, 2)
        raise AssertionError(f"{place} is not on the screen:\n{self.screen()}")

    def wait_for(self, text: str) -> str:
        try:
            wait_for(lambda: text in self.screen(), 15, text)
        except AssertionError:
            raise AssertionError(f"no {text!r} on the screen:\n{self.screen()}") from None
        return self.screen()


@contextmanager
def terminal(tmp_path, *words: str) -> Iterator[Terminal]:
    found = Terminal(str(tmp_path / "tmux"))
    command = " ".join(("env", "TERM=screen", "LC_ALL=C.UTF-8", *words, "2>&1;", "echo ended; sleep 60"))
    found.tmux("new-session", "-d", "-x", "150", "-y", "40", command)
    try:
        yield found
    finally:
        found.tmux("kill-server")


def row_of(screen: str, server: str) -> list[str]:
    """Name, weight, state, last check, …"""
    return next((line.split() for line in screen.splitlines() if line.split()[:1] == [server]), [""] * 4)


def test_hatop_shows_the_servers_and_disables_one(balancer: Program, tmp_path):
    with terminal(tmp_path, require_program("hatop"), "-s", str(balancer.socket), "-i", "1") as hatop:
        screen = hatop.wait_for("BACKEND")
        assert re.search(r"HAProxy Version: \d", screen)
        assert "Node: here" in screen
        assert row_of(screen, "one")[1:4] == ["10", "UP", "L4OK"]
        assert row_of(screen, "dead")[1:4] == ["1", "DOWN", "L4CON"]
        hatop.go_to("#3/#2")
        hatop.press("F10")
        wait_for(lambda: row_of(hatop.screen(), "two")[2] == "MAINT", 10, "HATop to show it" + hatop.screen())
        assert status(balancer, "two") == "MAINT"
        hatop.press("F9")
        wait_for(lambda: row_of(hatop.screen(), "two")[2] == "UP", 10, "HATop to show it")
        hatop.press("F5")  # weight - 10
        wait_for(lambda: row_of(hatop.screen(), "two")[1] == "10", 10, "HATop to show it")
        assert balancer.ask("get weight app/two").strip() == "10 (initial 20)"


def test_hatop_s_shell_shows_answers(balancer: Program, tmp_path):
    with terminal(tmp_path, require_program("hatop"), "-s", str(balancer.socket), "-i", "1") as hatop:
        hatop.wait_for("BACKEND")
        hatop.press("5")
        hatop.wait_for("embedded interactive")
        hatop.press("-l", "get weight app/one")
        hatop.press("Enter")
        hatop.wait_for("10 (initial 10)")
        hatop.press("-l", "get weight app/three")
        hatop.press("Enter")
        hatop.wait_for("No such server.")
