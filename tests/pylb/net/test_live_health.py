"""Checks that decide about servers while traffic runs."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from live import DEFAULTS, Server, ask, connect, ports, read_head, serving
from support import wait_for


class Named:
    """Answers with its name; /health says what the test wants."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.status = b"200 OK"
        self.hold = threading.Event()
        self.server = Server(self.answer)

    def answer(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while head := read_head(stream):
                status = self.status if b" /health " in head else b"200 OK"
                if b" /stuck " in head:
                    self.hold.wait(10)
                connection.sendall(b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(self.name), self.name))

    def close(self) -> None:
        self.hold.set()
        self.server.close()


def test_checks_move_traffic_and_bring_it_back(tmp_path: Path) -> None:
    one, two, spare = Named("one"), Named("two"), Named("spare")
    port = ports(1)[0]
    text = f"""{DEFAULTS}
listen l
 bind 127.0.0.1:{port}
 option httpchk GET /health
 http-check expect status 200
 timeout check 5s
 default-server check inter 500ms fastinter 50ms downinter 100ms rise 2 fall 2
 server one 127.0.0.1:{one.server.port} on-marked-down shutdown-sessions slowstart 2s
 server two 127.0.0.1:{two.server.port}
 server spare 127.0.0.1:{spare.server.port} backup
"""

    def seen(count: int = 8) -> set[bytes]:
        return {ask(port)[2] for _ in range(count)}

    try:
        with serving(tmp_path, text, ready=port) as pylb:
            log = pylb.collector
            assert seen() == {b"one", b"two"}
            stuck = [connect(port) for _ in range(2)]
            for sock in stuck:
                sock.sendall(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n")
            one.status = b"500 Broken"
            line = log.having("Server l/one is DOWN")[0]
            assert 'reason: Layer7 wrong status, code: 500, info: "' in line
            assert "1 active and 1 backup servers left" in line
            assert seen() == {b"two"}
            wait_for(lambda: any(" DH-- " in text for text in log.lines), 5, "the end of a session on the dead server")
            two.status = b"503 Busy"
            log.having("Server l/two is DOWN")
            assert seen() == {b"spare"}
            spare.close()
            log.having("Server l/spare is DOWN")
            log.having("proxy l has no server available!")
            assert ask(port)[0] == 503
            one.status = b"200 OK"
            log.having("Server l/one is UP")
            assert seen() == {b"one"}
            two.status = b"200 OK"
            log.having("Server l/two is UP")
            assert seen(40) == {b"one", b"two"}
            for sock in stuck:
                sock.close()
    finally:
        for named in (one, two, spare):
            named.close()


def test_a_server_that_fails_its_traffic_is_taken_out(tmp_path: Path) -> None:
    """observe layer7: no check has to come first."""
    good, bad = Named("good"), Server(lambda connection: connection.recv(65536) and None)
    port = ports(1)[0]
    text = f"""{DEFAULTS}
listen l
 bind 127.0.0.1:{port}
 server bad 127.0.0.1:{bad.port} check inter 60s observe layer7 error-limit 3 on-error mark-down
 server good 127.0.0.1:{good.server.port}
"""
    try:
        with serving(tmp_path, text, ready=port) as pylb:
            failed = 0

            def is_down() -> bool:
                nonlocal failed
                failed += ask(port)[0] == 502
                return any("Server l/bad is DOWN" in line for line in pylb.collector.lines)

            wait_for(is_down, 5, "the end of a server that fails")  # its first check may pass among the errors
            assert failed >= 3
            line = pylb.collector.having("Server l/bad is DOWN")[0]
            assert 'info: "Detected 3 consecutive errors, last one was:' in line
            # Errors are counted for all workers, who hear of it a moment later.
            wait_for(lambda: ask(port)[2] == b"good" == ask(port)[2], 5, "a worker that knows")
            assert all(ask(port)[2] == b"good" for _ in range(6))
    finally:
        good.close()
        bad.close()
