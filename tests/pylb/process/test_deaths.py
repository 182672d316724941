"""Processes that die or hang at bad moments, and machines without room for another one: who serves goes on, and nobody
is left behind."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from live import Pylb, ask, children, descendants
from load import Place, place
from support import wait_for

from pylb.config.model import Config
from pylb.process.generation import Generation, Heartbeat
from pylb.process.master import HUNG, LAST_WORDS, Master
from pylb.process.orphans import Orphans
from pylb.process.reload import reload
from pylb.process.start import Options


def new_steward(pylb: Pylb, before: list[int]) -> int:
    """The steward of the reload that has been asked for."""
    wait_for(lambda: set(children(pylb.process.pid)) - set(before), 10, "another steward")
    (steward,) = set(children(pylb.process.pid)) - set(before)
    return steward


def stopped_with_a_worker_that_listens(it: Place) -> tuple[int, int]:
    """A steward of a reload that cannot say that its worker serves: it stands still; and that worker."""
    before = children(it.pylb.process.pid)
    it.pylb.signal(signal.SIGUSR2)
    steward = new_steward(it.pylb, before)
    wait_for(lambda: children(steward), 20, "its first worker")
    os.kill(steward, signal.SIGSTOP)
    (worker,) = children(steward)[:1]
    wait_for(lambda: os.sched_getscheduler(worker) == os.SCHED_OTHER, 10, "a worker that has opened its listeners")
    return steward, worker


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_workers_of_a_generation_that_dies_before_it_serves_do_not_outlive_it(tmp_path: Path) -> None:
    with place(tmp_path) as it:
        serving = set(descendants(it.pylb.process.pid))
        for _ in range(2):
            steward, worker = stopped_with_a_worker_that_listens(it)
            os.kill(steward, signal.SIGKILL)
            wait_for(lambda pid=worker: gone(pid), 5, "the worker's end")  # type: ignore[misc]
            wait_for(lambda: set(descendants(it.pylb.process.pid)) == serving, 5, "nobody but those that serve")
            assert "status -9" in it.info()["Last_reload_error"]
        assert ask(it.port)[0] == 200
        assert it.reload()["Last_reload_ok"] == "1"


def test_a_stop_reaches_a_generation_that_does_not_serve_yet(tmp_path: Path) -> None:
    with place(tmp_path) as it:
        steward, worker = stopped_with_a_worker_that_listens(it)
        os.kill(steward, signal.SIGCONT)
        below = descendants(it.pylb.process.pid)
        it.pylb.signal(signal.SIGTERM)
        assert it.pylb.wait() == 0
        assert gone(worker) and all(map(gone, below))


def test_who_asks_for_a_reload_while_one_is_under_way_hears_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before succeeds; that which follows reads a configuration that is wrong."""
    with place(tmp_path) as it, ThreadPoolExecutor() as threads:
        steward, _ = stopped_with_a_worker_that_listens(it)
        assert it.info()["Reload_under_way"] == "1"
        it.configure(it.text().replace("default_backend b", "default_backend nowhere"))
        asked, send = threading.Event(), os.kill

        def kill(pid: int, number: int) -> None:
            send(pid, number)
            if number == signal.SIGUSR2:
                asked.set()

        monkeypatch.setattr(os, "kill", kill)
        answer = threads.submit(reload, str(tmp_path / "admin.sock"))
        assert asked.wait(10)
        send(steward, signal.SIGCONT)
        assert "nowhere" in (answer.result(60) or "")
        assert "Reload_under_way" not in it.info() and it.info()["Reloads"] == "1"


def test_orphans_that_finish_what_they_have_are_waited_for(tmp_path: Path) -> None:
    """After its steward's death, and a soft stop right behind it."""
    with place(tmp_path, workers=1) as it:
        (steward,) = children(it.pylb.process.pid)
        worker = it.pylb.worker()
        with it.half_a_request() as slow:
            os.kill(steward, signal.SIGKILL)
            it.pylb.signal(signal.SIGUSR1)
            wait_for(lambda: children(it.pylb.process.pid) == [worker], 10, "the orphan alone")
            slow.sendall(b"cd")
            assert slow.recv(4096).startswith(b"HTTP/1.1 2")
        assert it.pylb.wait() == 0
        assert gone(worker)


def test_the_first_process_of_a_container_has_children_that_are_no_workers() -> None:
    other = subprocess.Popen(["sleep", "60"])
    worker = os.fork()
    if not worker:
        signal.pause()
        os._exit(0)
    try:
        wait_for(lambda: b"sleep" in Path(f"/proc/{other.pid}/cmdline").read_bytes(), 10, "sleep")
        assert {worker, other.pid} & Orphans().new([], []) == {worker}
        assert worker not in Orphans().new([worker], [])
    finally:
        other.kill()
        other.wait()
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)


def test_a_steward_that_stands_still_is_killed_after_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGABRT alone waits for a stopped process to go on."""
    sent: list[int] = []
    monkeypatch.setattr(Generation, "signal", lambda _self, number: sent.append(number))
    master = Master(Config(), Options(), set(), None, [])
    heartbeat = Heartbeat()
    generation = Generation(1, 1, 1, None, heartbeat, ready=True)  # type: ignore[arg-type]
    master._generations.append(generation)

    class Loop:
        def call_later(self, *_: object) -> None:
            """Later is another test's."""

    for silence in (1.0, HUNG + 1.0, HUNG + LAST_WORDS + 1.0):
        heartbeat.beat(time.monotonic() - silence)
        master._look_after_stewards(Loop())  # type: ignore[arg-type]
    assert sent == [signal.SIGABRT, signal.SIGKILL]


def test_a_reload_for_which_there_is_no_room_changes_nothing(tmp_path: Path) -> None:
    with place(tmp_path) as it:
        master = it.pylb.process.pid
        before = resource.prlimit(master, resource.RLIMIT_NOFILE)
        resource.prlimit(master, resource.RLIMIT_NOFILE, (4, before[1]))
        found = it.reload()
        assert found["Last_reload_ok"] == "0" and "cannot start another process" in found["Last_reload_error"]
        assert ask(it.port)[0] == 200
        resource.prlimit(master, resource.RLIMIT_NOFILE, before)
        assert it.reload()["Last_reload_ok"] == "1"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_worker_for_which_there_is_no_room_comes_later(tmp_path: Path) -> None:
    """Its user may have as many processes as there are: others take the place of one that dies."""
    user, most = 54_321, 4
    others = []
    tmp_path.chmod(0o755)
    with place(tmp_path, extra=f"uid {user}", preexec_fn=lambda: _limit_processes(most)) as it:
        (steward,) = children(it.pylb.process.pid)
        try:
            others = [subprocess.Popen(["sleep", "60"], user=user) for _ in range(2)]
            lost = it.pylb.workers()[0]
            os.kill(lost, signal.SIGKILL)
            wait_for(lambda: "cannot be started" in it.pylb.stderr, 10, "a complaint")
            assert ask(it.port)[0] == 200
        finally:
            for other in others:
                other.kill()
                other.wait()
        wait_for(lambda: len(it.pylb.workers()) == 2 and lost not in it.pylb.workers(), 10, "another worker")
        assert children(it.pylb.process.pid) == [steward]


def _limit_processes(most: int) -> None:
    resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
