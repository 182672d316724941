"""Two workers are one load balancer: counts, states, weights; and the death of one is a small thing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from live import Server, ask, children, echo, ports, read_head, serving
from load import CONFIG, HEAD, Crowd, descriptors, place, tell
from support import require_program, wait_for

from pylb.net.listener import EARS


def test_counters_are_sums_over_workers(tmp_path: Path) -> None:
    with place(tmp_path) as it:
        crowd = Crowd(it.port, 2, keep_alive=False)
        ran = crowd.result()
        assert ran.failed == 0
        wait_for(lambda: it.stat("f", "FRONTEND")["scur"] == "0", 5, "nobody to be inside")
        frontend, server, info = it.stat("f", "FRONTEND"), it.stat("b", "s"), it.info()
        assert 0 <= int(frontend["req_tot"]) - ran.requests <= 48
        assert 0 <= int(info["CumReq"]) - ran.requests <= 48
        assert int(server["stot"]) == int(frontend["req_tot"]) - int(frontend["ereq"])
        shares = [int(line.split()[1]) for line in it.tell("show activity").splitlines() if line.startswith("accepted")]
        assert len(shares) == 2 and min(shares) > 0.1 * sum(shares), shares
        it.tell("clear counters all")
        assert it.stat("f", "FRONTEND")["req_tot"] == "0"


def test_a_server_that_is_disabled_is_so_in_every_worker(tmp_path: Path) -> None:
    with place(tmp_path, workers=3) as it:
        for command, status in (("disable server b/s", 503), ("enable server b/s", 200)) * 5:
            it.tell(command)
            assert [ask(it.port)[0] for _ in range(24)] == [status] * 24


def test_frontends_are_disabled_and_enabled_in_every_worker(tmp_path: Path) -> None:
    with place(tmp_path) as it:
        for _ in range(3):
            it.tell("disable frontend f")
            wait_for(lambda: not _answers(it.port), 2, "refusals")
            assert not any(_answers(it.port) for _ in range(10))
            assert it.stat("f", "FRONTEND")["status"] == "PAUSED"
            it.tell("enable frontend f")
            wait_for(lambda: _answers(it.port), 2, "answers")
            assert all(_answers(it.port) for _ in range(10))


def test_a_listener_is_open_wide_once_there_are_clients(tmp_path: Path) -> None:
    (other,) = ports(1)
    extra = f"listen other\n mode http\n bind 127.0.0.1:{other}\n http-request return status 200\n"
    with place(tmp_path, workers=1, extra=extra) as it:
        (worker,) = it.pylb.workers()
        before = descriptors(worker)
        with socket.create_connection(("127.0.0.1", other), 5) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
            wait_for(lambda: descriptors(worker) == before + EARS, 5, "the client and what hears of more")
        assert all(ask(other)[0] == 200 for _ in range(20))


def _answers(port: int) -> bool:
    try:
        return ask(port)[0] == 200
    except OSError:
        return False


def test_a_worker_that_dies_is_replaced_and_only_its_own_connections_end(tmp_path: Path) -> None:
    with place(tmp_path) as it:
        crowd = Crowd(it.port, 60)
        time.sleep(0.5)
        clients = [socket.create_connection(("127.0.0.1", it.port), 5) for _ in range(40)]
        for client in clients:
            assert ask(client)[0] == 200
        second, first = sorted(it.pylb.workers(), key=descriptors)  # the one with more connections goes
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: first not in it.pylb.workers() and len(it.pylb.workers()) == 2, 5, "another worker")
        assert second in it.pylb.workers()
        alive = 0
        for client in clients:
            with suppress(OSError):
                alive += ask(client)[0] == 200
            client.close()
        assert alive < 40
        ran = crowd.stop()
        assert ran.failed <= 16, ran.text  # at most one per connection
        wait_for(lambda: ask(it.port)[0] == 200, 5, "an answer")
        assert "it is replaced" in it.pylb.stderr


def test_a_worker_that_dies_as_its_generation_retires_is_not_replaced(tmp_path: Path) -> None:
    """Its place would have no sockets any more. The steward learns of both at once, and `stop` sees every complaint."""
    with place(tmp_path) as it:
        (steward,) = children(it.pylb.process.pid)
        os.kill(steward, signal.SIGSTOP)
        os.kill(it.pylb.workers()[0], signal.SIGKILL)
        os.kill(steward, signal.SIGUSR1)
        os.kill(steward, signal.SIGCONT)
        wait_for(lambda: steward not in children(it.pylb.process.pid), 10, "the end of the generation")


def test_a_worker_that_hangs_is_noticed(tmp_path: Path) -> None:
    with place(tmp_path) as it:
        first, _ = it.pylb.workers()
        os.kill(first, signal.SIGSTOP)
        wait_for(lambda: first not in it.pylb.workers() and len(it.pylb.workers()) == 2, 15, "another worker")
        assert "no sign of life" in it.pylb.stderr


WEIGHTS = (
    HEAD
    + """frontend f
 bind 127.0.0.1:{port}
 default_backend b
backend b
 balance roundrobin
 server one 127.0.0.1:{one} weight 10
 server two 127.0.0.1:{two} weight 20
 server three 127.0.0.1:{three} weight 70
"""
)


def test_weights_hold_over_a_thousand_requests(tmp_path: Path) -> None:
    servers = [Server(echo) for _ in range(3)]
    (port,) = ports(1)
    one, two, three = (server.port for server in servers)
    text = WEIGHTS.format(dir=tmp_path, workers=4, extra="", port=port, one=one, two=two, three=three)
    with serving(tmp_path, text, ready=port) as pylb:
        wait_for(lambda: len(pylb.workers()) == 4, 10, "workers")
        threads = [threading.Thread(target=_ask_often, args=(port, 125)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        answer = tell(str(tmp_path / "admin.sock"), "show stat").splitlines()
        got = Counter({row.split(",")[1]: int(row.split(",")[7]) for row in answer if row.startswith("b,")})
        assert got["BACKEND"] == 1000
        assert abs(got["one"] - 100) <= 5 and abs(got["two"] - 200) <= 5 and abs(got["three"] - 700) <= 5
    for server in servers:
        server.close()


def _ask_often(port: int, times: int) -> None:
    for _ in range(times):
        assert ask(port)[0] == 200


LIMITED = """
global
 stats socket {dir}/admin.sock level admin
 nbthread 2
 {globally}
defaults
 mode http
 timeout client 10s
 timeout server 10s
 timeout connect 3s
frontend f
 bind 127.0.0.1:{port}
 {frontend}
 default_backend b
backend b
 timeout queue 20s
 server s 127.0.0.1:{server} {limit}
"""


@pytest.mark.parametrize(
    ("globally", "frontend", "limit"),
    [("", "", "maxconn 5"), ("", "maxconn 5", ""), ("maxconn 5", "", ""), ("", "", "maxconn 1")],
    ids=["server", "frontend", "global", "one"],
)
def test_limits_hold_for_all_workers_together(tmp_path: Path, globally: str, frontend: str, limit: str) -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def slow(connection: socket.socket) -> None:
        nonlocal inside, most
        with connection.makefile("rb") as stream:
            while read_head(stream):
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.02)
                with lock:
                    inside -= 1
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    (port,), server = ports(1), Server(slow)
    text = LIMITED.format(
        dir=tmp_path, port=port, server=server.port, globally=globally, frontend=frontend, limit=limit
    )
    with serving(tmp_path, text, ready=port) as pylb:
        wait_for(lambda: len(pylb.workers()) == 2, 10, "workers")
        threads = [threading.Thread(target=_ask_often, args=(port, 4)) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        wanted = 1 if limit == "maxconn 1" else 5
        assert wanted <= most <= wanted + 1, most
    server.close()


def test_the_tree_of_processes(tmp_path: Path) -> None:
    with place(tmp_path, workers=4) as it:
        assert len(children(it.pylb.process.pid)) == 1 and len(it.pylb.workers()) == 4
        assert it.info()["Nbthread"] == "4" and it.info()["Pid"] == str(it.pylb.process.pid)


@pytest.mark.parametrize("line", ["backlog 77", "bind 127.0.0.1:{port} backlog 77"], ids=["frontend", "bind"])
def test_backlog_holds_in_the_workers_and_after_an_operators_order(tmp_path: Path, line: str) -> None:
    text = CONFIG.replace(" bind 127.0.0.1:{port}\n", f" bind 127.0.0.1:{{port}}\n {line}\n")
    if line.startswith("bind"):
        text = CONFIG.replace("bind 127.0.0.1:{port}", line)
    with place(tmp_path, config=text) as it:
        assert waiting_room(it.port) == 77
        it.tell("disable frontend f")
        it.tell("enable frontend f")
        wait_for(lambda: waiting_room(it.port) == 77, 5, "the backlog of the configuration")


def waiting_room(port: int) -> int:
    """Connections that may wait for being accepted: Send-Q of a listening socket; 0: nobody listens."""
    command = [require_program("ss"), "-Hltn", f"sport = :{port}"]
    rows = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.splitlines()
    return int(rows[0].split()[2]) if rows else 0
