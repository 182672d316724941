"""The console's screen, driven by keys: over made-up documents, and over a running daemon."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from clusters import PROTOCOLS, config
from netlab import VIP, Lab
from support import wait_for
from textual.widgets import DataTable, Input, RichLog, Static

from vrrpd.cli import STATE_DIRECTORY
from vrrpd.console.app import Console
from vrrpd.console.help import Help
from vrrpd.status import fetch


class Scripted:
    """A daemon with documents from a list; the last one again and again."""

    def __init__(self, *documents):
        self.documents = list(documents)

    def __call__(self):
        document = self.documents.pop(0) if len(self.documents) > 1 else self.documents[0]
        if isinstance(document, Exception):
            raise document
        return document


def names(app):
    return [str(row.key.value) for row in app.query_one(DataTable).ordered_rows]


def shown(app, place):
    return str(app.query_one(place, Static).render())


def told(app):
    return [strip.text.rstrip() for strip in app.query_one(RichLog).lines]


async def settled(pilot):
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def test_rows_filter_and_sort_by_keys(make_document):
    app = Console(Scripted(make_document(110.0)), interval=60)
    async with app.run_test(size=(160, 40)) as pilot:
        await settled(pilot)
        assert names(app) == ["VI_1", "VI_2"]
        assert "1 MASTER" in shown(app, "#facts") and "1 BACKUP" in shown(app, "#facts")
        await pilot.press("slash", *"backup")
        assert names(app) == ["VI_2"]
        await pilot.press("enter")
        assert app.query_one(Input).display, "a filter in force is seen"
        await pilot.press("escape")
        assert names(app) == ["VI_1", "VI_2"]
        await pilot.press("s", "s")
        assert names(app) == ["VI_2", "VI_1"], "by state"
        await pilot.press("r")
        assert names(app) == ["VI_1", "VI_2"]


async def test_a_long_name_leaves_room_for_the_rest(make_document):
    document = make_document(110.0)
    name = document["instances"][0]["name"] = "VI_of_the_production_cluster_17"
    app = Console(Scripted(document), interval=60)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        assert str(app.query_one(DataTable).get_cell(name, "Instance")) == "VI_of_the_…luster_17"
        await pilot.resize_terminal(200, 50)
        await settled(pilot)
        assert str(app.query_one(DataTable).get_cell(name, "Instance")) == name


async def test_only_what_has_changed_is_written(monkeypatch, instances, make_document):
    app = Console(Scripted(make_document(110.0), make_document(111.0)), interval=60)
    async with app.run_test(size=(160, 40)) as pilot:
        await settled(pilot)
        grid, written = app.query_one(DataTable), []
        update = grid.update_cell
        monkeypatch.setattr(grid, "update_cell", lambda *a, **k: (written.append(a[:2]), update(*a, **k)))
        app.look()
        await settled(pilot)
        assert ("VI_1", "For") in written and ("VI_1", "Instance") not in written


async def test_help_tells_of_keys_and_columns(make_document):
    app = Console(Scripted(make_document(110.0)), interval=60)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("question_mark")
        assert isinstance(app.screen, Help)
        await pilot.press("escape")
        assert not isinstance(app.screen, Help)


async def test_the_detail_follows_the_cursor(make_document):
    app = Console(Scripted(make_document(110.0)), interval=60)
    async with app.run_test(size=(160, 40)) as pilot:
        await settled(pilot)
        assert "10.0.0.91" in shown(app, "#detail")
        await pilot.press("down")
        await pilot.pause()
        assert "10.0.0.92" in shown(app, "#detail")


async def test_events_stand_with_their_time(instances, make_document):
    first = make_document(110.0)
    instances[1].timer_fired(instances[1].deadline)
    app = Console(Scripted(first, make_document(111.0)), interval=60, wall=lambda: "12:00:00")
    async with app.run_test(size=(160, 40)) as pilot:
        await settled(pilot)
        app.look()
        await settled(pilot)
        assert "12:00:00 (VI_2) BACKUP -> MASTER" in told(app)


async def test_a_daemon_that_is_gone_is_said_and_its_last_picture_stays(make_document):
    gone = FileNotFoundError(2, "No such file or directory")
    app = Console(Scripted(make_document(110.0), gone, make_document(112.0)), interval=60)
    async with app.run_test(size=(160, 40)) as pilot:
        await settled(pilot)
        app.look()
        await settled(pilot)
        assert "no daemon answers: No such file" in shown(app, "#trouble") and names(app) == ["VI_1", "VI_2"]
        app.look()
        await settled(pilot)
        assert not app.query_one("#trouble").display


async def test_a_pause_holds_the_picture(make_document):
    asked = []

    def count():
        asked.append(1)
        return make_document(110.0)

    app = Console(count, interval=0.05)
    async with app.run_test(size=(160, 40)) as pilot:
        await settled(pilot)
        await pilot.press("p")
        await settled(pilot)
        before = len(asked)
        await pilot.pause(0.3)
        assert len(asked) == before
        await pilot.press("p")
        await pilot.pause(0.3)
        assert len(asked) > before


def test_without_a_terminal_it_says_what_to_use_instead(tmp_path):
    command = [sys.executable, "-m", "vrrpd", "top", "--state-dir", str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert found.returncode == 1 and "vrrpd status --json" in found.stderr


@pytest.mark.netns
async def test_a_running_daemon_is_followed(tmp_path):
    protocol = PROTOCOLS["v3-ipv4"]
    with Lab(tmp_path) as lab:
        node = lab.node("m1", 100)
        daemon = node.start("vrrpd", config(protocol, node, lab))
        wait_for(node.holds, 10, "the node to be master")
        state = Path(f"/proc/{node.init}/root{STATE_DIRECTORY}")
        app = Console(lambda: fetch(state), interval=60)
        async with app.run_test(size=(160, 40)) as pilot:
            await settled(pilot)
            (name,) = names(app)
            assert "MASTER" in str(app.query_one(DataTable).get_cell(name, "State"))
            assert VIP in shown(app, "#detail")
            daemon.mark()
            node.file("keepalived.conf", "}}}")
            daemon.signal(signal.SIGHUP)
            wait_for(lambda: "nothing was changed" in daemon.news, 10, "the refusal")
            app.look()
            await settled(pilot)
            assert any("a reload was refused" in line for line in told(app))
            daemon.stop()
            app.look()
            await settled(pilot)
            assert "no daemon answers" in shown(app, "#trouble")
