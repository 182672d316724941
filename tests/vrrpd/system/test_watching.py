"""Track files by inotify and track processes by pidfd."""

import asyncio
import os
import struct
import subprocess
import time

import pytest

from vrrpd.config.model import TrackFile, TrackProcess
from vrrpd.system.files import IN_Q_OVERFLOW, FileWatcher, read_number
from vrrpd.system.procwatch import ProcessWatcher, matches, started_process


async def until(condition):
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


def test_all_track_files_are_read_when_notifications_were_lost(tmp_path, monkeypatch):
    path, numbers = tmp_path / "load", []
    path.write_text("5\n")
    watcher = FileWatcher([TrackFile(name="f", path=str(path))], lambda name, number: numbers.append(number))
    watcher.start()
    path.write_text("6\n")
    with monkeypatch.context() as patched:
        patched.setattr(os, "read", lambda fd, size: struct.pack("=iIII", -1, IN_Q_OVERFLOW, 0, 0))
        watcher.read()
    watcher.close()
    assert numbers == [5, 6]


async def test_a_track_file_is_read_again_when_it_is_written_replaced_or_deleted(tmp_path):
    path, numbers = tmp_path / "load", []
    path.write_text("5\n")
    watcher = FileWatcher([TrackFile(name="f", path=str(path))], lambda name, number: numbers.append(number))
    loop = asyncio.get_running_loop()
    loop.add_reader(watcher.fileno(), watcher.read)
    watcher.start()
    path.write_text("-7\n")
    await until(lambda: numbers == [5, -7])
    (tmp_path / "new").write_text("12")
    (tmp_path / "new").rename(path)
    await until(lambda: numbers == [5, -7, 12])
    path.unlink()
    await until(lambda: numbers == [5, -7, 12, 0])
    loop.remove_reader(watcher.fileno())
    watcher.close()


@pytest.mark.parametrize(("text", "number"), [("", 0), ("x", 0), (" 4 rest", 4), ("+3", 3), ("-254\n", -254)])
def test_what_a_file_says(tmp_path, text, number):
    (tmp_path / "f").write_text(text)
    assert read_number(str(tmp_path / "f")) == number


async def test_a_process_that_ends_is_noticed_at_once_and_a_new_one_within_a_second(tmp_path):
    name = f"vp{time.monotonic_ns() % 10**9}"
    program = tmp_path / name
    program.symlink_to("/bin/sleep")
    verdicts = []
    watcher = ProcessWatcher([TrackProcess(name="p", command=(name,))], lambda _, enough: verdicts.append(enough))
    try:
        watcher.start()
        assert verdicts == [False]
        process = subprocess.Popen([program, "60"])  # noqa: ASYNC220
        await until(lambda: verdicts == [False, True])
        process.kill()
        start = time.monotonic()
        await until(lambda: verdicts == [False, True, False])
        assert time.monotonic() - start < 0.5
        process.wait()
        assert watcher.status() == [{"name": "p", "enough": False, "running": 0, "quorum": 1}]
    finally:
        watcher.stop()


@pytest.mark.parametrize(
    ("fields", "comm", "argv", "expected"),
    [
        ({"command": ("haproxy",)}, "haproxy", ["/usr/sbin/haproxy", "-W"], True),
        ({"command": ("haproxy",)}, "haproxy2", ["haproxy2"], False),
        ({"command": ("a-very-long-program",)}, "a-very-long-pro", ["/bin/a-very-long-program"], True),
        ({"command": ("/usr/sbin/x",), "full_command": True}, "x", ["/usr/sbin/x"], True),
        ({"command": ("x", "-a"), "match_parameters": "exact"}, "x", ["x", "-a", "-b"], False),
        ({"command": ("x", "-a"), "match_parameters": "initial"}, "x", ["x", "-a", "-b"], True),
        ({"command": ("x", "-al"), "match_parameters": "partial"}, "x", ["x", "-all"], True),
    ],
)
def test_which_processes_are_meant(fields, comm, argv, expected):
    assert matches(TrackProcess(name="p", **fields), comm, argv) is expected


def test_only_beginnings_are_read_from_the_connector():
    import struct

    def event(what, *fields):
        return bytes(36) + struct.pack("=IIQ", what, 0, 0) + struct.pack(f"={len(fields)}I", *fields)

    assert started_process(event(0x2, 77, 77)) == 77
    assert started_process(event(0x1, 1, 1, 88, 88)) == 88
    assert started_process(event(0x1, 1, 1, 89, 88)) is None
    assert started_process(event(0x80000000, 77, 77, 0, 0)) is None
    assert started_process(b"") is None
