"""Track scripts as processes: no pile-up, timeouts that kill the whole group, failures that count."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from vrrpd.config.model import Command, TrackScript
from vrrpd.system.scripts import ScriptRunner, insecure, missing


def runner(tmp_path, shell, **fields):
    verdicts, lines = [], []
    script = tmp_path / "check.sh"
    script.write_text(f"#!/bin/sh\n{shell}\n")
    script.chmod(0o755)
    fields = {"interval": 0.05, "first_result": "decides"} | fields
    spec = TrackScript(name="chk", command=Command((str(script),)), **fields)
    one = ScriptRunner(spec, lambda name, good: verdicts.append(good), lambda level, text: lines.append(text))
    return one, verdicts, lines


async def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_intervals_below_a_second_work(tmp_path):
    one, verdicts, lines = runner(tmp_path, "exit 0")
    one.start()
    await until(lambda: one.runs >= 5)
    one.stop()
    assert verdicts == [True]
    assert lines == ["VRRP_Script(chk) succeeded"]


async def test_failure_and_recovery_are_reported_in_keepalived_words(tmp_path):
    flag = tmp_path / "up"
    flag.touch()
    one, verdicts, lines = runner(tmp_path, f"test -e {flag}", rise=2, fall=2)
    one.start()
    await until(lambda: verdicts == [True])
    flag.unlink()
    await until(lambda: verdicts == [True, False])
    flag.touch()
    await until(lambda: verdicts == [True, False, True])
    one.stop()
    assert "Script `chk` now returning 1" in lines
    assert "VRRP_Script(chk) failed (exited with status 1)" in lines


async def test_slow_checks_never_pile_up(tmp_path):
    count = tmp_path / "count"
    one, verdicts, lines = runner(tmp_path, f"echo x >> {count}; sleep 30", timeout=60)
    one.start()
    await until(lambda: one.skipped >= 5)
    assert count.read_text() == "x\n"
    assert len([line for line in lines if "already running" in line]) == 1
    one.stop()
    assert verdicts == []


async def test_a_timeout_kills_the_whole_group_and_counts_as_failed(tmp_path):
    pids = tmp_path / "pids"
    shell = f"sleep 30 & echo $! $$ > {pids}; trap '' TERM; wait; sleep 30"
    one, verdicts, lines = runner(tmp_path, shell, interval=5, timeout=0.5)
    one.start()
    await until(lambda: verdicts == [False])
    assert "VRRP_Script(chk) timed_out" in lines
    child = int(pids.read_text().split()[0])
    await until(
        lambda: not Path(f"/proc/{child}").exists() or "Z (zombie)" in Path(f"/proc/{child}/status").read_text()
    )
    await until(lambda: one._running is None)
    one.stop()


async def test_a_program_deleted_later_counts_as_failed(tmp_path):
    one, verdicts, lines = runner(tmp_path, "exit 0")
    one.start()
    await until(lambda: verdicts == [True])
    (tmp_path / "check.sh").unlink()
    await until(lambda: verdicts == [True, False])
    one.stop()
    assert "VRRP_Script(chk) failed (cannot run: No such file or directory)" in lines


async def test_a_program_that_dies_by_a_signal_has_failed(tmp_path):
    one, verdicts, lines = runner(tmp_path, "kill -11 $$")
    one.start()
    await until(lambda: verdicts == [False])
    one.stop()
    assert lines[-1] == "VRRP_Script(chk) failed (due to signal 11)"


async def test_no_shell_looks_at_the_words(tmp_path):
    output = tmp_path / "out"
    verdicts = []
    spec = TrackScript(name="chk", command=Command(("/usr/bin/touch", f"{output};$(id)")), first_result="decides")
    one = ScriptRunner(spec, lambda name, good: verdicts.append(good), lambda level, text: None)
    one.start()
    await until(lambda: verdicts)
    one.stop()
    assert [path.name for path in tmp_path.iterdir()] == ["out;$(id)"]


def test_missing_programs_are_told_apart(tmp_path):
    plain = tmp_path / "plain"
    plain.touch()
    assert missing(Command(("/bin/true",))) is None
    assert missing(Command(("sh",))) is None
    assert missing(Command(("no-such-program-anywhere",))) == "not found in PATH"
    assert missing(Command((str(tmp_path / "absent"),))) == "No such file or directory"
    assert missing(Command((str(plain),))) == "not executable"


@pytest.mark.skipif(os.geteuid() != 0, reason="what root runs is the question")
def test_a_program_that_others_may_change_is_not_for_root(tmp_path):
    script = tmp_path / "check.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o777)
    assert "unsafe permissions" in insecure(Command((str(script),)), None)
    assert insecure(Command((str(script),)), "nobody") is None
    assert insecure(Command(("/bin/true",)), None) is None
