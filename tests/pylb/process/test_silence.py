"""Silence of a process that could speak, beside that of one that gets no processor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from support import wait_for

from pylb.process.silence import SHORT, Silence, state_of


def silence(*states: tuple[str, float] | None) -> Silence:
    told = iter(states)
    return Silence(1, lambda _pid: next(told))


def test_a_short_one_is_not_looked_into() -> None:
    assert silence().lasts(SHORT / 2) == SHORT / 2


@pytest.mark.parametrize("letter", ["S", "D", "T", "Z"])
def test_one_that_sleeps_or_is_stopped_counts_whole(letter: str) -> None:
    it = silence((letter, 7.0), (letter, 7.0))
    assert [it.lasts(1.0), it.lasts(6.0)] == [1.0, 6.0]


def test_one_that_waits_for_a_processor_counts_what_it_gets() -> None:
    it = silence(("R", 7.0), ("R", 7.01), ("R", 7.5))
    assert [it.lasts(1.0), it.lasts(6.0), it.lasts(60.0)] == pytest.approx([SHORT, SHORT + 0.01, SHORT + 0.5])


def test_one_that_runs_in_a_circle_is_silent_as_long_as_it_runs() -> None:
    it = silence(("R", 7.0), ("R", 11.0))
    assert [it.lasts(1.0), it.lasts(5.0)] == [SHORT, SHORT + 4.0]


def test_each_silence_begins_anew() -> None:
    it = silence(("R", 7.0), ("R", 20.0))
    assert [it.lasts(1.0), it.lasts(0.2), it.lasts(1.5)] == [SHORT, 0.2, SHORT]


def test_without_proc_it_counts_whole() -> None:
    assert silence(None).lasts(9.0) == 9.0


def test_states_are_those_of_the_kernel() -> None:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        wait_for(lambda: (state_of(process.pid) or ("", 0.0))[1] >= 0.1, 20, "a tenth of a second of processor time")
        assert state_of(process.pid)[0] == "R"
        os.kill(process.pid, signal.SIGSTOP)
        wait_for(lambda: state_of(process.pid)[0] == "T", 5, "the stop")
    finally:
        process.kill()
        process.wait()
    assert state_of(process.pid) is None
