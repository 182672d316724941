"""Reloads: no request is lost, what is known is kept, and a bad configuration changes nothing."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from live import ask, children, ports
from load import Crowd, place
from support import wait_for

from pylb.process.master import HUNG
from pylb.process.silence import state_of

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def refuses(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def listening(pid: int) -> list[int]:
    """Descriptors of the listening TCP sockets of a process."""
    inodes = {words[9] for line in Path("/proc/net/tcp").read_text().splitlines() if (words := line.split())[3] == "0A"}
    links = {path: str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}
    return [int(path.name) for path, link in links.items() if link.strip("socket:[]") in inodes]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "keep_alive",
    [pytest.param(True, id="keep-alive", marks=pytest.mark.soak), pytest.param(False, id="connection-per-request")],
)
def test_twenty_reloads_in_a_row_under_load_lose_nothing(tmp_path: Path, keep_alive: bool) -> None:
    with place(tmp_path) as it:
        crowd = Crowd(it.port, 280, keep_alive=keep_alive)
        for _ in range(20):
            assert it.reload()["Last_reload_ok"] == "1"
        ran = crowd.stop()
        assert ran.requests > 100
        assert ran.failed == 0, ran.text
        assert it.info()["Reloads"] == "20"
        wait_for(lambda: len(children(it.pylb.process.pid)) == 1, 10, "the old generations' end")
        wait_for(lambda: it.stat("f", "FRONTEND")["scur"] == "0", 10, "nobody to be inside")
        # wrk breaks off what it still waits for, so there may be more than it has counted, one per connection.
        assert 0 <= int(it.stat("f", "FRONTEND")["req_tot"]) - ran.requests <= 32


def test_a_bad_configuration_changes_nothing_and_says_why(tmp_path: Path) -> None:
    with place(tmp_path) as it:
        before = children(it.pylb.process.pid)
        it.configure(it.text().replace("default_backend b", "default_backend nowhere"))
        found = it.reload()
        assert found["Last_reload_ok"] == "0" and found["Reloads"] == "0"
        assert "nowhere" in found["Last_reload_error"] and "haproxy.cfg:" in found["Last_reload_error"]
        assert children(it.pylb.process.pid) == before
        assert ask(it.port)[0] == 200
        it.configure(it.text())
        found = it.reload(signal.SIGHUP)
        assert found["Last_reload_ok"] == "1" and "Last_reload_error" not in found


def test_an_address_that_is_taken_changes_nothing(tmp_path: Path) -> None:
    with place(tmp_path) as it, socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        it.configure(it.text().replace(f"bind 127.0.0.1:{it.port}", f"bind 127.0.0.1:{it.port}\n bind :{taken}"))
        found = it.reload()
        assert found["Last_reload_ok"] == "0" and str(taken) in found["Last_reload_error"]
        assert ask(it.port)[0] == 200


def test_a_reload_that_fails_takes_no_path(tmp_path: Path) -> None:
    """New sockets at the same paths, their modes change; and a mistake that shows before or after they are bound."""
    with place(tmp_path) as it, socket.create_server(("127.0.0.1", 0)) as other:
        files = sorted(tmp_path.iterdir())
        changed = it.text().replace("level admin", "level admin mode 600")
        taken = f"{changed}frontend two\n bind 127.0.0.1:{other.getsockname()[1]}\n default_backend b\n"
        for count, wrong in enumerate((taken, changed.replace("global", "global\n chroot /nowhere")), 1):
            it.configure(wrong)
            it.pylb.signal(signal.SIGUSR2)
            wait_for(lambda count=count: it.pylb.stderr.count("the reload failed") == count, 20, "its failure")  # type: ignore[misc]
            wait_for(lambda: it.info()["Last_reload_ok"] == "0", 5, "the news at the socket that was there before")
            assert sorted(tmp_path.iterdir()) == files
        it.configure(changed)
        assert it.reload()["Last_reload_ok"] == "1"
        assert (tmp_path / "admin.sock").stat().st_mode & 0o777 == 0o600
        assert sorted(tmp_path.iterdir()) == files


def test_operators_changes_and_counts_outlive_a_reload(tmp_path: Path) -> None:
    with place(tmp_path) as it:
        for _ in range(10):
            assert ask(it.port)[0] == 200
        it.tell("set weight b/s 7; disable server b/s")
        it.reload()
        row = it.stat("b", "s")
        assert (row["status"], row["weight"], row["stot"]) == ("MAINT", "7", "10")
        assert ask(it.port)[0] == 503
        it.tell("enable server b/s")
        assert ask(it.port)[0] == 200
        assert it.stat("b", "s")["stot"] == "11"


def test_a_reload_is_no_rate(tmp_path: Path) -> None:
    with place(tmp_path) as it:
        for _ in range(30):
            ask(it.port)
        wait_for(lambda: it.stat("f", "FRONTEND")["rate_max"] != "0", 10, "a rate")
        for _ in range(30):
            ask(it.port)
        wait_for(lambda: it.stat("f", "FRONTEND")["rate"] == "0", 10, "silence")
        before = it.stat("f", "FRONTEND")
        it.reload()
        after = it.stat("f", "FRONTEND")
        assert after["stot"] == before["stot"] == "61"
        assert (after["rate_max"], after["req_rate_max"]) == (before["rate_max"], before["req_rate_max"])
        assert int(after["rate"]) <= 2 and int(it.info()["SessRate"]) <= 2


def test_a_weight_that_the_file_changes_wins(tmp_path: Path) -> None:
    with place(tmp_path) as it:
        it.tell("set weight b/s 7")
        it.configure(it.text().replace(f"127.0.0.1:{it.origin}", f"127.0.0.1:{it.origin} weight 9"))
        it.reload()
        assert it.stat("b", "s")["weight"] == "9"


def test_an_exchange_that_runs_is_finished_by_the_old_workers(tmp_path: Path) -> None:
    with place(tmp_path) as it, socket.create_connection(("127.0.0.1", it.port)) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        wait_for(lambda: it.stat("f", "FRONTEND")["scur"] == "1", 5, "the client")
        it.reload()
        assert len(children(it.pylb.process.pid)) == 2
        slow.sendall(b"cd")
        assert slow.recv(4096).startswith(b"HTTP/1.1 2")
        wait_for(lambda: len(children(it.pylb.process.pid)) == 1, 10, "the old generation's end")


def test_hard_stop_after_ends_an_old_generation(tmp_path: Path) -> None:
    with place(tmp_path, extra="hard-stop-after 1s") as it, socket.create_connection(("127.0.0.1", it.port)) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab")
        wait_for(lambda: it.stat("f", "FRONTEND")["scur"] == "1", 5, "the client")
        it.reload()
        wait_for(lambda: len(children(it.pylb.process.pid)) == 1, 10, "the old generation's end")


def test_binds_come_and_go_with_the_configuration(tmp_path: Path) -> None:
    (more,) = ports(1)
    with place(tmp_path) as it:
        it.configure(
            it.text().replace(f"bind 127.0.0.1:{it.port}", f"bind 127.0.0.1:{it.port}\n bind 127.0.0.1:{more}")
        )
        it.reload()
        assert ask(more)[0] == 200
        it.configure(it.text())
        it.reload()
        wait_for(lambda: refuses(more), 10, "the old generation's sockets")
        assert ask(it.port)[0] == 200


def test_a_bind_may_widen_and_narrow(tmp_path: Path) -> None:
    """The old address overlaps with the new one, which nobody can bind beside it by the usual means. Who waits in the
    queue of the old one as it is closed is reset, as by HAProxy."""
    with place(tmp_path) as it:
        first, line = it.text(), f"bind 127.0.0.1:{it.port}"
        for wanted in (f"bind *:{it.port}", f"bind :::{it.port} v4v6", f"{line}\n bind *:{it.port}", line):
            it.configure(first.replace(line, wanted))
            assert it.reload()["Last_reload_ok"] == "1"
            wait_for(lambda: len(children(it.pylb.process.pid)) == 1, 10, "the old generation's end")
            assert ask(it.port)[0] == 200
            for host in ("127.0.0.2", *(["::1"] if "v4v6" in wanted else [])):
                with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
                    assert (sock.connect_ex((host, it.port)) == 0) == (wanted != line), (host, wanted)


def test_after_a_steward_s_death_another_generation_serves(tmp_path: Path) -> None:
    with place(tmp_path) as it:
        (steward,) = children(it.pylb.process.pid)
        os.kill(steward, signal.SIGKILL)
        assert ask(it.port)[0] == 200
        wait_for(lambda: len(it.pylb.workers()) == 2 and steward not in children(it.pylb.process.pid), 10, "others")
        wait_for(lambda: ask(it.port)[0] == 200 and it.info(), 10, "an answer")
        assert "another generation is started" in it.pylb.stderr


def test_workers_of_a_steward_that_dies_before_it_serves_end_too(tmp_path: Path) -> None:
    with place(tmp_path, workers=8) as it:
        master = it.pylb.process.pid
        (serving,) = children(master)
        it.pylb.signal(signal.SIGUSR2)
        wait_for(lambda: any(children(pid) for pid in children(master) if pid != serving), 10, "a new worker")
        (new,) = set(children(master)) - {serving}
        worker = children(new)[0]
        os.kill(worker, signal.SIGSTOP)  # so the new generation never serves
        try:
            os.kill(new, signal.SIGKILL)
            wait_for(lambda: new not in children(master), 10, "its end")
        finally:
            with suppress(ProcessLookupError):  # killed already, stopped as it was
                os.kill(worker, signal.SIGCONT)
        wait_for(lambda: children(master) == [serving], 10, "the end of its workers")
        assert ask(it.port)[0] == 200
        assert it.info()["Last_reload_ok"] == "0"


def test_the_listening_socket_blocks_in_no_moment_of_a_reload(tmp_path: Path) -> None:
    """What one process makes of a socket holds in all: another worker would wait in accept() with all its clients."""
    with place(tmp_path) as it:
        flags = {Path(f"/proc/{it.pylb.process.pid}/fdinfo/{number}") for number in listening(it.pylb.process.pid)}
        assert flags
        seen, over = set(), threading.Event()

        def look() -> None:
            while not over.is_set():
                for path in flags:
                    seen.add(bool(int(re.search(r"flags:\s*(\d+)", path.read_text())[1], 8) & os.O_NONBLOCK))  # type: ignore[index]

        looking = threading.Thread(target=look)
        looking.start()
        try:
            for _ in range(3):
                it.reload()
                assert ask(it.port)[0] == 200  # after the first client each worker opens more copies
        finally:
            over.set()
            looking.join()
        assert seen == {True}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_every_process_ends(tmp_path: Path, number: int) -> None:
    with place(tmp_path, workers=3) as it:
        pids = [*children(it.pylb.process.pid), *it.pylb.workers()]
        assert len(pids) == 4
        it.pylb.signal(number)
        assert it.pylb.wait() == 0
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
        if number == signal.SIGTERM:
            assert not (tmp_path / "admin.sock").exists()


def test_the_end_of_the_master_is_the_end_of_all(tmp_path: Path) -> None:
    with place(tmp_path) as it:
        pids = [*children(it.pylb.process.pid), *it.pylb.workers()]
        it.pylb.signal(signal.SIGKILL)
        it.pylb.process.wait(10)

        def ended(pid: int) -> bool:
            try:
                return "State:\tZ" in Path(f"/proc/{pid}/status").read_text()
            except OSError:
                return True

        wait_for(lambda: all(map(ended, pids)), 10, "the end of steward and workers")


def test_it_needs_no_third_party_to_say_what_it_did(tmp_path: Path) -> None:
    """A configuration that is wrong at the start ends with 1 and the findings, with no process left."""
    file = tmp_path / "bad.cfg"
    file.write_text("global\n nbthread 2\nfrontend f\n mode http\n bind :bad\n")
    done = subprocess.run(
        [sys.executable, "-m", "pylb", "-f", str(file)], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1 and "bad.cfg:5" in done.stderr and "Traceback" not in done.stderr


def test_a_thousand_frontends_and_ten_thousand_servers_are_checked_in_five_seconds(tmp_path: Path) -> None:
    """Of CPU, which is what it takes on a machine that has nothing else to do."""
    lines = ["defaults", " mode http", " timeout client 1s", " timeout server 1s", " timeout connect 1s"]
    for number in range(1000):
        lines += [f"frontend f{number}", f" bind 127.0.0.1:{20_000 + number}", f" default_backend b{number}"]
        lines += [f"backend b{number}", *(f" server s{server} 127.0.0.1:80" for server in range(10))]
    file = tmp_path / "large.cfg"
    file.write_text("\n".join(lines) + "\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "pylb", "check", "-q", str(file)], timeout=60, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5.0


def test_a_steward_that_dies_before_it_has_told_its_successor_what_it_knows(tmp_path: Path) -> None:
    """The successor does without, in place of waiting for ever."""
    with place(tmp_path) as it:
        (steward,) = children(it.pylb.process.pid)
        os.kill(steward, signal.SIGSTOP)
        it.pylb.signal(signal.SIGUSR2)
        wait_for(lambda: len(children(it.pylb.process.pid)) == 2, 10, "another steward")
        (other,) = set(children(it.pylb.process.pid)) - {steward}
        wait_for(lambda: has_nothing_to_do(other), 8, "it to wait for what is known")
        os.kill(steward, signal.SIGKILL)
        wait_for(lambda: it.info() and steward not in children(it.pylb.process.pid), 20, "another generation to serve")
        assert ask(it.port)[0] == 200
        assert "another generation is started" in it.pylb.stderr


def has_nothing_to_do(pid: int) -> bool:
    """It uses no processor for a second."""
    before = state_of(pid)
    time.sleep(1.0)
    return before is not None and state_of(pid) == before


@pytest.mark.soak
def test_a_machine_that_has_stood_still_has_no_hung_steward(tmp_path: Path) -> None:
    """All processes sleep for longer than a steward may be silent, as in a suspended container."""
    with place(tmp_path) as it:
        (steward,) = children(it.pylb.process.pid)
        every = [steward, *it.pylb.workers(), it.pylb.process.pid]
        for pid in every:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(HUNG + 1.5)
        for pid in reversed(every):  # the master first
            os.kill(pid, signal.SIGCONT)
        time.sleep(2.5)
        assert ask(it.port)[0] == 200 and it.info()
        assert children(it.pylb.process.pid) == [steward]


@pytest.mark.soak
def test_a_steward_that_is_stopped_is_killed_in_the_end(tmp_path: Path) -> None:
    with place(tmp_path) as it:
        (steward,) = children(it.pylb.process.pid)
        os.kill(steward, signal.SIGSTOP)
        wait_for(lambda: steward not in children(it.pylb.process.pid), 30, "the end of the steward")
        wait_for(lambda: ask(it.port)[0] == 200 and it.info(), 20, "an answer")
        assert "another generation is started" in it.pylb.stderr
