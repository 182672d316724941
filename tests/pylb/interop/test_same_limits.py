"""Limits and slow beginnings beside the real program: the process's maxconn, half-closed connections, slow starts,
the order of queues, kept connections that died in the meantime, clients that break off."""

from __future__ import annotations

import csv
import io
import socket
import threading
import time
from contextlib import ExitStack

import differences as differ
import pytest
from haproxy_pair import Answer, is_readable, normal_line, running_pair
from same_cases import describe, get, judge
from support import wait_for

pytestmark = pytest.mark.interop

DEFAULTS = """
global
    nbthread 1
    log "127.0.0.1:${LOG}" local0
    stats socket "${DIR}/admin.sock" level admin
    %s

defaults
    mode http
    log global
    option httplog
    retries 1
    timeout connect 500ms
    timeout client 5s
    timeout server 5s
"""

CONFIG = (
    DEFAULTS % ""
    + """
listen client_fin
    bind "127.0.0.1:${FE_client_fin}"
    mode tcp
    option tcplog
    timeout client-fin 300ms
    timeout server 2s
    timeout client 2s
    server s "127.0.0.1:${SRV_s}"

listen server_fin
    bind "127.0.0.1:${FE_server_fin}"
    mode tcp
    option tcplog
    timeout server-fin 300ms
    timeout server 2s
    timeout client 2s
    server s "127.0.0.1:${SRV_s}"

listen tunnel_fin
    bind "127.0.0.1:${FE_tunnel_fin}"
    timeout tunnel 5s
    timeout client-fin 300ms
    timeout server-fin 300ms
    server s "127.0.0.1:${SRV_s}"

listen kept
    bind "127.0.0.1:${FE_kept}"
    http-reuse always
    server s "127.0.0.1:${SRV_s}"

listen abort
    bind "127.0.0.1:${FE_abort}"
    option abortonclose
    server s "127.0.0.1:${SRV_s}"

listen work
    bind "127.0.0.1:${FE_work}"
    server s "127.0.0.1:${SRV_s}"

listen order
    bind "127.0.0.1:${FE_order}"
    timeout queue 20s
    timeout server 20s
    timeout client 20s
    http-request set-priority-class req.hdr(Class) if { req.hdr(Class) -m found }
    http-request set-priority-offset req.hdr(Offset) if { req.hdr(Offset) -m found }
    http-response set-header Order "%[prio_class] %[prio_offset]"
    server s "127.0.0.1:${SRV_s}" maxconn 1

listen slow
    bind "127.0.0.1:${FE_slow}"
    option httpchk GET /health
    http-check send hdr User-Agent check
    option http-server-close
    timeout check 5s
    default-server inter 500ms fastinter 50ms downinter 50ms fall 1 rise 1 weight 20
    server steady "127.0.0.1:${SRV_steady}"
    server warm "127.0.0.1:${SRV_warm}" check slowstart 3s
"""
)


def linger(sock, request):
    """Answers, and stays until the client's end has come and long after."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    while sock.recv(100):
        pass
    time.sleep(3)
    return "close"


def half(sock, request):
    """Answers, ends its side, waits for the client."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    sock.shutdown(socket.SHUT_WR)
    sock.settimeout(4)
    while sock.recv(100):
        pass
    return "close"


def tunnel(end: str):
    """A tunnel whose far end falls silent when the near one ends, or ends first."""

    def answer(sock, request):
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        return half_silent(sock) if end == "far" else silent(sock)

    return answer


def half_silent(sock) -> str:
    sock.shutdown(socket.SHUT_WR)
    return silent(sock)


def silent(sock) -> str:
    sock.settimeout(4)
    while sock.recv(100):
        pass
    time.sleep(0.6)
    return "close"


GATES = {"haproxy": threading.Event(), "pylb": threading.Event()}


def gate(sock, request):
    """Answers when the test says so."""
    assert GATES[request.get("gate")].wait(30)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
    return "keep"


ANSWERS = {
    "gate": gate,
    "linger": linger,
    "half": half,
    "tunnel near": tunnel("near"),
    "tunnel far": tunnel("far"),
    "late": Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate", pause=0.5),
    "die": Answer(b"", "close"),
    "die by reset": Answer(b"", "reset"),
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    with running_pair(tmp_path_factory.mktemp("limits"), CONFIG, ANSWERS) as pair:
        yield pair


# -------------------------------------------------------------------------------------------------- order of the queue

WAITERS = {
    "/later": "Offset: 400000",
    "/plain": "",
    "/sooner": "Offset: -1000",
    "/soonest": "Offset: {soonest}",
    "/low": "Class: 5\r\nOffset: -500000",
    "/high": "Class: -9999\r\nOffset: 500000",
}


def waiting(side) -> int:
    """Requests in the queue of `order`."""
    return sum(int(column(side, "qcur", "order", place)) for place in ("BACKEND", "s"))


@pytest.mark.parametrize(("soonest", "differs"), [(-400_000, ()), (-999_999, (differ.far_offsets,))])
def test_waiters_are_served_by_class_and_then_by_moment_and_offset(pair, soonest, differs):
    def scenario(side):
        side.forget()
        with ExitStack() as stack:
            talks = []
            GATES[side.name].clear()
            for path, field in {"/first": f"Do: gate\r\nGate: {side.name}", **WAITERS}.items():
                talks.append(stack.enter_context(side.talk("order")))
                field = field.format(soonest=soonest)
                talks[-1].send(get(path, *(field.split("\r\n") if field else ())))
                if path == "/first":
                    wait_for(side.records, what="the server to be busy")
                else:
                    wait_for(lambda: waiting(side) == len(talks) - 1, what=f"{path} to wait")
                time.sleep(0.01)  # no two come in the same millisecond
            GATES[side.name].set()
            orders = [talk.response().get("order") for talk in talks]
        return {"served": [record.line.split()[1] for record in side.records()], "orders": orders}

    theirs, ours = pair.both(scenario)
    judge(theirs, ours, differs)
    assert ours["served"] == ["/first", "/high", "/soonest", "/sooner", "/plain", "/later", "/low"]


# ---------------------------------------------------------------------------------------------- half-closed connections


@pytest.mark.parametrize("limit", ["client", "server"])
@pytest.mark.parametrize("side_that_ends", ["client", "server"])
def test_half_closed_connections_end_after_the_timeout_of_the_other_side(pair, side_that_ends, limit):
    def scenario(side):
        with side.talk(f"{limit}_fin") as talk:
            talk.send(get("/", "Do: linger" if side_that_ends == "client" else "Do: half"))
            answer = talk.response()
            start = time.monotonic()
            if side_that_ends == "client":
                talk.finish()
            lines = [normal_line(line) for line in side.logged(1, client=talk.address)]
            took = time.monotonic() - start
        return describe([answer]) | {"in time": 0.2 < took < 1.5, "log": lines}

    theirs, ours = pair.both(scenario)
    judge(theirs, ours)
    assert ours["in time"] == (side_that_ends != limit)


@pytest.mark.parametrize("end", ["near", "far"])
def test_half_closed_tunnels_end_after_their_own_timeout(pair, end):
    def scenario(side):
        with side.talk("tunnel_fin") as talk:
            talk.send(get("/", f"Do: tunnel {end}", "Connection: Upgrade", "Upgrade: echo"))
            answer = talk.response()
            start = time.monotonic()
            if end == "near":
                talk.finish()
            lines = [normal_line(line) for line in side.logged(1, client=talk.address)]
            took = time.monotonic() - start
        return describe([answer]) | {"in time": 0.2 < took < 1.5, "log": lines}

    theirs, ours = pair.both(scenario)
    judge(theirs, ours)
    assert ours["in time"] == (end == "near")


# ----------------------------------------------------------------------------------------------------- kept connections


@pytest.mark.parametrize("do", ["die", "die by reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_requests_on_a_kept_connection_that_died(pair, method, do):
    """The server closes when it has read the request: it may have acted on it. Nobody may send a POST twice; what
    comes back is an error or the end of the connection, never silence."""

    def scenario(side):
        with side.talk("kept") as talk:
            talk.send(get("/first"))
            first = talk.response()
            body = b"hello" if method == "POST" else b""
            talk.send(get("/second", f"Do: {do}", f"Content-Length: {len(body)}", method=method) + body)
            second = talk.response()
        lines = [record.line for record in side.records()]
        return {"first": first.status, "second": second if isinstance(second, str) else second.status, "seen": lines}

    theirs, ours = pair.both(scenario)
    assert ours["first"] == theirs["first"] == 200
    assert theirs["second"] == "eof" and ours["second"] == 502  # differ.answers_every_request
    sent = [sum("/second" in line for line in side["seen"]) for side in (theirs, ours)]
    assert sent == [1, 1 if method == "POST" else 2]


# ----------------------------------------------------------------------------------------------- clients that break off


@pytest.mark.parametrize("way", ["finish", "reset"])
@pytest.mark.parametrize("frontend", ["abort", "work"])
def test_clients_that_break_off_while_the_server_works(pair, frontend, way):
    """With `option abortonclose` the end of the client's side is enough to give up; without it HAProxy works on."""

    def scenario(side):
        with side.talk(frontend) as talk:
            talk.send(get("/", "Do: late"))
            wait_for(side.records, 5, "the request to arrive")
            getattr(talk, way)()
            answers = [talk.response()] if way == "finish" else []
            lines = [normal_line(line) for line in side.logged(1, client=talk.address)]
        return describe(answers) | {"log": lines}

    differs = {
        ("work", "reset"): (differ.gives_up_for_who_left,),
        ("abort", "reset"): (differ.gone_before_the_answer,),
        ("abort", "finish"): (differ.reason_phrases,),
    }
    judge(*pair.both(scenario), differs.get((frontend, way), ()))


# ----------------------------------------------------------------------------------------------------------- slow start


def column(side, name: str, proxy: str = "slow", server: str = "warm") -> str:
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(str(side.directory / "admin.sock"))
        control.sendall(f"show stat {proxy} 6 -1\n".encode())
        data = b"".join(iter(lambda: control.recv(65536), b"")).decode()
    rows = csv.DictReader(io.StringIO(data.removeprefix("# ")))
    return next(row[name] for row in rows if row["svname"] == server)


def test_a_server_that_comes_back_starts_slowly(pair):
    """The share of the server after it came back, and what the statistics say, half a second from HAProxy's steps."""

    def scenario(side):
        origin = side.origins["warm"]
        wait_for(lambda: column(side, "status") == "UP", 10, "the server to be up")
        origin.pause()
        wait_for(lambda: column(side, "status") == "DOWN", 10, "the server to be down")
        origin.resume()
        wait_for(lambda: column(side, "status") == "UP", 10, "the server to be up again")
        start, shares, throttles = time.monotonic(), [], []
        for second in (0.5, 1.5, 2.5, 3.5):
            names = []
            while time.monotonic() < start + second:
                with side.talk("slow") as talk:
                    talk.send(get("/"))
                    names.append(talk.response().get("x-origin"))
                time.sleep(0.005)
            shares.append(names.count("warm") / len(names))
            throttles.append(column(side, "throttle"))
        return {"shares": shares, "throttles": throttles}

    theirs, ours = pair.both(scenario)
    for one, other in zip(theirs["shares"], ours["shares"], strict=True):
        assert abs(one - other) < 0.2, (theirs, ours)
    for shares in (theirs["shares"], ours["shares"]):
        assert shares[0] < shares[2] - 0.1 and abs(shares[3] - 0.5) < 0.2, shares
    for one, other in zip(theirs["throttles"], ours["throttles"], strict=True):
        assert abs(int(one or 100) - int(other or 100)) <= 25, (theirs, ours)
    assert theirs["throttles"][0] and not theirs["throttles"][3] and ours["throttles"][3] in ("", "100")


# ------------------------------------------------------------------------------------------------ the process's maxconn


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    text = DEFAULTS % "maxconn 3" + "".join(
        f'\nlisten {name}\n    bind "127.0.0.1:${{FE_{name}}}"\n    server s "127.0.0.1:${{SRV_s}}"\n'
        for name in ("one", "two")
    )
    with running_pair(tmp_path_factory.mktemp("narrow"), text, ANSWERS) as pair:
        yield pair


def test_beyond_the_process_s_maxconn_clients_wait(narrow):
    """Three clients over two frontends fill it; the fourth and fifth are served when somebody leaves, in order."""

    def scenario(side):
        held = [side.talk(frontend) for frontend in ("one", "two", "one")]
        answers = []
        for talk in held:
            talk.send(get("/held"))
            answers.append(talk.response())
        waiting = [side.talk("one"), side.talk("two")]
        for talk in waiting:
            talk.send(get("/waited"))
        quiet = [is_readable(talk.sock, 0.2) for talk in waiting]
        held[0].sock.close()
        held[1].sock.close()
        answers += [talk.response() for talk in waiting]
        lines = side.logged(5)
        for talk in (held[2], *waiting):
            talk.sock.close()
        return describe(answers) | {"served early": quiet, "lines": len(lines)}

    theirs, ours = narrow.both(scenario)
    judge(theirs, ours)
    assert ours["served early"] == [False, False]
