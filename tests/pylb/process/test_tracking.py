"""Tracking with several workers: counters are sums, limits hold over all of them, and what is counted outlives both
workers and generations."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from load import HEAD, Place, place
from support import wait_for

TRACKED = (
    HEAD
    + """frontend f
 bind 127.0.0.1:{port}
 tcp-request connection track-sc0 src
 http-request track-sc1 url_param(id) table ids
 http-request deny deny_status 429 if {{ sc_http_req_rate(1) gt 100 }} {{ path /limited }}
 http-request return status 200 lf-string "%pid %[sc_http_req_cnt(1)] %[sc_conn_cur(0)]" hdr Worker %pid
 stick-table type ip size 1k expire 1h store conn_cur,conn_cnt,sess_cnt,http_req_cnt
backend ids
 stick-table type string size 10k expire 1h store http_req_cnt,http_req_rate(1h),bytes_out_cnt,gpc0
"""
)


CLIENT = "127.0.0.5"
"""Another than who looks whether all is ready."""


def connect(it: Place) -> socket.socket:
    return socket.create_connection(("127.0.0.1", it.port), 5, (CLIENT, 0))


def get(sock: socket.socket, path: str) -> tuple[int, list[str]]:
    """Status, and the words of the body: worker, requests of this id, connections."""
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(sock)
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
    while len(body) < length:
        body += _more(sock)
    return int(head[9:12]), body.decode().split()


def _more(sock: socket.socket) -> bytes:
    block = sock.recv(65536)
    if not block:
        raise ConnectionError("closed")
    return block


def entry(it: Place, table: str, key: str) -> dict[str, int]:
    """The numbers of one entry; nothing without it."""
    line = it.tell(f"show table {table} key {key}").strip().rpartition("\n")[2]
    return {name: int(value) for name, value in re.findall(r"([\w()]+)=(\d+)", line)} if "key=" in line else {}


def crowd(it: Place, path: str, connections: int, each: int) -> tuple[Counter[int], Counter[str]]:
    """Many at once; how often which status came, and which worker answered."""

    def one(_: int) -> list[tuple[int, list[str]]]:
        with connect(it) as sock:
            return [get(sock, path) for _ in range(each)]

    with ThreadPoolExecutor(8) as threads:
        answers = [answer for found in threads.map(one, range(connections)) for answer in found]
    return Counter(status for status, _ in answers), Counter(words[0] for status, words in answers if status == 200)


def look(it: Place) -> tuple[str, int]:
    """Which worker answers, and how many requests it knows of."""
    with connect(it) as sock:
        _, (worker, requests, _) = get(sock, "/?id=a")
        return worker, int(requests)


def test_a_thousand_requests_over_two_workers_are_a_thousand(tmp_path: Path) -> None:
    with place(tmp_path, workers=2, config=TRACKED) as it:
        _, workers = crowd(it, "/?id=a", connections=100, each=10)
        assert len(workers) == 2 and sum(workers.values()) == 1000
        found = entry(it, "ids", "a")
        assert (found["http_req_cnt"], found["http_req_rate(3600000)"]) == (1000, 1000)
        wait_for(lambda: entry(it, "f", CLIENT)["use"] == 0, 5, "the end of all connections")
        clients = entry(it, "f", CLIENT)
        expected = {"use": 0, "conn_cur": 0, "conn_cnt": 100, "sess_cnt": 100, "http_req_cnt": 1000}
        assert {name: clients[name] for name in expected} == expected

        knowing: set[str] = set()
        total = 1000
        with ThreadPoolExecutor(8) as threads:
            while len(knowing) < 2:
                assert total < 3000, "one worker takes all, or never hears of what the other has had"
                answers = list(threads.map(look, [it] * 40))
                assert all(requests <= total + len(answers) for _, requests in answers)
                knowing |= {worker for worker, requests in answers if requests > total}
                total += len(answers)

        statuses, _ = crowd(it, "/limited?id=b", connections=40, each=10)
        assert statuses[200] + statuses[429] == 400 and statuses[200] >= 100
        wait_for(
            lambda: set(crowd(it, "/limited?id=b", connections=16, each=1)[0]) == {429},
            5,
            "the limit to be that of all workers",
        )
        it.tell("set table ids key b data.gpc0 5; clear table ids key a")
        assert entry(it, "ids", "b")["gpc0"] == 5 and entry(it, "ids", "a") == {}
        crowd(it, "/?id=a", connections=10, each=1)
        assert entry(it, "ids", "a")["http_req_cnt"] == 10


def test_a_burst_over_two_workers_meets_one_limit(tmp_path: Path) -> None:
    """Of 100; two workers that hear of each other twice a second would let 200 through."""
    with place(tmp_path, workers=2, config=TRACKED) as it:

        def let_through(burst: int) -> int:
            statuses, _ = crowd(it, f"/limited?id=burst{burst}", connections=40, each=10)
            return statuses[200]

        assert any(100 <= let_through(burst) < 150 for burst in range(5)), "messages may be slow once, not always"


def visit(it: Place) -> tuple[socket.socket, str]:
    """A connection that stays, and the worker that has it."""
    sock = connect(it)
    return sock, get(sock, "/?id=c")[1][0]


def test_what_is_counted_outlives_workers_and_generations(tmp_path: Path) -> None:
    with place(tmp_path, workers=2, config=TRACKED) as it, ExitStack() as stack:
        clients: list[tuple[socket.socket, str]] = []
        with ThreadPoolExecutor(8) as threads:
            while len({worker for _, worker in clients}) < 2:
                assert len(clients) < 500, "one worker takes all"
                clients += threads.map(visit, [it] * 40)
        for sock, _ in clients:
            stack.enter_context(sock)
        total = len(clients)
        assert entry(it, "f", CLIENT)["conn_cur"] == total == entry(it, "ids", "c")["http_req_cnt"]

        victim = clients[0][1]
        os.kill(int(victim), signal.SIGKILL)
        left = [sock for sock, worker in clients if worker != victim]
        wait_for(lambda: entry(it, "f", CLIENT)["conn_cur"] == len(left), 5, "its connections are counted no longer")
        assert entry(it, "ids", "c")["http_req_cnt"] == total
        for sock in left:
            assert get(sock, "/?id=c")[0] == 200

        late, _ = clients[[worker for _, worker in clients].index(_other(clients, victim))]
        late.sendall(b"GET /?id=c HTTP/1.1\r\n")  # so it does not count as idle
        assert it.reload()["Last_reload_ok"] == "1"
        total += len(left)
        assert entry(it, "ids", "c")["http_req_cnt"] == total
        now = entry(it, "f", CLIENT)
        assert (now["conn_cnt"], now["conn_cur"], now["use"]) == (len(clients), 0, 0), "the old ones' are not ours"
        crowd(it, "/?id=c", connections=4, each=1)
        assert entry(it, "ids", "c")["http_req_cnt"] == total + 4
        late.sendall(b"Host: x\r\n\r\n")
        assert late.recv(9) == b"HTTP/1.1 "
        wait_for(lambda: entry(it, "ids", "c")["http_req_cnt"] == total + 5, 5, "what an old worker has counted")


def _other(clients: list[tuple[socket.socket, str]], victim: str) -> str:
    return next(worker for _, worker in clients if worker != victim)
