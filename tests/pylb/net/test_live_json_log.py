"""A pylb that runs from lb.toml writes JSON lines and passes traces on, whatever clients send."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading

import pytest
from support import free_port, wait_for_port

CONFIG = """
[global]
log = ["127.0.0.1:{log} len 2000 local0"]

[defaults]
mode = "http"
log = "global"
timeout = {{ client = "5s", server = "5s", connect = "1s", http-request = "1s" }}

[frontend.web]
bind = ["127.0.0.1:{port}"]
log-format = "json"
traceparent = "span"
unique-id-format = "%[uuid()]"
unique-id-header = "X-Request-ID"
capture = [
    {{ kind = "request", name = "User-Agent", len = 300 }},
    {{ kind = "response", name = "Server", len = 30 }},
    {{ kind = "cookie", name = "SID", len = 30 }},
]
default-backend = "app"

[backend.app.server]
a = "127.0.0.1:{origin}"
"""


class Echo:
    """A server that answers with the request's head."""

    def __init__(self) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self.sock.accept()
            except OSError:
                return
            with client:
                head = b""
                while b"\r\n\r\n" not in head and (more := client.recv(65536)):
                    head += more
                answer = b"HTTP/1.0 200 OK\r\nServer: echo\r\nContent-Length: %d\r\n\r\n" % len(head)
                client.sendall(answer + head)


@pytest.fixture(scope="module")
def balancer(tmp_path_factory):
    """(port, receiving socket)"""
    log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    log.bind(("127.0.0.1", 0))
    log.settimeout(10)
    echo, port = Echo(), free_port()
    path = tmp_path_factory.mktemp("json") / "lb.toml"
    path.write_text(CONFIG.format(log=log.getsockname()[1], port=port, origin=echo.sock.getsockname()[1]))
    process = subprocess.Popen([sys.executable, "-m", "pylb", "-c", str(path)], stdin=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        log.recv(65536)  # that of the connection that waited
        yield port, log
    finally:
        process.terminate()
        process.wait(10)
        echo.sock.close()
        log.close()


def ask(balancer, data: bytes) -> tuple[bytes, dict]:
    """The answer, and the line of the log."""
    port, log = balancer
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while more := sock.recv(65536):
            answer += more
    raw = log.recv(65536)
    assert len(raw) <= 2001
    return answer, json.loads(raw.partition(b"]: ")[2])


def test_a_line_tells_of_its_request(balancer):
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    answer, line = ask(balancer, b"GET /a?b=c HTTP/1.1\r\nHost: h\r\nUser-Agent: me\r\nCookie: SID=1\r\n"
                                 b"traceparent: " + trace + b"\r\nConnection: close\r\n\r\n")  # fmt: skip
    assert (line["method"], line["path"], line["query"], line["status"]) == ("GET", "/a", "b=c", 200)
    assert (line["frontend"], line["backend"], line["server"]) == ("web", "app", "a")
    assert line["request_headers"] == {"user-agent": "me"} and line["response_headers"] == {"server": "echo"}
    assert (line["request_cookie"], line["response_cookie"]) == ("SID=1", None)
    assert line["bytes_read"] == len(answer)
    assert (line["trace_id"], line["parent_id"]) == (trace[3:35].decode(), trace[36:52].decode())
    sent = f"traceparent: 00-{line['trace_id']}-{line['span_id']}-01"
    assert sent.encode() in answer and f"X-Request-ID: {line['unique_id']}".encode() in answer


@pytest.mark.parametrize(
    "data",
    [
        b'GET /"a\\b{}?"=\\ HTTP/1.1\r\nHost: h\r\nUser-Agent: "\\\t\xc3\xa9\xff\r\n\r\n',
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\nUser-Agent: " + b"\xff" * 300 + b"\r\n\r\n",
        b"\x16\x03\x01\x00 nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nBad Header: 1\r\n\r\n",
        b"G",
        b"",
    ],
    ids=["quotes", "long", "TLS", "bad header", "one byte", "nothing"],
)
def test_hostile_bytes_are_json_all_the_same(balancer, data):
    _, line = ask(balancer, data)
    assert line["client"] == "127.0.0.1" and (line["status"] in (200, 400) or not data or data == b"G")
    assert line.get("cut", False) == (len(data) > 2000)
