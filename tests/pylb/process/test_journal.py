"""What the journal is told: severities in front of lines, where stderr is the journal and nowhere else."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from live import DEFAULTS, connect, ports
from support import wait_for

from pylb.process.journal import Journal


def journal(directory: Path) -> tuple[int, dict[str, str]]:
    """A file in the journal's place, and the environment that systemd would make of it."""
    file = os.open(directory / "journal", os.O_RDWR | os.O_CREAT)
    found = os.fstat(file)
    return file, {**os.environ, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}


def test_errors_and_warnings_of_a_check(tmp_path: Path) -> None:
    bad = tmp_path / "bad.cfg"
    bad.write_text("frontend f\n mode http\n bind :bad\n default_backend b\nbackend b\n reqadd X\n")
    file, environment = journal(tmp_path)
    command = [sys.executable, "-m", "pylb", "check", str(bad)]
    assert subprocess.run(command, stderr=file, env=environment, check=False).returncode == 1
    lines = (tmp_path / "journal").read_text().splitlines()
    assert [line for line in lines if line.startswith("<3>") and "error: " in line]
    assert not [line for line in lines if ("error: " in line) != line.startswith("<3>")]
    plain = subprocess.run(command, capture_output=True, text=True, env=environment, check=False).stderr
    assert "<3>" not in plain and "error: " in plain
    os.close(file)


def test_what_a_daemon_says(tmp_path: Path) -> None:
    (port,) = ports(1)
    config = tmp_path / "haproxy.cfg"
    config.write_text(f"{DEFAULTS.replace('{log}', '9')}listen l\n bind 127.0.0.1:{port}\n http-request deny\n")
    file, environment = journal(tmp_path)
    path = tmp_path / "journal"
    command = [sys.executable, "-m", "pylb", "-q", "-f", str(config)]
    with subprocess.Popen(command, stderr=file, env=environment) as process:
        try:
            wait_for(lambda: _listens(port), 10, "pylb")
            config.write_text("frontend f\n bind :bad\n")
            process.send_signal(signal.SIGHUP)
            wait_for(lambda: "the reload failed" in path.read_text(), 10, "the reload")
        finally:
            process.terminate()
    lines = path.read_text().splitlines()
    assert lines and all(line.startswith("<3>") for line in lines), lines
    os.close(file)


def _listens(port: int) -> bool:
    try:
        connect(port).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (["a.cfg:1:2: warning: w\na.cfg:2:1: error: e\n"], "<4>a.cfg:1:2: warning: w\n<3>a.cfg:2:1: error: e\n"),
        (["pylb: Worker 1 (pid 7) was ended by signal 9; it is replaced.\n"], None),
        (["pylb: the steward (pid 7) ended with status 1; another generation is started\n"], None),
        (["Trace", "back (most"], "Traceback (most"),
        (["Traceback (most", " recent call last):\n", "  File\n"], "<3>Traceback (most recent call last):\n  File\n"),
        (["a.cfg: valid\n", "\n"], "a.cfg: valid\n\n"),
    ],
)  # fmt: skip
def test_lines_and_pieces_of_lines(written: list[str], said: str | None) -> None:
    stream = io.StringIO()
    told = Journal(stream)
    for text in written:
        assert told.write(text) == len(text)
    assert stream.getvalue() == (said if said is not None else "<1>" + "".join(written))
