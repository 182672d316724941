"""Workers that show no sign of life."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from pylb.process.crew import HUNG, LAST_WORDS, SLOW, Crew, Employed
from pylb.process.silence import Silence


def crew(pid: int, ready: bool, said: list[str]) -> Crew:
    """One with a worker that sleeps, and has shown life at 0 for the last time."""
    nobody: Any = None
    worker = Employed(1, pid, -1, nobody, 0.0, nobody, Silence(pid, lambda pid: ("S", 0.0)), ready)
    made = object.__new__(Crew)
    made._workers = {1: worker}
    made._shared = SimpleNamespace(heartbeat=lambda slot: 0.0)  # type: ignore[assignment]
    made._employer = SimpleNamespace(is_hung=said.append)  # type: ignore[assignment]
    return made


@pytest.mark.parametrize(("ready", "patience"), [(True, HUNG), (False, SLOW)], ids=["serves", "starts"])
def test_a_worker_that_hangs_is_ended_also_before_it_serves(ready: bool, patience: float) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGABRT, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.readline()
            said: list[str] = []
            made = crew(process.pid, ready, said)
            made.look_after(patience - 0.1)
            assert not said
            for moment in (patience + 0.1, patience + 0.2):
                made.look_after(moment)
            assert said == [f"Worker 1 (pid {process.pid}) shows no sign of life; it is ended."]
            time.sleep(0.1)
            assert process.poll() is None  # it has a moment for its last words
            made.look_after(patience + 0.2 + LAST_WORDS)
            assert process.wait(10) == -signal.SIGKILL
        finally:
            process.kill()
