"""The console's screen, driven by keys: over a made-up proxy, and beside a real HAProxy and pylb."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from contextlib import contextmanager

import pytest
from support import free_port, require_program, wait_for
from textual.widgets import DataTable, Input, Label, Static

from pylb.console.app import Console
from pylb.console.dialogs import Confirm, Help
from pylb.console.grid import short
from pylb.console.socket import AdminSocket, Unreachable

HEADER = "Name: HAProxy\nVersion: 2.6.12\n\n# pxname,svname,scur,rate,req_rate,status,type,\n"
ROWS = "www,FRONTEND,3,5,9,OPEN,0,\napp,s1,1,4,,UP,2,\napp,s2,2,1,,DOWN,2,\napp,BACKEND,3,5,,UP,1,\n"


class Scripted:
    """An admin socket with answers from a list; the last one again and again."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def ask(self, command: str) -> str:
        self.asked.append(command)
        if not command.startswith("show"):
            return ""
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def names(app: Console) -> list[str]:
    return [str(row.key.value) for row in app.query_one(DataTable).ordered_rows]


async def settled(pilot) -> None:
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def test_rows_filter_and_sort_by_keys():
    app = Console(Scripted(HEADER + ROWS), interval=60)
    async with app.run_test(size=(160, 30)) as pilot:
        await settled(pilot)
        assert names(app) == ["www/FRONTEND", "app/s1", "app/s2", "app/BACKEND"]
        await pilot.press("slash", *"down")
        assert names(app) == ["app/s2"]
        await pilot.press("enter")
        assert app.query_one(Input).display, "a filter in force is seen"
        await pilot.press("escape")
        assert len(names(app)) == 4
        for _ in range(4):
            await pilot.press("s")
        assert names(app) == ["www/FRONTEND", "app/BACKEND", "app/s1", "app/s2"], "by rate, the highest first"
        await pilot.press("r")
        assert names(app)[0] == "app/s2"


@pytest.mark.parametrize(("answer", "sent"), [("y", True), ("n", False), ("escape", False)])
async def test_a_command_is_shown_and_sent_only_when_confirmed(answer, sent):
    socket = Scripted(HEADER + ROWS)
    app = Console(socket, interval=60)
    async with app.run_test(size=(160, 30)) as pilot:
        await settled(pilot)
        await pilot.press("down", "d")
        assert isinstance(app.screen, Confirm)
        assert "disable server app/s1" in str(app.screen.query_one(Label).render())
        await pilot.press(answer)
        await settled(pilot)
        assert ("disable server app/s1" in socket.asked) is sent


async def test_a_row_that_is_no_server_takes_no_command():
    socket = Scripted(HEADER + ROWS)
    app = Console(socket, interval=60)
    async with app.run_test(size=(160, 30)) as pilot:
        await settled(pilot)
        await pilot.press("d")
        assert not isinstance(app.screen, Confirm)
        assert all(command.startswith("show") for command in socket.asked)


async def test_the_cursor_stays_on_its_server_when_rows_come_and_go():
    app = Console(Scripted(HEADER + ROWS, HEADER + "app,s0,1,4,,UP,2,\n" + ROWS), interval=60)
    async with app.run_test(size=(160, 30)) as pilot:
        await settled(pilot)
        await pilot.press("down", "down")
        app.look()
        await settled(pilot)
        grid = app.query_one(DataTable)
        assert names(app)[grid.cursor_row] == "app/s2"


async def test_names_fit_the_screen_and_grow_with_it():
    long = "app,server-0123456789.internal.example-17,1,4,,UP,2,\n"
    app = Console(Scripted(HEADER + long + ROWS), interval=60)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        key = "app/server-0123456789.internal.example-17"
        assert str(app.query_one(DataTable).get_cell(key, "Name")) == "server…ple-17"
        await pilot.press("down")
        await pilot.resize_terminal(300, 50)
        await settled(pilot)
        assert str(app.query_one(DataTable).get_cell(key, "Name")) == key.removeprefix("app/")
        assert app.query_one(DataTable).cursor_row == 1


def test_short_names_keep_both_ends():
    assert [short("abcdefghij", width) for width in (10, 9, 8, 3)] == ["abcdefghij", "abcd…ghij", "abcd…hij", "a…j"]


async def test_only_what_has_changed_is_written(monkeypatch):
    app = Console(Scripted(HEADER + ROWS, HEADER + ROWS.replace("app,s1,1,4", "app,s1,7,4")), interval=60)
    async with app.run_test(size=(160, 30)) as pilot:
        await settled(pilot)
        grid, written = app.query_one(DataTable), []
        update = grid.update_cell
        monkeypatch.setattr(grid, "update_cell", lambda *a, **k: (written.append(a[:2]), update(*a, **k)))
        app.look()
        await settled(pilot)
        assert written == [("app/s1", "Sess")] and str(grid.get_cell("app/s1", "Sess")) == "7"


async def test_help_tells_of_keys_and_columns():
    app = Console(Scripted(HEADER + ROWS), interval=60)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("question_mark")
        assert isinstance(app.screen, Help)
        await pilot.press("escape")
        assert not isinstance(app.screen, Help)


async def test_trouble_is_told_and_what_was_known_stays():
    app = Console(Scripted(HEADER + ROWS, Unreachable("there: Connection refused"), HEADER + ROWS), interval=60)
    async with app.run_test(size=(160, 30)) as pilot:
        await settled(pilot)
        app.look()
        await settled(pilot)
        trouble = app.query_one("#trouble", Static)
        assert trouble.display
        assert "Connection refused" in str(trouble.render())
        assert len(names(app)) == 4
        app.look()
        await settled(pilot)
        assert not trouble.display


# ------------------------------------------------------------------------------------------------- beside the real ones

CONFIGURATION = """
global
    stats socket {socket} level admin
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend www
    bind 127.0.0.1:{port}
    default_backend app
backend app
    server s1 127.0.0.1:{dead}
    server s2 127.0.0.1:{dead}
"""


@contextmanager
def running(program: str, directory):
    socket, file = directory / "admin.sock", directory / "haproxy.cfg"
    file.write_text(CONFIGURATION.format(socket=socket, port=free_port(), dead=free_port()))
    command = (
        [require_program("haproxy"), "-db", "-f"] if program == "haproxy" else [sys.executable, "-m", "pylb", "-f"]
    )
    process = subprocess.Popen([*command, str(file)], stderr=subprocess.DEVNULL)
    try:
        wait_for(socket.is_socket, 20, "the admin socket")
        yield AdminSocket(path=str(socket))
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.interop
@pytest.mark.parametrize("program", ["pylb", "haproxy"])
async def test_a_server_is_disabled_and_enabled(tmp_path, program):
    with running(program, tmp_path) as socket:
        app = Console(socket, interval=60)
        async with app.run_test(size=(160, 30)) as pilot:
            await settled(pilot)
            assert names(app) == ["www/FRONTEND", "app/s1", "app/s2", "app/BACKEND"]
            for key, status in (("d", "MAINT"), ("e", "no check")):
                app.query_one(DataTable).move_cursor(row=1)
                await pilot.press(key, "y")
                await settled(pilot)
                await settled(pilot)
                assert str(app.query_one(DataTable).get_cell("app/s1", "Status")) == status
                asked = await socket.ask("show stat app 4 -1")
                rows = {
                    row["svname"]: row["status"]
                    for row in csv.DictReader(io.StringIO(asked.strip().removeprefix("# ")))
                }
                assert rows == {"s1": status, "s2": "no check"}


@pytest.mark.interop
async def test_a_running_pylb_is_shown(tmp_path):
    with running("pylb", tmp_path) as socket:
        app = Console(socket, interval=60)
        async with app.run_test(size=(160, 30)) as pilot:
            await settled(pilot)
            assert names(app) == ["www/FRONTEND", "app/s1", "app/s2", "app/BACKEND"]
            assert "Name" in str(app.query_one("#facts", Static).render())
